"""7z archives by py7zr (extra ``archives``): one pass, members handed on as they are unpacked."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import IO, Any, BinaryIO, cast

from imgmatch import times
from imgmatch.errors import EvidenceError, over, raise_if_machine
from imgmatch.evidence.container import Container
from imgmatch.limits import SourceLimits
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.streams import Spool, Window, one_line
from imgmatch.types import Evidence, Issue

_LONGEST_NAME_BYTES = 128 << 10
_WAITING = 8  # unpacked members that may wait to be taken


class SevenZip(Container):
    """The 7z format. Solid blocks make every member need those before it, hence the one pass."""

    name = "7z archive"
    kinds = ("sevenzip",)
    magic = (b"7z\xbc\xaf\x27\x1c",)
    needs = "py7zr", "archives"

    def members(self) -> Iterator[Evidence | Issue]:
        """Files in the order of the archive."""
        py7zr = require("py7zr", "archives")
        py7zr.archiveinfo.read_utf16 = _read_name  # its own refuses all of an archive for one name
        archive = self._open(py7zr)
        entries = [entry for entry in archive.files if not (entry.is_directory or entry.is_socket or entry.is_symlink)]
        names = list(map(Names(), (entry.filename for entry in entries)))
        times = [_modified(entry) for entry in entries]
        packed = max(self.outer.size_bytes, 1)
        self.budget.check_ratio(sum(entry.uncompressed for entry in entries), packed)
        # py7zr hands files on by name, and refuses whole archives for names that lead out of a folder: names that are
        # numbers keep it from judging them, and keep two members of one name apart.
        for number, info in enumerate(archive.files.files_list):
            info["filename"] = f"{number:09d}"
        numbers = {entry.filename: index for index, entry in enumerate(entries)}
        unpacking = _Unpacking(py7zr, archive, numbers, self.options.limits)
        try:
            for index, stream in unpacking:
                yield self.unpacked(names[index], stream, times[index])
        except EvidenceError:
            raise
        except _UnpackError as error:
            kind = "password" if self._locked(archive) else "broken_archive"
            raise EvidenceError(kind, f"the archive can't be unpacked further: {one_line(error)}") from error
        finally:
            unpacking.close()

    def _open(self, py7zr: Any) -> Any:
        """The archive, with the first password that opens it."""
        source = self.access()
        tries = [None, *self.options.passwords]
        for password in tries:
            try:
                archive = py7zr.SevenZipFile(Window(source), password=password)
                if password is None and self._locked(archive):
                    continue
                if password is not None:
                    _probe(archive)
                    archive = py7zr.SevenZipFile(Window(source), password=password)
                return archive
            except py7zr.exceptions.PasswordRequired:
                continue
            except Exception as error:
                raise_if_machine(error)
                if password is None:
                    raise EvidenceError("broken_archive", f"the archive can't be read: {one_line(error)}") from error
        if not self.options.passwords:
            raise EvidenceError("password", "is encrypted; give its password with --password-file")
        raise EvidenceError("password", "is encrypted, and none of the given passwords opens it")

    @staticmethod
    def _locked(archive: Any) -> bool:
        return bool(archive.needs_password())


class _Unpacking:
    """What py7zr unpacks, which hands files on as it likes, as a stream of members: it works in a thread of its own and
    waits where nobody takes them.
    """

    def __init__(self, py7zr: Any, archive: Any, numbers: Mapping[str, int], limits: SourceLimits) -> None:
        """``numbers``: which of the members a file of this name is."""
        self._ready: queue.Queue[tuple[int, IO[bytes]] | Exception | None] = queue.Queue(_WAITING)
        self._stop = threading.Event()
        factory = _factory(py7zr, numbers, limits, self._put)
        self._worker = threading.Thread(target=self._work, args=(archive, factory), name="7z", daemon=True)
        self._worker.start()

    def __iter__(self) -> Iterator[tuple[int, IO[bytes]]]:
        """Which member, and its bytes. Raises EvidenceError, and _UnpackError for what py7zr raises."""
        while (got := self._ready.get()) is not None:
            if isinstance(got, EvidenceError):
                raise got
            if isinstance(got, Exception):
                raise _UnpackError(one_line(got)) from got
            yield got

    def close(self) -> None:
        """Break it off."""
        self._stop.set()
        self._worker.join()

    def _put(self, found: tuple[int, IO[bytes]] | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                self._ready.put(found, timeout=0.1)
            except queue.Full:
                continue
            return
        raise _StoppedError

    def _work(self, archive: Any, factory: Any) -> None:
        try:
            archive.extract(factory=factory)
            factory.hand_on()
            self._put(None)
        except _StoppedError:
            pass
        except Exception as error:  # noqa: BLE001  (handed to the thread that asked)
            with contextlib.suppress(_StoppedError):
                self._put(error)


def _factory(
    py7zr: Any, numbers: Mapping[str, int], limits: SourceLimits, put: Callable[[tuple[int, IO[bytes]]], None]
) -> Any:
    """What py7zr writes files to."""
    limit = limits.max_member_bytes

    class Target(py7zr.io.Py7zIO):
        def __init__(self, name: str) -> None:
            self.index = numbers.get(name)
            self.stream = cast(IO[bytes], Spool(limits))
            self.count = 0

        def write(self, data: bytes | bytearray) -> int:
            self.count += len(data)
            if self.count > limit:
                raise over("max_member_bytes", f"unpacks to more than max_member_bytes ({limit:,})")
            return self.stream.write(data)

        def read(self, size: int | None = None) -> bytes:
            return b""

        def seek(self, offset: int, whence: int = 0) -> int:
            return 0

        def flush(self) -> None:
            pass

        def size(self) -> int:
            return self.count

    class Factory(py7zr.io.WriterFactory):
        """A member is whole when the next one begins: py7zr has then compared its checksum."""

        last: Any = None

        def hand_on(self) -> None:
            if self.last is not None and self.last.index is not None:
                put((self.last.index, self.last.stream))
            self.last = None

        def create(self, filename: str) -> Any:
            self.hand_on()
            self.last = Target(filename)
            return self.last

    return Factory()


def _probe(archive: Any) -> None:
    """Raises whatever py7zr does when the password does not open the archive."""
    if archive.test() is False or archive.testzip() is not None:
        raise ValueError("wrong password")


def _read_name(header: BinaryIO) -> str:
    """A name in UTF-16, or in what calls itself that, up to its end."""
    name = b""
    while len(letter := header.read(2)) == 2 and letter != b"\0\0" and len(name) < _LONGEST_NAME_BYTES:
        name += letter
    return name.decode("utf-16-le", "surrogatepass")


class _StoppedError(Exception):
    """Nobody takes members any more."""


class _UnpackError(Exception):
    """What py7zr raised, in a line."""


def _modified(entry: Any) -> str | None:
    try:
        return None if entry.lastwritetime is None else times.utc(entry.lastwritetime.totimestamp())
    except (ValueError, OverflowError, TypeError):
        return None
