import io
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, features
from PIL.PngImagePlugin import PngInfo

from imgmatch.errors import EvidenceError
from imgmatch.picture.image import Limits, decode
from imgmatch.picture.metadata import read_metadata
from tests.conftest import encode, picture, png_bomb, textured, with_wrong_checksum

SOURCE = picture(1, (120, 80))
REFERENCE = np.asarray(SOURCE).astype(float)
GREY = np.asarray(SOURCE.convert("L")).astype(float)


def heic(image: Image.Image, exif: bytes | None = None) -> bytes:
    pillow_heif = pytest.importorskip("pillow_heif")
    buffer = io.BytesIO()
    made = pillow_heif.from_pillow(image)
    made.info["exif"] = exif
    made.save(buffer, quality=95)
    return buffer.getvalue()


def difference(pixels: np.ndarray, reference: np.ndarray) -> float:
    reference = reference if reference.ndim == 3 else np.repeat(reference[..., None], 3, axis=2)
    return float(np.abs(pixels.astype(float) - reference).mean())


COLOUR = {
    "jpeg": lambda: encode(SOURCE, "JPEG", quality=95),
    "progressive": lambda: encode(SOURCE, "JPEG", quality=95, progressive=True),
    "png": lambda: encode(SOURCE, "PNG"),
    "webp": lambda: encode(SOURCE, "WEBP", quality=95),
    "tiff": lambda: encode(SOURCE, "TIFF"),
    "tiff lzw": lambda: encode(SOURCE, "TIFF", compression="tiff_lzw"),
    "bmp": lambda: encode(SOURCE, "BMP"),
    "avif": lambda: encode(SOURCE, "AVIF", quality=95),
    "jpeg 2000": lambda: encode(SOURCE, "JPEG2000"),
    "cmyk": lambda: encode(SOURCE.convert("CMYK"), "JPEG", quality=95),
    "opaque alpha": lambda: encode(SOURCE.convert("RGBA"), "PNG"),
    "heic": lambda: heic(SOURCE),
}


@pytest.mark.parametrize("name", COLOUR)
def test_every_format_gives_the_same_colours(name):
    if name == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    image = decode(COLOUR[name]())
    assert image.pixels.dtype == np.uint8
    assert image.pixels.shape == (80, 120, 3)
    assert image.stored_size_px == (120, 80)
    assert image.partial is None
    assert difference(image.pixels, REFERENCE) < 6


def sixteen_bit() -> Image.Image:
    return Image.fromarray((GREY * 257).astype(np.uint16))


SHADES = {
    "grey jpeg": lambda: encode(SOURCE.convert("L"), "JPEG", quality=95),
    "grey with alpha": lambda: encode(SOURCE.convert("LA"), "PNG"),
    "16 bit png": lambda: encode(sixteen_bit(), "PNG"),
    "16 bit tiff": lambda: encode(sixteen_bit(), "TIFF"),
    "float tiff": lambda: encode(Image.fromarray((GREY / 255).astype(np.float32)), "TIFF"),
}


@pytest.mark.parametrize("name", SHADES)
def test_grey_of_any_depth_keeps_its_shades(name):
    assert difference(decode(SHADES[name]()).pixels, GREY) < 3


@pytest.mark.parametrize("format", ["GIF", "PNG", "TIFF"])
def test_palettes_give_their_colours(format):
    flat = SOURCE.quantize(32)
    assert difference(decode(encode(flat, format)).pixels, np.asarray(flat.convert("RGB")).astype(float)) == 0


def test_transparency_lies_over_white():
    clear = Image.new("RGBA", (8, 8), (0, 0, 0, 0))
    assert (decode(encode(clear, "PNG")).pixels == 255).all()
    keyed = Image.new("P", (8, 8), 3)
    keyed.putpalette([0, 0, 0] * 256)
    assert (decode(encode(keyed, "PNG", transparency=3)).pixels == 255).all()


def as_stored(upright: np.ndarray, orientation: int) -> np.ndarray:
    """How the sensor would have stored it, by the tag's definition (CIPA DC-008)."""
    turned = {
        1: upright,
        2: upright[:, ::-1],
        3: upright[::-1, ::-1],
        4: upright[::-1],
        5: upright.transpose(1, 0, 2),
        6: upright.transpose(1, 0, 2)[::-1],
        7: upright.transpose(1, 0, 2)[::-1, ::-1],
        8: upright.transpose(1, 0, 2)[:, ::-1],
    }[orientation]
    return np.ascontiguousarray(turned)


TURNED = {
    "jpeg": lambda image, exif: encode(image, "JPEG", quality=95, exif=exif),
    "png": lambda image, exif: encode(image, "PNG", exif=exif),
    "webp": lambda image, exif: encode(image, "WEBP", lossless=True, exif=exif),
    "tiff": lambda image, exif: encode(image, "TIFF", exif=exif),
    "tiff by libtiff": lambda image, exif: encode(image, "TIFF", compression="tiff_lzw", exif=exif),
    "avif": lambda image, exif: encode(image, "AVIF", quality=95, exif=exif),
    "mpo": lambda image, exif: encode(image, "MPO", quality=95, exif=exif),
    "heic": lambda image, exif: heic(image, exif),
}


@pytest.mark.parametrize("format", ["PNG", "TIFF", "WEBP"])
def test_what_is_wholly_transparent_is_shown_without_its_alpha_and_says_so(format):
    hidden = SOURCE.convert("RGBA")
    hidden.putalpha(0)
    options = {"lossless": True, "exact": True} if format == "WEBP" else {}
    image = decode(encode(hidden, format, **options))
    assert image.partial is not None
    assert image.partial.startswith("nothing visible")
    assert difference(image.pixels, REFERENCE) == 0


def test_a_bmp_with_an_empty_alpha_channel_is_opaque():
    rows = np.dstack([np.asarray(SOURCE)[::-1, :, ::-1], np.zeros((80, 120), np.uint8)])
    masks = struct.pack("<IIII", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    info = struct.pack("<IiiHHIIiiII", 108, 120, 80, 1, 32, 3, rows.nbytes, 2835, 2835, 0, 0) + masks
    info += b"BGRs" + bytes(48)
    data = b"BM" + struct.pack("<IHHI", 14 + len(info) + rows.nbytes, 0, 0, 14 + len(info)) + info + rows.tobytes()
    image = decode(data)
    assert image.partial is None
    assert difference(image.pixels, REFERENCE) == 0


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", TURNED)
def test_orientation_is_applied_once(format, orientation):
    if format == "avif" and not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = Image.fromarray(as_stored(np.asarray(SOURCE), orientation))
    image = decode(TURNED[format](stored, exif.tobytes()))
    assert difference(image.pixels, REFERENCE) < 6
    assert image.upright_size_px == SOURCE.size


def test_an_icc_profile_is_brought_to_srgb():
    swapped = encode(SOURCE, "PNG", icc_profile=_profile_with_red_and_blue_swapped())
    image = decode(swapped)
    assert difference(image.pixels, REFERENCE[..., ::-1]) < 4


def _profile_with_red_and_blue_swapped() -> bytes:
    data = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return data.replace(b"rXYZ", b"tmp!").replace(b"bXYZ", b"rXYZ").replace(b"tmp!", b"bXYZ")


@pytest.mark.parametrize("profile", [b"", b"not a profile", b"\0" * 200])
def test_a_broken_icc_profile_costs_nothing(profile):
    assert difference(decode(encode(SOURCE, "PNG", icc_profile=profile)).pixels, REFERENCE) == 0


def test_the_first_frame_of_an_animation_counts():
    frames = [picture(seed, (60, 40)).quantize(256) for seed in (4, 5, 6)]
    data = encode(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert difference(decode(data).pixels, np.asarray(frames[0].convert("RGB")).astype(float)) < 1


def test_a_large_jpeg_is_decoded_small_when_the_target_is_small():
    large = picture(2, (1600, 1200))
    image = decode(encode(large, "JPEG"), min_side_px=224)
    assert image.stored_size_px == (1600, 1200)
    assert 224 <= min(image.pixels.shape[:2]) < 448
    shrunk = np.asarray(large.resize(image.pixels.shape[1::-1], Image.Resampling.BOX)).astype(float)
    assert difference(image.pixels, shrunk) < 3


def test_a_reduced_decode_of_12_megapixels_costs_at_most_a_third():
    data = encode(picture(3, (4000, 3000)), "JPEG", quality=90)

    def cost(min_side_px: int | None) -> float:
        times = []
        for _ in range(3):
            started = time.process_time()
            decode(data, min_side_px=min_side_px)
            times.append(time.process_time() - started)
        return min(times)

    assert cost(224) <= cost(None) / 3


@pytest.mark.parametrize("format", ["JPEG", "PNG", "BMP", "GIF", "TIFF"])
def test_a_truncated_file_gives_what_can_be_read_and_says_so(format):
    source = picture(7, (400, 300))
    if format == "GIF":
        source = source.quantize(64)
    data = encode(source, format, **({"interlace": 0} if format == "GIF" else {}))
    image = decode(data[: len(data) * 2 // 3])
    assert image.partial
    assert image.pixels.shape == (300, 400, 3)
    # The part that comes first in the file is there and right; BMP begins at the bottom.
    whole = np.asarray(source.convert("RGB")).astype(float)
    first = slice(200, 300) if format == "BMP" else slice(0, 100)
    assert difference(image.pixels[first], whole[first]) < 3


def test_a_truncated_progressive_jpeg_gives_a_coarse_picture():
    data = encode(picture(7, (400, 300)), "JPEG", progressive=True)
    image = decode(data[: len(data) // 2])
    assert image.partial
    assert image.pixels.std() > 5


@pytest.mark.parametrize("least", [None, 64])
@pytest.mark.parametrize("options", [{}, {"progressive": True}, {"restart_marker_rows": 2}])
@pytest.mark.parametrize("hole", [slice(1 / 3, 1 / 2), slice(1 / 3, 1)])
def test_a_jpeg_with_a_hole_in_its_scan_is_marked(options, hole, least):
    data = bytearray(encode(textured(7, (1200, 900)), "JPEG", quality=92, **options))
    assert decode(bytes(data), min_side_px=least).partial is None
    first, last = (int(len(data) * share) for share in (hole.start, hole.stop))
    last -= 2  # the end marker stays
    data[first:last] = bytes(last - first)
    assert decode(bytes(data), min_side_px=least).partial


@pytest.mark.parametrize("chunk", [b"IHDR", b"IDAT", b"IEND"])
def test_a_png_with_a_wrong_checksum_is_read_and_marked(chunk):
    image = decode(with_wrong_checksum(encode(SOURCE, "PNG"), chunk))
    assert image.partial == f"wrong checksum in PNG chunk {chunk.decode()!r}"
    assert difference(image.pixels, REFERENCE) == 0


def png_with(chunks: list[tuple[bytes, bytes]], behind: bool = False) -> bytes:
    """SOURCE as a PNG with further chunks, before its pixels or behind them."""
    data = encode(SOURCE, "PNG")
    made = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body)) for name, body in chunks
    )
    at = len(data) - 12 if behind else 33
    return data[:at] + made + data[at:]


LONG = b"words " * 500_000
XMP = b"<x:xmpmeta><xmp:CreatorTool>Pen 3</xmp:CreatorTool>" + LONG + b"</x:xmpmeta>"
LONG_TEXTS = {
    "zTXt": [(b"zTXt", b"Comment\0\0" + zlib.compress(LONG))],
    "iTXt": [(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(LONG))],
    "a bomb": [(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(100 << 20)))],
    "many of them": [(b"tEXt", b"Comment\0" + LONG)] * 30,
    "one of 70 MiB": [(b"tEXt", b"Comment\0" + bytes(70 << 20))],
    "packed as nothing is": [(b"zTXt", b"Comment\0\7" + LONG)],
    "a profile that is none": [(b"iCCP", b"")],
    "a profile too long": [(b"iCCP", b"p\0\0" + zlib.compress(bytes(40 << 20)))],
    "XMP": [(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(XMP))],
}


@pytest.mark.parametrize("behind", [False, True])
@pytest.mark.parametrize("name", LONG_TEXTS)
def test_a_long_text_in_a_png_costs_no_pixel(name, behind):
    data = png_with(LONG_TEXTS[name], behind)
    image = decode(data)
    assert image.partial is None
    assert difference(image.pixels, REFERENCE) == 0
    said = read_metadata(data)
    assert "fault" not in said
    assert ("xmp_creator_tool" in said) == (name == "XMP")


def test_a_long_icc_profile_in_a_png_is_applied():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # Red and green exchanged, in a profile with two more megabytes behind its tags.
    swapped = profile.replace(b"rXYZ", b"?XYZ").replace(b"gXYZ", b"rXYZ").replace(b"?XYZ", b"gXYZ")
    long = struct.pack(">I", len(swapped) + (2 << 20)) + swapped[4:] + bytes(2 << 20)
    seen = [
        decode(png_with([(b"iCCP", b"p\0\0" + zlib.compress(one))])).pixels.astype(float) for one in (swapped, long)
    ]
    assert (seen[0] == seen[1]).all()
    assert difference(seen[0], REFERENCE) > 10


def test_an_avif_is_read_whatever_its_first_brand_says():
    if not features.check("avif"):
        pytest.skip("this Pillow has no AVIF")
    data = encode(SOURCE, "AVIF", quality=95)
    for brand in (b"mif1", b"msf1", b"miaf"):
        assert data[8:12] == b"avif"
        assert b"avif" in data[16 : int.from_bytes(data[:4], "big")]
        image = decode(data[:8] + brand + data[12:])
        assert (image.format, difference(image.pixels, REFERENCE) < 6) == ("AVIF", True)


def test_a_decompression_bomb_is_refused_by_its_header():
    bomb = png_bomb(30_000)
    started = time.process_time()
    with pytest.raises(EvidenceError) as caught:
        decode(bomb)
    assert caught.value.kind == "too_large"
    assert time.process_time() - started < 0.5  # decoding it takes seconds


def test_limits_can_be_lowered():
    data = encode(SOURCE, "PNG")
    with pytest.raises(EvidenceError, match=r"120 x 80 pixels are more than max_pixels \(9,599\)"):
        decode(data, limits=Limits(max_pixels=120 * 80 - 1))
    with pytest.raises(EvidenceError, match=r"more than max_bytes \(10\)"):
        decode(data, limits=Limits(max_bytes=10))
    assert decode(data, limits=Limits(max_pixels=120 * 80)).pixels.shape == (80, 120, 3)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", "empty"),
        (b"just some text, whatever it is called", "not_a_picture"),
        (bytes(5000), "not_a_picture"),
        (encode(SOURCE, "PNG")[:20], "unreadable"),
        (b"\x00\x00\x00\x18ftypheic" + bytes(100), "unreadable"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", "not_a_picture"),
    ],
)
def test_what_is_no_picture_is_named_as_that(data, kind):
    with pytest.raises(EvidenceError) as caught:
        decode(data)
    assert caught.value.kind == kind
    assert "\n" not in str(caught.value)


def test_random_damage_never_escapes_as_another_error():
    rng = np.random.default_rng(0)
    samples = [COLOUR[name]() for name in ("jpeg", "png", "webp", "tiff lzw", "bmp", "jpeg 2000", "cmyk", "avif")]
    outcomes = {"read": 0, "refused": 0}
    for round_ in range(400):
        data = bytearray(samples[round_ % len(samples)])
        for at in rng.integers(0, len(data), 1 + round_ % 12):
            data[at] = rng.integers(0, 256)
        try:
            image = decode(bytes(data), min_side_px=32, limits=Limits(max_pixels=1_000_000))
        except EvidenceError:
            outcomes["refused"] += 1
        else:
            assert image.pixels.ndim == 3
            outcomes["read"] += 1
    assert min(outcomes.values()) > 20


@pytest.mark.parametrize("gamma", [1.0, 0.55, 1 / 1.8])
def test_a_png_is_seen_by_the_gamma_that_it_states(gamma):
    """PNG (third edition), 11.3.2.2: a value to the power of 1/gamma is light, as a value of sRGB is to that of 2.2."""
    grey = np.tile(np.arange(256, dtype=np.uint8), (4, 1))
    stored = np.round(255 * (grey / 255) ** (2.2 * gamma)).astype(np.uint8)
    said = PngInfo()
    said.add(b"gAMA", struct.pack(">I", round(gamma * 100_000)))
    seen = decode(encode(Image.fromarray(stored), "PNG", pnginfo=said)).pixels[..., 0]
    assert np.abs(seen.astype(int) - grey)[:, 64:].max() <= 2  # dark ones are few steps when they are light
    said.add(b"sRGB", b"\0")
    assert np.array_equal(decode(encode(Image.fromarray(stored), "PNG", pnginfo=said)).pixels[..., 0], stored)
