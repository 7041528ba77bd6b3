"""LUKS of version 2 (LUKS2 On-Disk Format Specification 1.1), by OpenSSL's ciphers through cryptography: AES in XTS
mode, keys of PBKDF2 and Argon2. What opens it is proved by the digest of its key.
"""

from __future__ import annotations

import base64
import hashlib
import json
import struct
from collections.abc import Iterator
from typing import Any

from imgmatch.optional import require
from imgmatch.streams import RandomAccess

MAGIC, MAGIC_OF_COPY = b"LUKS\xba\xbe\0\2", b"SKUL\xba\xbe\0\2"
_COPIES = (16384, 32768, 65536, 131072, 262144, 524288, 1 << 20, 2 << 20, 4 << 20)
_BINARY, _CHECKSUM = 4096, slice(448, 512)
_MOST_JSON, _MOST_KEY_BYTES, _MOST_STRIPES = 4 << 20, 512, 20_000
_MOST_ITERATIONS, _MOST_ARGON_KIB, _MOST_PASSES = 100_000_000, 4 << 20, 1_000
_MOST_LANES, _ARGON = 64, {"argon2i": "Argon2i", "argon2id": "Argon2id"}
_SECTOR = 512
_XTS = "aes-xts-plain64"
_HASHES = ("sha1", "sha224", "sha256", "sha384", "sha512")


class OtherwiseError(ValueError):
    """It is made in a way that is not read: a name for it."""


class Luks2:
    """A volume and what it says of itself. Raises OtherwiseError, and OSError where it makes no sense."""

    def __init__(self, image: RandomAccess) -> None:
        self._image = image
        self._said = _header(image)
        try:
            (segment,) = self._said["segments"].values()
            plain = segment["type"] == "crypt" and not self._said["config"].get("requirements")
            self._segment, cipher = segment, str(segment["encryption"])
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise OtherwiseError("LUKS2 volume of several parts (encrypted)") from error
        if not plain or "integrity" in segment:
            raise OtherwiseError("LUKS2 volume with checks of its content, or being encrypted anew")
        if cipher != _XTS:
            raise OtherwiseError(f"LUKS2 volume (encrypted by {cipher[:40]})")

    def unlocked(self, password: str) -> Volume | None:
        """The volume, where the password opens one of its slots."""
        for number, slot in sorted(self._said["keyslots"].items()):
            digest = next((each for each in self._said["digests"].values() if number in each["keyslots"]), None)
            if digest is None or slot.get("type") != "luks2":
                continue
            key, right = (
                self._key(slot, password.encode("utf-8", "surrogateescape")),
                base64.b64decode(digest["digest"]),
            )
            if key is not None and right and _derived(digest, key, len(right)) == right:
                return Volume(self._image, self._segment, key)
        return None

    def _key(self, slot: dict[str, Any], password: bytes) -> bytes | None:
        """What a slot holds as the key, by whatever password."""
        area, splitter, size = slot["area"], slot["af"], int(slot["key_size"])
        stripes, how = int(splitter["stripes"]), str(splitter["hash"])
        if area["encryption"] != _XTS or how not in _HASHES or not 0 < size <= _MOST_KEY_BYTES:
            return None
        if not 0 < stripes <= _MOST_STRIPES:
            return None
        secret = _derived(slot["kdf"], password, int(area["key_size"]))
        if secret is None:
            return None
        stored = self._image.read_at(int(area["offset"]), -(-size * stripes // _SECTOR) * _SECTOR)
        if len(stored) < size * stripes:
            raise OSError("it ends within the slots of its keys")
        plain = b"".join(
            _decrypted(secret, at // _SECTOR, stored[at : at + _SECTOR]) for at in range(0, len(stored), _SECTOR)
        )
        merged = bytes(size)
        for number in range(stripes):
            merged = _xor(merged, plain[number * size : (number + 1) * size])
            merged = _diffused(merged, how) if number < stripes - 1 else merged
        return merged


class Volume:
    """The bytes of a volume, as libluksde gives those of version 1."""

    def __init__(self, image: RandomAccess, segment: dict[str, Any], key: bytes) -> None:
        self._image, self._key = image, key
        self._start, self._sector = int(segment["offset"]), int(segment["sector_size"])
        self._tweak = int(segment["iv_tweak"])
        if self._sector not in (512, 1024, 2048, 4096):
            raise OSError("its sectors are of no size that there is")
        said = segment["size"]
        self.size = max(0, image.size - self._start) if said == "dynamic" else int(said)

    def read_buffer_at_offset(self, size: int, offset: int) -> bytes:
        """So many bytes from ``offset``; fewer where the image ends."""
        first = offset // self._sector * self._sector
        size = min(size, self.size - offset)
        length = -(-(offset + size - first) // self._sector) * self._sector
        stored = self._image.read_at(self._start + first, length)
        stored = stored[: len(stored) // self._sector * self._sector]
        plain = b"".join(
            _decrypted(self._key, (first + at) // _SECTOR + self._tweak, stored[at : at + self._sector])
            for at in range(0, len(stored), self._sector)
        )
        return plain[offset - first :][:size]


def _header(image: RandomAccess) -> dict[str, Any]:
    """What the newer of its two headers says, of those whose checksum holds."""
    found = max(_headers(image), key=lambda each: each[0], default=None)
    if found is None:
        raise OSError("neither of its headers holds what its checksum is of")
    try:
        said = json.loads(found[1])
        for part in ("keyslots", "segments", "digests", "config"):
            if not isinstance(said[part], dict):
                raise TypeError(part)
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise OSError("its header makes no sense") from error
    return dict(said)


def _headers(image: RandomAccess) -> Iterator[tuple[int, bytes]]:
    for place, magic in ((0, MAGIC), *((place, MAGIC_OF_COPY) for place in _COPIES)):
        head = image.read_at(place, _BINARY)
        if len(head) < _BINARY or not head.startswith(magic):
            continue
        size, number = struct.unpack_from(">QQ", head, 8)
        how = head[72:104].rstrip(b"\0").decode("ascii", "replace")
        if not _BINARY < size <= _MOST_JSON or how not in _HASHES:
            continue
        text = image.read_at(place + _BINARY, size - _BINARY)
        blank = head[: _CHECKSUM.start] + bytes(64) + head[_CHECKSUM.stop :]
        checksum = hashlib.new(how, blank + text).digest()
        if head[_CHECKSUM].startswith(checksum):
            yield number, text.partition(b"\0")[0]


def _derived(how: dict[str, Any], secret: bytes, size: int) -> bytes | None:
    """A key of so many bytes out of a secret; None where it is made in another way."""
    kind, salt = how["type"], _plain(how["salt"])
    if kind == "pbkdf2" and how["hash"] in _HASHES and 0 < int(how["iterations"]) <= _MOST_ITERATIONS:
        return hashlib.pbkdf2_hmac(how["hash"], secret, salt, int(how["iterations"]), size)
    if kind in _ARGON:
        passes, memory, lanes = (int(how[name]) for name in ("time", "memory", "cpus"))
        if 0 < passes <= _MOST_PASSES and 0 < memory <= _MOST_ARGON_KIB and 0 < lanes <= _MOST_LANES:
            argon2 = require("cryptography.hazmat.primitives.kdf.argon2", "forensic", "LUKS volume")
            maker = getattr(argon2, _ARGON[kind])
            made = maker(salt=salt, length=size, iterations=passes, lanes=lanes, memory_cost=memory)
            return bytes(made.derive(secret))
    return None


def _plain(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _decrypted(key: bytes, sector: int, data: bytes) -> bytes:
    ciphers = require("cryptography.hazmat.primitives.ciphers", "forensic", "LUKS volume")
    tweak = (sector & (1 << 64) - 1).to_bytes(16, "little")
    decryptor = ciphers.Cipher(ciphers.algorithms.AES(key), ciphers.modes.XTS(tweak)).decryptor()
    return bytes(decryptor.update(data))


def _xor(first: bytes, second: bytes) -> bytes:
    return (int.from_bytes(first, "big") ^ int.from_bytes(second, "big")).to_bytes(len(first), "big")


def _diffused(data: bytes, how: str) -> bytes:
    """As the splitter of anti-forensic stripes has it (LUKS1 On-Disk Format, 2.4)."""
    size = hashlib.new(how).digest_size
    parts = [data[at : at + size] for at in range(0, len(data), size)]
    numbered = ((struct.pack(">I", number) + part, len(part)) for number, part in enumerate(parts))
    return b"".join(hashlib.new(how, part).digest()[:length] for part, length in numbered)
