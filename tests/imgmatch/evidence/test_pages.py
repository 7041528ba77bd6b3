"""Pages and further pictures of one file: all of them, upright, each read as a first one is, or said why not."""

import io
import itertools
import struct
import zipfile

import numpy as np
import pytest
from PIL import Image

from imgmatch.evidence import Reopener, SourceLimits, SourceOptions, walk
from imgmatch.picture.image import decode
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture
from tests.imgmatch.picture.test_image import as_stored

PICTURES = [picture(seed, (96, 64)) for seed in range(4)]
UPRIGHT = [np.asarray(one) for one in PICTURES]


def read(found: Evidence) -> bytes:
    with found.open() as stream:
        return b"".join(iter(lambda: stream.read(1 << 16), b""))


def split(path, **options) -> tuple[dict[str, bytes], dict[str, Issue]]:
    """Place in the file to content, each found again; and issues by their place."""
    found = list(walk(path, options=SourceOptions(**options)))
    good = [one for one in found if isinstance(one, Evidence)]
    again = Reopener()
    for one in reversed(good):
        assert read(again.reopen(one.locator)) == read(one)

    def at(one):
        return "" if one.locator.kind == "file" else one.locator.at

    return {at(one): read(one) for one in good}, {at(one): one for one in found if isinstance(one, Issue)}


def seen(data: bytes) -> np.ndarray:
    """As ingest sees it."""
    return decode(data).pixels.astype(int)


def is_shown(data: bytes, number: int, apart: float = 3) -> bool:
    pixels = seen(data)
    return pixels.shape == UPRIGHT[number].shape and bool(np.abs(pixels - UPRIGHT[number]).mean() < apart)


def exif_of(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


ORIENTATIONS = pytest.mark.parametrize("orientation", range(1, 9))


@ORIENTATIONS
@pytest.mark.parametrize("format", ["WEBP", "PNG"])
def test_frames_are_turned(tmp_path, format, orientation):
    stored = [Image.fromarray(as_stored(one, orientation)) for one in UPRIGHT[:3]]
    options = {"lossless": True} if format == "WEBP" else {}
    data = encode(
        stored[0], format, save_all=True, append_images=stored[1:], duration=300, exif=exif_of(orientation), **options
    )
    (tmp_path / "a").write_bytes(data)
    inside, issues = split(tmp_path / "a")
    assert not issues
    assert [is_shown(inside[at], int(at or 0)) for at in ("", "1", "2")] == [True] * 3


def tiff_of(*pages, byteorder="<", bigtiff=False) -> bytes:
    """A TIFF of pages (values, options for tifffile)."""
    tifffile = pytest.importorskip("tifffile")
    pytest.importorskip("imagecodecs")
    buffer = io.BytesIO()
    with tifffile.TiffWriter(buffer, byteorder=byteorder, bigtiff=bigtiff) as out:
        for values, options in pages:
            out.write(values, photometric="rgb", metadata=None, contiguous=False, **options)
    return buffer.getvalue()


def turned(orientation: int) -> dict:
    return {"extratags": [(274, 3, 1, orientation, True)]}


THUMBNAIL = np.asarray(PICTURES[3].resize((24, 16)))


@ORIENTATIONS
@pytest.mark.parametrize(("order", "big"), itertools.product("<>", [False, True]))
def test_pages_of_any_tiff_are_upright_and_all_there(tmp_path, order, big, orientation):
    deep = as_stored(UPRIGHT[1], orientation).astype(np.uint16) * np.uint16(257)
    plain = as_stored(UPRIGHT[0], orientation)
    data = tiff_of(
        (THUMBNAIL, {}),
        (plain, turned(orientation)),
        (plain, turned(orientation)),
        (np.moveaxis(deep, -1, 0), {"planarconfig": "separate", "compression": "deflate", **turned(orientation)}),
        ((UPRIGHT[2] / 255).astype(np.float32), {}),
        byteorder=order,
        bigtiff=big,
    )
    (tmp_path / "a.tif").write_bytes(data)
    inside, issues = split(tmp_path / "a.tif")
    assert (list(inside), issues) == (["", "1", "2", "3", "4"], {})
    assert (seen(inside[""]) == THUMBNAIL).all()
    for at, number in zip("1234", (0, 0, 1, 2), strict=True):
        assert (np.abs(seen(inside[at]) - UPRIGHT[number]) <= 1).all()


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_full_picture_below_its_thumbnail_is_a_page(tmp_path, orientation):
    stored = as_stored(UPRIGHT[0], orientation)
    full = (stored, {"compression": "lzw"})
    (tmp_path / "a.tif").write_bytes(
        tiff_of((THUMBNAIL, {"subifds": 1, **turned(orientation)}), full, (UPRIGHT[1], {}))
    )
    inside, issues = split(tmp_path / "a.tif")
    assert (list(inside), issues) == (["", "0.1", "1"], {})
    assert is_shown(inside["0.1"], 0)
    assert is_shown(inside["1"], 1)


def test_a_page_that_cannot_be_read_costs_itself_only(tmp_path):
    data = tiff_of(*((one, {"compression": "zlib"}) for one in UPRIGHT))
    places = [data.index(b"\x78", at) for at in _strips(data)]
    broken = bytearray(data)
    broken[places[1] : places[1] + 40] = bytes(40)
    (tmp_path / "a.tif").write_bytes(broken)
    inside, issues = split(tmp_path / "a.tif")
    assert list(inside) == ["", "2", "3"]
    assert {at: (one.error, one.stage) for at, one in issues.items()} == {"1": ("broken_picture", "walk")}
    (tmp_path / "b.tif").write_bytes(data[: places[3] + 10])  # the last directories are gone, and said to be
    inside, issues = split(tmp_path / "b.tif")
    assert issues
    assert all(one.error == "broken_picture" for one in issues.values())
    large = tiff_of((UPRIGHT[0], {}), (np.zeros((300, 300, 3), np.uint8), {}), (UPRIGHT[1], {}))
    (tmp_path / "c.tif").write_bytes(large)
    inside, issues = split(tmp_path / "c.tif", limits=SourceLimits(max_frame_pixels=10_000))
    assert (list(inside), {at: one.error for at, one in issues.items()}) == (["", "2"], {"1": "limit"})
    inside, issues = split(tmp_path / "c.tif", limits=SourceLimits(max_frames=1))
    assert (list(inside), {at: one.error for at, one in issues.items()}) == (["", "1"], {"": "limit"})


def _strips(data: bytes) -> list[int]:
    import tifffile

    with tifffile.TiffFile(io.BytesIO(data)) as file:
        return [page.dataoffsets[0] for page in file.pages]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_images_of_heif_are_all_there_whichever_is_the_first(tmp_path, orientation):
    pillow_heif = pytest.importorskip("pillow_heif", reason="writes HEIC for this test (pillow-heif)")
    several = pillow_heif.HeifFile()
    for one in (UPRIGHT[0], UPRIGHT[1], UPRIGHT[1], UPRIGHT[2]):
        stored = several.add_from_pillow(Image.fromarray(as_stored(one, orientation)))
        stored.info["exif"] = exif_of(orientation).tobytes()
    several.save(tmp_path / "a.heic", quality=95, primary_index=1)
    inside, issues = split(tmp_path / "a.heic")
    assert (list(inside), issues) == (["", "0", "2", "3"], {})
    assert [is_shown(inside[at], number, 6) for at, number in (("", 1), ("0", 0), ("2", 1), ("3", 2))] == [True] * 4


def mpo(first: bytes, *behind: bytes, kind: int = 0) -> bytes:
    """JPEG files behind a JPEG, whose index (CIPA DC-007) stands behind its EXIF data."""
    at = 2
    while first[at + 1] in (0xE0, 0xE1):
        at += 2 + int.from_bytes(first[at + 2 : at + 4], "big")
    count = 1 + len(behind)
    size = 4 + 38 + 16 * count
    places = [len(first) + 4 + size - (at + 8) + sum(map(len, behind[:n])) for n in range(len(behind))]
    entries = [(0x030000, 0, 0), *((kind, len(one), place) for one, place in zip(behind, places, strict=True))]
    index = b"II*\0\x08\0\0\0\x02\0" + struct.pack("<HHII", 0xB001, 4, 1, count)
    index += struct.pack("<HHIII", 0xB002, 7, 16 * count, 38, 0)
    index += b"".join(struct.pack("<IIIHH", *one, 0, 0) for one in entries)
    segment = b"\xff\xe2" + struct.pack(">H", 2 + size) + b"MPF\0" + index
    return first[:at] + segment + first[at:] + b"".join(behind)


def jpegs(*numbers: int, orientation: int = 1, **options) -> list[bytes]:
    stored = [Image.fromarray(as_stored(UPRIGHT[number], orientation)) for number in numbers]
    exif = exif_of(orientation).tobytes() + options.pop("thumbnail", b"")
    return [encode(one, "JPEG", quality=95, **({"exif": exif} if n == 0 else {})) for n, one in enumerate(stored)]


@ORIENTATIONS
def test_the_pictures_behind_a_jpeg_are_given_as_they_lie(tmp_path, orientation):
    # A thumbnail in the EXIF data moves the index out of the first bytes.
    parts = jpegs(0, 1, 1, orientation=orientation, thumbnail=bytes(20_000) if orientation % 2 else b"")
    parts.append(encode(PICTURES[2], "JPEG", quality=95, exif=exif_of(1)))
    data = mpo(*parts)
    assert Image.open(io.BytesIO(data)).format == "MPO"
    (tmp_path / "a.jpg").write_bytes(data)
    inside, issues = split(tmp_path / "a.jpg")
    assert (list(inside), issues) == (["", "1", "2", "3"], {})
    assert [is_shown(inside[at], number) for at, number in (("", 0), ("1", 1), ("2", 1), ("3", 2))] == [True] * 4
    assert [inside[at] in parts for at in "123"] == [orientation == 1, orientation == 1, True]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.jpg", data)
    found = [one for one in walk(tmp_path / "a.zip") if isinstance(one, Evidence)]
    assert [read(one) for one in found] == list(inside.values())
    # What Pillow writes.
    several = encode(PICTURES[0], "MPO", save_all=True, append_images=PICTURES[1:3], quality=95)
    (tmp_path / "b.jpg").write_bytes(several)
    inside, _ = split(tmp_path / "b.jpg")
    assert [is_shown(inside[str(n)], n) for n in (1, 2)] == [True] * 2


def test_a_picture_that_is_not_behind_a_jpeg_is_an_issue(tmp_path):
    parts = jpegs(0, 1, 2)
    data = mpo(*parts)
    second = data.index(parts[1])
    (tmp_path / "a.jpg").write_bytes(data[:second] + bytes(100) + data[second + 100 :])
    inside, issues = split(tmp_path / "a.jpg")
    assert (list(inside), {at: one.error for at, one in issues.items()}) == (["", "2"], {"1": "broken_picture"})
    (tmp_path / "b.jpg").write_bytes(data[:second])
    inside, issues = split(tmp_path / "b.jpg")
    assert (list(inside), list(issues)) == ([""], ["1", "2"])


def test_a_large_thumbnail_behind_a_jpeg_is_given_where_it_shows_something_else(tmp_path):
    for name, second, shown in (("same", 0, [""]), ("other", 1, ["", "1"])):
        (tmp_path / name).write_bytes(mpo(*jpegs(0, second), kind=0x010002))
        assert list(split(tmp_path / name)[0]) == shown


def directory(tags: dict[int, tuple[int, int]], at: int) -> bytes:
    made = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, (kind, value) in sorted(tags.items()))
    return struct.pack("<H", len(tags)) + made + bytes(4)


@ORIENTATIONS
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("where", ["raw", "jpeg"])
def test_previews_are_turned_as_the_file_they_lie_in(tmp_path, where, own, orientation):
    """One that says how it is turned knows best."""
    stored = Image.fromarray(as_stored(UPRIGHT[1], orientation))
    preview = encode(stored, "JPEG", quality=95, **({"exif": exif_of(orientation)} if own else {}))
    of_file = 1 + orientation % 8 if own else orientation
    first = {274: (3, of_file), 513: (4, 8 + 2 + 36 + 4), 514: (4, len(preview))}
    data = b"II*\0\x08\0\0\0" + directory(first, 8) + preview
    if where == "jpeg":
        data = encode(PICTURES[0], "JPEG", exif=b"Exif\0\0" + data)
    (tmp_path / "a").write_bytes(data)
    inside, issues = split(tmp_path / "a", previews=True)
    assert not issues
    (found,) = (content for at, content in inside.items() if at)
    assert is_shown(found, 1)
    assert (found == preview) == (own or orientation == 1)
