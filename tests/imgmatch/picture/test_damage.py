"""No damage passes in silence: whatever codec it is, a picture that is cut or has a hole is refused or marked."""

import io
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image as Pillow

from benchmarks.heif_items import HIDDEN, picture_of, written
from imgmatch.errors import EvidenceError
from imgmatch.picture.image import decode
from imgmatch.picture.png import mend_checksums, without_long_texts
from tests.conftest import encode, textured

imagecodecs = pytest.importorskip("imagecodecs")
HOLE = 4096


def noisy():
    grain = np.random.default_rng(0).integers(-6, 7, (300, 400, 3))
    return Pillow.fromarray((np.asarray(textured(1, (400, 300))) + grain).clip(0, 255).astype(np.uint8))


def heic(picture):
    buffer = io.BytesIO()
    pytest.importorskip("pillow_heif").from_pillow(picture).save(buffer, quality=90)
    return buffer.getvalue()


def half_plain():
    made = Pillow.new("RGB", (1200, 900), "white")
    made.paste(textured(2, (200, 150)), (400, 300))
    return made


WRITERS = {
    "PNG": lambda picture: encode(picture, "PNG"),
    "GIF": lambda picture: encode(picture, "GIF"),
    "JPEG": lambda picture: encode(picture, "JPEG", quality=95),
    "JPEG, progressive": lambda picture: encode(picture, "JPEG", quality=95, progressive=True),
    "WebP": lambda picture: encode(picture, "WEBP", quality=95),
    "WebP without loss": lambda picture: encode(picture, "WEBP", lossless=True),
    "JPEG 2000": lambda picture: encode(picture, "JPEG2000"),
    "JPEG 2000 codestream": lambda picture: encode(picture, "JPEG2000", no_jp2=True, irreversible=True),
    "AVIF": lambda picture: encode(picture, "AVIF", quality=90),
    "HEIC": heic,
    "TIFF, LZW": lambda picture: encode(picture, "TIFF", compression="tiff_lzw"),
    "TIFF, deflate": lambda picture: encode(picture, "TIFF", compression="tiff_adobe_deflate"),
    "TIFF, JPEG": lambda picture: encode(picture, "TIFF", compression="jpeg", quality=95),
    "TIFF, PackBits": lambda picture: encode(picture, "TIFF", compression="packbits"),
    "TIFF, fax": lambda picture: encode(picture.convert("1"), "TIFF", compression="group4"),
    "QOI": lambda picture: imagecodecs.qoi_encode(np.asarray(picture)),
    "PCX": lambda picture: encode(picture, "PCX"),
    "TGA": lambda picture: encode(picture, "TGA", compression="tga_rle"),
    "JPEG XL": lambda picture: imagecodecs.jpegxl_encode(np.asarray(picture), level=90),
    "JPEG XR": lambda picture: imagecodecs.jpegxr_encode(np.asarray(picture), level=0.9),
    "JPEG-LS": lambda picture: imagecodecs.jpegls_encode(np.asarray(picture)),
}
PLAIN_BYTES = ("BMP", "PPM", "TIFF", "DDS", "SGI")


def verdict(data, whole):
    """What becomes of a damaged picture: its kind of issue, "partial", "the same", or silence."""
    try:
        image = decode(data)
    except EvidenceError as error:
        return error.kind
    if image.partial:
        return "partial"
    return "the same" if np.array_equal(image.pixels, whole) else "silence"


@pytest.mark.parametrize("name", WRITERS)
def test_cut_or_with_a_hole_no_picture_passes_for_whole(name):
    data = WRITERS[name](noisy())
    assert len(data) > 2 * HOLE
    whole = decode(data)
    assert whole.partial is None
    middle = len(data) // 2
    hole = data[:middle] + bytes(HOLE) + data[middle + HOLE :]
    for damaged in (data[: len(data) * 6 // 10], data[:-30], hole):
        assert verdict(damaged, whole.pixels) in ("partial", "unreadable", "not_a_picture", "the same")


@pytest.mark.parametrize("name", PLAIN_BYTES)
def test_what_is_not_packed_is_marked_where_it_is_cut(name):
    data = encode(noisy(), name)
    assert verdict(data[: len(data) * 6 // 10], decode(data).pixels) in ("partial", "unreadable")


@pytest.mark.parametrize("name", WRITERS)
def test_plain_pictures_are_not_called_damaged(name):
    for picture in (Pillow.new("RGB", (900, 700), "white"), Pillow.new("RGB", (900, 700)), half_plain()):
        assert decode(WRITERS[name](picture)).partial is None


def test_what_stands_behind_a_png_takes_no_time():
    data = encode(noisy(), "PNG") + bytes(64 << 20)
    start = time.process_time()
    assert mend_checksums(data)[1] is None
    assert without_long_texts(data)[1] == {}
    assert time.process_time() - start < 1


@pytest.mark.parametrize("name", ["HEIC", "TIFF, deflate", "TIFF, JPEG", "TIFF, PackBits", "QOI"])
def test_other_bytes_in_the_place_of_pixels_are_seen_where_the_format_tells(name):
    data = WRITERS[name](noisy())
    whole, rest = decode(data).pixels, np.random.default_rng(1).bytes(600)
    places = (len(data) // 3, len(data) // 2, len(data) * 3 // 4)
    for other in (bytes(512),) if name == "HEIC" else (rest, bytes(512)):
        for at in places:
            damaged = data[:at] + other + data[at + len(other) :]
            assert verdict(damaged, whole) in ("partial", "unreadable", "the same")


def test_zeros_between_the_items_of_a_heif_and_in_other_ones_are_no_damage():
    one = picture_of(heic(noisy()))
    other = replace(one, number=2, flags=HIDDEN, data=one.data[:1000] + bytes(4000) + one.data[5000:])
    assert decode(written([one, replace(one, number=3, data=bytes(3000) + b"x"), other], 1)).partial is None


def test_a_plain_jpeg_of_12_bits_whose_tables_say_so_is_all_zeros():
    """With tables made for it, nothing but zeros is written of a plain picture."""
    plain = np.full((2400, 3200), 1000, np.uint16)
    plain[1200:1230, 1600:1650] += np.random.default_rng(1).integers(0, 900, (30, 50)).astype(np.uint16)
    data = imagecodecs.jpeg8_encode(plain, bitspersample=12, optimize=True)
    assert decode(data).partial is None
