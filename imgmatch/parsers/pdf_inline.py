"""Pictures that stand in the instructions of a PDF themselves (inline images; ISO 32000-2, 8.9.7), not as objects."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

_BEGIN = re.compile(rb"(?<![^\s\0])BI(?=[\s\0]*/[A-Za-z]+[\s\0/\[<(\d].{0,4000}?[\s\0>\])]ID[\s\0])", re.DOTALL)
_END = re.compile(rb"EI(?=[\s\0]|\Z)")
_BEHIND = re.compile(rb"\s{0,2}EI(?=[\s\0]|\Z)")
_KEYS = {
    "/BPC": "/BitsPerComponent", "/CS": "/ColorSpace", "/D": "/Decode", "/DP": "/DecodeParms", "/F": "/Filter",
    "/H": "/Height", "/IM": "/ImageMask", "/I": "/Interpolate", "/W": "/Width",
}  # fmt: skip
_VALUES = {
    "/G": "/DeviceGray", "/RGB": "/DeviceRGB", "/CMYK": "/DeviceCMYK", "/I": "/Indexed", "/AHx": "/ASCIIHexDecode",
    "/A85": "/ASCII85Decode", "/LZW": "/LZWDecode", "/Fl": "/FlateDecode", "/RL": "/RunLengthDecode",
    "/CCF": "/CCITTFaxDecode", "/DCT": "/DCTDecode",
}  # fmt: skip
_COMPONENTS = {"/DeviceGray": 1, "/DeviceRGB": 3, "/DeviceCMYK": 4}
_DATA = re.compile(rb"[\s\0>\])]ID[\s\0]")
_OWN_TYPES = ("/XRef", "/ObjStm", "/Metadata", "/EmbeddedFile")
_MOST_BYTES = 64 << 20
_MOST = 10_000


def may_hold(found: Any) -> bool:
    """May a stream be instructions: of a page, a form, a pattern or a letter?"""
    if found.get("/Type") in _OWN_TYPES or "/Length1" in found or "/N" in found or "/FunctionType" in found:
        return False
    return found.get("/Subtype") in (None, "/Form")


def holds(found: Any) -> bool:
    """Does one begin in a stream of instructions?"""
    return _BEGIN.search(_text(found)) is not None


def in_stream(pypdf: Any, reader: Any, found: Any, resources: Any) -> Iterator[Any]:
    """Each as the image object that it could as well be; ``resources`` name its colour space where that is not one of
    the usual ones. Raises about everything on broken data.
    """
    data = _text(found)
    starts = [match.start() for match in _BEGIN.finditer(data)][:_MOST]
    done = 0
    for place, start in enumerate(starts):
        if start < done:
            continue
        for end in (*starts[place + 1 : place + 2], len(data)):  # or its content looks as if another began there
            one = _read(pypdf, reader, data[start:end])
            if one is not None:
                one = one[0], _exact(*one, data[start:])
                yield _as_object(pypdf, *one, resources)
                done = max(data.find(one[1], start), start) + len(one[1])
                break


def _text(found: Any) -> bytes:
    data = found.get_data()
    return (data if isinstance(data, bytes) else bytes(data, "latin-1"))[:_MOST_BYTES]


def _read(pypdf: Any, reader: Any, text: bytes) -> tuple[Any, bytes] | None:
    ends = [match.end() for match in _END.finditer(text)]
    for end in (*ends[:1], *ends[-1:]) if len(ends) > 1 else ends:
        stream = pypdf.generic.DecodedStreamObject()
        stream.set_data(text[:end] + b"\n")
        try:
            for operands, operator in pypdf.generic.ContentStream(stream, reader).operations:
                if operator == b"INLINE IMAGE":
                    return operands["settings"], operands["data"]
        except (MemoryError, RecursionError):
            raise
        except Exception:  # noqa: BLE001  (not its end, or none)
            continue
    return None


def _exact(settings: Any, found: bytes, text: bytes) -> bytes:
    """What of a picture that is not packed is as long as its size says, whatever looks like its end in it."""
    said = {_KEYS.get(key, key): value for key, value in settings.items()}
    space = said.get("/ColorSpace", "/G")
    count = 1 if isinstance(space, list) else _COMPONENTS.get(_VALUES.get(space, space), 0)
    begin = _DATA.search(text)
    if "/Filter" in said or not count or begin is None:
        return found
    bits = 1 if said.get("/ImageMask") else int(said.get("/BitsPerComponent", 8))
    size = (int(said["/Width"]) * count * bits + 7) // 8 * int(said["/Height"])
    end = begin.end() + size
    return text[begin.end() : end] if _BEHIND.match(text, end) else found


def _as_object(pypdf: Any, settings: Any, data: bytes, resources: Any) -> Any:
    made: dict[Any, Any] = {"__streamdata__": data, "/Length": len(data)}
    spaces = resources.get("/ColorSpace") if isinstance(resources, dict) else None
    spaces = None if spaces is None else spaces.get_object()
    for key, value in settings.items():
        if key in ("/L", "/Length"):
            continue
        key = pypdf.generic.NameObject(_KEYS.get(key, key))
        if isinstance(value, list):
            value = pypdf.generic.ArrayObject(
                [_value(pypdf, one, spaces if key == "/ColorSpace" else None) for one in value]
            )
        else:
            value = _value(pypdf, value, spaces if key == "/ColorSpace" else None)
        made.setdefault(key, value)
    return pypdf.generic.EncodedStreamObject.initialize_from_dictionary(made)


def _value(pypdf: Any, value: Any, spaces: Any) -> Any:
    if not isinstance(value, pypdf.generic.NameObject):
        return value
    if value in _VALUES:
        return pypdf.generic.NameObject(_VALUES[value])
    return spaces[value] if isinstance(spaces, dict) and value in spaces else value
