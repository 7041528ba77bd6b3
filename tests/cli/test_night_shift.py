"""Ingests that nobody looks at: what they tell, what they leave out, how they wait, and folders that are watched."""

import json
import signal
import subprocess
import sys
import threading
import time

import pytest

from indexer.case.case import Case
from indexer.intake.arrivals import Arrivals
from tests.conftest import ROOT, encode, picture, run, run_json


def jpeg(seed, size=(96, 72)):
    return encode(picture(seed, size), "JPEG")


@pytest.fixture
def mixed(tmp_path):
    """Three pictures, one of them damaged, among what is none."""
    folder = tmp_path / "in"
    (folder / "cache").mkdir(parents=True)
    for seed in (1, 2):
        (folder / f"{seed}.jpg").write_bytes(jpeg(seed))
    (folder / "damaged.jpg").write_bytes(jpeg(3)[:30])
    (folder / "cache" / "Thumb.JPG").write_bytes(jpeg(4))
    for name in ("a.txt", "b.TXT", "c.txt", "d.xyz", "README"):
        (folder / name).write_text(f"nothing to see in {name}")
    assert run("init", tmp_path / "case").returncode == 0
    return folder


def test_a_summary_says_how_much_how_fast_of_what_and_what_to_do_next(tmp_path, mixed):
    done = run("ingest", tmp_path / "case", mixed, "--exclude", "CACHE/*")
    text = done.stdout.decode()
    assert "8 files" in text
    assert "files/s" in text
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "2 new pictures" in lines
    assert "1 files and folders passed over by --exclude" in lines
    assert "5 no pictures (txt 3, no ending 1, xyz 1)" in lines
    assert any(line.startswith("1 could not be used") for line in lines)
    assert "imgmatch issues" in lines[-1]
    assert "1 files or parts of files could not be used" in done.stderr.decode()
    # What is simply no picture is one line of the list.
    listed = run("issues", tmp_path / "case")
    assert "damaged.jpg" in listed.stdout.decode()
    assert "a.txt" not in listed.stdout.decode()
    assert "5 files are no pictures (txt 3, no ending 1, xyz 1)" in listed.stderr.decode()
    assert "a.txt" in run("issues", tmp_path / "case", "--kind", "not_a_picture").stdout.decode()
    status = run_json("status", tmp_path / "case")
    assert (status["issues"], status["not_pictures"]) == (6, 5)
    assert run("ingest", tmp_path / "case", mixed, "--exclude", "cache", "-q").stdout == b""


def test_of_pictures_only_the_others_are_counted_and_not_kept(tmp_path, mixed):
    told = run_json("ingest", tmp_path / "case", mixed, "--only-pictures")
    assert (told["new_items"], told["unusable"], told["not_pictures"]) == (3, 1, 5)
    assert told["not_picture_types"] == {"txt": 3, "xyz": 1, "no ending": 1}
    assert [row["path"].rpartition("/")[2] for row in run_json("issues", tmp_path / "case")] == ["damaged.jpg"]
    assert run("audit", "statement", tmp_path / "case", 1, "-o", tmp_path / "said").returncode == 0
    (mixed / "damaged.jpg").unlink()
    assert run("ingest", tmp_path / "case", mixed, "--only-pictures", "--reread", "--strict").returncode == 0


def test_the_log_has_a_line_now_and_then_and_one_for_each_issue(tmp_path, mixed):
    for _ in range(2):
        done = run("ingest", tmp_path / "case", mixed, "--log", tmp_path / "l.jsonl", "--every", "0.05", "--reread")
    assert b" files/s; " in done.stderr
    lines = [json.loads(line) for line in (tmp_path / "l.jsonl").read_text().splitlines()]
    events = [line["event"] for line in lines]
    assert events.count("start") == events.count("end") == 2
    assert events.count("issue") == 12
    assert (events[0], events[-1]) == ("start", "end")
    assert (lines[-1]["state"], lines[-1]["files"]) == ("finished", 9)
    assert all(line["time_utc"].endswith("Z") for line in lines)
    refused = run("ingest", tmp_path / "case", mixed, "--log", mixed / "l.jsonl")
    assert refused.returncode == 1
    assert b"is only read" in refused.stderr
    assert not (mixed / "l.jsonl").exists()


def test_an_ingest_waits_for_another_writer_and_no_longer(tmp_path, mixed):
    with Case.open(tmp_path / "case") as case:
        with case.writing():
            at_once = run("ingest", tmp_path / "case", mixed)
            assert b"another imgmatch is writing" in at_once.stderr
            words = [sys.executable, "-m", "cli.main", "ingest", tmp_path / "case", mixed, "--wait"]
            waiting = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL)
            assert b"waiting until it is done" in waiting.stderr.readline()
            time.sleep(1.0)
            assert waiting.poll() is None
        assert waiting.wait(60) == 0
        assert case.catalogue.counts()["items"] == 3


def test_what_arrives_is_taken_once_it_is_still(tmp_path, monkeypatch):
    clock = [0.0]
    monkeypatch.setattr("indexer.intake.arrivals.time.monotonic", lambda: clock[0])
    seen = Arrivals(tmp_path, 10)
    (tmp_path / "a.jpg").write_bytes(b"1")
    (tmp_path / "set.E01").write_bytes(b"1")
    seen.look()
    assert not seen.due
    clock[0] = 11
    (tmp_path / "set.E02").write_bytes(b"1")  # a part of a set that is not whole yet
    seen.look()
    assert set(seen.ready()) == {"a.jpg"}
    seen.taken(seen.ready())
    assert not seen.due
    with (tmp_path / "a.jpg").open("ab") as file:
        file.write(b"2")
        file.flush()
        clock[0] = 40
        seen.look()
        clock[0] = 60
        seen.look()
        assert "a.jpg" not in seen.ready() or sys.platform != "linux"  # still open to write
        assert {"set.E01", "set.E02"} <= set(seen.ready())
    assert seen.due
    assert "a.jpg" in seen.ready()


def test_a_watched_folder_is_ingested_through_a_kill_until_sigterm(tmp_path):
    folder, case = tmp_path / "in", tmp_path / "case"
    folder.mkdir()
    assert run("init", case).returncode == 0
    (folder / "0.jpg").write_bytes(jpeg(0))
    words = [sys.executable, "-m", "cli.main", "watch", case, folder, "--look", "0.3", "--still", "1"]
    words += ["--log", tmp_path / "log.jsonl", "--every", "0.3"]

    def items(wanted):
        for _ in range(300):
            with Case.open(case) as opened:
                if opened.catalogue.counts()["items"] >= wanted:
                    return
            time.sleep(0.1)
        raise AssertionError("never came in")

    first = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.DEVNULL)
    items(1)
    first.kill()
    first.wait()
    (folder / "1.jpg").write_bytes(jpeg(1))
    second = subprocess.Popen(words, cwd=ROOT, stderr=subprocess.PIPE)
    whole = jpeg(2, (500, 400))

    def slowly():
        with (folder / "2.jpg").open("wb", buffering=0) as file:
            for at in range(0, len(whole), len(whole) // 6 + 1):
                file.write(whole[at : at + len(whole) // 6 + 1])
                time.sleep(0.4)

    writer = threading.Thread(target=slowly)
    writer.start()
    items(3)
    writer.join()
    second.send_signal(signal.SIGTERM)
    _, said = second.communicate(timeout=60)
    assert second.returncode == 0
    assert b"has ended (SIGTERM)" in said
    status = run_json("status", case)
    assert (status["items"], status["partial_items"], status["issues"]) == (3, 0, 0)
    assert status["last_ingest"]["state"] == "finished"
    told = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    events = [line["event"] for line in told]
    assert events[0] == "watching"
    assert events[-1] == "watched"
    assert events.index("waiting") < events.index("start"), "what waits is told of before anything comes in"
    assert any(line.get("moving") for line in told if line["event"] == "waiting")


def test_status_lists_cases_of_a_folder_and_several_that_are_named(tmp_path):
    for name in ("a", "deep/b"):
        assert run("init", tmp_path / "cases" / name).returncode == 0
    listed = run_json("status", tmp_path / "cases")
    assert [row["case"].rpartition("cases/")[2] for row in listed] == ["a", "deep/b"]
    (tmp_path / "cases" / "a" / "catalogue.sqlite").write_bytes(b"no database")
    done = run("status", tmp_path / "cases" / "a", tmp_path / "cases" / "deep" / "b")
    assert done.returncode == 1
    assert b"1 of 2 cases can't be read" in done.stderr
    assert b"damaged" in done.stdout
    assert b"deep/b" in done.stdout
    (tmp_path / "none").mkdir()
    assert b"none lies in it" in run("status", tmp_path / "none").stderr


@pytest.mark.parametrize("only", [[], ["--only-pictures"]])
def test_what_is_called_a_picture_and_is_none_is_listed(tmp_path, mixed, only):
    """It was one and is damaged, or hides: only what is something else by name too is counted by type."""
    claims = ("wiped.JPG", "wiped.heic", "wiped.mp4", "wiped.zip", "wiped.E01")
    for name in claims:
        (mixed / name).write_bytes(b"\x91\x05" * 600)
    done = run("ingest", tmp_path / "case", mixed, *only)
    assert "not_a_picture 5" in done.stdout.decode()
    assert "6 files or parts of files could not be used" in done.stderr.decode()
    listed = run("issues", tmp_path / "case").stdout.decode()
    assert not [name for name in claims if name not in listed]
    assert "a.txt" not in listed
    status = run_json("status", tmp_path / "case")
    assert status["issues"] - status["not_pictures"] == 6
