"""What one outermost file may cost: whatever it claims to hold, there is an end, and one issue says what is left."""

import contextlib
import dataclasses
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from imgmatch.errors import EvidenceError
from imgmatch.evidence import SourceLimits, SourceOptions, walk
from imgmatch.evidence.budget import Budget
from imgmatch.evidence.formats.zips import Zip
from imgmatch.types import Evidence, Issue
from tests.conftest import encode, picture


def given(path, **limits):
    """Places of what is found, and issues by place."""
    options = SourceOptions(limits=dataclasses.replace(SourceLimits(), **limits))
    found = list(walk(path, options=options))
    issues = [entry for entry in found if isinstance(entry, Issue)]
    return [entry.locator.at for entry in found if isinstance(entry, Evidence)], issues


def tar(names, size=0) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name in names:
            info = tarfile.TarInfo(name)
            info.size = size
            archive.addfile(info, io.BytesIO(bytes(size)))
    return buffer.getvalue()


@pytest.mark.claim("M10")
def test_more_members_than_a_small_file_can_mean_are_one_issue(tmp_path):
    (tmp_path / "many.tar.gz").write_bytes(gzip.compress(tar(f"{number}" for number in range(400)), 9))
    places, issues = given(tmp_path, members_per_kib_from=100)
    assert len(places) == 99  # the tar archive is a member too
    (issue,) = issues
    assert (issue.error, issue.what, issue.locator.at) == (
        "limit",
        "max_members_per_kib",
        str(tmp_path / "many.tar.gz"),
    )
    assert "the rest is left: 301 more" in issue.message
    assert len(given(tmp_path)[0]) == 400
    assert given(tmp_path, members_per_kib_from=100, max_members_per_kib=1000) == given(tmp_path)


def test_a_budget_that_is_spent_in_an_archive_in_an_archive_is_one_issue_of_the_outermost_file(tmp_path):
    with zipfile.ZipFile(tmp_path / "outer.zip", "w") as outer:
        for name in "ab":
            outer.writestr(f"{name}.tar", tar(f"{number}" for number in range(30)))
    places, issues = given(tmp_path, max_members=40)
    assert [issue.locator.at for issue in issues] == [str(tmp_path / "outer.zip")]
    assert (issues[0].what, len(places)) == ("max_members", 38)
    assert "22 more" in issues[0].message


def test_issues_count_as_what_they_are_of(tmp_path, monkeypatch):
    def members(self):
        for number in range(200_000):
            yield self.issue(str(number), "broken_archive", "no")

    monkeypatch.setattr(Zip, "members", members)
    (tmp_path / "a.zip").write_bytes(b"PK\3\4" + bytes(1_436))
    places, issues = given(tmp_path)
    assert (places, len(issues)) == ([], 10_001)
    assert "at least 10,001 more" in issues[-1].message


@pytest.mark.claim("M12")
def test_long_names_count_as_several_and_in_bytes(tmp_path):
    names = [f"{number}{'x' * 20_000}" for number in range(50)]
    (tmp_path / "names.tar.gz").write_bytes(gzip.compress(tar(names), 9))
    assert len(given(tmp_path)[0]) == 50
    places, issues = given(tmp_path, members_per_kib_from=1_000)
    assert len(places) < 20
    assert [issue.what for issue in issues] == ["max_members_per_kib"]
    assert [issue.what for issue in given(tmp_path, max_name_bytes=100_000)[1]] == ["max_name_bytes"]


@pytest.mark.claim("M14")
def test_time_is_said_to_be_time(tmp_path, monkeypatch):
    now = iter(range(0, 10**9, 100))
    monkeypatch.setattr("imgmatch.evidence.budget.time.monotonic", lambda: float(next(now)))
    (tmp_path / "a.tar").write_bytes(tar("abcdefgh"))
    places, issues = given(tmp_path, max_walk_seconds=450)
    assert (places, [issue.what for issue in issues]) == (["a", "b", "c"], ["max_walk_seconds"])
    assert "took more time" in issues[0].message


@pytest.mark.claim("M13")
@pytest.mark.skipif(shutil.which("mke2fs") is None, reason="needs mke2fs")
def test_a_file_out_of_proportion_to_its_image_is_an_issue_and_the_others_are_read(tmp_path):
    files = tmp_path / "files"
    files.mkdir()
    (files / "a.jpg").write_bytes(encode(picture(1), "JPEG"))
    for name in ("big", "big.zip"):
        with (files / name).open("wb") as sparse:
            sparse.write(b"PK\3\4" if name == "big.zip" else b"x")
            sparse.truncate(15 << 40)
    (files / "z.jpg").write_bytes(encode(picture(2), "JPEG"))
    image = tmp_path / "evidence" / "image.dd"
    image.parent.mkdir()
    made = subprocess.run(["mke2fs", "-q", "-t", "ext4", "-b", "4096", "-d", files, image, "4m"], capture_output=True)
    if made.returncode:
        pytest.skip(made.stderr.decode())
    places, issues = given(image, max_total_bytes=1 << 34)
    assert {os.path.basename(place) for place in places} >= {"a.jpg", "z.jpg"}
    assert {(os.path.basename(issue.locator.at), issue.what) for issue in issues} >= {
        ("big", "max_ratio"),
        ("big.zip", "max_ratio"),
    }
    assert "16,492,674,416,640 bytes in a file of 4,194,304" in issues[0].message


def test_a_set_of_files_is_as_large_as_all_of_them(tmp_path):
    from imgmatch.evidence.files import reopen, set_bytes
    from imgmatch.locator import Locator

    for name, size in (("disk.E01", 10), ("disk.E02", 20), ("other.E01", 40)):
        (tmp_path / name).write_bytes(bytes(size))
    assert set_bytes(reopen(Locator.file(tmp_path / "disk.E01"))) == 30
    budget = Budget(SourceLimits(ratio_from_bytes=1), 30)
    entry = reopen(Locator.file(tmp_path / "other.E01"))
    assert budget.claims_too_much(entry, whole=True) is None


class _Clock:
    """A clock that goes on two seconds each time that somebody looks."""

    def __init__(self):
        self.now = 0.0

    def monotonic(self):
        self.now += 2
        return self.now


def test_time_is_looked_at_where_much_is_looked_through_and_nothing_found(tmp_path, monkeypatch):
    monkeypatch.setattr("imgmatch.evidence.budget.time", _Clock())
    (tmp_path / "a.bin").write_bytes(b"\1" * (40 << 20))
    limits = dataclasses.replace(SourceLimits(), max_walk_seconds=5)
    found = list(walk(tmp_path, options=SourceOptions(carve=True, limits=limits)))
    assert [one.what for one in found if isinstance(one, Issue)] == ["max_walk_seconds"]
    with (tmp_path / "a.bin").open("r+b") as stream:
        stream.write(b"PK\3\4" + bytes(30))
    found = list(walk(tmp_path, options=SourceOptions(limits=limits)))
    assert "max_walk_seconds" in [one.what for one in found if isinstance(one, Issue)]


def test_what_is_stored_in_a_zip_without_its_directory_is_read_in_place(tmp_path):
    data = encode(picture(7, (320, 240)), "BMP")
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a.bmp", data)
    whole = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(whole[: whole.index(b"PK\1\2")])
    places, issues = given(tmp_path, max_temp_bytes=1000)
    assert places == ["a.bmp"]
    assert [issue.error for issue in issues] == ["broken_archive"]


@pytest.mark.claim("M11")
def test_member_after_member_that_claims_too_much_is_one_issue(tmp_path):
    with zipfile.ZipFile(tmp_path / "zeros.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(400):
            archive.writestr(f"{number}.bmp", b"BM" + bytes(2_000))
    _, issues = given(tmp_path, max_ratio=1, ratio_from_bytes=1 << 12)
    assert len(issues) == 101
    assert (issues[-1].what, issues[-1].locator.at) == ("max_ratio", str(tmp_path / "zeros.zip"))
    assert "the rest is left" in issues[-1].message


def test_what_packed_members_unpack_to_counts_whatever_they_say(tmp_path):
    """A packer says nothing of sizes: one after the other, each within its own limit, and all of them far beyond."""
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        for number in range(400):
            archive.writestr(f"{number}.gz", gzip.compress(bytes(1 << 20)))
    limits = dataclasses.replace(SourceLimits(), ratio_from_bytes=8 << 20, max_ratio=20)
    whole, issues = 0, []
    for entry in walk(tmp_path, options=SourceOptions(limits=limits)):
        if isinstance(entry, Issue):
            issues.append(entry)
            continue
        for _ in range(2):  # reading it again costs nothing
            with entry.open() as stream, contextlib.suppress(EvidenceError):
                whole += len(stream.read())
    assert 14 << 20 <= whole <= 16 << 20
    assert {issue.what for issue in issues} == {"max_ratio"}
    assert len(issues) == 101
    assert "the rest is left" in issues[-1].message
