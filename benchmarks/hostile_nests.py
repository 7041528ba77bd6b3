"""Mutants put into files of other kinds, up to four deep, and two files made one: what a reader of one kind hands to
another.
"""

from __future__ import annotations

import base64
import bz2
import gzip
import lzma
import plistlib
import random
import struct
import zlib
from collections.abc import Callable
from email.message import EmailMessage

from benchmarks.evidence_pst import Form, Message, pst
from benchmarks.evidence_stores import tarred, zipped
from benchmarks.hostile_carriers import cpio, pe, sqlite, thumbcache

DEPTH = 4
_MOST_BYTES = 1 << 20


def nested(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """A file within one to four others, each of another kind, and one of them perhaps damaged."""
    for _ in range(rng.randint(1, DEPTH)):
        if len(data) > _MOST_BYTES:
            break
        data = rng.choice(_CARRIERS)(data)
        if rng.random() < 0.15:
            at = rng.randrange(len(data))
            data = data[:at] + rng.randbytes(8) + data[at + 8 :] if rng.random() < 0.7 else data[: at + 1]
        if rng.random() < 0.1:
            data = joined(data, rng, others)
    return data


def joined(data: bytes, rng: random.Random, others: list[bytes]) -> bytes:
    """Two files as one: one behind the other, in the middle of it, with its first bytes, or in turns."""
    other = rng.choice(others)
    match rng.randrange(5):
        case 0:
            return data + other
        case 1:
            return other + bytes(rng.randrange(64)) + data
        case 2:
            at = rng.randrange(len(data))
            return data[:at] + other + data[at:]
        case 3:
            size = min(rng.choice((4, 8, 16, 64, 512)), len(other))
            return other[:size] + data[size:]
    step = rng.choice((64, 512, 4096))
    pairs = range(0, max(len(data), len(other)), step)
    return b"".join(data[at : at + step] + other[at : at + step] for at in pairs)


def packed_alone(data: bytes) -> bytes:
    """By LZMA, without a container."""
    return lzma.compress(data, lzma.FORMAT_ALONE)


def flash(data: bytes) -> bytes:
    """Shockwave Flash that packs itself, with the file behind its header."""
    body = bytes(20) + data
    return b"CWS\x08" + struct.pack("<I", 8 + len(body)) + zlib.compress(body)


def _mailed(data: bytes) -> bytes:
    message = EmailMessage()
    message["From"], message["Subject"] = "a@b", "c"
    message.set_content("d")
    message.add_attachment(data, maintype="application", subtype="octet-stream", filename="a")
    return bytes(message)


def _stored(form: Form) -> Callable[[bytes], bytes]:
    return lambda data: pst([Message("a", attached=[("a", data)])], form)


def _listed(data: bytes) -> bytes:
    return plistlib.dumps({"a": data}, fmt=plistlib.FMT_BINARY)


def _as_text(data: bytes) -> bytes:
    return b'{"a": "' + base64.b64encode(data) + b'"}'


def _as_digits(data: bytes) -> bytes:
    return b"INSERT INTO a VALUES (X'" + data.hex().encode() + b"');"


_CARRIERS: tuple[Callable[[bytes], bytes], ...] = (
    *(gzip.compress, bz2.compress, lzma.compress, zlib.compress, packed_alone, flash),
    *(_mailed, _listed, _as_text, _as_digits, pe),
    *(_stored(Form(version, hidden)) for version, hidden in ((15, 0), (23, 1), (36, 2))),
    *(lambda data, carry=carry: carry({"a": data}) for carry in (zipped, tarred, cpio, sqlite, thumbcache)),
)
