"""The file of a catalogue: plain SQLite, or SQLCipher 4 by a raw key (AES-256-CBC and HMAC-SHA512, page by page)."""

from __future__ import annotations

import io
import sqlite3
import struct
from pathlib import Path
from typing import Any

from imgmatch.optional import require
from imgmatch.vault.keys import Keys

_PAGE, _RESERVED, _SALT, _IV = 4096, 80, 16, 16
_WAL_HEADER, _FRAME_HEADER = 32, 24


def module(keys: Keys | None) -> Any:
    """What connects, and whose errors there are: the standard library's sqlite3, or sqlcipher3."""
    return sqlite3 if keys is None else require("sqlcipher3.dbapi2", "vault")


def unlock(db: Any, keys: Keys | None) -> None:
    """Give a new connection its key, before anything else."""
    if keys is not None:
        db.execute("PRAGMA cipher_log_level = NONE")  # what it would print; its errors are raised all the same
        db.execute(f"PRAGMA key = {quoted(keys)}")
        db.execute("PRAGMA temp_store = MEMORY")


def quoted(keys: Keys | None) -> str:
    """A raw key as SQL gives it; the empty one of a plain file."""
    return "''" if keys is None else f"\"x'{keys.of('catalogue').key.hex()}'\""


def copied(source: Path, have: Keys | None, target: Path, want: Keys | None) -> None:
    """Write all of a catalogue, to its last commit, into a new file under another key, or none."""
    made = require("sqlcipher3.dbapi2", "vault").connect(str(source), isolation_level=None)
    try:
        unlock(made, have)
        made.execute("PRAGMA temp_store = MEMORY")
        version = int(made.execute("PRAGMA user_version").fetchone()[0])
        made.execute(f"ATTACH DATABASE ? AS made KEY {quoted(want)}", (str(target),))
        made.execute("SELECT sqlcipher_export('made')").fetchall()
        made.execute(f"PRAGMA made.user_version = {version:d}")
        made.execute("DETACH DATABASE made")
    finally:
        made.close()


def errors() -> tuple[type[Exception], ...]:
    """What goes wrong with SQLCipher."""
    return (require("sqlcipher3.dbapi2", "vault").Error,)


class Pages(io.RawIOBase):
    """What the pages of an encrypted catalogue, or of its write-ahead log, hold, one after the other: to look for
    something in every byte. Whether they are as they were written is not asked.
    """

    def __init__(self, path: Path, keys: Keys) -> None:
        self._file = path.open("rb")
        self._wal = path.name.endswith("-wal")
        self._ciphers: Any = require("cryptography.hazmat.primitives.ciphers", "vault")
        self._key = keys.of("catalogue").key
        self._first = not self._wal
        if self._wal:
            self._file.seek(_WAL_HEADER)

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill ``buffer`` with whole pages, or nothing at the end."""
        view = memoryview(buffer).cast("B")
        at = 0
        while at + _PAGE <= len(view) and (page := self._page()):
            view[at : at + len(page)] = page
            at += len(page)
        return at

    def _page(self) -> bytes:
        number = b""
        if self._wal:
            number = self._file.read(_FRAME_HEADER)[:4]
        page = self._file.read(_PAGE)
        if len(page) < _PAGE:
            return b""
        start = _SALT if self._first or (number and struct.unpack(">I", number)[0] == 1) else 0
        self._first = False
        end = _PAGE - _RESERVED
        modes, algorithms = self._ciphers.modes, self._ciphers.algorithms
        cipher = self._ciphers.Cipher(algorithms.AES(self._key), modes.CBC(page[end : end + _IV])).decryptor()
        plain: bytes = bytes(start) + cipher.update(page[start:end]) + cipher.finalize()
        return plain

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()
        super().close()
