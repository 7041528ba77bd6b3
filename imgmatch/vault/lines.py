"""A sealed file that is added to: blocks of one size, each sealed for itself and bound to its number.

A block holds where its bytes begin, how many they are, the bytes, and zeros. So the file can be read at any place, a
block that is damaged, moved or missing is told by its number, and what a kill leaves of a block at the end is no block.
"""

from __future__ import annotations

import io
import os
import secrets
import struct
from pathlib import Path
from typing import IO, Any, cast

from imgmatch.optional import require
from imgmatch.vault.keys import Seal, aes, hkdf

BLOCK_BYTES = 1024
_HEAD = struct.Struct(">QH")
_NONCE_BYTES = 12
_ROOM = BLOCK_BYTES - _NONCE_BYTES - 16 - _HEAD.size
_CACHED = 256


class SealedLog(io.RawIOBase):
    """What a file of sealed blocks holds, as one stream of bytes: read at any place, written at its end alone. A block
    that can't be verified reads as a line that says so.
    """

    def __init__(self, file: IO[bytes], seal: Seal) -> None:
        """``file``: opened for reading, or for reading and adding."""
        self._file = file
        self._seal = seal
        self._aead = aes(hkdf(seal.key, f"imgmatch sealed log\n{seal.case_id}"))
        self._tag: type[Exception] = require("cryptography.exceptions", "vault").InvalidTag
        self._blocks = file.seek(0, io.SEEK_END) // BLOCK_BYTES
        self._cache: dict[int, tuple[int, bytes] | None] = {}
        self._place = 0
        self._following = (0, 0)  # a place, and the block that is read on with from there

    # --- as a stream

    def readable(self) -> bool:
        """True."""
        return True

    def writable(self) -> bool:
        """True; at its end alone."""
        return True

    def seekable(self) -> bool:
        """True."""
        return True

    def fileno(self) -> int:
        """Of the file below, to force it to disk."""
        return self._file.fileno()

    def flush(self) -> None:
        """Hand to the system what was written."""
        if not self._file.closed:
            self._file.flush()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        super().close()

    def tell(self) -> int:
        """The place."""
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move; returns the new place."""
        base = 0 if whence == io.SEEK_SET else self._place if whence == io.SEEK_CUR else self._end(self._blocks)
        self._place = max(0, base + offset)
        return self._place

    def read(self, size: int = -1) -> bytes:
        """So many bytes, fewer at the end only; all of them where no number is given."""
        parts = []
        while size != 0 and (part := super().read(min(size, BLOCK_BYTES) if size > 0 else BLOCK_BYTES)):
            parts.append(part)
            size -= len(part) if size > 0 else 0
        return b"".join(parts)

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer``, from one block at most; returns how many bytes there were."""
        place, number = (
            self._following if self._following[0] == self._place else (self._place, self._holding(self._place))
        )
        part = b""
        while not part and number < self._blocks:
            found = self._block(number)
            if found is None:
                part = f"\n(block {number + 1} is damaged, or of another log)\n".encode("ascii")
            else:
                part = found[1][max(0, place - found[0]) :]
            number += 1
        given = part[: len(buffer)]
        memoryview(buffer).cast("B")[: len(given)] = given
        self._place += len(given)
        if len(given) == len(part):
            self._following = (self._place, number)
        return len(given)

    def write(self, data: Any) -> int:
        """Add at the end, whatever the place is; what a kill left of a block there goes."""
        view = memoryview(data).cast("B")
        start = self._end(self._blocks)
        self._file.seek(0, io.SEEK_END)
        self._file.truncate(self._blocks * BLOCK_BYTES)
        sealed: list[bytes] = []
        for at in range(0, len(view), _ROOM):
            part = bytes(view[at : at + _ROOM])
            sealed.append(self._sealed(self._blocks + len(sealed), start + at, part))
        self._file.write(b"".join(sealed))
        self._blocks += len(sealed)
        self._place = start + len(view)
        return len(view)

    # --- blocks

    def _sealed(self, number: int, start: int, part: bytes) -> bytes:
        nonce = secrets.token_bytes(_NONCE_BYTES)
        plain = _HEAD.pack(start, len(part)) + part + bytes(_ROOM - len(part))
        sealed: bytes = nonce + self._aead.encrypt(nonce, plain, number.to_bytes(8, "big"))
        return sealed

    def _block(self, number: int) -> tuple[int, bytes] | None:
        """Where a block's bytes begin, and they; None of one that can't be verified."""
        if number in self._cache:
            return self._cache[number]
        self._file.seek(number * BLOCK_BYTES)
        sealed = self._file.read(BLOCK_BYTES)
        found: tuple[int, bytes] | None
        try:
            plain = self._aead.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], number.to_bytes(8, "big"))
            start, length = _HEAD.unpack_from(plain)
            found = (start, plain[_HEAD.size : _HEAD.size + length])
        except (self._tag, ValueError):
            found = None
        if len(self._cache) >= _CACHED:
            self._cache.clear()
        self._cache[number] = found
        return found

    def _end(self, count: int) -> int:
        """Where the bytes of the first ``count`` blocks end: a guess only where no block beside can be verified."""
        guessed = 0
        following = self._block(count) if count < self._blocks else None
        if following is not None:
            return following[0]
        while count > 0:
            found = self._block(count - 1)
            if found is not None:
                return found[0] + len(found[1]) + guessed
            count, guessed = count - 1, guessed + _ROOM
        return guessed

    def _holding(self, place: int) -> int:
        """The block in which a place lies; how many there are, at the end."""
        low, high = 0, self._blocks
        while low < high:
            middle = (low + high) // 2
            if self._end(middle + 1) <= place:
                low = middle + 1
            else:
                high = middle
        return low


class LogFile:
    """Where an audit log lies: a file of plain lines, or with ``seal`` of sealed blocks that read as such."""

    def __init__(self, path: Path, seal: Seal | None = None) -> None:
        self.path = path
        self._seal = seal

    def open(self, *, adding: bool = False) -> IO[bytes]:
        """To read it, or to read it and add to it. Raises OSError."""
        file: Any = self.path.open("ab+" if adding else "rb")
        if self._seal is None:
            return cast(IO[bytes], file)
        sealed: Any = SealedLog(file, self._seal)
        return cast(IO[bytes], sealed if adding else io.BufferedReader(sealed))

    def at(self, path: Path) -> LogFile:
        """A log of the same kind in another place."""
        return LogFile(path, self._seal)

    def exists(self) -> bool:
        """Is there one?"""
        return self.path.exists()

    def size(self) -> int:
        """How many bytes its lines are. Raises OSError."""
        if self._seal is None:
            return self.path.stat().st_size
        with self.open() as file:
            return file.seek(0, os.SEEK_END)
