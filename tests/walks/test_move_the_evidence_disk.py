"""The disk with the evidence gets another mount point; the examiner goes on working, and nothing is counted twice."""

import json
import os
import shutil

import pytest

from indexer.case.case import Case
from tests.conftest import encode, run, run_json, textured
from tests.images import acquired, partitioned


@pytest.fixture
def disk(tmp_path):
    """A disk with an E01, a folder of pictures and a file that can't be read."""
    made = tmp_path / "disk-1"
    acquired(partitioned(tmp_path / "made"), made / "exhibit 4" / "evidence")
    for seed in range(20, 24):
        (made / "phone" / "DCIM").mkdir(parents=True, exist_ok=True)
        (made / "phone" / "DCIM" / f"{seed}.jpg").write_bytes(encode(textured(seed), "JPEG"))
    (made / "phone" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0nothing")
    (tmp_path / "q.jpg").write_bytes(encode(textured(10), "JPEG", quality=70))
    return made


def places(case):
    found = run_json("search", case, case.parent / "q.jpg", "-k", 50)
    return {(seen["locator"], match["sha256"]) for match in found["matches"] for seen in match["sightings"]}


def verified(case):
    first = run_json("search", case, case.parent / "q.jpg", "--verify")["matches"][0]
    return (first["verification"] or {}).get("verified")


def totals(case):
    status = run_json("status", case)
    return {name: status[name] for name in ("items", "sightings", "issues")}


def log(case):
    return [json.loads(line) for line in (case / "audit.jsonl").read_text().splitlines()]


def test_move_the_evidence_disk(disk, tmp_path):
    case, other = tmp_path / "case", tmp_path / "disk-2"
    assert run("init", case).returncode == 0
    assert run("ingest", case, disk).returncode == 0
    before, counted = places(case), totals(case)
    assert verified(case)
    disk.rename(other)
    assert not verified(case)

    done = run("relocate", case, disk / "phone", tmp_path / "nowhere")
    assert (done.returncode, b"no such file or folder" in done.stderr) == (1, True)
    done = run("relocate", case, tmp_path / "disc-1", other)
    assert (done.returncode, b"did you mean" in done.stderr) == (2, True)

    # A file that was changed on the way stops it, and is named.
    moved = other / "phone" / "DCIM" / "21.jpg"
    right = moved.read_bytes()
    moved.write_bytes(right[:-1] + b"x")
    done = run("relocate", case, disk, other)
    assert (done.returncode, b"21.jpg" in done.stdout, places(case) == before) == (1, True, True)
    moved.write_bytes(right)

    made = run_json("relocate", case, disk, other, "--dry-run")
    assert (made["moved"], made["checked"], places(case) == before) == (False, len(before), True)
    assert run("relocate", case, disk, other, "--all").returncode == 0
    expected = {(locator.replace("disk-1", "disk-2"), sha256) for locator, sha256 in before}
    assert places(case) == expected
    assert verified(case)
    assert str(other) in run("issues", case).stdout.decode()
    assert run("check", case, "--sources").returncode == 0

    # Ingesting from where it lies now finds what is known, whatever it is asked to read again.
    assert run("ingest", case, other).returncode == 0
    assert run("ingest", case, other, "--reread").returncode == 0
    assert totals(case) == counted
    entry = next(entry for entry in reversed(log(case)) if entry["action"] == "relocate")
    assert entry["subject"] == {"old": str(disk), "new": str(other)}
    assert (entry["counts"]["sightings"], entry["arguments"]["digests"]) == (len(before), "all")

    assert run("relocate", case, "--undo").returncode == 0
    assert places(case) == before
    assert run("relocate", case, "--undo").returncode == 1
    (made,) = run_json("relocate", case, "--list")
    assert made["undone_utc"]
    assert run("check", case).returncode == 0


def test_who_ingests_from_the_new_place_first_counts_nothing_twice_once_it_is_relocated(disk, tmp_path):
    case, other = tmp_path / "case", tmp_path / "disk-2"
    assert run("init", case).returncode == 0
    assert run("ingest", case, disk).returncode == 0
    counted, before = totals(case), places(case)
    disk.rename(other)
    assert run("ingest", case, other).returncode == 0
    assert totals(case)["sightings"] == 2 * counted["sightings"]
    both = places(case)
    assert run("relocate", case, disk, other).returncode == 0
    assert totals(case) == counted
    assert places(case) == both - before
    assert run("relocate", case, "--undo").returncode == 0
    assert places(case) == both


def test_names_of_any_bytes_move_too(tmp_path):
    old, new = os.fsencode(tmp_path) + b"/caf\xe9", os.fsencode(tmp_path) + b"/n\xffw"
    os.mkdir(old)
    with open(old + b"/a\xe9.jpg", "wb") as file:
        file.write(encode(textured(1), "JPEG"))
    case = os.fsencode(tmp_path) + b"/case\xe8"
    assert run("init", os.fsdecode(case), "--portable").returncode == 0
    assert run("ingest", os.fsdecode(case), os.fsdecode(old)).returncode == 0
    os.rename(old, new)
    done = run("relocate", os.fsdecode(case), os.fsdecode(old), os.fsdecode(new))
    assert done.returncode == 0, done.stderr
    assert "n\\xffw" in run("relocate", os.fsdecode(case), "--list").stdout.decode()
    (shown,) = run_json("show", os.fsdecode(case), "1")["sightings"]
    assert "n\\xffw" in shown["path"]
    assert run("relocate", os.fsdecode(case), "--undo").returncode == 0
    (shown,) = run_json("show", os.fsdecode(case), "1")["sightings"]
    assert "caf\\xe9" in shown["path"]


@pytest.mark.parametrize("typed", ["E:\\evidence", "e:/evidence/", "E:"])
def test_a_drive_of_windows_is_followed_to_another_system(tmp_path, typed):
    """The case was made where paths begin with a letter: here, its places are written so."""
    there = tmp_path / "mnt" / "evidence" / "phone"
    there.mkdir(parents=True)
    (there / "a.jpg").write_bytes(encode(textured(1), "JPEG"))
    case = tmp_path / "case"
    assert run("init", case).returncode == 0
    assert run("ingest", case, there).returncode == 0
    with Case.open(case) as opened, opened.change("relocate") as change:
        change.writer.relocations.move(str(there), "E:\\evidence\\phone", "now")
    assert run_json("show", case, "1")["sightings"][0]["path"] == "E:\\evidence\\phone\\a.jpg"
    target = there.parent.parent if typed == "E:" else there.parent
    done = run("relocate", case, typed, target)
    assert done.returncode == 0, done.stderr
    assert run_json("show", case, "1")["sightings"][0]["path"] == str(there / "a.jpg")
    assert run("ingest", case, there).returncode == 0
    assert totals(case)["sightings"] == 1


def test_what_is_amiss_stays_where_it_was(disk, tmp_path):
    case, other = tmp_path / "case", tmp_path / "disk-2"
    assert run("init", case).returncode == 0
    assert run("ingest", case, disk).returncode == 0
    shutil.move(disk / "phone", other)
    (other / "DCIM" / "20.jpg").unlink()
    assert run("relocate", case, disk / "phone", other).returncode == 1
    made = run_json("relocate", case, disk / "phone", other, "--partial")
    assert [one["place"] for one in made["amiss"]] == [str(other / "DCIM" / "20.jpg")]
    assert {locator for locator, _ in places(case) if "20.jpg" in locator} == {f"file:{disk}/phone/DCIM/20.jpg"}
    assert made["sightings"] == 3


def test_a_portable_case_travels_with_its_sources(disk, tmp_path):
    """The whole disk gets another mount point, or a copy of it is taken elsewhere, under another name too."""
    case = disk / "cases" / "2024-117"
    assert run("init", case, "--portable").returncode == 0
    assert run("ingest", case, disk / "exhibit 4", disk / "phone").returncode == 0
    (disk / "cases" / "q.jpg").write_bytes((tmp_path / "q.jpg").read_bytes())
    counted, before = totals(case), places(case)
    for name, kept in (("mnt/disk-2", "2024-117"), ("disk-3", "the same")):
        there = tmp_path / name
        there.parent.mkdir(exist_ok=True)
        disk = shutil.move(disk, there)
        (there / "cases" / case.name).rename(there / "cases" / kept)
        case = there / "cases" / kept
        assert places(case) == {(locator.replace("disk-1", name), sha256) for locator, sha256 in before}
        assert verified(case)
        assert run("ingest", case, there / "exhibit 4", there / "phone").returncode == 0
        assert totals(case) == counted
        entry = next(entry for entry in reversed(log(case)) if entry["action"] == "followed")
        assert entry["arguments"] == {"portable": True}
    assert run("audit", "verify", case).returncode == 0
