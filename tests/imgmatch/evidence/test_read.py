"""Reading is in one place: what can't be read is the evidence's fault or this machine's, and each is told as such."""

import dataclasses
import errno
import gzip
import hashlib
import io
import os
import random
import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from imgmatch.errors import EvidenceError, ImgmatchError, MachineError, SourceDiskError
from imgmatch.evidence import reopen, walk
from imgmatch.evidence.limits import AllLimits, limits
from imgmatch.evidence.read import Finder, hashed, read, reading
from imgmatch.locator import Locator
from imgmatch.types import Evidence, Issue
from imgmatch.workers.room import Room

DATA = b"what a file holds"
SHA256 = hashlib.sha256(DATA).hexdigest()
PLACE = Locator.file(Path(__file__).parent / "1.jpg")


def evidence(open_it):
    return Evidence(PLACE, len(DATA), None, None, None, open_it)


def failing(error):
    def open_it():
        raise error

    return evidence(open_it)


class Breaks(io.RawIOBase):
    """A stream that fails in the middle."""

    def __init__(self, error):
        self.error = error
        self.blocks = [b"half"]

    def read(self, size=-1):
        if self.blocks:
            return self.blocks.pop()
        raise self.error


def test_what_is_decoded_are_the_bytes_that_were_hashed_up_to_the_limit():
    found = evidence(lambda: io.BytesIO(DATA))
    content = read(found, limits([f"max_bytes={len(DATA)}"]))
    assert (content.evidence, content.digests.sha256, content.whole) == (found, SHA256, DATA)
    larger = read(found, limits([f"max_bytes={len(DATA) - 1}"]))
    assert (larger.digests, larger.data) == (content.digests, None)
    with pytest.raises(EvidenceError, match="17 bytes are more than max_bytes") as said:
        larger.whole  # noqa: B018
    assert Issue.of(PLACE, said.value) == Issue(
        PLACE, "decode", "too_large", "17 bytes are more than max_bytes (16)", "max_bytes"
    )
    assert hashed(found) == content.digests


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (PermissionError(errno.EACCES, "Permission denied"), "unreadable", "the file can't be read: permission denied"),
        (OSError("no longer a plain file"), "unreadable", "the file can't be read: no longer a plain file"),
        (EvidenceError("password", "is encrypted"), "password", "is encrypted"),
        (
            KeyError("x"),
            "internal",
            "internal error, of this file only (KeyError: 'x'); please report it; IMGMATCH_DEBUG=1 shows where",
        ),
        (
            RecursionError("deep"),
            "internal",
            "internal error, of this file only (RecursionError: deep); please report it; IMGMATCH_DEBUG=1 shows where",
        ),
    ],
)
@pytest.mark.parametrize("where", ["open", "read"])
def test_a_fault_of_the_evidence_is_an_issue_of_stage_read(error, kind, message, where, caplog):
    found = failing(error) if where == "open" else evidence(lambda: Breaks(error))
    with pytest.raises(EvidenceError) as said:
        read(found)
    assert Issue.of(PLACE, said.value) == Issue(PLACE, "read", kind, message)
    assert ("Traceback" in caplog.text) == (kind == "internal")


MACHINE = [OSError(getattr(errno, name), name) for name in ("ENOSPC", "EMFILE", "ENFILE", "ENOMEM")]


@pytest.mark.parametrize("error", [*MACHINE, MemoryError()], ids=repr)
@pytest.mark.parametrize("where", ["open", "read"])
def test_a_fault_of_this_machine_is_no_matter_of_the_evidence(error, where):
    found = failing(error) if where == "open" else evidence(lambda: Breaks(error))
    for look in (read, hashed):
        with pytest.raises(MachineError):
            look(found)


@pytest.mark.parametrize("code", [errno.EIO, errno.ENODEV, errno.ESTALE, errno.ENOTCONN])
@pytest.mark.parametrize("where", ["open", "read"])
def test_what_a_disk_does_not_give_is_a_fault_of_the_disk(code, where):
    error = OSError(code, "Input/output error")
    with pytest.raises(SourceDiskError, match="its disk can't read it: input/output error"):
        read(failing(error) if where == "open" else evidence(lambda: Breaks(error)))


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a disk that is full")
def test_a_full_temporary_disk_is_no_matter_of_what_is_unpacked_there(tmp_path, monkeypatch):
    whole, archive = io.BytesIO(), tmp_path / "a.zip.gz"
    with zipfile.ZipFile(whole, "w") as made:
        made.writestr("1.bmp", bytes(9 << 20))
    archive.write_bytes(gzip.compress(whole.getvalue(), 1))
    monkeypatch.setattr("tempfile.TemporaryFile", lambda *_, **__: open("/dev/full", "w+b"))  # noqa: SIM115
    with pytest.raises(MachineError, match="no temporary file can be written: no space left on device"):
        list(walk(archive))


def test_what_a_reader_makes_of_a_machines_fault_is_still_the_machines():
    def wrapped():
        try:
            raise OSError(errno.ENOSPC, "No space left on device")
        except OSError as error:
            raise EvidenceError("broken_archive", "the archive is damaged") from error

    with pytest.raises(MachineError, match="no space left on device"):
        read(evidence(wrapped))


def test_other_errors_that_are_raised_on_purpose_pass():
    with pytest.raises(ImgmatchError, match="the workers were ended"):
        read(failing(ImgmatchError("the workers were ended")))


def test_content_is_found_again_where_it_still_is(tmp_path):
    gone, changed, here = (tmp_path / name for name in ("gone", "changed", "here"))
    changed.write_bytes(b"something else")
    here.write_bytes(DATA)
    finder = Finder()
    places = [Locator.file(path) for path in (gone, changed, here)]
    assert finder.content(SHA256, places).whole == DATA
    for wanted, said in (
        (places[:1], "source gone"),
        (places[:2], "source changed since ingest"),
        ([*places[1::-1]], "source changed since ingest"),
    ):
        with pytest.raises(EvidenceError, match=said) as error:
            finder.content(SHA256, wanted)
        assert error.value.kind == "source_gone"


def test_content_beyond_the_limits_is_not_said_to_have_changed(tmp_path):
    path = tmp_path / "large"
    path.write_bytes(DATA)
    small = limits(["max_bytes=16"])
    with pytest.raises(EvidenceError, match="17 bytes are more than max_bytes"):
        Finder(small).content(SHA256, [Locator.file(path)])
    assert Finder(small.widened({"max_bytes": 17})).content(SHA256, [Locator.file(path)]).whole == DATA


def test_what_can_not_be_read_is_not_said_to_be_gone(tmp_path):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("1.jpg", DATA)
    (found,) = walk(path)
    assert Finder().content(SHA256, [found.locator]).whole == DATA
    path.write_bytes(path.read_bytes()[:20])
    with pytest.raises(EvidenceError, match="source can't be read") as error:
        Finder().content(SHA256, [found.locator])
    assert error.value.kind == "source_unreadable"


def test_limits_are_only_ever_widened():
    raised = AllLimits().widened({"max_bytes": 1, "max_depth": 20, "of_a_later_version": 3})
    assert raised.changed() == {"max_depth": 20}


def test_a_file_that_is_not_there_is_told_by_its_place(tmp_path):
    with pytest.raises(EvidenceError, match="no such file"):
        reopen(Locator.file(tmp_path / "nowhere"))


def test_threads_hold_no_more_than_there_is_room_for_and_all_get_their_turn():
    room, lock = Room(100), threading.Lock()
    held, seen = 0, set()
    sizes = random.Random(1).choices([0, 1, 7, 40, 99, 100, 250], k=600)

    def take(size):
        nonlocal held
        with room.lent(size):
            with lock:
                held += size
                seen.add(held)
            time.sleep(0.0005)
            with lock:
                held -= size

    with ThreadPoolExecutor(32) as pool:
        list(pool.map(take, sizes, timeout=60))
    assert held == 0
    assert max(seen - {250}) == 100


def test_a_large_one_is_not_passed_by_small_ones_for_ever():
    room, order = Room(10), []

    def take(size):
        with room.lent(size):
            order.append(size)

    with room.lent(5):
        threads = [threading.Thread(target=take, args=(size,)) for size in (10, 1, 2)]
        for thread in threads:
            thread.start()
            time.sleep(0.05)
        assert order == []
    for thread in threads:
        thread.join(10)
    assert order[0] == 10
    assert sorted(order) == [1, 2, 10]


def test_what_fails_gives_its_room_back():
    room = Room(1)
    for _ in range(3):
        with pytest.raises(ZeroDivisionError), room.lent(1):
            raise ZeroDivisionError


@pytest.mark.parametrize("says", [0, 3, len(DATA), 1 << 40])
def test_what_is_longer_or_shorter_than_it_says_is_read_whole(says):
    found = dataclasses.replace(evidence(lambda: io.BytesIO(DATA)), size_bytes=says)
    with reading(found, limits([])) as content:
        assert (content.digests.sha256, content.whole) == (SHA256, DATA)
    with reading(found, limits(["max_bytes=16"])) as content:
        assert (content.digests.sha256, content.data) == (SHA256, None)
