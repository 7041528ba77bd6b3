"""Inputs that are pictures: formats by depth, colour model and layout, whole and damaged; and such as hold several."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from benchmarks import heif_items
from benchmarks.evidence_inputs import Input, UnavailableError, encoded, faulty, file, of, picture, sha256

_TIFFS: dict[str, dict[str, Any]] = {
    "uncompressed": {},
    "LZW": {"compression": "tiff_lzw"},
    "deflate": {"compression": "tiff_adobe_deflate"},
    "JPEG": {"compression": "jpeg"},
    "PackBits": {"compression": "packbits"},
    "fax group 4": {"compression": "group4", "mode": "1"},
    "CMYK": {"mode": "CMYK"},
    "16-bit grey": {"mode": "I;16"},
}


def _raster(format: str, **options: Any) -> Callable[[], bytes]:
    def made() -> bytes:
        mode = options.pop("mode", "RGB")
        if mode == "I;16":
            from PIL import Image as Pillow

            grey = np.asarray(picture(1, "L")).astype(np.uint16) * 257
            buffer = io.BytesIO()
            Pillow.fromarray(grey).save(buffer, format, **options)
            return buffer.getvalue()
        return encoded(format, 1, mode, **options)

    content: list[bytes] = []

    def once() -> bytes:
        if not content:
            content.append(made())
        return content[0]

    return once


def _library(name: str, write: str) -> Callable[[], bytes]:
    """A picture as imagecodecs writes it."""

    def made() -> bytes:
        try:
            import imagecodecs
        except ImportError as error:
            raise UnavailableError("imagecodecs is missing") from error
        return bytes(getattr(imagecodecs, write)(np.asarray(picture(1)).copy()))

    return made


def _heif(seeds: tuple[int, ...] = (1,)) -> Callable[[], bytes]:
    def made() -> bytes:
        try:
            import pillow_heif
        except ImportError as error:
            raise UnavailableError("pillow-heif is missing") from error
        file = pillow_heif.from_pillow(picture(seeds[0]))
        for seed in seeds[1:]:
            file.add_from_pillow(picture(seed))
        buffer = io.BytesIO()
        file.save(buffer, quality=70)
        return buffer.getvalue()

    return made


def _hidden(write: Callable[[int], bytes], brand: bytes) -> Callable[[], bytes]:
    """A picture with another one that the file says is hidden."""

    def made() -> bytes:
        one, two = heif_items.picture_of(write(1)), heif_items.picture_of(write(2))
        return heif_items.written([one, two.called(2, heif_items.HIDDEN)], 1, brand=brand)

    return made


def _moving(format: str, **options: Any) -> Callable[[], bytes]:
    def made() -> bytes:
        return encoded(format, 1, save_all=True, append_images=[picture(seed) for seed in (2, 3)], **options)

    return made


def _jpeg_behind(tail: bytes) -> Callable[[], bytes]:
    return lambda: encoded("JPEG") + tail


def stills() -> Iterator[Input]:
    """Every format of a single picture, whole and with each fault."""
    kinds: dict[str, tuple[str, Callable[[], bytes]]] = {
        "JPEG": (".jpg", _raster("JPEG", quality=85)),
        "JPEG, progressive": (".jpg", _raster("JPEG", progressive=True)),
        "JPEG, CMYK": (".jpg", _raster("JPEG", mode="CMYK")),
        "JPEG, grey": (".jpg", _raster("JPEG", mode="L")),
        "PNG": (".png", _raster("PNG")),
        "PNG, palette": (".png", _raster("PNG", mode="P")),
        "PNG, 16-bit grey": (".png", _raster("PNG", mode="I;16")),
        "GIF": (".gif", _raster("GIF", mode="P")),
        "WebP": (".webp", _raster("WEBP")),
        "WebP, lossless": (".webp", _raster("WEBP", lossless=True)),
        **{f"TIFF, {name}": (".tif", _raster("TIFF", **options)) for name, options in _TIFFS.items()},
        "BMP": (".bmp", _raster("BMP")),
        "JPEG 2000": (".jp2", _raster("JPEG2000")),
        "AVIF": (".avif", _raster("AVIF")),
        "HEIC": (".heic", _heif()),
        "JPEG XL": (".jxl", _library("JPEG XL", "jpegxl_encode")),
        "TGA": (".tga", _raster("TGA", compression="tga_rle")),
        "PCX": (".pcx", _raster("PCX")),
        "DDS": (".dds", _raster("DDS")),
        "PPM": (".ppm", _raster("PPM")),
        "SGI": (".sgi", _raster("SGI")),
        "ICO": (".ico", _raster("ICO", sizes=[(64, 64)])),
        "QOI": (".qoi", _library("QOI", "qoi_encode")),
        "BLP": (".blp", _raster("BLP", mode="P")),
        "MSP": (".msp", _raster("MSP", mode="1")),
        "XBM": (".xbm", _raster("XBM", mode="1")),
        "JPEG-LS": (".jls", _library("JPEG-LS", "jpegls_encode")),
        "JPEG XR": (".jxr", _library("JPEG XR", "jpegxr_encode")),
    }
    for name, (ending, content) in kinds.items():
        yield from faulty("pictures", name, ending, content, lambda data: frozenset((sha256(data),)))


def several() -> Iterator[Input]:
    """Files that hold more than one picture, and pictures with something behind their end."""
    moving: dict[str, tuple[str, Callable[[], bytes]]] = {
        "GIF, three frames": ("a.gif", _moving("GIF")),
        "WebP, three frames": ("a.webp", _moving("WEBP", lossless=True)),
        "PNG, three frames": ("a.png", _moving("PNG")),
        "TIFF, three pages": ("a.tif", _moving("TIFF")),
        "HEIC, a hidden picture": ("a.heic", _hidden(lambda seed: _heif((seed,))(), b"heic")),
        "AVIF, a hidden picture": ("a.avif", _hidden(lambda seed: encoded("AVIF", seed), b"avif")),
        "HEIC, three pictures": ("a.heic", _heif((1, 2, 3))),
        "JPEG with two more by an index (MPO)": ("a.jpg", _moving("MPO")),
    }
    for name, (path, content) in moving.items():
        yield _holding("several pictures", name, path, content, drawn=1 if "hidden" in name else 2)
    other, third = encoded("JPEG", 2), encoded("JPEG", 3)
    behind = {
        "JPEG, another behind it": (other, of({"": other})),
        "JPEG, two more behind it": (other + third, of({"1": other, "2": third})),
        "JPEG, a PNG behind it": (encoded("PNG", 2), of({"": encoded("PNG", 2)})),
        "JPEG, a ZIP behind it": (_zip({"a.jpg": other}), of({"": other})),
        "JPEG, zeros behind it": (bytes(5_000), frozenset()),
    }
    for name, (tail, inside) in behind.items():
        yield _holding("several pictures", name, "a.jpg", _jpeg_behind(tail), inside=inside)
    yield _holding(
        "several pictures", "PNG, a JPEG behind it", "a.png", lambda: encoded("PNG") + other, of({"": other})
    )
    yield _holding(
        "several pictures", "GIF, a ZIP behind it", "a.gif", lambda: encoded("GIF", 1, "P") + _zip({"a.jpg": other}),
        of({"": other}),
    )  # fmt: skip
    program = b"MZ" + bytes(4_000) + _zip({"a.jpg": other, "b.jpg": third})
    yield Input(
        "several pictures", "program, a ZIP behind it", file("a.exe", lambda: program), of({"a": other, "b": third})
    )


def odd() -> Iterator[Input]:
    """Pictures that many programs stumble over, though nothing is wrong with them."""
    plain = encoded("JPEG", 1, quality=85)
    start = plain.index(b"\xff\xc0")
    height = plain[start + 5 : start + 7]
    scan = plain.index(b"\xff\xda")
    end = plain.rindex(b"\xff\xd9")
    no_height = plain[: start + 5] + b"\0\0" + plain[start + 7 : end] + b"\xff\xdc\0\4" + height + plain[end:]
    assert scan < end
    for name, path, data in (
        ("JPEG without a height, which follows (DNL)", "a.jpg", no_height),
        ("JPEG, no end", "a.jpg", plain[:end]),
        ("PNG, a wrong checksum in a text", "a.png", _with_text(b"\0\0\0\0")),
        ("PNG, 20 MB of text", "a.png", _with_text(None, 20 << 20)),
        ("BMP, alpha of zeros", "a.bmp", _bmp_with_alpha()),
    ):
        yield _holding("odd, but whole", name, path, lambda data=data: data)  # type: ignore[misc]
    name, data = "JPEG, text before it", b"\r\n" + plain
    yield Input("odd, but whole", name, file("a.jpg", lambda: data), frozenset({sha256(plain)}))


def _holding(
    group: str, name: str, path: str, content: Callable[[], bytes], inside: frozenset[str] = frozenset(), drawn: int = 0
) -> Input:
    """A picture that holds others: itself and what is ``inside``."""
    try:
        itself = frozenset((sha256(content()),))
    except UnavailableError:
        itself = frozenset()
    return Input(group, name, file(path, content), itself | inside, drawn)


def _zip(contents: dict[str, bytes]) -> bytes:
    from benchmarks.evidence_stores import zipped

    return zipped(contents)


def _with_text(checksum: bytes | None, size: int = 10) -> bytes:
    import zlib

    data = encoded("PNG")
    body = b"tEXt" + b"Comment\0" + b"x" * size
    chunk = struct.pack(">I", len(body) - 4) + body + (checksum or struct.pack(">I", zlib.crc32(body)))
    return data[:33] + chunk + data[33:]


def _bmp_with_alpha() -> bytes:
    pixels = np.asarray(picture(1))[::-1, :, ::-1]
    rows, cols = pixels.shape[:2]
    data = np.dstack([pixels, np.zeros((rows, cols), np.uint8)]).tobytes()
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    header = struct.pack("<IiiHHIIiiII", 108, cols, rows, 1, 32, 3, len(data), 2835, 2835, 0, 0) + masks
    header += b"BGRs" + bytes(48)
    return b"BM" + struct.pack("<IHHI", 14 + len(header) + len(data), 0, 0, 14 + len(header)) + header + data
