"""The same attack from inside every kind of worker: nothing of it succeeds."""

import dataclasses
import os
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Literal, TypedDict

import pytest

from benchmarks.hostile_files import mutate, seeds
from imgmatch.errors import EvidenceError
from imgmatch.evidence import SourceLimits, SourceOptions, walk
from imgmatch.types import Issue
from imgmatch.workers import kinds, nursery, pictures, process, session
from imgmatch.workers.confine import syscall_filter
from imgmatch.workers.decode import Request
from imgmatch.workers.pictures import PicturePool
from imgmatch.workers.pool import Pool
from tests.conftest import ROOT, snapshot
from tests.imgmatch.workers import attack
from tests.imgmatch.workers.closed import CLOSED, IMPORTED

psutil = pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")
needs_filter = pytest.mark.skipif(syscall_filter() is None, reason="no seccomp here: Linux, pyseccomp and libseccomp")

VICTIM = "import sys; secret = b'12345678'; print(id(secret), flush=True); sys.stdin.read()"
# What the system may refuse to a process that is no parent and not root, confined or not.
NOT_EVERYWHERE = {"memory of the parent", "memory of the parent as a file", "environment of the parent", "trace"}


class Told(TypedDict):
    say: Literal["end"]
    error: str | None
    message: str
    what: str
    done: list[str]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = tmp_path / "evidence"
    folder.mkdir()
    (folder / "there").write_text("evidence")
    (tmp_path / "log").write_text("")
    monkeypatch.setenv("TEMP", str(tmp_path))
    monkeypatch.setattr(nursery, "_nursery", None)  # one that has this environment
    monkeypatch.setenv(attack.SECRET, "correct horse")
    return folder


@pytest.mark.claim("K1")
@needs_filter
@pytest.mark.parametrize("kind", attack.ATTACKERS, ids=[kind.name for kind in attack.ATTACKERS])
def test_a_worker_that_was_taken_over_can_do_nothing_but_compute(kind, folder):
    before, secret = snapshot(folder), bytearray(b"secret")
    with Pool(kind, 4 << 30, keep=1) as pool, pool.lent() as worker:
        held = dataclasses.asdict(worker.confinement)
        assert all(value for name, value in held.items() if name != "landlock"), held
        worker.ask({"folder": str(folder), "parent": os.getpid(), "address": id(secret)}, cpu_seconds=60)
        told, _ = worker.hear(Told)
        assert told["done"] == []
        assert (told["error"], worker.alive) == (None, True)
        running = psutil.Process(worker.pid)
        assert running.rlimit(psutil.RLIMIT_CORE) == (0, 0)
        assert attack.SECRET not in running.environ()
        assert not any("correct horse" in word for word in running.cmdline())
        opened = {os.readlink(link) for link in Path(f"/proc/{worker.pid}/fd").iterdir()}
        assert {name.partition(":")[0] for name in opened} == {"pipe", os.devnull, str(folder.parent / "log")}
        assert running.children() == []
    assert snapshot(folder) == before
    assert (folder.parent / "log").read_bytes() == b""


@pytest.mark.claim("K4")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="core dumps as Linux makes them")
@pytest.mark.parametrize("kind", attack.ATTACKERS, ids=[kind.name for kind in attack.ATTACKERS])
def test_a_worker_that_aborts_leaves_nothing(kind, folder, monkeypatch):
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
    monkeypatch.chdir(folder)
    before, at_work = snapshot(folder.parent), set(os.listdir(os.sep))  # a worker's own folder is the root
    try:
        with Pool(kind, 4 << 30, keep=1) as pool, pool.lent() as worker:
            os.kill(worker.pid, signal.SIGABRT)
            with pytest.raises(process.GoneError, match="signal 6"):
                worker.hear(Told)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, (soft, hard))
    assert snapshot(folder.parent) == before
    assert set(os.listdir(os.sep)) == at_work


OF_FILES = {
    *("write", "append", "read", "list", "rename", "folder", "link", "spawn"),
    *(
        "environment of the parent",
        "own environment as a file",
        "own memory as a file",
        "memory of the parent as a file",
    ),
    "listen",
}


@pytest.mark.claim("K3")
@pytest.mark.parametrize("kind", attack.ATTACKERS, ids=[kind.name for kind in attack.ATTACKERS])
def test_without_a_filter_landlock_still_keeps_files_away(kind, folder, monkeypatch):
    monkeypatch.setattr(process, "syscall_filter", lambda: None)
    before = snapshot(folder)
    with Pool(kind, 4 << 30, keep=1) as pool, pool.lent() as worker:
        if worker.confinement.landlock < 4:
            pytest.skip("no Landlock here, or none that knows TCP: Linux 6.7")
        assert (worker.confinement.method, worker.confinement.no_files) == ("landlock", True)
        worker.ask({"folder": str(folder), "parent": os.getpid(), "address": id(before)}, cpu_seconds=60)
        told, _ = worker.hear(Told)
    assert OF_FILES & set(told["done"]) == set()
    assert snapshot(folder).keys() == before.keys()


@pytest.mark.claim("K2")
def test_with_every_right_the_attack_would_succeed(folder):
    with subprocess.Popen([sys.executable, "-c", VICTIM], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as victim:
        address = victim.stdout.readline().decode().strip()
        command = [sys.executable, "-m", attack.__name__, folder, str(victim.pid), address, folder.parent / "log"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
        victim.kill()  # a trace may have stopped it
    assert done.returncode == 0, done.stderr
    assert set(attack.attempts("", 0, 0, 0)) - set(done.stdout.splitlines()) <= NOT_EVERYWHERE


@pytest.mark.slow
def test_nothing_is_imported_by_a_worker_once_it_has_no_rights(tmp_path, monkeypatch):
    for parser, kind in list(kinds.OF_PARSER.items()):
        monkeypatch.setitem(kinds.OF_PARSER, parser, CLOSED[kind])
    monkeypatch.setattr(session, "DISKS", CLOSED[kinds.DISKS])
    monkeypatch.setattr(pictures, "PICTURES", CLOSED[kinds.PICTURES])
    chance = random.Random(5)
    whole = [data for each in seeds().values() for data in each]
    files = [*whole, *(mutate(data, chance, whole) for data in whole for _ in range(2))]
    for number, data in enumerate(files):
        (tmp_path / str(number)).write_bytes(data)
    options = SourceOptions(previews=True, carve=True, limits=SourceLimits(max_cpu_seconds=20))
    issues = [found for found in walk(tmp_path, options=options) if isinstance(found, Issue)]
    assert [issue for issue in issues if str(IMPORTED) in issue.message] == []
    assert issues
    with PicturePool(1) as pool:
        for data in files:
            with suppress(EvidenceError):
                pool.read_picture(data, Request(64, (128,), metadata=True, pdq=True))
            assert len(pool.pids()) == 1, "it went on in another process"
