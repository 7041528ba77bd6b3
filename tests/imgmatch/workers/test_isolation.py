"""Workers: confined, replaced when they fail, gone with their parent."""

import io
import json
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.limits import WorkerLimits
from imgmatch.picture.image import decode
from imgmatch.workers import wire
from imgmatch.workers.confine import syscall_filter
from imgmatch.workers.pool import Pool
from imgmatch.workers.work import Request, read_picture
from tests.conftest import ROOT, encode, picture, png_bomb
from tests.imgmatch.picture.test_image import COLOUR, SHADES

psutil = pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")

PICTURE = encode(picture(1, (300, 200)), "JPEG")
WANTED = Request(input_px=64)
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
needs_filter = pytest.mark.skipif(syscall_filter() is None, reason="no seccomp here: Linux, pyseccomp and libseccomp")


@pytest.fixture(scope="module")
def pool():
    with Pool(1) as made:
        yield made


def gone(pids, seconds=10.0):
    """Whether all these processes end within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids):
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize("name", [*COLOUR, *SHADES])
def test_a_worker_reads_every_format_as_this_process_does(pool, name):
    data = {**COLOUR, **SHADES}[name]()
    wanted = Request(input_px=64, sides_px=(128, 256), metadata=True, pdq=True)
    here, there = read_picture(data, wanted), pool.read_picture(data, wanted)
    np.testing.assert_array_equal(there.prepared, here.prepared)
    assert there.facts == here.facts
    for side, a, b in zip(wanted.sides_px, here.pictures, there.pictures, strict=True):
        np.testing.assert_array_equal(a.pixels, decode(data, min_side_px=side).pixels)
        np.testing.assert_array_equal(b.pixels, a.pixels)
    for a, b in zip((here.image, *here.pictures), (there.image, *there.pictures), strict=True):
        assert (a.stored_size_px, a.orientation, a.format, a.partial) == (
            b.stored_size_px,
            b.orientation,
            b.format,
            b.partial,
        )


@pytest.mark.parametrize("data", [b"", b"words", PICTURE[:30], png_bomb(30_000)])
def test_a_worker_reports_the_same_errors(pool, data):
    def error_of(read):
        with pytest.raises(EvidenceError) as caught:
            read(data, WANTED)
        return caught.value.kind, str(caught.value)

    assert error_of(pool.read_picture) == error_of(read_picture)


@needs_filter
def test_workers_say_that_they_are_confined(pool):
    held = pool.confinement()
    assert held.method == "seccomp"
    assert held.no_network
    assert held.no_files
    assert held.no_processes
    assert held.memory_limited
    assert held.dies_with_parent


ESCAPE = """
import ctypes, json, os, shutil, signal, socket, subprocess, sys
from imgmatch.workers.confine import confine, syscall_filter
from imgmatch.workers.worker import _load_everything
folder = sys.argv[1]
_load_everything()
program = syscall_filter()
log = os.open(folder + "/log", os.O_WRONLY | os.O_CREAT)  # open before, as nothing is in a worker
assert confine(program, 4 << 30, False).method == "seccomp"
attempts = {
    "write": lambda: open(folder + "/new", "w"),
    "append": lambda: open(folder + "/there", "a"),
    "grow": lambda: os.write(log, b"x"),
    "read": lambda: open(folder + "/there"),
    "list": lambda: os.listdir(folder),
    "remove": lambda: os.remove(folder + "/there"),
    "rename": lambda: os.rename(folder + "/there", folder + "/moved"),
    "folder": lambda: os.mkdir(folder + "/new"),
    "link": lambda: os.symlink("/", folder + "/link"),
    "mode": lambda: os.chmod(folder + "/there", 0o777),
    "times": lambda: os.utime(folder + "/there"),
    "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "udp": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "unix": lambda: socket.socketpair(),
    "fork": lambda: os.fork(),
    "program": lambda: os.execv("/bin/true", ["true"]),
    "kill": lambda: os.kill(os.getppid(), signal.SIGTERM),
    "debug": lambda: 1 / (1 + ctypes.CDLL(None).ptrace(16, os.getppid(), 0, 0)),
}
got = []
for name, attempt in attempts.items():
    try:
        attempt()
        got.append(name)
    except (OSError, ZeroDivisionError):
        pass
print(json.dumps(got))
"""


@needs_filter
def test_a_confined_process_can_neither_write_nor_read_nor_connect_nor_start_anything(tmp_path):
    (tmp_path / "there").write_text("evidence")
    (tmp_path / "log").write_text("")
    one_thread = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}  # as workers are started
    command = [sys.executable, "-c", ESCAPE, tmp_path]
    done = subprocess.run(command, cwd=ROOT, env=one_thread, capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout) == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["log", "there"]
    assert (tmp_path / "log").read_bytes() == b""


@posix
def test_a_worker_that_hangs_costs_one_file_and_is_replaced():
    with Pool(1, WorkerLimits(decode_seconds=2)) as pool:
        expected = pool.read_picture(PICTURE, WANTED)
        (stopped,) = pool.pids()
        os.kill(stopped, signal.SIGSTOP)
        with pytest.raises(EvidenceError, match=r"longer than decode_seconds \(2\)") as caught:
            pool.read_picture(PICTURE, WANTED)
        assert caught.value.kind == "worker_timeout"
        assert gone([stopped])
        np.testing.assert_array_equal(pool.read_picture(PICTURE, WANTED).prepared, expected.prepared)


@posix
def test_a_worker_that_is_killed_costs_the_file_that_it_had():
    with Pool(1) as pool:
        pool.read_picture(PICTURE, WANTED)
        (stopped,) = pool.pids()
        os.kill(stopped, signal.SIGSTOP)  # as if it worked on something long
        killer = threading.Timer(0.3, os.kill, (stopped, signal.SIGKILL))
        killer.start()
        with pytest.raises(EvidenceError, match="killed by signal 9") as caught:
            pool.read_picture(PICTURE, WANTED)
        assert caught.value.kind == "worker_died"
        assert pool.read_picture(PICTURE, WANTED).image.format == "JPEG"


@posix
def test_a_worker_that_dies_between_two_files_costs_none():
    with Pool(1) as pool:
        pool.read_picture(PICTURE, WANTED)
        os.kill(pool.pids()[0], signal.SIGKILL)
        time.sleep(0.3)
        assert pool.read_picture(PICTURE, WANTED).image.format == "JPEG"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_a_picture_that_takes_too_much_memory_is_named_and_the_next_one_read():
    with Pool(1, WorkerLimits(worker_memory_bytes=600 << 20)) as pool:
        with pytest.raises(EvidenceError, match=r"worker_memory_bytes \(629,145,600\)") as caught:
            pool.read_picture(png_bomb(12_000), WANTED)
        assert caught.value.kind == "worker_memory"
        assert pool.read_picture(PICTURE, WANTED).image.format == "JPEG"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_too_little_memory_to_start_is_one_error_that_names_the_limit():
    with (
        Pool(1, WorkerLimits(worker_memory_bytes=4096)) as pool,
        pytest.raises(ImgmatchError, match="worker_memory_bytes"),
    ):
        pool.read_picture(PICTURE, WANTED)


def test_closing_ends_all_workers():
    with Pool(2) as pool:
        threads = [threading.Thread(target=pool.read_picture, args=(PICTURE, WANTED)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        pids = pool.pids()
        assert 1 <= len(pids) <= 2
    assert gone(pids, 1)


PARENT = """
import sys, threading, time
from imgmatch.workers.pool import Pool
from imgmatch.workers.work import Request
pool = Pool(2)
data = sys.stdin.buffer.read()
def work():
    pool.read_picture(data, Request(64))
    pool.read_picture(data, Request(64))
threads = [threading.Thread(target=work) for _ in range(2)]
[t.start() for t in threads]
[t.join() for t in threads]
print(*pool.pids(), flush=True)
time.sleep(60)
"""


@posix
@pytest.mark.parametrize("busy", [False, True])
def test_workers_end_with_a_parent_that_is_killed(busy):
    parent = subprocess.Popen([sys.executable, "-c", PARENT], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    parent.stdin.write(PICTURE)
    parent.stdin.close()
    pids = [int(pid) for pid in parent.stdout.readline().split()]
    assert pids
    if busy:
        if sys.platform != "linux":
            pytest.skip("elsewhere than on Linux a busy worker ends with its file")
        for pid in pids:  # can't notice anything by itself
            os.kill(pid, signal.SIGSTOP)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert gone(pids)


@pytest.mark.parametrize(
    "header",
    [
        {},
        {"error": "no_such_kind", "message": "x"},
        {"error": ["empty"], "message": "x"},
        {"error": "empty", "message": 3},
        {"image": []},
        {"image": {"stored_size_px": [1, 2], "orientation": 9, "format": "JPEG", "partial": None}},
        {"image": {"stored_size_px": [1, -2], "orientation": 1, "format": "JPEG", "partial": None}},
        {"image": {"stored_size_px": [1, 2], "orientation": 1, "format": "JPEG", "partial": 1}},
        {
            "image": {"stored_size_px": [1, 2], "orientation": 1, "format": "JPEG", "partial": None},
            "pictures": [
                {
                    "stored_size_px": [1, 2],
                    "orientation": 1,
                    "format": "J",
                    "partial": None,
                    "shape": [9**9, 9, 3],
                }
            ],
        },
        {
            "image": {"stored_size_px": [1, 2], "orientation": 1, "format": "JPEG", "partial": None},
            "pictures": [{"again": True}],
        },
        {
            "image": {"stored_size_px": [1, 2], "orientation": 1, "format": "JPEG", "partial": None},
            "pictures": [],
        },
    ],
)
def test_what_a_worker_says_is_checked(header):
    with pytest.raises((wire.WireError, TypeError)) as caught:
        wire.parse_reply(header, io.BytesIO(bytes(64 * 64 * 3)), Request(64, (128,)))
    assert caught.type is wire.WireError


@pytest.mark.parametrize("data", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\2{", b"\0\0\0\x04ab\xffc", b"\0\0"])
def test_a_broken_message_is_refused(data):
    with pytest.raises(wire.WireError):
        wire.receive(io.BytesIO(data))
