"""Every layout of TIFF against what was put into it by another library (tifffile)."""

import contextlib
import io
import itertools
import struct

import numpy as np
import pytest

from imgmatch.errors import EvidenceError
from imgmatch.picture.image import decode

tifffile = pytest.importorskip("tifffile")
pytest.importorskip("imagecodecs")

_y, _x = np.mgrid[0:64, 0:96]
GREY = ((_x * 2.1 + _y) % 256).astype(np.uint8)
RGB = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], -1)
OPAQUE = np.full(GREY.shape, 255, np.uint8)
FULL = {np.uint8: 1, np.uint16: 257, np.uint32: 16843009}
PALETTE = np.stack([np.arange(256) * 257, np.arange(255, -1, -1) * 257, np.arange(256) * 257]).astype(np.uint16)


def tiff(values, **options):
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, values, **options)
    return buffer.getvalue()


def layouts():
    """Name, what is written, how, and what is to be seen."""
    for kind, full in FULL.items():
        wide = kind(full)
        name = np.dtype(kind).name
        yield f"{name} grey", GREY.astype(kind) * wide, {"photometric": "minisblack"}, GREY
        yield f"{name} white is 0", ~(GREY.astype(kind) * wide), {"photometric": "miniswhite"}, GREY
        rgba = np.dstack([RGB, OPAQUE]).astype(kind) * wide
        yield f"{name} rgba", rgba, {"photometric": "rgb", "extrasamples": ["unassalpha"]}, RGB
        grey_alpha = np.dstack([GREY, OPAQUE]).astype(kind) * wide
        options = {"photometric": "minisblack", "planarconfig": "contig", "extrasamples": ["unassalpha"]}
        yield f"{name} grey and alpha", grey_alpha, options, GREY
        ink = np.dstack([255 - RGB, np.zeros_like(GREY)]).astype(kind) * wide
        yield f"{name} cmyk", ink, {"photometric": "separated"}, RGB
        for planes, packing in itertools.product(["contig", "separate"], [None, "lzw", "deflate", "packbits"]):
            for predictor in [False, True] if packing in ("lzw", "deflate") else [False]:
                values = RGB.astype(kind) * wide
                values = np.moveaxis(values, -1, 0) if planes == "separate" else values
                options = {"planarconfig": planes, "compression": packing, "predictor": predictor}
                yield f"{name} {planes} {packing} {predictor}", values, {"photometric": "rgb", **options}, RGB
    for kind in (np.int8, np.int16, np.int32):
        values = (GREY / 255 * np.iinfo(kind).max).astype(kind)
        yield f"{np.dtype(kind).name} grey", values, {"photometric": "minisblack"}, GREY
    for kind in (np.float16, np.float32, np.float64):
        name = np.dtype(kind).name
        yield f"{name} grey", (GREY / 255).astype(kind), {"photometric": "minisblack"}, GREY
        yield f"{name} rgb", (RGB / 255).astype(kind), {"photometric": "rgb"}, RGB
    packed = {"photometric": "minisblack", "compression": "deflate", "predictor": True}
    yield "predicted fractions", (GREY / 255).astype(np.float32), packed, GREY
    yield "fractions of 255", GREY.astype(np.float32), {"photometric": "minisblack"}, GREY
    for kind, most in ((np.uint32, 255), (np.int32, 255), (np.int32, 65535)):
        values = GREY.astype(kind) * (most // 255)
        yield f"{np.dtype(kind).name} to {most}", values, {"photometric": "minisblack"}, GREY
    for bits in (1, 2, 4, 10, 12, 14):
        most = (1 << bits) - 1
        values = (GREY.astype(np.uint32) * most // 255).astype(np.uint8 if bits < 8 else np.uint16)
        yield f"{bits} bits", values, {"photometric": "minisblack", "bitspersample": bits}, values * (255 / most)
    yield "palette", GREY, {"photometric": "palette", "colormap": PALETTE}, np.stack([GREY, 255 - GREY, GREY], -1)
    yield "tiles", RGB, {"photometric": "rgb", "tile": (16, 16)}, RGB
    apart = np.moveaxis(RGB.astype(np.uint16) * np.uint16(257), -1, 0)
    options = {"photometric": "rgb", "planarconfig": "separate"}
    yield "tiles of 16 bits", apart, {**options, "tile": (16, 32)}, RGB
    for order, big in itertools.product("<>", [False, True]):
        where = {"byteorder": order, "bigtiff": big}
        yield f"{order} {big} 8", RGB, {"photometric": "rgb", **where}, RGB
        yield f"{order} {big} 16", apart, {**options, **where}, RGB
    yield "zstd", RGB, {"photometric": "rgb", "compression": "zstd"}, RGB


LAYOUTS = {name: rest for name, *rest in layouts()}


@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_gives_its_values(name):
    values, options, wanted = LAYOUTS[name]
    image = decode(tiff(values, **options))
    wanted = wanted if np.ndim(wanted) == 3 else np.repeat(np.asarray(wanted)[..., None], 3, axis=2)
    assert image.partial is None
    assert image.pixels.shape == wanted.shape
    assert np.abs(image.pixels - np.asarray(wanted, float)).max() <= 2


def test_a_few_bright_points_darken_no_picture_of_fractions():
    values = (GREY / 255).astype(np.float32)
    values[3, 4], values[9, 9], values[20, 20] = 1.7, 40.0, np.nan
    pixels = decode(tiff(values, photometric="minisblack")).pixels[..., 0].astype(int)
    assert pixels[3, 4] == pixels[9, 9] == 255
    assert pixels[20, 20] == 0
    assert (np.abs(pixels - GREY) > 2).sum() <= 3


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_deep_picture_is_turned_too(orientation):
    from tests.imgmatch.picture.test_image import as_stored

    stored = as_stored(RGB.astype(np.uint16) * np.uint16(257), orientation)
    image = decode(tiff(stored, photometric="rgb", extratags=[(274, 3, 1, orientation, True)]))
    assert (image.pixels == RGB).all()
    assert image.upright_size_px == (96, 64)


def test_of_a_deep_picture_that_is_cut_off_the_first_rows_are_there():
    data = tiff(np.random.default_rng(0).random((200, 96, 3)), photometric="rgb", rowsperstrip=10)
    image = decode(data[: len(data) * 2 // 3])
    assert image.partial
    assert image.pixels[:90].any(axis=(1, 2)).all()


def test_random_damage_to_a_deep_picture_never_escapes_as_another_error():
    rng = np.random.default_rng(1)
    samples = [tiff(LAYOUTS[name][0], **LAYOUTS[name][1]) for name in list(LAYOUTS)[::7]]
    for turn in range(300):
        data = bytearray(samples[turn % len(samples)])
        for at in rng.integers(0, min(len(data), 400), 1 + turn % 8):
            data[at] = rng.integers(0, 256)
        with contextlib.suppress(EvidenceError):
            assert decode(bytes(data)).pixels.ndim == 3


SEGMENTS = ("webp", "jpeg2000", "png", "jpegxl", "jpegxr")


@pytest.mark.parametrize("cut", [{"tile": (32, 48)}, {"rowsperstrip": 24}], ids=["tiles", "strips"])
@pytest.mark.parametrize("packing", SEGMENTS)
def test_a_page_of_pictures_of_their_own_gives_its_values(packing, cut):
    made = decode(tiff(RGB, photometric="rgb", compression=packing, extratags=[(274, 3, 1, 6, True)], **cut))
    assert (made.format, made.partial) == ("TIFF", None)
    assert np.array_equal(made.pixels, np.rot90(RGB, -1))


@pytest.mark.parametrize("packing", SEGMENTS)
def test_of_such_a_page_whose_third_part_is_lost_the_others_are_there(packing):
    data = bytearray(tiff(RGB, photometric="rgb", compression=packing, rowsperstrip=16))
    with tifffile.TiffFile(io.BytesIO(bytes(data))) as file:
        at, length = file.pages[0].dataoffsets[2], file.pages[0].databytecounts[2]
    data[at : at + length] = b"\x55" * length
    made = decode(bytes(data))
    assert made.partial.startswith("part 3 of its pixels is damaged")
    assert np.array_equal(made.pixels[:32], RGB[:32])
    assert np.array_equal(made.pixels[48:], RGB[48:])


def test_a_part_larger_than_its_place_is_none_of_the_picture():
    data = tiff(RGB[:16, :16], photometric="rgb", compression="png", rowsperstrip=16)
    width = data.index(struct.pack("<HHI", 256, 4, 1)) + 8
    shrunk = data[:width] + b"\x08\0" + data[width + 2 :]
    with pytest.raises(EvidenceError, match="in the place of 8 x 16"):
        decode(shrunk)


def test_what_nothing_reads_is_named_and_not_called_damaged():
    with pytest.raises(EvidenceError, match="TIFF packed by LERC") as refused:
        decode(tiff(GREY, compression="lerc"))
    assert refused.value.kind == "unsupported"
