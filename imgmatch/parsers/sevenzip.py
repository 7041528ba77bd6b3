"""Files in 7z archives, by py7zr: one pass, given as they are unpacked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, BinaryIO

from imgmatch import times
from imgmatch.errors import EvidenceError, locked, over
from imgmatch.limits import SourceLimits
from imgmatch.locator import Names
from imgmatch.optional import require
from imgmatch.parsers.pieces import Part, Piece, Settings
from imgmatch.streams import check_ratio, one_line

_LONGEST_NAME_BYTES = 128 << 10
_BLOCK_BYTES = 4 << 20


def give(stream: BinaryIO, settings: Settings, tell: Callable[[Part | Piece], None]) -> None:
    """Tell of every file, in the order of solid blocks. Raises EvidenceError of kind ``password``, ``limit`` or
    ``broken_archive``.
    """
    py7zr = require("py7zr", "archives")
    py7zr.archiveinfo.read_utf16 = _read_name  # its own refuses all of an archive for one name
    py7zr.archiveinfo.MAX_NUMFILES = min(py7zr.archiveinfo.MAX_NUMFILES, settings.limits.max_members)
    py7zr.py7zr.get_memory_limit = lambda: _BLOCK_BYTES  # its own asks the system, which a worker can't
    archive = _open(py7zr, stream, settings.passwords)
    if len(archive.files.files_list) > settings.limits.max_members:
        raise over("max_members", f"holds more than max_members ({settings.limits.max_members:,}); not unpacked")
    entries = [entry for entry in archive.files if not (entry.is_directory or entry.is_socket or entry.is_symlink)]
    places = list(map(Names(), (entry.filename for entry in entries)))
    check_ratio(settings.limits, sum(entry.uncompressed for entry in entries), stream.seek(0, 2))
    # py7zr hands files on by name, and refuses whole archives for names that lead out of a folder: names that are
    # numbers keep it from judging them, and keep two members of one name apart.
    for number, info in enumerate(archive.files.files_list):
        info["filename"] = f"{number:09d}"
    named = {entry.filename: (place, _modified(entry)) for entry, place in zip(entries, places, strict=True)}
    del places
    factory = _factory(py7zr, named, settings.limits, tell)
    shut = _unlock(py7zr, archive, settings.passwords)
    if shut and len(shut) >= sum(not entry.emptystream for entry in entries):
        raise locked(len(settings.passwords))
    try:
        if shut:
            archive.extract(targets=[entry.filename for entry in entries if entry.id not in shut], factory=factory)
        else:
            archive.extract(factory=factory)
    except (EvidenceError, MemoryError):
        raise
    except Exception as error:
        kind = "password" if archive.needs_password() else "broken_archive"
        raise EvidenceError(kind, f"the archive can't be unpacked further: {one_line(error)}") from error
    factory.hand_on()
    if shut:
        raise locked(len(settings.passwords), f"{len(shut):,} of {len(entries):,} files in it are encrypted")


def _open(py7zr: Any, stream: BinaryIO, passwords: tuple[str, ...]) -> Any:
    """The archive, with the first password that opens its directory, where one is needed for that."""
    for password in (None, *passwords):
        try:
            stream.seek(0)
            archive = py7zr.SevenZipFile(stream, password=password)
            return archive
        except py7zr.exceptions.PasswordRequired:
            continue
        except MemoryError:
            raise
        except Exception as error:
            if "exceeds limit" in str(error):
                raise over("max_members", f"holds more than may be in one: {one_line(error)}") from error
            if password is None:
                raise EvidenceError("broken_archive", f"the archive can't be read: {one_line(error)}") from error
    raise locked(len(passwords))


def _factory(
    py7zr: Any, named: Mapping[str, tuple[str, str | None]], limits: SourceLimits, tell: Callable[[Part | Piece], None]
) -> Any:
    """What py7zr writes files to."""
    limit = limits.max_member_bytes

    class Target(py7zr.io.Py7zIO):
        def __init__(self, name: str) -> None:
            self.named = named.get(name)
            self.count = 0

        def write(self, data: bytes | bytearray) -> int:
            self.count += len(data)
            if self.count > limit:
                raise over("max_member_bytes", f"unpacks to more than max_member_bytes ({limit:,})")
            if self.named is not None:
                tell(Part(data))
            return len(data)

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
            if self.last is not None and self.last.named is not None:
                place, modified = self.last.named
                tell(Piece("sevenzip", place, b"", modified))
            self.last = None

        def create(self, filename: str) -> Any:
            self.hand_on()
            self.last = Target(filename)
            return self.last

    return Factory()


def _unlock(py7zr: Any, archive: Any, passwords: tuple[str, ...]) -> set[int]:
    """Give each solid block that is encrypted the first password that opens it: they may have several. The numbers of
    files in those that none opens.
    """
    streams = archive.header.main_streams
    shut: set[int] = set()
    if streams is None or not archive.needs_password():
        return shut
    folders, ends = streams.unpackinfo.folders, streams.packinfo.packpositions
    worker = py7zr.py7zr.Worker(archive.files, archive.afterheader, archive.header)
    for entry in archive.files:
        worker.register_filelike(entry.id, None)
    for number, folder in enumerate(folders):
        if not py7zr.compressor.SupportedMethods.needs_password(folder.coders):
            continue
        start, end = (archive.afterheader + ends[place] for place in (number, number + 1 if len(folders) > 1 else -1))
        for password in passwords:
            folder.password, folder.decompressor = password, None
            try:
                worker.extract_single(archive.fp, folder.files, None, start, end, None, skip_notarget=False)
                break
            except MemoryError:
                raise
            except Exception:  # noqa: BLE001  (a wrong password shows as any kind of damage)
                continue
        else:
            shut.update(entry.id for entry in folder.files)
        folder.decompressor = None
    return shut


def _read_name(header: BinaryIO) -> str:
    """A name in UTF-16, or in what calls itself that, up to its end; of one that is longer than any its beginning."""
    name = bytearray()
    while len(letter := header.read(2)) == 2 and letter != b"\0\0":
        if len(name) < _LONGEST_NAME_BYTES:
            name += letter
    return name.decode("utf-16-le", "surrogatepass")


def _modified(entry: Any) -> str | None:
    try:
        return None if entry.lastwritetime is None else times.utc(entry.lastwritetime.totimestamp())
    except (ValueError, OverflowError, TypeError):
        return None
