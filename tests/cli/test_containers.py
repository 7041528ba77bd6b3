"""A disk image says who acquired it, and proves itself: what it stores is kept, shown, and compared with its bytes."""

import json
import shutil
import zlib

import pytest

from tests.conftest import encode, picture, run, run_json
from tests.images import acquired, partitioned
from tests.imgmatch.evidence.test_searched import dmg

TOLD = {
    "case number": "2024-117", "evidence number": "Item 4", "examiner": "Ada Lovelace", "description": "Telephone",
    "notes": "Found in the kitchen",
}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A case with an E01, a raw image, a DMG and a picture beside them."""
    made = tmp_path_factory.mktemp("containers")
    disk = partitioned(made / "made")
    acquired(disk, made / "in" / "evidence", "-S", "1MiB")
    shutil.copyfile(disk, made / "in" / "raw.dd")
    (made / "in" / "mac.dmg").write_bytes(dmg(disk.read_bytes(), 0x80000005))
    (made / "in" / "a.jpg").write_bytes(encode(picture(3), "JPEG"))
    assert run("init", made / "case").returncode == 0
    # Sources are named as they lie, wherever the command was run.
    assert run("ingest", made / "case", "in", cwd=made, env=_env()).returncode == 0
    return made


def _env():
    import os

    from tests.conftest import ROOT

    return {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def copied(folder, tmp_path):
    """The same, to be changed: case and sources at the place of the tests alone."""
    shutil.copytree(folder / "case", tmp_path / "case")
    shutil.copytree(folder / "in", tmp_path / "in", copy_function=shutil.copy2)
    assert run("relocate", tmp_path / "case", folder / "in", tmp_path / "in").returncode == 0
    return tmp_path


def images(case, *options):
    done = run("check", case, "--containers", "--format", "json", *options)
    return done, {row["path"].rpartition("/")[2]: row for row in json.loads(done.stdout)}


def test_what_an_image_says_is_shown_with_it_and_with_what_was_found_in_it(folder):
    case = folder / "case"
    image = run_json("show", case, folder / "in" / "evidence.E01")
    assert image["facts"].items() >= TOLD.items()
    assert image["facts"]["acquired"].endswith("Z")
    assert set(image["hashes"]) == {"md5", "sha1"}
    inside = next(m for m in run_json("search", case, folder / "in" / "a.jpg", "-k", 50)["matches"] if any(
        "evidence.E01" in seen["path"] for seen in m["sightings"]))  # fmt: skip
    shown = run_json("show", case, inside["item_id"])
    assert {one["path"].rpartition("/")[2] for one in shown["containers"]} == {"evidence.E01", "raw.dd", "mac.dmg"}
    table = run("show", case, inside["item_id"]).stdout.decode()
    for text in (*TOLD.values(), image["hashes"]["md5"], image["hashes"]["sha1"]):
        assert text in table
    assert run_json("show", case, folder / "in" / "a.jpg")["containers"] == []


def test_a_statement_names_images_and_sources_in_full(folder, tmp_path):
    assert run("audit", "statement", folder / "case", "1", "-o", tmp_path / "s").returncode == 0
    text = (tmp_path / "s" / "statement.txt").read_text()
    for said in (*TOLD.values(), str(folder / "in"), f"{folder}/in/evidence.E01: E01"):
        assert said in text
    made = json.loads((tmp_path / "s" / "statement.json").read_text())
    assert made["run"]["arguments"]["paths"] == [str(folder / "in")]
    assert [image["facts"].get("examiner") for image in made["images"] if image["kind"] == "E01"] == ["Ada Lovelace"]


def test_a_report_names_the_images_and_who_acquired_them(folder, tmp_path):
    done = run("export", folder / "case", folder / "in" / "a.jpg", "--no-images", "-o", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    text = "".join(path.read_text() for path in (tmp_path / "report").glob("*.html"))
    for said in (*TOLD.values(), run_json("show", folder / "case", folder / "in" / "evidence.E01")["hashes"]["md5"]):
        assert said in text


def test_check_reads_images_whole_and_says_what_it_found(copied):
    done, found = images(copied / "case")
    assert done.returncode == 0, done.stderr
    assert b"2 of 3 disk images read whole" in done.stderr
    assert found["evidence.E01"]["verified"].startswith("as it says")
    assert found["mac.dmg"]["checked_utc"]
    assert found["raw.dd"]["verified"].startswith("stores no hash")
    done, found = images(copied / "case", "--keep-hashes")
    assert set(found["raw.dd"]["made"]) == {"md5", "sha1", "sha256"}
    shown = run_json("show", copied / "case", copied / "in" / "raw.dd")
    assert shown["verified"].startswith("as when it was hashed")
    assert run("ingest", copied / "case", copied / "in").returncode == 0
    done, found = images(copied / "case")
    assert (done.returncode, b"3 of 3 disk images" in done.stderr) == (0, True)


def test_a_byte_where_no_picture_lies_is_found_by_the_hash(copied):
    assert images(copied / "case", "--keep-hashes")[0].returncode == 0
    for name in ("raw.dd", "mac.dmg"):
        path = copied / "in" / name
        data = bytearray(path.read_bytes())
        at = 1024 if name == "raw.dd" else 2000
        data[at] ^= 1
        path.write_bytes(data)
    segment = sorted((copied / "in").glob("evidence.E*"))[-1]
    data = bytearray(segment.read_bytes())
    at = data.rindex(b"hash".ljust(16, b"\0")) + 76
    data[at] ^= 1
    data[at + 32 : at + 36] = zlib.adler32(data[at : at + 32]).to_bytes(4, "little")
    segment.write_bytes(data)
    done, found = images(copied / "case")
    assert done.returncode == 1
    assert b"3 disk images are not as they say" in done.stderr
    for name in ("raw.dd", "mac.dmg", "evidence.E01"):
        assert found[name]["faults"], name
    shown = run("show", copied / "case", copied / "in" / "raw.dd").stdout.decode()
    assert "NOT as it says" in shown
    entry = json.loads((copied / "case" / "audit.jsonl").read_text().splitlines()[-2])
    assert (entry["action"], entry["counts"]["faults"]) == ("checked", 3)


def test_check_says_how_many_places_it_read(folder):
    done = run("check", folder / "case", "--sources")
    assert done.returncode == 0, done.stderr
    places = run_json("status", folder / "case")["sightings"]
    assert f"{places} of {places} places read again, in 4 files" in done.stderr.decode()


def test_an_image_that_is_gone_is_said_to_be(copied):
    (copied / "in" / "evidence.E01").unlink()
    done, found = images(copied / "case")
    assert done.returncode == 1
    assert found["evidence.E01"]["verified"].startswith("NOT as it says")


def test_a_broken_log_is_said_at_once(folder, tmp_path):
    case = tmp_path / "case"
    shutil.copytree(folder / "case", case)
    assert b"WARNING" not in run("search", case, folder / "in" / "a.jpg").stderr
    log = case / "audit.jsonl"
    log.write_bytes(log.read_bytes().replace(b'"ingest_started"', b'"ingest_Started"'))
    for _ in range(2):
        done = run("search", case, folder / "in" / "a.jpg")
        assert done.returncode == 0
        assert b"WARNING" in done.stderr
        assert b"imgmatch audit verify" in done.stderr
