"""Covers, attached files and thumbnails beside what is played; what other programs keep as it is."""

import base64
import io
import random
import struct

import pytest

from imgmatch.limits import SourceLimits
from imgmatch.parsers import covers
from imgmatch.parsers.pieces import Settings
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_inside import found_in

JPEG, PNG = encode(picture(11, (160, 120)), "JPEG", quality=90), encode(picture(12, (80, 60)), "PNG")
SETTINGS = Settings(12, SourceLimits())
NOISE = random.Random(3).randbytes(9_000)


def box(name, data):
    return struct.pack(">I", len(data) + 8) + name + data


def element(number, data):
    return bytes.fromhex(number) + b"\x01" + len(data).to_bytes(7, "big") + data


def chunk(name, data, order="<"):
    return name + struct.pack(f"{order}I", len(data)) + data + bytes(len(data) % 2)


def riff(kind, *chunks):
    return chunk(b"RIFF", kind + b"".join(chunks))


def ape(*covers):
    items = b"".join(
        struct.pack("<II", len(data) + 5, 2) + b"Cover Art (Front)\0" + b"c.jp\0" + data for data in covers
    )
    footer = b"APETAGEX" + struct.pack("<IIII", 2000, len(items) + 32, len(covers), 1 << 31) + bytes(8)
    return items + footer


def page(number, payload, time=0):
    sizes, made, at = [255] * (len(payload) // 255) + [len(payload) % 255], b"", 0
    for start in range(0, len(sizes), 255):
        part = sizes[start : start + 255]
        made += b"OggS\0\0" + struct.pack("<qIII", time, 1, number, 0) + bytes([len(part), *part])
        made += payload[at : at + sum(part)]
        at, number = at + sum(part), number + 1
    return made


def ogg(*comments):
    said = [b"TITLE=a", *comments, b"ARTIST=b"]
    tags = b"OpusTags" + struct.pack("<I", 1) + b"x" + struct.pack("<I", len(said))
    tags += b"".join(struct.pack("<I", len(each)) + each for each in said)
    return page(0, b"OpusHead\1\1" + bytes(9)) + page(1, tags) + page(90, NOISE, 48_000)


def block(data, kind=b"image/jpeg"):
    return struct.pack(">II", 3, len(kind)) + kind + bytes(20) + struct.pack(">I", len(data)) + data


META = box(b"meta", bytes(4) + box(b"ilst", box(b"covr", box(b"data", struct.pack(">II", 13, 0) + JPEG))))
ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")
FILES = {
    "cover.m4a": (box(b"ftyp", b"M4A \0\0\0\0") + box(b"moov", box(b"udta", META)) + box(b"mdat", NOISE), [JPEG]),
    "behind.mp4": (box(b"ftyp", b"isom\0\0\0\0") + box(b"mdat", NOISE + PNG) + box(b"uuid", bytes(16) + JPEG), [JPEG]),
    "attached.mkv": (
        element("1a45dfa3", b"\x42\x82\x84webm")
        + element("18538067", element("1f43b675", NOISE + PNG) + element("1941a469", element("61a7", JPEG))),
        [JPEG],
    ),
    "cover.wma": (ASF + struct.pack("<QI", 30 + len(JPEG), 1) + b"\1\2" + JPEG + NOISE + PNG, [JPEG]),
    "id3.wav": (riff(b"WAVE", chunk(b"data", NOISE + PNG), chunk(b"id3 ", bytes(30) + JPEG)), [JPEG]),
    "thumb.avi": (riff(b"AVI ", chunk(b"LIST", b"movi" + NOISE + PNG), chunk(b"JUNK", JPEG)), [JPEG]),
    "ape.mpc": (b"MPCK" + NOISE + ape(JPEG, PNG), [JPEG, PNG]),
    "id3v1.mp3": (b"\xff\xfb\x90\x64" + NOISE + ape(JPEG) + b"TAG" + b" " * 125, [JPEG]),
    "song.opus": (
        ogg(b"METADATA_BLOCK_PICTURE=" + base64.b64encode(block(JPEG)), b"coverart=" + base64.b64encode(PNG)),
        [JPEG, PNG],
    ),
}


@pytest.mark.parametrize("name", FILES)
def test_covers_are_found_and_nothing_among_what_is_played(tmp_path, name):
    data, wanted = FILES[name]
    (tmp_path / name).write_bytes(data)
    found, _ = found_in(tmp_path)
    places = [place for place in found if place.startswith("cover:")]
    assert [found[place] for place in places] == wanted


def test_what_is_cut_or_claims_too_much_ends():
    rng = random.Random(7)
    for data, _ in FILES.values():
        for _ in range(60):
            cut = bytearray(data[: rng.randrange(len(data))])
            for _ in range(3):
                if cut:
                    cut[rng.randrange(min(len(cut), 400))] = rng.randrange(256)
            assert all(
                piece.kind == "cover" and piece.data for piece in covers.extract(io.BytesIO(bytes(cut)), SETTINGS)
            )


@pytest.mark.parametrize(
    "head",
    [
        bytes.fromhex("e4525c7b8cd8a74daeb15378d02996d3"),
        b"\0\1\0\0Standard Jet DB\0",
        b"glTF\2\0\0\0",
        bytes(60) + b"BOOKMOBI",
        b"FWS\x06\0\1\0\0",
    ],
    ids=["OneNote", "Access", "glTF", "Mobipocket", "Flash"],
)
def test_what_keeps_pictures_as_they_are_is_looked_through(tmp_path, head):
    (tmp_path / "a.bin").write_bytes(head + NOISE + JPEG + NOISE + PNG + b"end")
    assert list(found_in(tmp_path)[0].values()) == [JPEG, PNG]


def test_a_table_of_leveldb_is_known_by_its_end(tmp_path):
    (tmp_path / "000005.ldb").write_bytes(NOISE + JPEG + NOISE + bytes.fromhex("57fb808b247547db"))
    assert list(found_in(tmp_path)[0].values()) == [JPEG]
