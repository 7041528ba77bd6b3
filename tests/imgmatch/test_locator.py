import json
import os
import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgmatch.errors import UsageError
from imgmatch.locator import Locator, readable
from imgmatch.types import Evidence, Issue

KINDS = st.from_regex(r"[a-z][a-z0-9]{0,8}", fullmatch=True)


@settings(deadline=None)
@given(st.lists(st.tuples(KINDS, st.binary(min_size=0, max_size=40)), min_size=1, max_size=4))
def test_any_chain_of_names_of_any_bytes_comes_back_the_same(chain):
    locator = None
    for kind, name in chain:
        locator = Locator(kind, os.fsdecode(name), locator)
    text = str(locator)
    assert text.isprintable() or all(char.isprintable() or ord(char) > 0xA0 for char in text)
    text.encode("utf-8")
    assert Locator.parse(text) == locator


@settings(deadline=None)
@given(
    st.text(st.characters(), max_size=20),
    st.text(st.characters(categories=["Cs"]), max_size=5),
    st.integers(-(2**80), 2**80),
)
def test_whatever_evidence_says_a_database_and_json_can_hold(name, lone, number):
    """Names that decode to half a surrogate pair, times and sizes that fill more than 64 bits."""
    place = Locator("mail", name + lone + name, Locator.file("/a.eml"))
    assert Locator.parse(str(place)) == place
    found = Evidence(place, number, None, number, -number, open)
    issue = Issue(place, "walk", "limit", f"{lone}{name}")
    kept = (str(found.locator), found.size_bytes, found.modified_ns, found.changed_ns, issue.message, readable(lone))
    (row,) = sqlite3.connect(":memory:").execute("SELECT ?, ?, ?, ?, ?, ?", kept).fetchall()
    assert row == kept
    assert json.loads(json.dumps(kept).encode()) == list(kept)
    if -(2**63) < number < 2**63:
        assert (found.size_bytes, found.modified_ns, found.changed_ns) == (max(0, number), number, -number)


def test_plain_names_stay_readable():
    assert str(Locator.file("/media/Zimmer 12/früh.jpg")) == "file:/media/Zimmer 12/früh.jpg"


def test_separator_and_line_breaks_are_quoted():
    inner = Locator("zip", "a|b\n%.jpg", Locator.file("/x.zip"))
    assert str(inner) == "file:/x.zip|zip:a%7Cb%0A%25.jpg"


def test_path_is_that_of_the_outermost_file_and_printable():
    locator = Locator("frame", "1200", Locator.file(b"/media/caf\xe9.mp4"))
    assert locator.path == "/media/caf\\xe9.mp4"
    assert Locator("row", "1").path is None


@pytest.mark.parametrize("text", ["", "nothing", "File:/a", "file:/a|", ":x"])
def test_what_is_not_a_locator_is_refused_by_name(text):
    with pytest.raises(UsageError, match="not a locator"):
        Locator.parse(text)


def test_what_lay_in_deleted_space_is_marked():
    image = Locator("partition", "1", Locator.file("/a.E01"))
    assert not Locator("fs", "/a.zip", image).deleted
    assert Locator("zip", "a.jpg", Locator("deleted", "/a.zip@12", image)).deleted


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("file:/e/a.jpg", "/e/a.jpg"),
        (
            "file:/e/evidence.E01|ewf:disk|partition:2@1048576|deleted:/DCIM/100APPLE/IMG_0012.JPG@4711",
            "/e/evidence.E01 > partition 2 > /DCIM/100APPLE/IMG_0012.JPG (deleted)",
        ),
        ("file:/e/d.E01|ewf:disk|fs:/a@b.zip|zip:x.jpg;2", "/e/d.E01 > /a@b.zip > x.jpg;2"),
        ("file:/e/d.dd|deleted:/a.zip@12|zip:x.jpg", "/e/d.dd > /a.zip (deleted) > x.jpg"),
        ("file:/e/d.dd|deleted:/a.jpg@12:hidden", "/e/d.dd > /a.jpg:hidden (deleted)"),
        ("file:/e/d.dd|deleted:/$orphan@12", "/e/d.dd > /$orphan, inode 12 (deleted)"),
        ("file:/e/d.dd|carved:1024+2048", "/e/d.dd > carved 2,048 bytes at byte 1,024"),
        ("file:/e/d.dd|luks:disk|lvm:group/home|fs:/a.jpg", "/e/d.dd > logical volume group/home > /a.jpg"),
        ("file:/e/x.zip|deleted:/sdcard/a.jpg@files/1.jpg", "/e/x.zip > /sdcard/a.jpg (deleted)"),
        ("file:/e/a.mp4|frame:1500", "/e/a.mp4 > frame 1500"),
        # A name that reads like words of ours does not pass for them.
        ("file:/e/x.zip|zip:y.zip > z.jpg", '/e/x.zip > "y.zip > z.jpg"'),
        ("file:/e/a.jpg (deleted)", '"/e/a.jpg (deleted)"'),
        ("file:/e/disk", "/e/disk"),
        ("file:/e/caf%E9.jpg", "/e/caf\\xe9.jpg"),
        ("nothing:known", "known"),
    ],
)
def test_a_place_in_words_is_what_lies_in_what(text, words):
    assert Locator.parse(text).words == words
