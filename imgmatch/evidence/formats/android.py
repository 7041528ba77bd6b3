"""Backups of Android's (.ab): some lines of text, then a tar archive, mostly deflated, that may be encrypted.

Encrypted ones are opened with a given password: AES-256 in CBC mode, by a key that is kept encrypted by another, which
is derived from the password (PBKDF2 with SHA-1), beside a checksum of it (PerformAdbBackupTask of Android).
"""

from __future__ import annotations

import hashlib
import io
import zlib
from collections.abc import Iterator
from time import monotonic
from typing import Any, BinaryIO, cast

from imgmatch.errors import EvidenceError, locked, over, unsupported
from imgmatch.evidence.formats.packed import Packed, place_of
from imgmatch.optional import require
from imgmatch.streams import Inflated, Unpacked, check_ratio
from imgmatch.types import Evidence, Issue

_HEAD_BYTES = 1 << 16
_DEFLATE_BYTES = 64 << 10
_MOST_ROUNDS = 2_000_000  # Android has 10,000
_BLOCK = 16
_CIPHERS = "cryptography.hazmat.primitives.ciphers", "archives"


class _Deflated:
    """zlib (RFC 1950) as Inflated asks for it."""

    def __init__(self) -> None:
        self._inflate = zlib.decompressobj()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inflate, name)

    @property
    def needs_input(self) -> bool:
        return not self._inflate.unconsumed_tail

    def decompress(self, data: bytes, most: int) -> bytes:
        return self._inflate.decompress(self._inflate.unconsumed_tail + data, most)


class AndroidBackup(Packed):
    """A backup of a phone, or of some of its programs."""

    name = "Android backup"
    kinds = ("ab",)
    magic = (b"ANDROID BACKUP\n",)

    def members(self) -> Iterator[Evidence | Issue]:
        """The tar archive. Raises EvidenceError, of kind ``password`` where nothing opens it."""
        with self.outer.open() as stream:
            lines = stream.read(_HEAD_BYTES).split(b"\n", 9)
        if len(lines) < 5 or lines[2] not in (b"0", b"1"):
            raise EvidenceError("broken_archive", "the header of the backup is damaged")
        key: tuple[bytes, bytes] | None = None
        if lines[3] == b"AES-256":
            key = self._key(lines)
        elif lines[3] != b"none":
            raise unsupported(f"Android backup (encrypted, {lines[3][:20].decode('ascii', 'replace')})")
        count = 4 if key is None else 9
        start, packed = sum(map(len, lines[:count])) + count, lines[2] == b"1"

        def open_it() -> BinaryIO:
            stream = self.outer.open()
            limits = self.options.limits
            left = start
            while left > 0 and (block := stream.read(left)):
                left -= len(block)
            plain = stream if key is None else cast(BinaryIO, _Decrypted(stream, *key))
            if not packed:
                return cast(BinaryIO, Unpacked(plain, limits.max_member_bytes))

            def check(unpacked: int) -> None:
                if unpacked > limits.ratio_from_bytes:
                    check_ratio(limits, unpacked, place_of(stream))

            inflated = cast(BinaryIO, Inflated(plain, _Deflated, _DEFLATE_BYTES))
            return cast(BinaryIO, Unpacked(inflated, limits.max_member_bytes, check, stream))

        yield self.entry("backup.tar", 0, open_it)

    def _key(self, lines: list[bytes]) -> tuple[bytes, bytes]:
        """The key of the archive and the first block to decrypt with. Raises EvidenceError."""
        try:
            version, rounds = int(lines[1][:4]), int(lines[6][:12])
            salt, check_salt, start, kept = (bytes.fromhex(lines[at].decode("ascii")) for at in (4, 5, 7, 8))
        except (ValueError, IndexError) as error:
            raise EvidenceError("broken_archive", "the header of the encrypted backup is damaged") from error
        if not 0 < rounds <= _MOST_ROUNDS or len(start) != _BLOCK or not kept or len(kept) % _BLOCK:
            raise EvidenceError("broken_archive", "the header of the encrypted backup says what no phone writes")
        longest = self.options.limits.max_cpu_seconds
        until = monotonic() + longest
        for number, password in enumerate(self.options.passwords):
            if monotonic() > until:
                says = f"{number:,} of {len(self.options.passwords):,} passwords were tried in max_cpu_seconds"
                raise over("max_cpu_seconds", f"is encrypted; {says} ({longest}), and none of these opens it")
            letters = password.encode("utf-8") if version >= 2 else bytes(ord(one) & 0xFF for one in password)
            user_key = hashlib.pbkdf2_hmac("sha1", letters, salt, rounds, 32)
            found = _master(_decryptor(user_key, start).update(kept), check_salt, rounds)
            if found is not None:
                return found
        raise locked(len(self.options.passwords), "Android backup (encrypted)")


def _master(kept: bytes, salt: bytes, rounds: int) -> tuple[bytes, bytes] | None:
    """Key and first block, each behind its length, where their checksum fits: of the key as signed letters."""
    parts, at = [], 0
    for size in (16, 32, 32):
        if kept[at : at + 1] != bytes([size]):
            return None
        parts.append(kept[at + 1 : at + 1 + size])
        at += 1 + size
    start, key, checksum = parts
    wide = "".join(chr(byte if byte < 0x80 else 0xFF00 | byte) for byte in key).encode("utf-8")
    fits = (hashlib.pbkdf2_hmac("sha1", letters, salt, rounds, 32) == checksum for letters in (wide, key))
    return (key, start) if len(checksum) == 32 and any(fits) else None


def _decryptor(key: bytes, start: bytes) -> Any:
    ciphers = require(*_CIPHERS, "Android backup (encrypted)")
    return ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.CBC(start)).decryptor()


class _Decrypted(io.RawIOBase):
    """What a stream holds, without the padding at its end (RFC 5652, 6.3). OSError where it was cut off."""

    def __init__(self, stream: BinaryIO, key: bytes, start: bytes) -> None:
        self._stream, self._decryptor = stream, _decryptor(key, start)
        self._ready, self._held = b"", b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Decrypt some more: the last block of what is left is held back, as it may be the padding."""
        while not self._ready and self._decryptor is not None:
            data = self._stream.read(_DEFLATE_BYTES)
            if data:
                plain = self._held + self._decryptor.update(data)
                self._ready, self._held = plain[:-_BLOCK], plain[-_BLOCK:]
                continue
            try:
                self._decryptor.finalize()
            except ValueError as error:
                raise OSError("the encrypted backup was cut off") from error
            self._decryptor = None
            padding = self._held[-1] if self._held else 0
            fits = 0 < padding <= _BLOCK and self._held.endswith(bytes([padding]) * padding)
            self._ready = self._held[:-padding] if fits else self._held
        size = min(len(buffer), len(self._ready))
        buffer[:size], self._ready = self._ready[:size], self._ready[size:]
        return size

    def close(self) -> None:
        """Let go of the stream too."""
        self._stream.close()
        super().close()
