"""Sources stay as they are: content, times and listing of every file and folder, whatever is done with a case."""

import errno
import io
import json
import os
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from imgmatch.evidence import walk
from imgmatch.evidence.quiet import moved
from imgmatch.types import Evidence
from tests.conftest import encode, picture, run, run_json, snapshot


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "seized"
    (folder / "phone" / "empty").mkdir(parents=True)
    for seed in range(3):
        (folder / "phone" / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    (folder / "broken.jpg").write_bytes(encode(picture(9, (600, 400)), "JPEG")[:3000])
    (folder / "words.png").write_bytes(b"words")
    (folder / "link").symlink_to("phone/0.jpg")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("../outside.jpg", encode(picture(4), "JPEG"))
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w:gz") as tar:
            data = encode(picture(5), "PNG")
            entry = tarfile.TarInfo("/deep.png")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        archive.writestr("inner.tar.gz", inner.getvalue())
    return folder


def everything_done_with_a_case(case, folder):
    assert run("init", case).returncode == 0
    report = run_json("ingest", case, folder)
    run_json("ingest", case, folder, "--reread", "--profile", "thorough")
    run_json("ingest", case, folder, "--reread", "--no-isolation")
    found = run_json("search", case, folder / "phone" / "1.jpg", "--report", case.parent / "report")
    assert found["matches"][0]["score"] > 0.99
    run(
        "explain",
        case,
        folder / "phone" / "1.jpg",
        str(found["matches"][0]["item_id"]),
        "--output",
        case.parent / "e.png",
    )
    assert run("check", case, "--sources").returncode == 0
    assert run("check", case, "--repair").returncode == 0
    assert run("issues", case).returncode == 0
    return report


@pytest.mark.claim("M1")
def test_nothing_that_is_done_with_a_case_changes_a_source(tmp_path, sources):
    before = snapshot(sources)
    report = everything_done_with_a_case(tmp_path / "case", sources)
    assert report["new_items"] >= 6
    assert snapshot(sources) == before
    assert not (tmp_path / "outside.jpg").exists()


@pytest.fixture
def untouched(tmp_path, sources):
    """The sources as they lie when nobody has read them for long, and what tells their access times. Links are left
    out: whoever follows one may move its time.
    """
    paths = [sources, *sorted(sources.rglob("*"))]
    for path in paths:
        os.utime(path, (1_000_000_000, 1_100_000_000), follow_symlinks=False)
    (tmp_path / "control").mkdir()
    os.utime(tmp_path / "control", (1_000_000_000, 1_100_000_000))
    os.listdir(tmp_path / "control")
    if not hasattr(os, "O_NOATIME") or (tmp_path / "control").stat().st_atime == 1_000_000_000:
        pytest.skip("access times stay where they are, or can't be kept there: a mount without them; Linux alone")
    return sources, lambda: {path: path.lstat().st_atime_ns for path in paths if not path.is_symlink()}


@pytest.mark.claim("M3")
def test_access_times_stay_and_the_record_says_where_they_may_not(tmp_path, untouched):
    sources, access_times = untouched
    before = access_times()
    assert run("init", tmp_path / "case").returncode == 0
    assert run_json("ingest", tmp_path / "case", sources)["access_times"] == 1  # the link's
    assert run("check", tmp_path / "case", "--sources").returncode == 0
    assert access_times() == before
    entries = list(map(json.loads, (tmp_path / "case" / "audit.jsonl").read_text().splitlines()))
    assert [entry["counts"]["access_times"] for entry in entries if entry["action"] == "ingest"] == [1]
    assert [entry["counts"]["access_times"] for entry in entries if entry["action"] == "checked"] == [0]


@pytest.mark.claim("M4")
def test_what_another_account_owns_is_read_and_the_record_says_how_much(tmp_path, untouched, monkeypatch):
    sources, access_times = untouched
    given = os.open

    def refused(path, flags, *more, **named):
        if flags & os.O_NOATIME and str(path).startswith(str(sources)):
            raise PermissionError(errno.EPERM, "Operation not permitted", path)
        return given(path, flags, *more, **named)

    monkeypatch.setattr(os, "open", refused)
    before, count = access_times(), moved.count
    found = [entry for entry in walk(sources) if isinstance(entry, Evidence)]
    changed = {path for path, time in access_times().items() if time != before[path]}
    assert len(found) >= 6
    assert changed == set(before)
    assert moved.count - count >= len(changed) + 1


@pytest.mark.claim("M2")
def test_a_disk_image_stays_as_it_is(tmp_path, sources):
    pytest.importorskip("pytsk3", reason="pytsk3 is not installed: pip install 'imgmatch[forensic]'")
    mke2fs = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if mke2fs is None:
        pytest.skip("needs the tool mke2fs")
    image = sources / "card.dd"
    with open(image, "wb") as file:
        file.truncate(4 << 20)
    subprocess.run([mke2fs, "-q", "-t", "ext4", "-d", sources / "phone", image], check=True, capture_output=True)
    before = snapshot(sources)
    report = everything_done_with_a_case(tmp_path / "case", sources)
    assert report["known"] >= 3
    assert snapshot(sources) == before
