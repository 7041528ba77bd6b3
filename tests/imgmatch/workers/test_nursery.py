"""Workers come from one process that has loaded what they need, and it is a new one after each death."""

import gc
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

from imgmatch.workers import kinds, nursery
from imgmatch.workers.pool import Pool
from imgmatch.workers.process import Process
from tests.conftest import ROOT

pytestmark = pytest.mark.skipif(not nursery._can_fork(), reason="processes are not forked here")


@pytest.fixture(autouse=True)
def own(monkeypatch):
    monkeypatch.setattr(nursery, "_nursery", None)


def started(kind=kinds.PICTURES):
    worker = Process(kind, 4 << 30)
    worker.start()
    return worker


def parent(worker):
    return psutil.Process(worker.pid).ppid()


def test_workers_of_all_kinds_come_from_one_process_and_are_confined_alike():
    workers = [started(kind) for kind in kinds.KINDS]
    try:
        assert len({parent(worker) for worker in workers}) == 1
        assert parent(workers[0]) != os.getpid()
        assert len({worker.confinement for worker in workers}) == 1
        assert workers[0].confinement.dies_with_parent
        for worker in workers:  # its two pipes, and nothing of the others'
            assert len(os.listdir(f"/proc/{worker.pid}/fd")) == 4
            assert len({os.readlink(f"/proc/{worker.pid}/fd/{number}") for number in (0, 1, 2)}) >= 2
    finally:
        for worker in workers:
            worker.end()


def test_who_died_unasked_is_followed_by_one_that_lies_elsewhere_in_memory():
    first = started()
    second = started()
    assert parent(first) == parent(second)
    first.end()  # as asked: nothing changes
    third = started()
    assert parent(third) == parent(second)
    os.kill(third.pid, signal.SIGSEGV)
    while third.alive:
        time.sleep(0.01)
    with pytest.raises(Exception, match="signal 11"):
        third.hear(dict)
    fourth = started()
    assert parent(fourth) != parent(second)
    assert second.alive  # and goes on
    old = parent(second)
    for worker in (second, third, fourth):
        worker.end()
    del worker, first, second, third  # the last that hold the old one, but for who looks at their time now and then
    until = time.monotonic() + 30
    while psutil.pid_exists(old) and psutil.Process(old).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until
        time.sleep(0.05)
        gc.collect()


def test_where_the_nursery_is_killed_all_of_it_ends_and_the_next_worker_has_a_new_one():
    with Pool(kinds.PICTURES, 4 << 30, keep=2) as pool:
        with pool.lent() as worker:
            os.kill(parent(worker), signal.SIGKILL)
            with pytest.raises(Exception, match="signal 9"):
                worker.hear(dict)
        with pool.lent() as worker:
            assert worker.alive


def test_where_the_nursery_has_no_room_its_workers_live_on_and_another_takes_over():
    first = started()
    old = psutil.Process(parent(first))
    old.rlimit(psutil.RLIMIT_NOFILE, (3, 3))
    second = started()
    assert parent(second) != old.pid
    assert first.alive
    first.end()
    second.end()


def test_a_finalizer_may_end_a_worker_while_another_is_born(monkeypatch):
    first, real = started(), socket.recv_fds

    def late(*arguments):
        first.end()  # as the collector of garbage does, at any place and in any thread
        return real(*arguments)

    monkeypatch.setattr(nursery.socket, "recv_fds", late)
    second = started()
    assert second.alive
    assert not first.alive
    second.end()


def test_a_copy_of_the_program_ends_nothing_of_the_first():
    worker = started()
    copy = os.fork()
    if not copy:
        nursery._nursery = None
        os._exit(0)
    os.waitpid(copy, 0)
    assert worker.alive
    assert psutil.pid_exists(parent(worker))
    worker.end()


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_the_program(how):
    code = (
        "import sys, time; from imgmatch.workers import kinds; from imgmatch.workers.process import Process\n"
        "made = [Process(kinds.PICTURES, 4 << 30) for _ in range(2)]\n"
        "for one in made: one.start()\n"
        "print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        below = psutil.Process(program.pid).children(recursive=True)
        assert len(below) == 3
        program.send_signal(how)
        program.wait(30)
    _, alive = psutil.wait_procs(below, timeout=10)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    assert alive == []


def test_where_none_can_be_forked_each_is_started_by_itself(monkeypatch):
    monkeypatch.setattr(nursery, "_can_fork", lambda: False)
    worker = started()
    try:
        assert parent(worker) == os.getpid()
        assert worker.confinement.dies_with_parent
    finally:
        worker.end()
