"""Pictures in Outlook's mail stores: of every form that there is, also where they are damaged."""

import base64
import io
import random
import struct

import pytest

from benchmarks.evidence_pst import Form, Message, pst
from imgmatch.errors import EvidenceError
from imgmatch.evidence import walk
from imgmatch.evidence.options import SourceOptions
from imgmatch.parsers import pst_pages
from imgmatch.types import Issue
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_inside import found_in

JPEGS = [encode(picture(300 + n, (240, 160)), "JPEG", quality=92) for n in range(5)]
HTML = b"<img src='data:image/jpeg;base64," + base64.b64encode(JPEGS[0]) + b"'>"
MESSAGES = [
    Message("hello", html=HTML, attached=[("ein Bild ü.jpg", JPEGS[1]), ("a/b.jpg", JPEGS[2])]),
    Message("forwarded", attached=[("inner", Message("in it", attached=[("c.jpg", JPEGS[3])]))]),
    Message("gone", attached=[("d.jpg", JPEGS[4])], deleted=True),
    *(Message(f"nothing {n}") for n in range(120)),
]
PLACES = [
    "pst:Inbox/Inbox/200024/data.jpeg",
    "pst:Inbox/Inbox/200024/ein Bild ü.jpg",
    "pst:Inbox/Inbox/200024/a_b.jpg",
    "pst:Inbox/Inbox/200044/1/c.jpg",
    "deleted:200064/d.jpg",
]


@pytest.mark.parametrize("version", [15, 23, 36])
@pytest.mark.parametrize("hidden", [0, 1, 2])
def test_attachments_and_pictures_in_text_are_found(tmp_path, version, hidden):
    (tmp_path / "mail.pst").write_bytes(pst(MESSAGES, Form(version, hidden)))
    found, errors = found_in(tmp_path)
    assert found == dict(zip(PLACES, JPEGS, strict=True))
    assert not errors
    found, errors = found_in(tmp_path, deleted=False)
    assert list(found) == PLACES[:4]


def test_their_time_is_that_of_the_message(tmp_path):
    (tmp_path / "mail.ost").write_bytes(pst(MESSAGES, Form(36)))
    assert {member.modified_utc for member in walk(tmp_path)} == {"2024-01-17T21:20:00.000000Z"}


@pytest.mark.claim("M23")
@pytest.mark.parametrize("version", [15, 23, 36])
def test_of_a_damaged_one_every_picture_is_right_or_said_to_be_damaged(tmp_path, version):
    whole, rng = pst(MESSAGES[:3], Form(version)), random.Random(version)
    for number in range(20):
        data = bytearray(whole)
        if number % 5 == 4:
            del data[rng.randrange(len(data)) :]
        else:
            at = rng.randrange(16, len(data) - 400)
            data[at : at + 200] = rng.randbytes(200)
        path = tmp_path / f"{number}.pst"
        path.write_bytes(data)
        members = list(walk(path, options=SourceOptions()))
        told = {member.locator for member in members if isinstance(member, Issue)}
        pictures = [member for member in members if not isinstance(member, Issue) and member.locator.parent is not None]
        for member in pictures:
            with member.open() as stream:
                assert stream.read() in JPEGS or member.locator in told
        if len({member.locator for member in pictures} - told) < 5:
            assert told, number


def test_one_that_windows_encrypts_is_named(tmp_path):
    (tmp_path / "mail.pst").write_bytes(pst(MESSAGES, Form(23, 0x10)))
    (issue,) = walk(tmp_path)
    assert (issue.error, issue.what) == ("unsupported", "mail store (encrypted)")


def test_where_a_page_of_its_index_is_damaged_what_lies_below_is_found(tmp_path):
    data = bytearray(pst(MESSAGES))
    top = int.from_bytes(data[224:232], "little")
    data[top : top + 512] = bytes(512)
    (tmp_path / "mail.pst").write_bytes(data)
    found, errors = found_in(tmp_path)
    assert sorted(found.values()) == sorted(JPEGS)
    assert [error.partition(":")[0] for error in errors] == ["broken_document"]


def test_lists_that_name_themselves_end(monkeypatch):
    monkeypatch.setattr(pst_pages, "_MOST_PARTS", 50_000)
    store = pst_pages.Pages(io.BytesIO(pst([Message("a", attached=[("a.jpg", JPEGS[0])])])))
    circle = struct.pack("<BBHI", 1, 1, 900, 0) + struct.pack("<Q", 6) * 900, True
    monkeypatch.setattr(store, "_blocks", dict.fromkeys(range(0, 99), (0, 0)))
    monkeypatch.setattr(pst_pages.Pages, "_stored", lambda *_: circle)
    with pytest.raises(EvidenceError, match="more than 50,000 blocks"):
        store.data(6)
