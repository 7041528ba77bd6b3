"""Every format of stills, as an independent program wrote it: its very pixels, or a word why not."""

import io
import struct
import subprocess

import numpy as np
import pytest
from PIL import Image as Pillow

from imgmatch.errors import EvidenceError
from imgmatch.evidence import reopen, walk
from imgmatch.picture import codecs
from imgmatch.picture.image import Limits, decode
from imgmatch.picture.metadata import read_metadata
from imgmatch.picture.rasters import is_pcx, is_tga
from imgmatch.workers.decode import Request
from imgmatch.workers.pictures import PicturePool
from tests.conftest import encode, picture

imagecodecs = pytest.importorskip("imagecodecs")
PICTURE = picture(3, (120, 90))
RGB = np.asarray(PICTURE)
GREY = np.asarray(PICTURE.convert("L"))
WIDE = np.uint16(257)


def psd(planes, mode, bits=8, packed=True, big=False, layers=0, palette=b"", resources=b""):
    """A Photoshop picture of planes (channels, height, width)."""
    wide = ">Q" if big else ">I"
    layer = struct.pack(">h", layers) + bytes(40) if layers else b""
    layer = struct.pack(wide, len(layer)) + layer if layers else b""
    channels, height, width = planes.shape
    head = struct.pack(">4sH6xHIIHH", b"8BPS", 2 if big else 1, channels, height, width, bits, mode)
    parts = [head, struct.pack(">I", len(palette)), palette, struct.pack(">I", len(resources)), resources]
    parts += [struct.pack(wide, len(layer)), layer, struct.pack(">H", packed)]
    stored = planes.astype({1: "u1", 8: "u1", 16: ">u2", 32: ">f4"}[bits])
    rows = [np.packbits(row).tobytes() if bits == 1 else row.tobytes() for plane in stored for row in plane]
    if packed:
        rows = [imagecodecs.packbits_encode(row) for row in rows]
        parts += [struct.pack(">I" if big else ">H", len(row)) for row in rows]
    return b"".join([*parts, *rows])


def cursor(depth):
    """A cursor whose hot spot looks like another depth."""
    made = bytearray(encode(PICTURE.resize((48, 48)).convert("RGBA"), "ICO", sizes=[(48, 48)], bitmap_format="bmp"))
    made[2] = 2
    made[10:14] = struct.pack("<HH", 9, depth)
    return bytes(made)


def without_height(data):
    """A JPEG that tells its height behind its scan (DNL)."""
    at = data.index(b"\xff\xc0")
    return data[: at + 5] + b"\0\0" + data[at + 7 : -2] + b"\xff\xdc\0\4" + data[at + 5 : at + 7] + data[-2:]


def raw(orientation=1, thumbnail=None):
    """A camera raw (DNG) without a preview, or behind a small one as cameras lay it out."""
    tifffile = pytest.importorskip("tifffile")
    seen = np.repeat(np.repeat(RGB // 4 + 90, 2, axis=0), 2, axis=1).astype(np.uint16)
    mosaic = seen[..., 1].copy()
    mosaic[::2, ::2], mosaic[1::2, 1::2] = seen[::2, ::2, 0], seen[1::2, 1::2, 2]
    matrix = [
        part
        for value in (3.2406, -1.5372, -0.4986, -0.9689, 1.8758, 0.0415, 0.0557, -0.2040, 1.0570)
        for part in (int(value * 10000), 10000)
    ]
    tags = [
        (33421, "H", 2, (2, 2)),
        (33422, "B", 4, (0, 1, 1, 2)),
        (50706, "B", 4, (1, 4, 0, 0)),
        (50708, "s", 0, "Camera"),
        (50721, "2i", 9, matrix),
        (50717, "I", 1, 4095),
        (50728, "2I", 3, (1,) * 6),
        (274, "H", 1, orientation),
        (271, "s", 0, "Maker"),
        (272, "s", 0, "Camera"),
    ]
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        if thumbnail is None:
            writer.write(mosaic * 16, photometric="CFA", extratags=[(*tag, True) for tag in tags])
            return buffer.getvalue()
        of_file = [(*tag, True) for tag in tags if tag[0] not in (33421, 33422, 50717)]
        writer.write(thumbnail, photometric="rgb", subfiletype=1, subifds=1, extratags=of_file)
        of_sensor = [(*tag, True) for tag in tags if tag[0] in (33421, 33422, 50717)]
        writer.write(mosaic * 16, photometric="CFA", subfiletype=0, extratags=of_sensor)
    return buffer.getvalue()


PLANES = RGB.transpose(2, 0, 1)
OPAQUE, CLEAR = np.full((1, 90, 120), 255, np.uint8), np.zeros((1, 90, 120), np.uint8)
XPM = (
    b'/* XPM */\nstatic char *a[] = {\n"100 60 2 1",\n"a c #ff0000",\n"b c #00ff00",\n' + b'"%s",\n' % (b"ab" * 50) * 60
)
FILES = {
    "JPEG XL": (imagecodecs.jpegxl_encode(RGB, lossless=True), RGB, 0),
    "JPEG XL, lossy, in boxes": (imagecodecs.jpegxl_encode(RGB, distance=0.1, usecontainer=True), RGB, 20),
    "JPEG XL, 16 bits": (imagecodecs.jpegxl_encode(RGB * WIDE, lossless=True), RGB, 0),
    "JPEG XL, grey": (imagecodecs.jpegxl_encode(GREY, lossless=True), GREY, 0),
    "JPEG XR": (imagecodecs.jpegxr_encode(RGB, level=1.0), RGB, 1),
    "JPEG XR, grey": (imagecodecs.jpegxr_encode(GREY, level=1.0), GREY, 1),
    "JPEG-LS": (imagecodecs.jpegls_encode(RGB), RGB, 0),
    "JPEG-LS, grey": (imagecodecs.jpegls_encode(GREY), GREY, 0),
    "JPEG of 12 bits": (imagecodecs.jpeg8_encode(RGB.astype(np.uint16) * 16, level=98, bitspersample=12), RGB, 6),
    "JPEG of 12 bits, grey": (
        imagecodecs.jpeg8_encode(GREY.astype(np.uint16) * 16, level=98, bitspersample=12),
        GREY,
        6,
    ),
    "JPEG without loss": (imagecodecs.jpeg8_encode(RGB, lossless=True), RGB, 0),
    "JPEG without loss, 16 bits": (imagecodecs.jpeg8_encode(RGB * WIDE, lossless=True, bitspersample=16), RGB, 0),
    "JPEG with DNL": (without_height(encode(PICTURE, "JPEG", quality=98, subsampling=0)), RGB, 6),
    "PSD": (psd(PLANES, 3), RGB, 0),
    "PSD, not packed": (psd(PLANES, 3, packed=False), RGB, 0),
    "PSB": (psd(PLANES, 3, big=True), RGB, 0),
    "PSD, 16 bits": (psd(PLANES * WIDE, 3, 16), RGB, 0),
    "PSD, fractions": (psd(PLANES / 255, 3, 32, packed=False, big=True), RGB, 0),
    "PSD, grey": (psd(GREY[None], 1), GREY, 0),
    "PSD, two colours": (psd((GREY < 128)[None], 0, 1), (GREY >= 128) * np.uint8(255), 0),
    "PSD, alpha": (psd(np.concatenate([PLANES, OPAQUE]), 3, layers=-1), RGB, 0),
    "PSD, a channel that is no alpha": (psd(np.concatenate([PLANES, CLEAR]), 3, layers=1), RGB, 0),
    "PSD, palette": (psd(255 - GREY[None], 2, palette=bytes(range(255, -1, -1)) * 3), GREY, 0),
    "PSD, inks": (psd(np.concatenate([PLANES, OPAQUE]), 4), RGB, 0),
    "TGA": (encode(PICTURE, "TGA"), RGB, 0),
    "TGA without a footer": (encode(PICTURE, "TGA")[: 18 + RGB.size], RGB, 0),
    "TGA without a footer, packed": (encode(PICTURE, "TGA", compression="tga_rle")[:-26], RGB, 0),
    "TGA, grey": (encode(PICTURE.convert("L"), "TGA")[: 18 + GREY.size], GREY, 0),
    "PCX": (encode(PICTURE, "PCX"), RGB, 0),
    "PCX, grey": (encode(PICTURE.convert("L"), "PCX"), GREY, 0),
    "DDS": (encode(PICTURE, "DDS"), RGB, 0),
    "SGI": (encode(PICTURE, "SGI"), RGB, 0),
    "QOI": (imagecodecs.qoi_encode(RGB), RGB, 0),
    "PPM": (encode(PICTURE, "PPM"), RGB, 0),
    "JPEG 2000": (encode(PICTURE, "JPEG2000"), RGB, 0),
    "XBM": (encode(PICTURE.convert("1"), "XBM"), np.asarray(PICTURE.convert("1")) * np.uint8(255), 0),
    "XBM behind a comment": (b"/* by hand */\n" + encode(PICTURE.convert("1"), "XBM"), None, None),
    "MSP": (encode(PICTURE.convert("1"), "MSP"), np.asarray(PICTURE.convert("1")) * np.uint8(255), 0),
    "BLP": (encode(PICTURE.convert("P"), "BLP"), None, None),
    "XPM": (XPM, None, None),
    "XV": (b"P7 332\n#END_OF_COMMENTS\n%d %d 255\n" % GREY.shape[::-1] + bytes(GREY.size), None, None),
    "ICNS": (encode(PICTURE.resize((128, 128)), "ICNS", sizes=[(128, 128, 1)]), None, None),
    "BMP": (encode(PICTURE, "BMP"), RGB, 0),
    "cursor": (cursor(24), np.asarray(PICTURE.resize((48, 48))), 0),
    "cursor, another hot spot": (cursor(32), np.asarray(PICTURE.resize((48, 48))), 0),
}


@pytest.fixture(scope="module")
def pool():
    with PicturePool(1) as made:
        yield made


@pytest.mark.parametrize("name", FILES)
def test_the_pixels_are_those_that_were_written_and_come_out_of_a_confined_worker(name, pool):
    data, right, near = FILES[name]
    read = pool.read_picture(data, Request(sides_px=(1000,), metadata=True))
    image = read.pictures[0]
    assert image.partial is None
    assert "fault" not in read.facts.metadata
    if right is not None:
        right = right if right.ndim == 3 else np.repeat(right[..., None], 3, axis=2)
        assert image.upright_size_px == (right.shape[1], right.shape[0])
        assert np.abs(image.pixels.astype(int) - right).max() <= near


def test_arithmetic_coding(pool, tmp_path):
    (tmp_path / "a.ppm").write_bytes(encode(PICTURE, "PPM"))
    try:
        made = subprocess.run(
            ["cjpeg", "-arithmetic", "-quality", "98", tmp_path / "a.ppm"], capture_output=True, check=True
        )
    except OSError:
        pytest.skip("no cjpeg")
    assert pool.read_picture(made.stdout, Request(sides_px=(1000,))).pictures[0].partial is None


def test_a_camera_raw_behind_a_small_first_page_shows_what_the_sensor_saw(pool):
    pytest.importorskip("rawpy")
    small = np.full((24, 32, 3), 7, np.uint8)
    image = pool.read_picture(raw(thumbnail=small), Request(sides_px=(1000,))).pictures[0]
    assert image.format == "RAW"
    assert max(image.upright_size_px) > 150
    large = np.full((180, 240, 3), 7, np.uint8)
    image = pool.read_picture(raw(thumbnail=large), Request(sides_px=(1000,))).pictures[0]
    assert (image.format, int(image.pixels.max())) == ("TIFF", 7)


def test_further_frames_of_jpeg_xl_are_items(tmp_path):
    frames = np.stack([np.asarray(picture(seed, (120, 90))) for seed in (1, 2, 2, 3)])
    (tmp_path / "a.jxl").write_bytes(imagecodecs.jpegxl_encode(frames, lossless=True))
    members = list(walk(tmp_path))
    assert [str(one.locator).partition("|")[2] for one in members] == ["", "frame:1", "frame:2", "frame:3"]
    for one, right in zip(members[1:], frames[1:], strict=True):
        with reopen(one.locator).open() as stream:
            assert (np.asarray(Pillow.open(stream)) == right).all()


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_a_camera_raw_without_a_preview_is_developed_upright(orientation, pool):
    pytest.importorskip("rawpy")
    read = pool.read_picture(raw(orientation), Request(sides_px=(1000,), metadata=True))
    how = {3: Pillow.Transpose.ROTATE_180, 6: Pillow.Transpose.ROTATE_270, 8: Pillow.Transpose.ROTATE_90}.get(
        orientation
    )
    right = PICTURE if how is None else PICTURE.transpose(how)
    image = read.pictures[0]
    assert image.format == "RAW"
    assert image.upright_size_px == (right.width * 2, right.height * 2)
    seen = np.asarray(Pillow.fromarray(image.pixels).convert("L").resize((24, 24))).ravel()
    assert np.corrcoef(seen, np.asarray(right.convert("L").resize((24, 24))).ravel())[0, 1] > 0.9
    assert read.facts.metadata["camera_make"]["value"] == "Maker"


@pytest.mark.parametrize("name", ["JPEG XL", "JPEG of 12 bits", "raw"])
def test_without_its_package_a_format_says_what_it_needs(name, monkeypatch):
    import imgmatch.optional

    def missing(module):
        raise ImportError(module)

    data = raw() if name == "raw" else FILES[name][0]
    monkeypatch.setattr(imgmatch.optional.importlib, "import_module", missing)
    with pytest.raises(EvidenceError, match=r"imgmatch\[pictures\]") as said:
        decode(data)
    assert said.value.kind == "needs_package"


@pytest.mark.parametrize("name", [name for name in FILES if not name.startswith(("cursor", "ICNS"))])
def test_a_size_beyond_the_limit_is_told_before_anything_is_decoded(name, monkeypatch):
    monkeypatch.setattr(Pillow.Image, "load", lambda self: pytest.fail("decoded"))
    monkeypatch.setattr(codecs, "library", lambda name: pytest.fail("decoded"))
    with pytest.raises(EvidenceError) as said:
        decode(FILES[name][0], limits=Limits(max_pixels=5000))
    assert said.value.kind == "too_large"


def test_a_jpeg_xl_is_turned_once_as_its_own_header_says(tmp_path):
    data = bytearray(imagecodecs.jpegxl_encode(RGB, lossless=True))
    exif = Pillow.Exif()
    exif[0x0112] = 3
    box = bytes(4) + exif.tobytes()[6:]
    stream = struct.pack(">I4s", 8 + len(data), b"jxlc") + bytes(data)
    ftyp = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
    boxed = codecs.JXL_CONTAINER + ftyp + struct.pack(">I4s", 8 + len(box), b"Exif") + box + stream
    image = decode(boxed)
    assert image.orientation == 1
    assert np.array_equal(image.pixels, RGB)
    assert read_metadata(boxed)["orientation"]["value"] == 3


def test_what_looks_a_little_like_an_old_raster_is_none():
    rng = np.random.default_rng(0)
    tga, pcx = encode(PICTURE, "TGA")[: 18 + RGB.size], encode(PICTURE, "PCX")
    assert is_tga(tga)
    assert is_pcx(pcx)
    assert not is_tga(tga + b"more")
    assert not is_tga(tga[:-5])
    assert not any(is_tga(b"\0\0\2" + rng.bytes(3000)) or is_pcx(b"\n\5\1\x08" + rng.bytes(3000)) for _ in range(3000))
    assert not is_tga(b"\0\1\1 a text") or is_pcx(b"\n\nA text")
