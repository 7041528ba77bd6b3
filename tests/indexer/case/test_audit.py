"""The audit log: that any change shows, that a kill does not look like one, and that use goes on."""

import io
import json
import os
import pwd
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from imgmatch.errors import CaseError, UsageError
from imgmatch.models import DEFAULT_MODEL, model_spec
from indexer.case import audit, chain
from indexer.case.audit import AuditLog
from indexer.case.behalf import append_once
from indexer.case.case import Case
from indexer.case.chain import Head
from indexer.case.newest import page
from indexer.case.redaction import digest
from indexer.catalogue import Catalogue
from tests.conftest import run
from tests.indexer.vectors import inside

ENTRIES = 20


def make(folder):
    """A log with its catalogue, without the weight of a case."""
    catalogue = Catalogue(folder / "catalogue.sqlite")
    catalogue.create()
    with catalogue.transaction() as writer:
        writer.custody.set_log_state(audit.EMPTY)
    return AuditLog(folder / "audit.jsonl", catalogue)


@pytest.fixture(scope="module")
def template(tmp_path_factory):
    folder = tmp_path_factory.mktemp("written")
    made = make(folder)
    for number in range(ENTRIES):
        made.append("search", {"query": f"file:/q{number}.jpg", "k": number, "note": "ä" * (number * 50)})
    made.settle()
    made._catalogue.checkpoint()
    made._catalogue.close()
    return folder


@pytest.fixture
def log(tmp_path, template):
    for path in template.iterdir():
        shutil.copy(path, tmp_path)
    made = AuditLog(tmp_path / "audit.jsonl", Catalogue(tmp_path / "catalogue.sqlite"))
    yield made
    made._catalogue.close()


def test_an_untouched_log_has_no_fault_and_says_who_and_when(log):
    found = log.verify()
    assert (found.faults, found.notes) == ([], [])
    assert found.head == log.head()
    entries = [json.loads(line) for line in log.path.read_text().splitlines()]
    assert [entry["entry"] for entry in entries] == list(range(1, ENTRIES + 1))
    assert all(entry["actor"] and entry["time_utc"].endswith("Z") and entry["version"] for entry in entries)


def _edit(lines, rng):
    at = rng.randrange(len(lines))
    entry = json.loads(lines[at])
    entry[rng.choice(sorted(entry))] = rng.choice(["x", 7, None])
    lines[at] = json.dumps(entry, sort_keys=True).encode() + b"\n"


def _cut(lines, rng):
    start = rng.randrange(len(lines))
    del lines[start : start + rng.choice([1, 1, 2, 5, len(lines)])]


def _cut_end(lines, rng):
    del lines[len(lines) - rng.randrange(1, len(lines)) :]


def _swap(lines, rng):
    one, other = rng.sample(range(len(lines)), 2)
    lines[one], lines[other] = lines[other], lines[one]


def _double(lines, rng):
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))


def _flip(lines, rng):
    data = bytearray(b"".join(lines))
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    lines[:] = [bytes(data)]


def _tear(lines, rng):
    data = b"".join(lines)
    lines[:] = [data[: rng.randrange(len(data))]]


def _forge(lines, rng):
    """An entry that continues the chain as a real one would."""
    entry = json.loads(lines[-1])
    entry |= {"entry": entry["entry"] + 1, "before": digest(lines[-1])}
    lines.append(json.dumps(entry, sort_keys=True).encode() + b"\n")


def _rechain(lines, rng):
    """An entry is changed and every one after it chained anew: only the head in the catalogue tells."""
    at = rng.randrange(len(lines))
    entry = json.loads(lines[at])
    entry["actor"] += "x"
    lines[at] = json.dumps(entry, sort_keys=True).encode() + b"\n"
    for place in range(at + 1, len(lines)):
        entry = json.loads(lines[place])
        entry["before"] = digest(lines[place - 1])
        lines[place] = json.dumps(entry, sort_keys=True).encode() + b"\n"


def _blank(lines, rng):
    lines.insert(rng.randrange(len(lines) + 1), rng.choice([b"\n", b" \n", b"{}\n", b"null\n", b"\x00"]))


CHANGES = (_edit, _cut, _cut_end, _swap, _double, _flip, _tear, _forge, _rechain, _blank)


@pytest.mark.claim("L1")
def test_a_thousand_random_changes_are_each_found(log):
    right = log.path.read_bytes()
    state = log._catalogue.custody.log_state()
    assert not chain.verify("log", io.BytesIO(right), state).faults
    tried = dict.fromkeys(CHANGES, 0)
    for seed in range(1200):
        rng = random.Random(seed)
        change = rng.choice(CHANGES)
        lines = right.splitlines(keepends=True)
        change(lines, rng)
        data = b"".join(lines)
        if data == right:
            continue
        tried[change] += 1
        assert chain.verify("log", io.BytesIO(data), state).faults, (change.__name__, seed)
    assert sum(tried.values()) >= 1000
    assert min(tried.values()) > 50


def test_a_noted_head_is_found_again_and_a_wrong_one_is_not(log):
    noted = log.head()
    assert Head.parse(str(noted)) == noted
    log.append("search", {})
    assert log.verify([noted]).faults == []
    wrong = log.verify([Head(noted.entry - 1, noted.sha256)]).faults
    assert len(wrong) == 1
    assert "not the one that was noted" in wrong[0]
    assert log.verify([Head(99, noted.sha256)]).faults
    with pytest.raises(UsageError, match="NUMBER:SHA256"):
        Head.parse("5")


@pytest.mark.claim("L3")
def test_a_log_and_catalogue_put_back_together_is_told_by_the_noted_head(log, tmp_path):
    early = log.path.read_bytes()
    state = log._catalogue.custody.log_state()
    log.append("search", {"query": "file:/secret.jpg"})
    noted = log.head()
    log.path.write_bytes(early)
    with log._catalogue.transaction() as writer:
        writer.custody.set_log_state(state)
    assert log.verify().faults == []
    assert log.verify([noted]).faults


@pytest.mark.parametrize("written", [0, 1, 40, None, -1])
def test_a_kill_between_the_two_writes_is_no_fault_and_is_healed(log, written):
    """Entries committed to the catalogue, of whose lines the log has none, a part, one and a part, or all."""
    before = log.path.read_bytes()
    for number in range(2):
        with log._catalogue.log_transaction() as writer:
            log.add(writer, "search", {"query": f"late {number}"})
    waiting = log._catalogue.custody.log_state().waiting
    with log.path.open("ab") as file:
        file.write(waiting[:written])
    found = log.verify()
    assert found.faults == []
    assert len(found.notes) == (written is not None)
    log.append("search", {"query": "next"})
    found = log.verify()
    assert (found.faults, found.notes) == ([], [])
    assert log.path.read_bytes().startswith(before + waiting)
    assert "log_fault" not in log.path.read_text()


def test_what_looks_like_a_kill_but_is_not_is_a_fault(log):
    log.path.write_bytes(log.path.read_bytes()[:-10])  # nothing waits, so nothing can have been torn
    assert log.verify().faults
    with log._catalogue.log_transaction() as writer:
        log.add(writer, "search", {})
    assert log.verify().faults


@pytest.mark.parametrize("change", [_cut_end, _edit, _tear, _forge])
def test_use_of_a_changed_log_goes_on_says_so_and_hides_nothing(log, change):
    lines = log.path.read_bytes().splitlines(keepends=True)
    change(lines, random.Random(5))
    changed = b"".join(lines)
    log.path.write_bytes(changed)
    for _ in range(2):
        log.append("search", {})
        assert log.verify().faults
    assert log.path.read_bytes().startswith(changed)
    last, after = (json.loads(line) for line in log.path.read_bytes().splitlines()[-2:])
    if change is not _edit:  # a change inside is for verify to find, not for every use
        assert "the log" in last["log_fault"]
    assert "log_fault" not in after


def test_a_missing_log_is_a_fault_and_is_begun_again(log):
    log.path.unlink()
    assert "missing" in log.verify().faults[0]
    log.append("search", {})
    assert json.loads(log.path.read_bytes())["log_fault"] == "the log was missing"
    assert log.verify().faults


def test_a_log_of_an_older_case_is_taken_over(tmp_path, log):
    """The catalogue of a case of an older format knows nothing of its log."""
    (tmp_path / "old").mkdir()
    old = AuditLog(tmp_path / "old" / "audit.jsonl", Catalogue(tmp_path / "old" / "catalogue.sqlite"))
    old._catalogue.create()
    old.path.write_bytes(log.path.read_bytes())
    old.adopt()
    found = old.verify()
    assert (found.faults, found.notes) == ([], [])
    assert old.head() == log.head()
    old.append("search", {})
    found = old.verify()
    assert (found.faults, found.notes, found.head.entry) == ([], [], ENTRIES + 1)
    old._catalogue.close()


@pytest.mark.claim("L2")
def test_a_head_that_is_gone_from_the_catalogue_is_a_fault(log):
    with log._catalogue.transaction() as writer:
        writer._db.execute("DELETE FROM audit_head")
    assert "lost the head" in log.verify().faults[0]
    log.append("search", {})
    assert "lost" in json.loads(log.path.read_bytes().splitlines()[-1])["log_fault"]


@pytest.mark.claim("L4")
@pytest.mark.parametrize(
    "waiting",
    [
        b"garbage\n",
        b"\xff\xfe\0\n",
        b"[" * 100_000 + b"\n",
        b'{"entry": "5"}\n',
        b"[]\n",
        b'{"entry": 5, "before": 3}\n',
    ],
    ids=["text", "bytes", "deep", "types", "list", "hash"],
)
def test_what_is_no_entry_is_a_fault_wherever_it_stands(log, waiting):
    state = log._catalogue.custody.log_state()
    with log._catalogue.transaction() as writer:
        writer.custody.set_log_state(replace(state, entry=state.entry + 1, waiting=waiting))
    assert "is no entry" in log.verify([log.head()]).faults[0]
    with log._catalogue.transaction() as writer:
        writer.custody.set_log_state(state)
    log.path.write_bytes(log.path.read_bytes() + waiting)
    assert any("is no entry" in fault for fault in log.verify().faults)
    assert list(log.entries())[-1]["action"] == "unreadable" or waiting.startswith(b"{")


def test_a_line_without_end_is_a_fault_and_is_read_in_pieces(log, monkeypatch):
    monkeypatch.setattr("indexer.case.chain._LONGEST_LINE_BYTES", 1 << 16)
    monkeypatch.setattr("indexer.case.newest._MOST_BLOCKS", 4)
    with log.path.open("ab") as file:
        file.write(b"[" * (1 << 20))
    assert log.verify().faults
    lengths = [len(entry.get("line", "")) for entry in log.entries()]
    assert len(lengths) > 16
    assert max(lengths) <= 1 << 16
    entries, before = page(log.file, 5)
    assert len(entries[-1]["damaged"]) == 10_000
    assert before > 0


@pytest.mark.claim("U5")
def test_the_system_says_who_it_was_and_the_environment_what_they_are_called(tmp_path):
    case = tmp_path / "case"
    called = {**os.environ, "LOGNAME": "chief.inspector", "USER": "chief.inspector"}
    assert run("init", case, "--examiner", "Anna", env=called).returncode == 0
    (entry,) = [json.loads(line) for line in (case / "audit.jsonl").read_bytes().splitlines()]
    name = pwd.getpwuid(os.getuid()).pw_name
    assert entry["actor"] == f"{name} (uid {os.getuid()})"
    assert entry["declared"] == "chief.inspector"
    shown = run("audit", "show", case).stdout.decode()
    assert f"{name} (uid {os.getuid()}), called chief.inspector" in shown
    plain = {name: value for name, value in os.environ.items() if name not in ("LOGNAME", "USER", "LNAME", "USERNAME")}
    assert run("init", tmp_path / "other", env=plain).returncode == 0
    assert "declared" not in json.loads((tmp_path / "other" / "audit.jsonl").read_bytes())


def test_a_log_that_cannot_be_written_stops_the_use_and_the_entry_is_not_lost(log):
    log.path.rename(log.path.with_name("elsewhere"))
    log.path.mkdir()
    with pytest.raises(CaseError, match="can't be recorded"):
        log.append("search", {"query": "lost?"})
    log.path.rmdir()
    log.path.with_name("elsewhere").rename(log.path)
    log.append("search", {})
    assert log.verify().faults == []


def test_entries_are_chosen_by_time_action_and_number(log):
    log.append("decide", {})
    assert [entry["action"] for entry in log.entries(action="decide")] == ["decide"]
    assert [entry["entry"] for entry in log.entries(last=2)] == [ENTRIES, ENTRIES + 1]
    time = json.loads(log.path.read_bytes().splitlines()[-1])["time_utc"]
    assert [entry["entry"] for entry in log.entries(since=time)][-1] == ENTRIES + 1
    assert list(log.entries(since="9999")) == []


WORKER = """
import sys
from pathlib import Path
from indexer.case.audit import AuditLog
from indexer.catalogue import Catalogue
folder = Path(sys.argv[1])
log = AuditLog(folder / "audit.jsonl", Catalogue(folder / "catalogue.sqlite"))
print("ready", flush=True)
for number in range(int(sys.argv[2])):
    log.append("search", {"worker": sys.argv[3], "number": number})
"""


def _start(folder, count, name):
    command = [sys.executable, "-c", WORKER, str(folder), str(count), name]
    process = subprocess.Popen(command, stdout=subprocess.PIPE)
    process.stdout.readline()
    return process


def test_processes_that_write_at_once_make_one_chain_and_verify_meanwhile_sees_no_fault(tmp_path):
    log = make(tmp_path)
    workers = [_start(tmp_path, 40, str(name)) for name in range(2)]
    while any(worker.poll() is None for worker in workers):
        assert log.verify().faults == []
        time.sleep(0.02)
    assert [worker.returncode for worker in workers] == [0, 0]
    found = log.verify()
    assert (found.faults, found.notes, found.head.entry) == ([], [], 80)


@pytest.mark.claim("L5")
@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs SIGKILL")
def test_kills_at_random_moments_never_look_like_tampering(tmp_path):
    log = make(tmp_path)
    rng = random.Random(1)
    for kill in range(5):
        worker = _start(tmp_path, 100_000, str(kill))
        time.sleep(rng.random() * 0.1)
        os.kill(worker.pid, signal.SIGKILL)
        worker.wait()
        assert log.verify().faults == []
        log.append("search", {"after": kill})
        found = log.verify()
        assert (found.faults, found.notes) == ([], [])
    assert "log_fault" not in log.path.read_text()


def test_entries_stand_in_the_log_at_once_and_wait_in_the_catalogue_until_it_is_forced_to_disk(log):
    written = log.path.read_bytes()
    most = 0
    for number in range(40):
        log.append("search", {"query": f"{number}" * 100})
        state = log._catalogue.custody.log_state()
        assert log.path.read_bytes().endswith(state.waiting)
        most = max(most, len(state.waiting))
    assert 5_000 < most < 20_000
    lost = log.path.read_bytes()
    log.path.write_bytes(lost[: -len(state.waiting)])  # as a pulled plug may leave it
    assert log.verify().faults == []
    log.settle()
    assert log.path.read_bytes() == lost
    assert lost.startswith(written)
    assert log._catalogue.custody.log_state().waiting == b""
    assert (log.verify().faults, log.verify().notes) == ([], [])


def test_a_case_that_is_closed_leaves_nothing_waiting(tmp_path):
    with Case.create(tmp_path / "case", model=model_spec(DEFAULT_MODEL)) as case:
        for _ in range(3):
            with case.use("search"):
                pass
        assert inside(case).custody.log_state().waiting
    with Case.open(tmp_path / "case") as case:
        assert inside(case).custody.log_state().waiting == b""
        assert case.log.verify().faults == []


def test_an_entry_does_not_look_like_a_change_of_the_case(log):
    """What searches keep until the case changes (which vectors a filter lets through) outlives their own recording."""
    before = log._catalogue.data_version()
    log.append("search", {})
    assert log._catalogue.data_version() == before
    with log._catalogue.transaction() as writer:
        writer.meta.set({"purpose": "changed"})
    assert log._catalogue.data_version() != before


def _held(log, monkeypatch, count, work):
    """Many threads at once, while the first commit waits for all of them; what came of each, and how many commits."""
    commits, begun = [], threading.Semaphore(0)
    real = log._catalogue.log_transaction

    def slow(*, durable=True):
        if durable:
            commits.append(1)
            if len(commits) == 1:
                for _ in range(count):
                    assert begun.acquire(timeout=30)
                time.sleep(0.2)  # until they stand in the queue
        return real(durable=durable)

    def one(number):
        begun.release()
        try:
            return work(number)
        except CaseError as error:
            return error

    monkeypatch.setattr(log._catalogue, "log_transaction", slow)
    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(one, range(count))), len(commits)


def test_entries_of_threads_that_wait_share_a_commit_and_each_is_its_own(log, monkeypatch):
    heads, commits = _held(log, monkeypatch, 12, lambda number: log.append("search", {"k": number}))
    assert commits == 2
    assert sorted(head.entry for head in heads) == list(range(ENTRIES + 1, ENTRIES + 13))
    told = {entry["entry"]: entry["k"] for entry in log.entries()}
    assert [told[head.entry] for head in heads] == list(range(12))
    assert sorted(log.own) == sorted(head.entry for head in heads)
    assert log.verify().faults == []


def test_what_fails_for_entries_that_share_a_commit_fails_for_each(log, monkeypatch):
    log.path.unlink()
    log.path.mkdir()
    failed, commits = _held(log, monkeypatch, 6, lambda number: log.append("search", {"k": number}))
    assert commits == 2
    assert all(isinstance(error, CaseError) and "can't be recorded" in str(error) for error in failed)


def test_one_request_sent_by_many_threads_at_once_is_one_entry(log, monkeypatch):
    asked = {"request": "r", "person": "p", "counts": {"matches": 1}}
    heads, _ = _held(log, monkeypatch, 8, lambda number: append_once(log, "search", asked))
    assert {head.entry for head in heads} == {ENTRIES + 1}
    answer = append_once(log, "search", {**asked, "counts": {"matches": 2}})  # the case has changed since
    assert answer.entry == ENTRIES + 2
    with pytest.raises(UsageError, match="something else"):
        append_once(log, "search", {**asked, "arguments": {"k": 5}})
