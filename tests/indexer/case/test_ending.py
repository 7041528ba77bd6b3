"""What is said of a run: that it goes on, that it is done, or why it is not; each as it was."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imgmatch.errors import CaseError, MachineError
from indexer.case import ending
from indexer.case.case import Case
from indexer.case.ending import Stopped
from tests.conftest import ROOT, encode, picture, run, run_json
from tests.indexer.vectors import SPEC


def last(path):
    with Case.open(path) as case:
        return case.last_run("ingest")


def broken(path, error):
    with Case.create(path, model=SPEC) as case, pytest.raises(type(error)), case.writing(), case.run("ingest"):
        raise error
    return last(path)


@pytest.mark.parametrize(
    ("error", "state", "why"),
    [
        (MachineError("this machine can't go on: no space left on device"), "failed", "no space left on device"),
        (CaseError("database or disk is full"), "failed", "database or disk is full"),
        (ZeroDivisionError("by nought"), "failed", "internal error (ZeroDivisionError: by nought)"),
        (KeyboardInterrupt(), "interrupted", "Ctrl-C"),
        (Stopped("SIGTERM", 143), "interrupted", "SIGTERM"),
    ],
)
def test_what_ended_a_run_is_told_in_the_catalogue_and_in_the_log(tmp_path, error, state, why):
    found = broken(tmp_path / "case", error)
    assert found["state"] == state
    assert why in found["why"]
    with Case.open(tmp_path / "case") as case:
        (said,) = case.log.entries(last=1)
    assert (said["action"], said["state"], said["why"]) == ("ingest", state, found["why"])
    assert not (tmp_path / "case" / ending.RESERVE).exists()


def test_a_run_that_is_done_is_finished_and_says_nothing_more(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        with case.writing(), case.run("ingest"):
            during = case.last_run("ingest")
        assert (during["state"], during["why"].split(" on ")[0]) == ("running", f"process {os.getpid()}")
        assert (case.last_run("ingest")["state"], case.last_run("ingest")["why"]) == ("finished", "")


CUT_OFF = (
    "import os, signal, sys; from indexer.case.case import Case; from tests.indexer.vectors import SPEC\n"
    "with Case.open(sys.argv[1]) as case, case.writing(), case.run('ingest'):\n"
    "    print('in', flush=True); sys.stdin.read(1); os.kill(os.getpid(), signal.SIGKILL)"
)


@pytest.fixture
def cut_off(tmp_path):
    """A case whose run was killed, and what was said of it while it ran."""
    Case.create(tmp_path / "case", model=SPEC).close()
    process = subprocess.Popen(
        [sys.executable, "-c", CUT_OFF, tmp_path / "case"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    process.stdout.readline()
    before = last(tmp_path / "case")
    process.communicate(b"x")
    return tmp_path / "case", before, process.pid


def test_a_killed_run_is_running_until_then_and_interrupted_from_then_on(cut_off):
    path, before, pid = cut_off
    assert (before["state"], f"process {pid} on " in before["why"]) == ("running", True)
    after = last(path)
    assert (after["state"], "it was killed" in after["why"], f"{pid}" in after["why"]) == ("interrupted", True, True)


def test_another_process_that_has_the_number_since_is_not_taken_for_it(cut_off):
    path, _, _ = cut_off
    with Case.open(path) as case, case.change("test") as change:  # as if the kernel had given us its number
        change.writer.runs.set_running(1, ending.this_process())
    assert last(path)["state"] == "interrupted"


def test_a_machine_that_was_started_again_and_another_one_are_told_apart(cut_off, monkeypatch):
    path, _, _ = cut_off
    monkeypatch.setattr(ending, "_boot", lambda: "another")
    assert "the machine was restarted" in last(path)["why"]
    monkeypatch.setattr(ending.platform, "node", lambda: "elsewhere")
    assert "can't be seen from here" in last(path)["why"]


def test_the_next_run_settles_what_became_of_a_killed_one(cut_off):
    path, _, _ = cut_off
    with Case.open(path) as case:
        with case.writing(), case.run("ingest"):
            pass
        with case.use("test") as use:
            states = [(row[8], row[9]) for row in use.catalogue.runs.all()]
    assert states[1] == ("finished", "")
    assert states[0][0] == "interrupted"
    assert "process was gone" in states[0][1]


@pytest.mark.parametrize(("number", "code", "why"), [(signal.SIGTERM, 130, "SIGTERM"), (signal.SIGINT, 130, "Ctrl-C")])
def test_a_signal_is_told_from_outside(tmp_path, number, code, why):
    (tmp_path / "in").mkdir()
    for seed in range(300):
        Path(tmp_path / "in" / f"{seed}.jpg").write_bytes(encode(picture(seed, (900, 700)), "JPEG"))
    assert run("init", tmp_path / "case").returncode == 0
    words = [sys.executable, "-m", "cli.main", "ingest", tmp_path / "case", tmp_path / "in"]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(400):
        if (tmp_path / "case" / ending.RESERVE).exists():
            break
        time.sleep(0.05)
    time.sleep(0.2)
    assert run_json("status", tmp_path / "case")["last_ingest"]["state"] == "running"
    process.send_signal(number)
    assert process.wait(60) == code
    found = run_json("status", tmp_path / "case")["last_ingest"]
    assert (found["state"], found["why"]) == ("interrupted", f"stopped by {why}")
    lines = (tmp_path / "case" / "audit.jsonl").read_text().splitlines()
    assert json.loads(lines[-1])["state"] == "interrupted"
