"""What is known by its bytes is called by its name, and nothing else is."""

import io
import random
import zlib

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import walk
from imgmatch.evidence.limits import limits
from imgmatch.evidence.naming import named, signature_of
from imgmatch.evidence.read import read
from imgmatch.evidence.signatures import SIGNATURES
from imgmatch.locator import Locator
from imgmatch.types import Evidence
from imgmatch.workers.decode import Request, read_picture
from tests.conftest import run, run_json

SIZE = (1 << 20) + 4_096


def begun(signature):
    """Bytes that hold a signature, and nothing else but a letter, and a byte that is none and no zero."""
    data = bytearray(b"\x5a" * SIZE)
    data[4095] = 1
    for at, magic in ((signature.at, signature.magic), *signature.more):
        start = at if at >= 0 else SIZE + at
        data[start : start + len(magic)] = magic
    return bytes(data)


def at(data):
    return lambda offset, size: data[max(0, len(data) + offset) if offset < 0 else offset :][:size]


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda one: f"{one.name} {one.magic.hex()}")
def test_every_signature_is_told_from_all_others(signature):
    assert signature_of(at(begun(signature))).name == signature.name
    assert len(signature.magic) + sum(len(magic) for _, magic in signature.more) > 2


def test_text_and_chance_are_nothing():
    rng = random.Random(0)
    texts = [
        b"",
        b"BM",
        b"BMI of patients\n" * 9,
        b"<html><svg></svg></html>",
        b"# P5 code",
        b"GIF8 is a format",
        b"BLUE sky\n" * 40,
        b"TDF$ and DHAV are letters; IWAD too",
        b"\0" * 9000,
    ]
    texts += [rng.randbytes(rng.randrange(6000)) for _ in range(300)]
    assert [data[:40] for data in texts if signature_of(at(data))] == []


@pytest.mark.parametrize(
    "drawing",
    [
        b"<svg xmlns='x'/>",
        b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- <html> -->\n<!DOCTYPE svg [<!ENTITY a 'b'>]> <s:svg >",
    ],
)
def test_drawings_of_text_are_known_by_their_first_element(drawing):
    assert signature_of(at(drawing)).name == "SVG drawing"
    assert signature_of(at(b"<p>" + drawing)) is None


def test_what_may_stand_before_an_element_takes_no_time():
    assert signature_of(at(b"<??>" * 1024)) is None
    assert signature_of(at(b"<!DOCTYPE [" * 400 + b"]" * 90)) is None


def test_only_what_is_no_picture_or_too_large_gets_another_name():
    xcf = begun(next(one for one in SIGNATURES if "XCF" in one.name))
    told = {
        kind: named(EvidenceError(kind, "x"), at(xcf)).kind for kind in ("not_a_picture", "too_large", "unreadable")
    }
    assert told == {"not_a_picture": "unsupported", "too_large": "unsupported", "unreadable": "unreadable"}
    jpeg = b"\xff\xd8\xff" + bytes(900)
    assert named(EvidenceError("not_a_picture", "x"), at(jpeg)).kind == "unreadable"
    assert named(EvidenceError("too_large", "x"), at(jpeg)).kind == "too_large"


def test_content_too_large_to_be_kept_is_named_too():
    data = b"\x76\x2f\x31\x01" + bytes(5000)
    found = Evidence(Locator.file("/e/a.exr"), len(data), None, None, None, lambda: io.BytesIO(data))
    for most in (4000, 9000):
        with pytest.raises(EvidenceError, match="OpenEXR; it is not read") as said:
            read(found, limits([f"max_bytes={most}"])).decoded(Request(sides_px=(8,)), read_picture)
        assert said.value.kind == "unsupported"


def test_a_run_names_what_it_does_not_read(tmp_path):
    (tmp_path / "e").mkdir()
    (tmp_path / "e" / "drawing.svg").write_bytes(b"<svg/>")
    (tmp_path / "e" / "film.exr").write_bytes(b"\x76\x2f\x31\x01" + bytes(900))
    (tmp_path / "e" / "notes.txt").write_bytes(b"milk, bread")
    run("init", tmp_path / "case")
    run("ingest", tmp_path / "case", tmp_path / "e")
    issues = {issue["path"].rpartition("/")[2]: issue for issue in run_json("issues", tmp_path / "case")}
    assert {name: issue["error"] for name, issue in issues.items()} == {
        "drawing.svg": "unsupported",
        "film.exr": "unsupported",
        "notes.txt": "not_a_picture",
    }
    assert issues["drawing.svg"]["message"].startswith("SVG drawing")


def test_what_is_random_and_as_long_as_a_volume_is_said_to_be_perhaps_one():
    rng = random.Random(9)
    volume = rng.randbytes(1 << 19)
    packed = zlib.compress(b"".join(b"%d,%f\n" % (n, rng.random()) for n in range(60_000)))
    packed = packed[: len(packed) // 512 * 512]
    told = [
        named(EvidenceError("not_a_picture", "x"), at(data), len(data)).kind
        for data in (volume, volume[:-1], volume[: 1 << 17], bytes(1 << 19), packed, volume[: 1 << 18] + bytes(1 << 18))
    ]
    assert told == ["unsupported", *["not_a_picture"] * 5]


def test_a_backup_of_whatsapp_is_known_by_its_name(tmp_path):
    (tmp_path / "msgstore.db.crypt15").write_bytes(random.Random(2).randbytes(3_000))
    (issue,) = walk(tmp_path)
    assert (issue.error, issue.what) == ("unsupported", "backup of WhatsApp (encrypted)")
