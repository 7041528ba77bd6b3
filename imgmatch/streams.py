"""Read-only streams over parts of other streams, safe to share between threads."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable
from typing import IO, Any, BinaryIO, ClassVar, Protocol, cast

from imgmatch.errors import ImgmatchError, MachineError, over, why
from imgmatch.limits import SourceLimits
from imgmatch.locator import Locator
from imgmatch.vault.memory import off_disk

BLOCK_BYTES = 1 << 20
# Unpacked content up to this size is kept in memory; more goes to a temporary file.
_MEMORY_BYTES = 8 << 20
_PIECE_BYTES = 1 << 16
# What unpacking one file may take, however often it is packed: more than xz's strongest setting, or Zstandard's widest.
_MOST_UNPACKING_BYTES = 160 << 20
# One lock for every stream that threads share, and for libraries with state: a source may lie in another in any order
# (a disk image on a disk), and locks of their own would be taken in different orders.
LOCK = threading.RLock()


class RandomAccess(Protocol):
    """Bytes that can be read at any place, from any thread."""

    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``; fewer at the end only. OSError where they can't be read."""


class DamagedError(OSError):
    """Bytes that are damaged or missing: ``size`` from ``start`` on, of what lies at ``place``."""

    def __init__(self, start: int, size: int, why: str, place: Locator | None = None) -> None:
        super().__init__(f"{size:,} bytes from byte {start:,} on are damaged or missing: {why}")
        self.start, self.size, self.why, self.place = start, size, why, place

    def again(self) -> DamagedError:
        """The same, to be kept or raised once more: of no traceback, and the cause of nothing."""
        return DamagedError(self.start, self.size, self.why, self.place)


def damage_of(error: BaseException | None) -> DamagedError | None:
    """The damage that an error came of, if it did."""
    while error is not None:
        if isinstance(error, DamagedError):
            return error
        error = error.__cause__ or error.__context__
    return None


class Shared:
    """A seekable stream as RandomAccess: under LOCK, so that threads don't move each other's place."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.size = stream.seek(0, io.SEEK_END)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        parts = []
        with LOCK:
            self._stream.seek(offset)
            while size > 0 and (part := self._stream.read(size)):
                parts.append(part)
                size -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def in_pieces(read: Callable[[int, int], bytes], offset: int, size: int, most: int) -> bytes:
    """What ``read(offset, size)`` gives of so many bytes, asked for at most ``most`` at once, up to the first that are
    fewer.
    """
    parts = []
    while size > 0:
        wanted = min(size, most)
        parts.append(read(offset, wanted))
        if len(parts[-1]) < wanted:
            break
        offset += wanted
        size -= wanted
    return parts[0] if len(parts) == 1 else b"".join(parts)


class Joined:
    """Several RandomAccess one after the other: the parts of a split image."""

    def __init__(self, parts: list[RandomAccess]) -> None:
        self._parts = parts
        self.size = sum(part.size for part in parts)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to ``size`` bytes from ``offset``."""
        found = []
        for part in self._parts:
            if size <= 0:
                break
            if offset < part.size:
                piece = part.read_at(offset, min(size, part.size - offset))
                found.append(piece)
                size -= len(piece)
                offset += len(piece)
            offset -= part.size
        return b"".join(found)


class Window(io.RawIOBase):
    """A read-only, seekable stream over ``length`` bytes of ``source`` from ``start`` on."""

    def __init__(self, source: RandomAccess, start: int = 0, length: int | None = None) -> None:
        self._source = source
        self._start = start
        self._length = max(0, source.size - start) if length is None else length
        self._at = 0

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new place."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        """The place."""
        return self._at

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were."""
        wanted = min(len(buffer), max(0, self._length - self._at))
        data = self._source.read_at(self._start + self._at, wanted) if wanted else b""
        if wanted and not data:
            raise DamagedError(self._at, self._length - self._at, "what it lies in ends before")
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)


class Unpacked(io.RawIOBase):
    """What a decompressor gives, forwards only. Its errors become OSError; more than ``limit`` bytes, EvidenceError."""

    def __init__(
        self, stream: IO[bytes], limit: int, check: Callable[[int], None] | None = None, source: Any = None
    ) -> None:
        """``source``: what the decompressor reads, where that has to be unpacked too."""
        self._stream = stream
        self.held_bytes = max(held_bytes(stream), held_bytes(source))
        self._limit = limit
        self._check = check
        self._count = 0

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were."""
        try:
            data = self._stream.read(len(buffer))
        except (OSError, ImgmatchError):
            raise
        # Decompressors raise about everything on broken data (zlib.error, EOFError, struct.error, ...).
        except Exception as error:
            raise OSError(one_line(error)) from error
        self._count += len(data)
        if self._count > self._limit:
            raise over("max_member_bytes", f"unpacks to more than max_member_bytes ({self._limit:,})")
        if self._check is not None:
            self._check(self._count)
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of the decompressor."""
        if not self.closed:
            self._stream.close()
        super().close()


def held_bytes(stream: Any) -> int:
    """Memory that a stream holds to be unpacked."""
    held: int = getattr(stream, "held_bytes", 0)
    return held


class Chained(io.RawIOBase):
    """Bytes that were read of a stream already, then the rest of it."""

    def __init__(self, head: bytes, stream: IO[bytes]) -> None:
        self._head, self._stream = head, stream
        self.held_bytes = held_bytes(stream)

    def readable(self) -> bool:
        """True."""
        return True

    def tell(self) -> int:
        """The place in the stream, as far as it was read."""
        return self._stream.tell()

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were."""
        data = self._head[: len(buffer)] or self._stream.read(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)

    def close(self) -> None:
        """Let go of the stream."""
        if not self.closed:
            self._stream.close()
        super().close()


class Inflated(io.RawIOBase):
    """What a decompressor makes of a stream, forwards only: one packed stream after the other, never more bytes at once
    than are asked for. What follows and is none is passed over; where it begins as ``strict``, it is a damaged one.
    Raises as the decompressors do, and EOFError at a cut.

    ``make`` gives a decompressor. ``memory_bytes`` is what one takes; what itself has to be unpacked takes more.
    Raises EvidenceError of kind ``limit`` where it is too much.
    """

    def __init__(self, source: IO[bytes], make: Callable[[], Any], memory_bytes: int, *, strict: bytes = b"") -> None:
        self._source, self._make, self._strict = source, make, strict
        self.held_bytes = memory_bytes + held_bytes(source)
        """Memory that unpacking takes, at every depth."""
        if self.held_bytes > _MOST_UNPACKING_BYTES:
            says = f"{self.held_bytes:,} bytes of memory, more than {_MOST_UNPACKING_BYTES:,}"
            raise over("memory to unpack by", f"needs {says}, to be unpacked; unpack it by another program")
        self._packer: Any = make()
        self._first, self._ended, self._foreign = True, False, False

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        """Fill ``buffer``; returns how many bytes there were."""
        while not self._ended:
            if self._packer.eof:
                rest = (self._packer.unused_data or self._source.read(_PIECE_BYTES)).lstrip(b"\0")
                while not rest and (more := self._source.read(_PIECE_BYTES)):
                    rest = more.lstrip(b"\0")  # what fills up a block of a tape
                if not rest:
                    break
                self._packer, self._first, self._foreign = self._make(), False, not rest.startswith(self._strict)
            elif self._packer.needs_input:
                rest = self._source.read(_PIECE_BYTES)
                if not rest and self._foreign:
                    break
                if not rest:
                    raise EOFError("the packed data ends too early")
            else:
                rest = b""
            try:
                data = self._packer.decompress(rest, len(buffer))
            except Exception:
                if self._first or not rest or (self._strict and not self._foreign):
                    raise
                break
            self._first = self._first or bool(data)
            if data:
                buffer[: len(data)] = data
                return len(data)
        self._ended = True
        return 0

    def close(self) -> None:
        """Let go of what is read."""
        if not self.closed:
            self._source.close()
        super().close()


def check_ratio(limits: SourceLimits, unpacked: int, packed: int) -> None:
    """Raises EvidenceError of kind ``limit`` when so few bytes claim to be so many."""
    if unpacked > limits.ratio_from_bytes and unpacked > limits.max_ratio * max(packed, 1):
        raise over(
            "max_ratio", f"{packed:,} bytes unpack to {unpacked:,}: more than max_ratio ({limits.max_ratio}) times"
        )


def access(stream: BinaryIO, limits: SourceLimits) -> RandomAccess:
    """RandomAccess to a stream; one that only goes forwards is unpacked first, within ``limits``.

    Unpacked bytes lie in memory or in a temporary file without a name, which the system removes with the process.
    """
    if isinstance(stream, Window | io.BytesIO | io.FileIO):
        return Shared(stream)
    with stream:
        return Shared(spool(stream, limits))


def spool(stream: IO[bytes], limits: SourceLimits) -> IO[bytes]:
    """Copy a stream to memory or an unnamed temporary file. Raises EvidenceError of kind ``limit`` where it is more
    than ``max_member_bytes``, or makes more than ``max_temp_bytes`` of temporary files.
    """
    kept = Spool(limits)
    size = 0
    while block := stream.read(BLOCK_BYTES):
        size += len(block)
        if size > limits.max_member_bytes:
            raise over("max_member_bytes", f"unpacks to more than max_member_bytes ({limits.max_member_bytes:,})")
        kept.write(block)
    return cast(IO[bytes], kept)


class Spool(tempfile.SpooledTemporaryFile[bytes]):
    """An empty place for unpacked bytes, to be written once from the start: memory, or past some size a temporary file
    that never has a name. ``write`` raises EvidenceError of kind ``limit`` where all of them together would take more
    than ``max_temp_bytes``.
    """

    _in_use: ClassVar[int] = 0
    # Not LOCK: any thread may be the one that throws a spool away, also one that the holder of LOCK is waiting for.
    _counting: ClassVar[threading.RLock] = threading.RLock()

    def __init__(self, limits: SourceLimits) -> None:
        super().__init__(0 if off_disk() else _MEMORY_BYTES)  # 0: all of it stays in memory
        self._limit = limits.max_temp_bytes
        self._taken = 0

    def write(self, data: Any) -> int:
        """Append; returns how many bytes there were."""
        size = len(data)
        with Spool._counting:
            if Spool._in_use + size > self._limit:
                raise over("max_temp_bytes", f"unpacked content takes more than max_temp_bytes ({self._limit:,})")
            Spool._in_use += size
            self._taken += size
        return self._or_fail(super().write, data)

    def seek(self, *where: int) -> int:
        """Move; returns the new place."""
        return self._or_fail(super().seek, *where)

    @staticmethod
    def _or_fail(act: Callable[..., int], *arguments: Any) -> int:
        """Whatever a temporary file can't do is this machine's fault."""
        try:
            return act(*arguments)
        except OSError as error:
            raise MachineError(
                f"no temporary file can be written: {why(error)}; free space where TMPDIR says"
            ) from error

    def close(self) -> None:
        """Give the space back."""
        with Spool._counting:
            Spool._in_use -= self._taken
            self._taken = 0
        super().close()

    def __del__(self) -> None:
        if hasattr(self, "_taken"):
            self.close()


def one_line(error: BaseException) -> str:
    """An error as one line."""
    return " ".join(str(error).split()) or type(error).__name__
