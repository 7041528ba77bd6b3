"""7z archives by py7zr (extra ``archives``): one pass, members handed on as they are unpacked."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator
from typing import IO, Any, BinaryIO, cast

from imgmatch import times
from imgmatch.errors import EvidenceError, ImgmatchError, raise_if_machine
from imgmatch.evidence.container import Container
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
        ready: queue.Queue[tuple[int, IO[bytes]] | Exception | None] = queue.Queue(_WAITING)
        stop = threading.Event()
        limits = self.options.limits
        limit = limits.max_member_bytes

        def put(found: tuple[int, IO[bytes]] | Exception | None) -> None:
            while not stop.is_set():
                try:
                    ready.put(found, timeout=0.1)
                except queue.Full:
                    continue
                return
            raise _StoppedError

        class Target(py7zr.io.Py7zIO):  # type: ignore[name-defined]
            def __init__(self, name: str) -> None:
                self.index = numbers.get(name)
                self.stream = cast(IO[bytes], Spool(limits))
                self.count = 0

            def write(self, data: bytes | bytearray) -> int:
                self.count += len(data)
                if self.count > limit:
                    raise EvidenceError("limit", f"unpacks to more than max_member_bytes ({limit:,})")
                return self.stream.write(data)

            def read(self, size: int | None = None) -> bytes:
                return b""

            def seek(self, offset: int, whence: int = 0) -> int:
                return 0

            def flush(self) -> None:
                pass

            def size(self) -> int:
                return self.count

        class Factory(py7zr.io.WriterFactory):  # type: ignore[name-defined]
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

        def work() -> None:
            try:
                factory = Factory()
                archive.extract(factory=factory)
                factory.hand_on()
                put(None)
            except _StoppedError:
                pass
            except Exception as error:  # noqa: BLE001  (handed to the thread that asked)
                with contextlib.suppress(_StoppedError):
                    put(error)

        worker = threading.Thread(target=work, name="7z", daemon=True)
        worker.start()
        try:
            while (got := ready.get()) is not None:
                if isinstance(got, ImgmatchError):
                    raise got
                if isinstance(got, Exception):
                    kind = "password" if self._locked(archive) else "broken_archive"
                    raise EvidenceError(kind, f"the archive can't be unpacked further: {one_line(got)}")
                index, stream = got
                yield self.unpacked(names[index], stream, times[index])
        finally:
            stop.set()
            worker.join()

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


def _modified(entry: Any) -> str | None:
    try:
        return None if entry.lastwritetime is None else times.utc(entry.lastwritetime.totimestamp())
    except (ValueError, OverflowError, TypeError):
        return None
