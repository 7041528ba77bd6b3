"""Workers: confined, replaced when they fail, gone with their parent."""

import gc
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
from PIL import Image

from imgmatch.errors import EvidenceError, ImgmatchError
from imgmatch.limits import WorkerLimits
from imgmatch.parsers import told
from imgmatch.picture import image
from imgmatch.workers import decode, wire
from imgmatch.workers.confine import syscall_filter
from imgmatch.workers.decode import Request, read_picture
from imgmatch.workers.pictures import PicturePool
from tests.conftest import ROOT, encode, picture, png_bomb
from tests.imgmatch.picture.test_image import COLOUR, SHADES

psutil = pytest.importorskip("psutil", reason="psutil is not installed: pip install psutil")

PICTURE = encode(picture(1, (300, 200)), "JPEG")
WANTED = Request(input_px=64)
posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
needs_filter = pytest.mark.skipif(syscall_filter() is None, reason="no seccomp here: Linux, pyseccomp and libseccomp")


@pytest.fixture(scope="module")
def pool():
    with PicturePool(1) as made:
        yield made


def gone(pids, seconds=10.0):
    """Whether all these processes end within so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not any(psutil.pid_exists(p) and psutil.Process(p).status() != psutil.STATUS_ZOMBIE for p in pids):
            return True
        time.sleep(0.05)
    return False


def test_what_is_no_picture_is_let_go_of_at_once(pool):
    """Not only when cycles are looked for: files may be as large as memory lets a few of them be."""
    data = os.urandom(100_000)
    before = sys.getrefcount(data)
    gc.disable()
    try:
        for _ in range(3):
            with pytest.raises(EvidenceError) as raised:
                pool.read_picture(data, Request(64))
            assert raised.value.kind == "not_a_picture"
            del raised
        assert sys.getrefcount(data) == before
    finally:
        gc.enable()


@pytest.mark.parametrize("size", [(300, 200), (1, 9_000), (9_000, 1), (90, 100)])
def test_a_worker_sends_no_more_pixels_than_are_wanted(pool, size):
    stream = io.BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(stream, "PNG")
    wanted = Request(64, (128, 256), most_pixels=9_000)
    here, there = read_picture(stream.getvalue(), wanted), pool.read_picture(stream.getvalue(), wanted)
    np.testing.assert_array_equal(there.prepared, read_picture(stream.getvalue(), Request(64)).prepared)
    for a, b in zip(here.pictures, there.pictures, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)
        height, width = a.pixels.shape[:2]
        assert min(9_000, size[0] * size[1]) * 0.9 < height * width <= 9_000
        assert a.upright_size_px == size


@pytest.mark.parametrize("name", [*COLOUR, *SHADES])
def test_a_worker_reads_every_format_as_this_process_does(pool, name):
    data = {**COLOUR, **SHADES}[name]()
    wanted = Request(input_px=64, sides_px=(128, 256), metadata=True, pdq=True)
    here, there = read_picture(data, wanted), pool.read_picture(data, wanted)
    np.testing.assert_array_equal(there.prepared, here.prepared)
    assert there.facts == here.facts
    for side, a, b in zip(wanted.sides_px, here.pictures, there.pictures, strict=True):
        np.testing.assert_array_equal(a.pixels, image.decode(data, min_side_px=side).pixels)
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


@pytest.mark.claim("K7")
@posix
def test_a_worker_that_hangs_costs_one_file_and_is_replaced():
    with PicturePool(1, WorkerLimits(decode_seconds=2)) as pool:
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
    with PicturePool(1) as pool:
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
    with PicturePool(1) as pool:
        pool.read_picture(PICTURE, WANTED)
        os.kill(pool.pids()[0], signal.SIGKILL)
        time.sleep(0.3)
        assert pool.read_picture(PICTURE, WANTED).image.format == "JPEG"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_a_picture_that_takes_too_much_memory_is_named_and_the_next_one_read():
    with PicturePool(1, WorkerLimits(worker_memory_bytes=600 << 20)) as pool:
        with pytest.raises(EvidenceError, match=r"worker_memory_bytes \(629,145,600\)") as caught:
            pool.read_picture(png_bomb(12_000), WANTED)
        assert caught.value.kind == "worker_memory"
        assert pool.read_picture(PICTURE, WANTED).image.format == "JPEG"


@pytest.mark.skipif(sys.platform != "linux", reason="memory is limited on Linux")
def test_too_little_memory_to_start_is_one_error_that_names_the_limit():
    with (
        PicturePool(1, WorkerLimits(worker_memory_bytes=4096)) as pool,
        pytest.raises(ImgmatchError, match="worker_memory_bytes"),
    ):
        pool.read_picture(PICTURE, WANTED)


def test_closing_ends_all_workers():
    with PicturePool(2) as pool:
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
from imgmatch.workers.pictures import PicturePool
from imgmatch.workers.decode import Request
pool = PicturePool(2)
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


@pytest.mark.claim("K8")
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


ABOUT = {"stored_size_px": [1, 2], "orientation": 1, "format": "JPEG", "partial": None}
RIGHT = {
    "say": "end",
    "error": None,
    "message": "",
    "what": "",
    "image": ABOUT,
    "facts": {"metadata": {}, "pdq": None},
    "pictures": [{**ABOUT, "height": 4, "width": 5}],
}
BYTES = 3 * (64 * 64 + 4 * 5)


def heard(header, size=BYTES):
    """What a pool makes of a reply."""
    told = wire.checked(decode.Reply | wire.End, header)
    return decode.reply_of(told, size, bytearray, Request(64, (128,)))


def test_a_reply_that_is_right_is_taken():
    found = heard(RIGHT)
    assert found.prepared.shape == (64, 64, 3)
    assert found.pictures[0].pixels.shape == (4, 5, 3)
    refusal = heard({"say": "end", "error": "empty", "message": "x", "what": ""}, 0)
    assert (refusal.kind, str(refusal)) == ("empty", "x")


@pytest.mark.claim("K5")
@pytest.mark.parametrize(
    "header",
    [
        {},
        {"say": "end", "error": "no_such_kind", "message": "x", "what": ""},
        {"say": "end", "error": ["empty"], "message": "x", "what": ""},
        {"say": "end", "error": "empty", "message": 3, "what": ""},
        {"say": "end", "error": "empty", "message": "x", "what": None},
        {"say": "end", "error": None, "message": "", "what": ""},
        {"say": "read", "of": 0, "offset": 0, "size": 1},
        RIGHT | {"more": 1},
        RIGHT | {"error": "empty"},
        RIGHT | {"image": []},
        RIGHT | {"image": ABOUT | {"orientation": 9}},
        RIGHT | {"image": ABOUT | {"stored_size_px": [1, -2]}},
        RIGHT | {"image": ABOUT | {"stored_size_px": [1, 2, 3]}},
        RIGHT | {"image": ABOUT | {"stored_size_px": [1, 1.5]}},
        RIGHT | {"image": ABOUT | {"stored_size_px": [True, 2]}},
        RIGHT | {"image": ABOUT | {"partial": 1}},
        RIGHT | {"facts": {"metadata": [], "pdq": None}},
        RIGHT | {"facts": {"metadata": {"taken": {"source": "EXIF"}}, "pdq": None}},
        RIGHT | {"facts": {"metadata": {"taken": {"value": [1], "source": "EXIF"}}, "pdq": None}},
        RIGHT | {"facts": {"metadata": {"taken": {"value": 1e400, "source": "EXIF"}}, "pdq": None}},
        RIGHT | {"facts": {"metadata": {"unheard": {"value": 1, "source": "EXIF"}}, "pdq": None}},
        RIGHT | {"image": ABOUT | {"format": "\ud800"}},
        RIGHT | {"facts": {"metadata": {}, "pdq": {"hash": "00", "quality": 100}}},
        RIGHT | {"pictures": [{**ABOUT, "height": 9**9, "width": 9}]},
        RIGHT | {"pictures": [{**ABOUT, "height": -4, "width": -5}]},
        RIGHT | {"pictures": [{**ABOUT, "height": 4, "width": 6}]},
        RIGHT | {"pictures": [None]},
        RIGHT | {"pictures": []},
    ],
)
def test_what_a_worker_says_is_checked(header):
    with pytest.raises(wire.WireError):
        heard(header)


def message(header, size=0):
    return len(header).to_bytes(4) + size.to_bytes(8) + header


def test_a_message_comes_through_a_pipe_as_it_was_sent():
    sent = io.BytesIO()
    wire.send(sent, {"a": "\ud800"}, b"12", b"3")
    wire.write(sent, wire.TICK)
    sent.seek(0)
    assert wire.receive(sent) == ({"a": "\ud800"}, 3)
    assert wire.receive_bytes(sent, 3) == b"123"
    assert wire.receive(sent) == (None, 0)
    with pytest.raises(EOFError):
        wire.receive(sent)


@pytest.mark.parametrize(
    "data",
    [
        b"\xff" * 12,
        b"\0\0",
        message(b"[]"),
        message(b"{"),
        message(b"ab\xffc"),
        message(b'{"a": NaN}'),
        message(b'{"a": ' + b"9" * 5000 + b"}"),
        message(b"[" * 100_000),
        message(b"{}")[:-1],
        message(b"", 5),
    ],
)
def test_a_broken_message_is_refused(data):
    with pytest.raises((wire.WireError, EOFError)):
        wire.receive(io.BytesIO(data))


@pytest.mark.parametrize(
    ("kind", "right", "wrong"),
    [
        (int, [0, -5, 2**64 - 1], [True, 1.0, "1", None, 2**64, -(2**63) - 1]),
        (str | None, ["", None], [1, b"", []]),
        (float, [0.5], [float("inf"), float("nan"), 1, "1"]),
        (told.Size, [0, 2**63 - 1], [-1, 2**63, True, 1.0]),
        (told.Time | None, [None, "2024-05-06T07:08:09.000000Z", "2024-05-06T07:08:09"], ["", "now", "\ud800", 0]),
        (told.Word, ["JPEG", "needs_package"], ["", "a|b", "\x1b[2J", "a" * 40, None]),
        (told.Name, ["", "\ud800"], ["a" * 300_000, 1]),
        (dict[str, told.Size], [{}, {"a": 1}], [{"a": -1}, [], {"a": None}]),
        (list[tuple[str, int]], [[], [["a", 1]]], [[["a"]], [["a", 1, 2]], [[1, "a"]], {}, None]),
    ],
)
def test_a_message_has_the_type_that_was_declared(kind, right, wrong):
    for value in right:
        assert wire.checked(kind, value) == value
    for value in wrong:
        with pytest.raises(wire.WireError):
            wire.checked(kind, value)


def test_a_long_list_is_made_a_part_at_a_time():
    parts = [["a", n] for n in range(5)]
    assert list(wire.parse_each(json.dumps(parts).encode())) == parts
    assert list(wire.parse_each(b"[]")) == []
    for wrong in (b"", b"{}", b"[1", b"[1, ", b"[1 2]", b"[" * 100_000, b"[NaN]"):
        with pytest.raises(wire.WireError):
            list(wire.parse_each(wrong))
