import os

import pytest

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence import recognise, reopen, walk
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue


def kinds(found) -> dict[str, str]:
    return {os.path.basename(f.locator.at): f.error if isinstance(f, Issue) else "evidence" for f in found}


def test_files_come_in_byte_order_of_names_every_time(tmp_path):
    for name in (b"b", b"a", b"B", b"\xff.jpg", "é".encode()):
        with open(os.fsencode(tmp_path) + b"/" + name, "wb"):
            pass
    (tmp_path / "a.d").mkdir()
    (tmp_path / "a.d" / "z").touch()
    names = [os.fsencode(f.locator.at)[len(os.fsencode(tmp_path)) + 1 :] for f in walk(tmp_path)]
    assert names == [b"B", b"a", b"a.d/z", b"b", "é".encode(), b"\xff.jpg"]
    assert [str(f.locator) for f in walk(tmp_path)] == [str(f.locator) for f in walk(tmp_path)]


def test_links_and_special_files_are_named_for_what_they_are(tmp_path):
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"x")
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "real.jpg").write_bytes(b"x")
    (folder / "inside").symlink_to(folder / "real.jpg")
    (folder / "out").symlink_to(outside)
    (folder / "dangling").symlink_to(folder / "gone")
    (folder / "loop").symlink_to(folder / "loop")
    (folder / "up").symlink_to(folder)
    os.mkfifo(folder / "pipe")
    assert kinds(walk(folder)) == {
        "real.jpg": "evidence",
        "inside": "evidence",
        "out": "link_out",
        "dangling": "dangling_link",
        "loop": "dangling_link",
        "up": "folder_link",
        "pipe": "special_file",
    }


def test_a_single_file_and_a_link_that_the_user_names_are_read(tmp_path):
    (tmp_path / "a.jpg").write_bytes(b"abc")
    (tmp_path / "link").symlink_to(tmp_path / "a.jpg")
    (found,) = walk(tmp_path / "link")
    assert isinstance(found, Evidence)
    assert found.size_bytes == 3
    with found.open() as stream:
        assert stream.read() == b"abc"
        with pytest.raises(OSError, match=r"[Nn]ot (open for writing|writable)"):
            stream.write(b"x")


def test_the_folder_to_leave_out_is_left_out_and_said(tmp_path):
    (tmp_path / "case").mkdir()
    (tmp_path / "case" / "catalogue.sqlite").write_bytes(b"x")
    (tmp_path / "a.jpg").write_bytes(b"x")
    assert kinds(walk(tmp_path, leave_out=tmp_path / "case")) == {"a.jpg": "evidence", "case": "own_case"}


def test_the_folder_to_leave_out_is_known_by_whatever_path_it_is_come_to(tmp_path):
    case = tmp_path / "disk" / "deeper" / "case"
    case.mkdir(parents=True)
    (case / "catalogue.sqlite").write_bytes(b"x")
    (tmp_path / "disk" / "deeper" / "case2").mkdir()
    (tmp_path / "disk" / "deeper" / "case2" / "a.jpg").write_bytes(b"x")
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    (tmp_path / "way").symlink_to(case)
    for root, place in {"disk": "deeper/case", "link": "deeper/case", "disk/deeper": "case"}.items():
        for named in (case, tmp_path / "link" / "deeper" / "case", tmp_path / "way"):
            beside = {f"{place}2/a.jpg": "evidence", place: "own_case"}
            found = {
                os.path.relpath(one.locator.at, tmp_path / root): one for one in walk(tmp_path / root, leave_out=named)
            }
            assert {at: getattr(one, "error", "evidence") for at, one in found.items()} == beside
    for root in (case, tmp_path / "way", tmp_path / "link" / "deeper" / "case"):
        (found,) = walk(root, leave_out=case)
        assert (found.error, found.locator.at) == ("own_case", str(root))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_what_may_not_be_read_is_an_issue(tmp_path):
    (tmp_path / "closed").mkdir(mode=0)
    try:
        assert kinds(walk(tmp_path)) == {"closed": "unreadable_folder"}
    finally:
        (tmp_path / "closed").chmod(0o700)


def test_a_path_that_is_not_there_is_refused_by_name(tmp_path):
    with pytest.raises(UsageError, match=r"nowhere: no such file"):
        list(walk(tmp_path / "nowhere"))


def test_evidence_is_found_again_by_its_locator(tmp_path):
    name = os.fsencode(tmp_path) + b"/caf\xe9.jpg"
    with open(name, "wb") as file:
        file.write(b"abc")
    locator = Locator.parse(str(Locator.file(name)))
    with reopen(locator).open() as stream:
        assert stream.read() == b"abc"
    os.unlink(name)
    with pytest.raises(EvidenceError, match="no such file"):
        reopen(locator)


def test_reading_leaves_the_access_time(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    os.utime(path, ns=(1_000_000_000, 2_000_000_000))
    (found,) = walk(path)
    with found.open() as stream:
        stream.read()
    assert path.stat().st_atime_ns == 1_000_000_000
    assert found.modified_utc == "1970-01-01T00:00:02.000000Z"


@pytest.mark.parametrize("seconds", [10_413_792_000, -10_413_792_000])
def test_times_far_off_are_told_and_bounded(tmp_path, seconds):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"abc")
    os.utime(path, (seconds, seconds))
    if path.stat().st_mtime != seconds:
        pytest.skip("this file system can't hold such a time")
    (found,) = walk(path)
    assert found.modified_utc == ("2300-01-01T00:00:00.000000Z" if seconds > 0 else "1640-01-02T00:00:00.000000Z")
    assert found.modified_ns is None
    assert reopen(found.locator).modified_ns is None


def test_a_file_of_holes_is_not_read_for_hours(tmp_path):
    path = tmp_path / "holes.bin"
    with open(path, "wb") as file:
        file.truncate(1 << 40)
    if path.stat().st_blocks > 1000:
        pytest.skip("this file system keeps no holes")
    (found,) = walk(path)
    assert isinstance(found, Issue)
    assert (found.error, found.what) == ("limit", "max_ratio")


def test_what_a_file_is_that_can_not_be_told_is_an_issue_beside_it(tmp_path, monkeypatch):
    def fail(look):
        raise RuntimeError("not foreseen")

    (tmp_path / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0 and so on")
    monkeypatch.setattr(recognise.FORMATS[0], "recognise", fail)
    recognise.that_may_begin_with.cache_clear()
    evidence, issue = walk(tmp_path)
    assert (issue.error, issue.stage) == ("internal", "walk")
    assert "not foreseen" in issue.message
    assert evidence.locator == issue.locator
    recognise.that_may_begin_with.cache_clear()
