"""Sealed files: AES-256-GCM in chunks, each of which is verified before a byte of it is handed on.

A file begins with 64 bytes in the clear: a magic, the size of its chunks, 32 random bytes. Its own key is derived from
those, the key of its purpose, the case's id and its logical name: a file of another case, or at another name, does not
open. Chunk n is sealed under nonce n with a mark of the last one (the STREAM construction of Hoang, Reyhanitabar,
Rogaway and Vizar, 2015): none can be moved, left out, doubled or cut off. Within, the bytes are followed by zeros and
by their number, so that the file tells its size in steps only.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from imgmatch.errors import CaseError
from imgmatch.optional import require
from imgmatch.vault.keys import Seal, aes, hkdf

CHUNK_BYTES = 1 << 20
_MAGIC = b"imgmatch sealed file 1\n"
_HEADER = struct.Struct(f">{len(_MAGIC)}sxI4x32s")  # 64 bytes
_LENGTH = struct.Struct(">Q")
_TAG_BYTES = 16
_LEAST_BYTES = 4096


class SealError(CaseError):
    """A sealed file is damaged, cut short, or belongs to another case or at another place."""


def padded(size: int) -> int:
    """The step that so many bytes are padded to: at most 12% more, and no more told of the size than its magnitude and
    its first digits (Padmé: Nikitin and others, 2019).
    """
    size = max(size, _LEAST_BYTES)
    exponent = size.bit_length() - 1
    free = exponent - exponent.bit_length()
    return (size + (1 << free) - 1) >> free << free


def _aead(seal: Seal, name: str, salt: bytes, chunk: int) -> Any:
    return aes(hkdf(seal.key, f"imgmatch sealed file\n{seal.case_id}\n{seal.purpose}\n{chunk}\n{name}", salt))


def _nonce(number: int, last: bool) -> bytes:
    return number.to_bytes(11, "big") + bytes([last])


class Sealer(io.RawIOBase):
    """A stream that seals what is written to it into ``file``; whole only once it is closed by ``finish``."""

    def __init__(self, file: IO[bytes], seal: Seal, name: str) -> None:
        self._file = file
        salt = secrets.token_bytes(32)
        self._aead = _aead(seal, name, salt, CHUNK_BYTES)
        self._number = self._size = 0
        self._held = bytearray()
        file.write(_HEADER.pack(_MAGIC, CHUNK_BYTES, salt))

    def writable(self) -> bool:
        """True."""
        return True

    def write(self, data: Any) -> int:
        """Take bytes; returns how many."""
        view = memoryview(data).cast("B")
        self._size += len(view)
        self._add(view)
        return len(view)

    def tell(self) -> int:
        """How many bytes were taken."""
        return self._size

    def finish(self) -> None:
        """Seal the rest, with padding and length; the file is whole then."""
        missing = padded(self._size + _LENGTH.size) - self._size - _LENGTH.size
        while missing > 0:
            step = min(missing, CHUNK_BYTES)
            self._add(memoryview(bytes(step)))
            missing -= step
        self._add(memoryview(_LENGTH.pack(self._size)))
        self._seal(bytes(self._held), last=True)
        self._held.clear()

    def _add(self, view: memoryview) -> None:
        while len(view):
            if len(self._held) == CHUNK_BYTES:  # sealed only when more follows: the last one is marked
                self._seal(bytes(self._held), last=False)
                self._held.clear()
            part = view[: CHUNK_BYTES - len(self._held)]
            self._held += part
            view = view[len(part) :]

    def _seal(self, chunk: bytes, *, last: bool) -> None:
        self._file.write(self._aead.encrypt(_nonce(self._number, last), chunk, None))
        self._number += 1


class Opened(io.RawIOBase):
    """A sealed file's content, read-only and seekable. Each chunk is verified before any of it is given. Raises
    SealError, naming the file, where one is not as it was sealed.
    """

    def __init__(self, file: IO[bytes], seal: Seal, name: str, called: Path | str) -> None:
        self._file = file
        self._called = called
        header = file.read(_HEADER.size)
        total = file.seek(0, io.SEEK_END) - _HEADER.size
        if len(header) < _HEADER.size or header[: len(_MAGIC)] != _MAGIC or total < _TAG_BYTES:
            raise SealError(f"{called}: is no sealed file, or cut short")
        magic, self._chunk, salt = _HEADER.unpack(header)
        if header != _HEADER.pack(magic, self._chunk, salt) or not 1 << 10 <= self._chunk <= 1 << 26:
            raise SealError(f"{called}: damaged in its first bytes")
        self._aead = _aead(seal, name, salt, self._chunk)
        self._tag: type[Exception] = require("cryptography.exceptions", "vault").InvalidTag
        self._count = -(-total // (self._chunk + _TAG_BYTES))
        self._cached: tuple[int, bytes] = (-1, b"")
        self._place = 0
        inside = total - self._count * _TAG_BYTES
        end = self._between(inside - _LENGTH.size, inside) if inside >= _LENGTH.size else b""
        self.size = _LENGTH.unpack(end)[0] if end else -1
        if not end or padded(self.size + _LENGTH.size) != inside:
            raise SealError(f"{called}: cut short, or not as it was sealed")

    def readable(self) -> bool:
        """True."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new place."""
        self._place = max(0, {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence] + offset)
        return self._place

    def tell(self) -> int:
        """The place."""
        return self._place

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with what is verified; returns how many bytes there were."""
        view = memoryview(buffer).cast("B")
        stop = min(self.size, self._place + len(view))
        at = 0
        while self._place < stop:
            number, start = divmod(self._place, self._chunk)
            part = memoryview(self._verified(number))[start : start + stop - self._place]
            view[at : at + len(part)] = part
            at += len(part)
            self._place += len(part)
        return at

    def close(self) -> None:
        """Let go of the file."""
        self._cached = (-1, b"")
        self._file.close()
        super().close()

    def _between(self, start: int, stop: int) -> bytes:
        first, last = start // self._chunk, (stop - 1) // self._chunk
        data = b"".join(self._verified(number) for number in range(first, last + 1))
        return data[start - first * self._chunk : stop - first * self._chunk]

    def _verified(self, number: int) -> bytes:
        if self._cached[0] != number:
            self._file.seek(_HEADER.size + number * (self._chunk + _TAG_BYTES))
            sealed = self._file.read(self._chunk + _TAG_BYTES)
            try:
                plain = self._aead.decrypt(_nonce(number, number == self._count - 1), sealed, None)
            except (self._tag, ValueError) as error:
                which = f"part {number + 1:,} of {self._count:,}"
                raise SealError(
                    f"{self._called}: {which} is damaged, or the file belongs to another case or place"
                ) from error
            self._cached = (number, plain)
        return self._cached[1]


@contextmanager
def writing(path: Path, seal: Seal, name: str) -> Iterator[Sealer]:
    """A new file to write, sealed; whole and forced to disk when the block ends without error."""
    with path.open("wb") as file:
        sealer = Sealer(file, seal, name)
        yield sealer
        sealer.finish()
        file.flush()
        os.fsync(file.fileno())


def opened(path: Path, seal: Seal, name: str) -> Opened:
    """A sealed file, to be read. Raises OSError, and SealError naming it."""
    file = path.open("rb")
    try:
        return Opened(file, seal, name, path)
    except BaseException:
        file.close()
        raise


def read(path: Path, seal: Seal, name: str) -> bytearray:
    """All that a sealed file holds. Raises OSError, and SealError naming it."""
    with opened(path, seal, name) as stream:
        data = bytearray(stream.size)
        view = memoryview(data)
        at = 0
        while at < len(view):
            at += stream.readinto(view[at:])
        return data
