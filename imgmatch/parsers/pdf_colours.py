"""Samples of PDF pictures that pypdf does not read as ISO 32000-2 has it, brought to what it does: 8 bits of grey, RGB
or CMYK. These are 16 bits, single bits of several colours, Lab (8.6.5.4), and a spot colour by its function (8.6.6.4).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
_DEVICE = {"/DeviceGray": 1, "/G": 1, "/CalGray": 1, "/DeviceRGB": 3, "/RGB": 3, "/CalRGB": 3, "/DeviceCMYK": 4}
_OWN_CODING = ("/DCTDecode", "/DCT", "/JPXDecode", "/CCITTFaxDecode", "/CCF", "/JBIG2Decode")
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
_TO_SRGB = np.array([[3.2406, -1.5372, -0.4986], [-0.9689, 1.8758, 0.0415], [0.0557, -0.2040, 1.0570]])
_D65 = np.array([0.9505, 1.0, 1.089])
_TOKEN = re.compile(r"[{}]|[^\s{}]+")
_MOST_SAMPLES = 1 << 20


def plain(pypdf: Any, found: Any) -> Any:
    """The same picture in 8 bits and a usual colour space, or as it is where it is so, or of a coding of its own."""
    filters = _got(found.get("/Filter"))
    last = filters[-1] if isinstance(filters, list) and filters else filters
    space, bits = _got(found.get("/ColorSpace")), _got(found.get("/BitsPerComponent"))
    family = str(space[0]) if isinstance(space, list) and space else str(space)
    if str(last) in _OWN_CODING or found.get("/ImageMask") or not isinstance(bits, int):
        return found
    count = _components(space, family)
    if family not in ("/Lab", "/Separation") and not (bits == 16 or (bits == 1 and count > 1)):
        return found
    if family == "/Indexed" or not count or bits not in (1, 2, 4, 8, 16):
        return found
    samples = _samples(found, bits, count)
    if family == "/Lab":
        about = _got(space[1])
        return _made(pypdf, found, "/DeviceRGB", _lab(_ranged(found, samples, _lab_ranges(about)), about))
    samples = _ranged(found, samples, [(0.0, 1.0)] * count)
    if family == "/Separation":
        base = _got(space[2])
        told = _components(base, str(base[0]) if isinstance(base, list) and base else str(base))
        tint = _function(_got(space[3]))
        if not told or tint is None:
            return found
        levels = np.array([tint(level / 255) for level in range(256)], dtype=np.float64)
        if levels.shape != (256, told):
            return found
        return _made(pypdf, found, base, levels[np.rint(samples[..., 0] * 255).astype(int)])
    return _made(pypdf, found, space, samples)


def _got(value: Any) -> Any:
    return None if value is None else value.get_object()


def _components(space: Any, family: str) -> int:
    if family == "/ICCBased":
        return int(_got(space[1]).get("/N", 0))
    return _DEVICE.get(family, {"/Lab": 3, "/Separation": 1}.get(family, 0))


def _samples(found: Any, bits: int, count: int) -> Floats:
    """Rows, columns, components, each 0 to 1; zeros where they are missing."""
    width, height = int(found["/Width"]), int(found["/Height"])
    data = found.get_data()
    data = data if isinstance(data, bytes) else bytes(data, "latin-1")
    row = (width * count * bits + 7) // 8
    packed = np.frombuffer(data[: row * height].ljust(row * height, b"\0"), np.uint8).reshape(height, row)
    if bits == 16:
        values = packed.view(">u2").astype(np.float64)
    elif bits == 8:
        values = packed.astype(np.float64)
    else:
        single = np.unpackbits(packed, axis=1)[:, : row * 8 // bits * bits].reshape(height, -1, bits)
        values = (single * (1 << np.arange(bits - 1, -1, -1))).sum(axis=2).astype(np.float64)
    return values[:, : width * count].reshape(height, width, count) / ((1 << bits) - 1)


def _ranged(found: Any, samples: Floats, usual: list[tuple[float, float]]) -> Floats:
    """By /Decode, or as is usual."""
    try:
        told = [float(value) for value in _got(found.get("/Decode"))]
    except (TypeError, ValueError):
        told = []
    pairs = np.array(told if len(told) == 2 * len(usual) else usual, dtype=np.float64).reshape(-1, 2)
    return pairs[:, 0] + samples * (pairs[:, 1] - pairs[:, 0])


def _lab_ranges(about: Any) -> list[tuple[float, float]]:
    least_a, most_a, least_b, most_b = (float(value) for value in about.get("/Range", (-100, 100, -100, 100)))
    return [(0.0, 100.0), (least_a, most_a), (least_b, most_b)]


def _lab(lab: Floats, about: Any) -> Floats:
    """As sRGB, with its white as white (Bradford)."""
    white = np.array([float(value) for value in about["/WhitePoint"]])
    middle = (lab[..., 0] + 16) / 116
    parts = np.stack([middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200], axis=-1)
    xyz = np.where(parts >= 6 / 29, parts**3, 108 / 841 * (parts - 4 / 29)) * white
    adapt = np.linalg.inv(_BRADFORD) @ np.diag((_BRADFORD @ _D65) / (_BRADFORD @ white)) @ _BRADFORD
    linear = np.clip(xyz @ (_TO_SRGB @ adapt).T, 0, 1)
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


def _made(pypdf: Any, found: Any, space: Any, values: Floats) -> Any:
    name, number = pypdf.generic.NameObject, pypdf.generic.NumberObject
    made = {name(key): value for key, value in dict.items(found) if key in ("/Type", "/Subtype", "/Width", "/Height")}
    made |= {
        name("/BitsPerComponent"): number(8),
        name("/ColorSpace"): name(space) if isinstance(space, str) else space,
        "__streamdata__": np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8).tobytes(),
        "/Length": 0,
    }
    return pypdf.generic.StreamObject.initialize_from_dictionary(made)


def _function(found: Any) -> Callable[[float], list[float]] | None:
    """A function of one value (7.10); None for what is none of it."""
    kind = found.get("/FunctionType")
    if kind == 2:
        least = [float(value) for value in found.get("/C0", (0,))]
        most, power = [float(value) for value in found.get("/C1", (1,))], float(found["/N"])
        return lambda x: [low + x**power * (high - low) for low, high in zip(least, most, strict=True)]
    if kind == 3:
        parts = [_function(_got(one)) for one in found["/Functions"]]
        bounds, encode = ([float(value) for value in found[key]] for key in ("/Bounds", "/Encode"))
        low, high = (float(value) for value in found["/Domain"])
        edges = [low, *bounds, high]

        def stitched(x: float) -> list[float]:
            place = min(sum(x >= bound for bound in bounds), len(parts) - 1)
            from_, to = edges[place], edges[place + 1]
            start, end = encode[2 * place : 2 * place + 2]
            part = parts[place]
            return part(start + (x - from_) / ((to - from_) or 1) * (end - start)) if part is not None else []

        return stitched
    if kind == 0:
        return _sampled(found)
    return _calculated(found) if kind == 4 else None


def _sampled(found: Any) -> Callable[[float], list[float]] | None:
    (size,), bits = (int(value) for value in found["/Size"]), int(found["/BitsPerSample"])
    ranges = np.array([float(value) for value in found["/Range"]]).reshape(-1, 2)
    if bits not in (8, 16) or not 1 < size <= _MOST_SAMPLES:
        return None
    data = np.frombuffer(found.get_data(), ">u2" if bits == 16 else np.uint8)[: size * len(ranges)]
    table = data.reshape(size, len(ranges)) / ((1 << bits) - 1)
    decode = np.array([float(value) for value in found.get("/Decode", found["/Range"])]).reshape(-1, 2)
    values = decode[:, 0] + table * (decode[:, 1] - decode[:, 0])
    start, end = (float(value) for value in found.get("/Encode", (0, size - 1)))
    places = np.arange(size)
    return lambda x: [float(np.interp(start + x * (end - start), places, values[:, n])) for n in range(len(ranges))]


def _calculated(found: Any) -> Callable[[float], list[float]] | None:
    """What a calculator of PostScript says, where it does no more than reckon and move."""
    data = found.get_data()
    words = _TOKEN.findall((data if isinstance(data, bytes) else bytes(data, "latin-1")).decode("latin-1"))
    if len(words) > 2_000 or words[:1] != ["{"] or words[-1] != "}" or "{" in words[1:]:
        return None

    def calculated(x: float) -> list[float]:
        stack = [x]
        for word in words[1:-1]:
            _step(word, stack)
        return stack

    try:
        calculated(0.5)
    except (ValueError, IndexError, ZeroDivisionError, KeyError, OverflowError):
        return None
    return calculated


def _step(word: str, stack: list[float]) -> None:
    if word in _TWO:
        second, first = stack.pop(), stack.pop()
        stack.append(_TWO[word](first, second))
    elif word in _ONE:
        stack.append(_ONE[word](stack.pop()))
    elif word == "dup":
        stack.append(stack[-1])
    elif word == "pop":
        stack.pop()
    elif word == "exch":
        stack[-2:] = stack[:-3:-1]
    elif word == "index":
        stack.append(stack[-1 - int(stack.pop())])
    elif word == "copy":
        count = int(stack.pop())
        stack += stack[-count:] if 0 < count <= 32 else []
    elif word == "roll":
        by, count = int(stack.pop()), int(stack.pop())
        if count > 0:
            by %= count
            part = stack[-count:]
            stack[-count:] = part[-by:] + part[:-by]
    else:
        stack.append(float(word))


_TWO: dict[str, Callable[[float, float], float]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": lambda a, b: a / b,
}
_ONE: dict[str, Callable[[float], float]] = {
    "neg": lambda a: -a,
    "abs": abs,
    "sqrt": lambda a: a**0.5,
    "cvr": float,
    "round": round,
    "floor": lambda a: a // 1,
    "ceiling": lambda a: -(-a // 1),
    "truncate": int,
}
