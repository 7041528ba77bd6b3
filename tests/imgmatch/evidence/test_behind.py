"""What stands behind the end of a file is looked into, or named; nothing that cameras leave there is."""

import bz2
import gzip
import io
import lzma
import os
import struct
import zipfile

import pytest
from PIL import Image as Pillow

from benchmarks.evidence_stores import tarred
from imgmatch.evidence import reopen, walk
from imgmatch.evidence.read import hashed
from imgmatch.types import Issue
from tests.conftest import encode, picture, run, run_json

JPEG, OTHER, THIRD = (encode(picture(seed), "JPEG", quality=90) for seed in (1, 2, 3))
PNG = encode(picture(4), "PNG")
GIF = encode(picture(5), "GIF")
MOVING = encode(picture(5), "GIF", save_all=True, append_images=[picture(6)])
WEBP = encode(picture(7), "WEBP")
BMP = encode(picture(8), "BMP")
TIFF = encode(picture(9), "TIFF")
PDF = encode(picture(10), "PDF")
AVIF = encode(picture(11), "AVIF")
NOISE = bytes(range(1, 250)) * 4


def zipped(*contents):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for number, content in enumerate(contents):
            archive.writestr(f"{number}.jpg", content)
    return buffer.getvalue()


def program(overlay=b""):
    """A Windows program of one section, and what stands behind it."""
    header = (
        b"MZ".ljust(60, b"\0") + struct.pack("<I", 64) + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 0, 0)
    )
    section = struct.pack("<8sIIIIIIHHI", b".text", 512, 0, 512, 512, 0, 0, 0, 0, 0)
    return (header + section).ljust(512, b"\0") + b"\x90" * 512 + overlay


def box(name, body):
    return struct.pack(">I4s", 8 + len(body), name) + body


MP4 = box(b"ftyp", b"isom\0\0\0\0isom") + box(b"free", NOISE)


def found(folder, data):
    """Places (without the file's own part) to content of evidence, and to what is said of issues."""
    path = folder / "evidence"
    path.write_bytes(data)
    contents, said = {}, {}
    for entry in walk(path):
        place = str(entry.locator).partition("evidence")[2].lstrip("|")
        if isinstance(entry, Issue):
            said[place] = f"{entry.error}: {entry.message}"
            continue
        with entry.open() as stream:
            contents[place] = stream.read()
        assert hashed(reopen(entry.locator)).size_bytes == len(contents[place])
    return contents, said


@pytest.mark.parametrize(
    "first", [JPEG, PNG, GIF, WEBP, BMP, AVIF, program(), PDF, TIFF], ids=lambda data: repr(data[:4])
)
@pytest.mark.parametrize("padding", [b"", bytes(300)], ids=["", "padded"])
def test_an_archive_behind_any_file_is_opened(tmp_path, first, padding):
    contents, said = found(tmp_path, first + padding + zipped(OTHER, THIRD))
    assert {OTHER, THIRD} <= set(contents.values())
    assert not any("no known kind" in words for words in said.values())


@pytest.mark.parametrize("first", [JPEG, PNG, GIF, MOVING, WEBP, BMP, AVIF], ids=lambda data: repr(data[:4]))
@pytest.mark.parametrize("second", [OTHER, PNG, GIF, WEBP], ids=lambda data: repr(data[:4]))
def test_a_picture_behind_a_picture_is_one_of_its_own(tmp_path, first, second):
    contents, said = found(tmp_path, first + second + bytes(3))
    assert second in contents.values()
    assert said == {}


def test_as_many_as_there_are_lie_beside_each_other(tmp_path):
    contents, said = found(tmp_path, JPEG + OTHER + bytes(64) + PNG + THIRD + zipped(GIF))
    at = [len(JPEG), len(JPEG + OTHER) + 64]
    assert [*contents.values()] == [JPEG + OTHER + bytes(64) + PNG + THIRD + zipped(GIF), OTHER, PNG, THIRD, GIF]
    assert [*contents][1:3] == [f"behind:{at[0]}+{len(OTHER)}", f"behind:{at[1]}+{len(PNG)}"]
    assert said == {}


def test_a_video_behind_a_photograph_is_opened_as_one(tmp_path):
    _, said = found(tmp_path, JPEG + MP4)
    (place,) = said
    assert place.startswith(
        f"behind:{len(JPEG)}+{len(MP4)}"
    )  # it is no video that could be read, and that is said of it


@pytest.mark.parametrize("head", [b"7z\xbc\xaf\x27\x1c\0\4", b"Rar!\x1a\x07\x01\0"])
def test_programs_that_unpack_themselves(tmp_path, head):
    data = program(b";!@Install@!UTF-8!\nTitle=a\n;!@InstallEnd@!" + head + NOISE)
    contents, said = found(tmp_path, data)
    at = data.index(head)
    assert any(place.startswith(f"behind:{at}+") for place in [*contents, *said])


@pytest.mark.parametrize(
    "rest",
    [
        b"",
        bytes(5000),
        b"\xff" * 5000,
        b"\r\n",
        b"few",
        NOISE + b"SEFH" + bytes(8) + b"SEFT",
        b"CANON OPTIONAL DATA\0" + NOISE,
    ],
)
def test_padding_and_what_cameras_leave_is_nothing(tmp_path, rest):
    for first in (JPEG, PNG):
        contents, said = found(tmp_path, first + rest)
        assert ([*contents], said) == ([""], {})


def test_what_is_of_no_known_kind_is_named(tmp_path):
    contents, said = found(tmp_path, JPEG + NOISE + OTHER)
    assert OTHER in contents.values()
    assert [*said] == [f"behind:{len(JPEG)}+{len(NOISE)}"]
    assert "bytes of no known kind" in said[next(iter(said))]


def test_programs_without_an_archive_and_what_is_cut_off_are_left_alone(tmp_path):
    for data in (program(NOISE), JPEG[:-40], PNG[:-20], GIF[:-30], b"BM of a patient " * 40, b"text " * 2000):
        contents, said = found(tmp_path, data)
        assert ([*contents], said) == ([""], {})


def test_pictures_that_an_index_names_come_in_once(tmp_path):
    buffer = io.BytesIO()
    picture(1).save(buffer, "MPO", save_all=True, append_images=[picture(2), picture(3)])
    contents, said = found(tmp_path, buffer.getvalue())
    assert [place.partition(":")[0] for place in contents] == ["", "frame", "frame"]
    assert said == {}
    contents, _ = found(tmp_path, buffer.getvalue() + PNG)
    assert contents[f"behind:{len(buffer.getvalue())}+{len(PNG)}"] == PNG


def test_inside_archives_too(tmp_path):
    for mode in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", mode) as archive:
            archive.writestr("a.jpg", JPEG + OTHER)
            archive.writestr("a.exe", program(zipped(THIRD)))
        contents, said = found(tmp_path, buffer.getvalue())
        assert {OTHER, THIRD} <= set(contents.values())
        assert said == {}


def test_random_tails_end_nothing(tmp_path):
    for size in (1, 70, 3000, 9000):
        for first in (JPEG, PNG, GIF, WEBP, BMP, AVIF, program(), PDF):
            contents, _ = found(tmp_path, first + os.urandom(size))
            assert "" in contents or first == PDF


def test_a_case_finds_and_checks_them(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "a.jpg").write_bytes(JPEG + zipped(OTHER))
    (tmp_path / "e" / "b.jpg").write_bytes(JPEG[:-2] + b"\xff\xd9" + THIRD)
    run("init", tmp_path / "case")
    counts = run_json("ingest", tmp_path / "case", tmp_path / "e")
    assert counts["new_items"] == 4
    assert run_json("issues", tmp_path / "case") == []
    assert run_json("check", tmp_path / "case", "--sources") == []
    assert Pillow.open(io.BytesIO(THIRD)).size == (96, 72)


def test_a_preview_behind_a_photograph_is_no_second_picture(tmp_path):
    """Only where it shows something else than the picture, as of large thumbnails that an index names."""
    large = picture(1, (320, 240))
    photograph, again = encode(large, "JPEG", quality=90), encode(large, "JPEG", quality=60)
    preview = encode(large.resize((160, 120)), "JPEG")
    other = encode(picture(2, (160, 120)), "JPEG")
    assert list(found(tmp_path, photograph + bytes(100) + preview)[0]) == [""]
    contents, said = found(tmp_path, photograph + preview + other + again)
    assert list(contents.values()) == [photograph + preview + other + again, other, again]
    assert not said


def photoshop(rows):
    """A grey picture without layers, its rows as they are or packed."""
    height, width = 16, 24
    head = b"8BPS" + struct.pack(">H6xHIIHH", 1, 1, height, width, 8, 1) + bytes(12)
    if rows == "bare":
        return head + b"\0\0" + bytes(range(24)) * height
    return head + b"\0\1" + struct.pack(">16H", *[25] * 16) + (b"\x17" + bytes(range(24))) * height


BEFORE = {
    "ICO": encode(picture(12), "ICO"),
    "CUR": b"\0\0\2\0" + encode(picture(12), "ICO")[4:],
    "ICNS": encode(picture(12, (128, 128)), "ICNS"),
    "QOI": encode(picture(12), "QOI"),
    "JPEG 2000": encode(picture(12), "JPEG2000"),
    "PSD": photoshop("bare"),
    "PSD, packed": photoshop("packed"),
}


@pytest.mark.parametrize("name", BEFORE)
@pytest.mark.parametrize("behind", [JPEG, zipped(OTHER)], ids=["picture", "archive"])
def test_behind_other_pictures_too(tmp_path, name, behind):
    path = tmp_path / "a"
    path.write_bytes(BEFORE[name])
    assert len(list(walk(path))) == 1
    path.write_bytes(BEFORE[name] + behind)
    found = list(walk(path))
    assert not [one for one in found if isinstance(one, Issue)]
    assert (JPEG if behind == JPEG else OTHER) in [b"".join(iter(one.open().read, b"")) for one in found]
    assert any(str(one.locator) == f"file:{path}" for one in found)


@pytest.mark.parametrize("version", [1, 2])
def test_a_tga_before_an_archive_stays_a_picture(tmp_path, version):
    tga = encode(picture(13), "TGA")
    (tmp_path / "a.tga").write_bytes((tga if version == 2 else tga.removesuffix(tga[-26:])) + zipped(OTHER))
    run("init", tmp_path / "case")
    assert run_json("ingest", tmp_path / "case", tmp_path / "a.tga")["new_items"] == 2


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, bytes])
def test_scripts_that_unpack_themselves(tmp_path, pack):
    path = tmp_path / "install.run"
    path.write_bytes(b"#!/bin/sh\ntail -n +4 $0 | tar x\nexit\n" + pack(tarred({"a.jpg": JPEG})))
    assert JPEG in [b"".join(iter(one.open().read, b"")) for one in walk(path) if not isinstance(one, Issue)]


def test_a_packed_file_right_behind_an_end_is_unpacked(tmp_path):
    for name, packed in (("gz", gzip.compress(OTHER)), ("bz2", bz2.compress(OTHER)), ("tar", tarred({"a.jpg": OTHER}))):
        (tmp_path / f"{name}.gif").write_bytes(GIF + packed)
    found = list(walk(tmp_path))
    assert not [one for one in found if isinstance(one, Issue)]
    assert [b"".join(iter(one.open().read, b"")) for one in found].count(OTHER) == 3


def test_what_stands_behind_a_gzip_file_does_not_cost_it(tmp_path):
    for name, behind in (("zip", zipped(OTHER)), ("noise", NOISE), ("line", b"\n")):
        (tmp_path / f"{name}.jpg.gz").write_bytes(gzip.compress(JPEG) + behind)
    (tmp_path / "damaged.jpg.gz").write_bytes(gzip.compress(JPEG) + b"\x1f\x8c" + gzip.compress(b"more")[2:])
    read = {}
    for one in walk(tmp_path):
        try:
            read[str(one.locator).rpartition("/")[2]] = b"".join(iter(one.open().read, b""))
        except OSError as error:
            read[str(one.locator).rpartition("/")[2]] = error
    assert [read[f"{name}.jpg.gz|gz:{name}.jpg"] for name in ("zip", "noise", "line")] == [JPEG] * 3
    assert OTHER in read.values()
    assert isinstance(read["damaged.jpg.gz|gz:damaged.jpg"], OSError)
