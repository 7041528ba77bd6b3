"""Digests of content, in one pass over the bytes."""

from __future__ import annotations

import hashlib
import io
from typing import BinaryIO

from imgmatch.types import Digests

_BLOCK_BYTES = 1 << 20


def digest(stream: BinaryIO, keep_bytes: int = 0) -> tuple[Digests, bytes | None]:
    """Read ``stream`` to its end once: SHA-256 and SHA-1 (FIPS 180-4), MD5 (RFC 1321) and size.

    SHA-1 and MD5 are for hash lists only.

    The content itself comes back too when it is at most ``keep_bytes`` long, so that what is decoded is exactly what
    was hashed; else None. Memory stays at ``keep_bytes`` plus a block. OSError from reading passes through.
    """
    sha256 = hashlib.sha256()
    md5 = hashlib.md5(usedforsecurity=False)
    sha1 = hashlib.sha1(usedforsecurity=False)
    size = 0
    kept: io.BytesIO | None = io.BytesIO()  # grows in place, and gives what it holds without a copy
    while block := stream.read(_BLOCK_BYTES):
        sha256.update(block)
        md5.update(block)
        sha1.update(block)
        size += len(block)
        if size > keep_bytes:
            kept = None
        elif kept is not None:
            kept.write(block)
    digests = Digests(sha256.hexdigest(), md5.hexdigest(), sha1.hexdigest(), size)
    return digests, None if kept is None else kept.getvalue()
