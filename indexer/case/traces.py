"""Traces of erased contents: how what was known of them is marked, and looked for among the bytes of a case.

A mark is the SHA-256 of the bytes with the case's own id before them, their length, and 32 bits mixed from their last 8
bytes. A file is read once: at each byte the last eight are mixed in the same way, and only where that is one of a
mark's are as many bytes before it as the mark is long hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np
import numpy.typing as npt

from indexer.catalogue.erasures import TraceRow

LEAST_BYTES = 8
MOST_BYTES = 1 << 20
_CHUNK_BYTES = 32 << 20
_BITS = 22
_Words = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Found:
    """A trace at a place of a file: how many bytes before ``end`` are it, and what they were known as."""

    path: Path
    end: int
    mark: TraceRow
    data: bytes


def digest(salt: str, data: bytes) -> bytes:
    """What a trace of these bytes is kept as."""
    return hashlib.sha256(salt.encode() + b"\0" + data).digest()


def marks(salt: str, sha256: str, kind: str, data: bytes) -> Iterator[TraceRow]:
    """The marks of some bytes that were known of a content; none where they are too few to be known again. Text is
    known as JSON has it too.
    """
    known = {data}
    if kind in ("place", "note"):
        known.add(json.dumps(data.decode("utf-8", "surrogateescape"))[1:-1].encode("ascii"))
    for each in sorted(known):
        if LEAST_BYTES <= len(each) <= MOST_BYTES:
            tail = int(_mixed(np.frombuffer(each[-8:], "<u8"), salt)[0])
            yield TraceRow(digest(salt, each), bytes.fromhex(sha256), kind, len(each), tail)


def _as_it_lies(path: Path) -> IO[bytes]:
    return path.open("rb")


def look(
    salt: str, known: Iterable[TraceRow], files: Iterable[Path], content: Callable[[Path], IO[bytes]] = _as_it_lies
) -> Iterator[Found]:
    """Every trace in what files hold, as ``content`` gives it. Memory: some tens of megabytes, and the marks. OSError
    where one can't be read.
    """
    by_tail: dict[int, list[TraceRow]] = defaultdict(list)
    for mark in known:
        by_tail[mark.tail].append(mark)
    if not by_tail:
        return
    maybe = np.zeros(1 << _BITS, dtype=bool)
    tails = np.fromiter(sorted(by_tail), np.uint64)
    maybe[tails & np.uint64((1 << _BITS) - 1)] = True
    longest = max(mark.length for marks_of in by_tail.values() for mark in marks_of)
    for path in files:
        for start, data, fresh in _chunks(content(path), longest):
            for end in _ends(data, salt, maybe, tails):
                if end <= fresh:  # was looked at with the chunk before
                    continue
                tail = int(_mixed(np.frombuffer(data[end - 8 : end], "<u8"), salt)[0])
                for mark in by_tail.get(tail, ()):
                    held = data[max(0, end - mark.length) : end]
                    if len(held) == mark.length and digest(salt, held) == mark.digest:
                        yield Found(path, start + end, mark, held)


def files_of(case: Path) -> list[Path]:
    """Every file in a case's folder, whatever it is called."""
    found = []
    for folder, _, names in os.walk(case):
        found += [Path(folder) / name for name in names]
    return sorted(path for path in found if path.is_file() and not path.is_symlink())


def _chunks(opened: IO[bytes], longest: int) -> Iterator[tuple[int, bytes, int]]:
    """Parts of a file: where each begins, its bytes, and how many of them were in the one before."""
    with opened as file:
        kept, start = b"", 0
        while block := file.read(_CHUNK_BYTES):
            data = kept + block
            yield start, data, len(kept)
            keep = min(len(data), longest)
            start += len(data) - keep
            kept = data[len(data) - keep :]


def _ends(data: bytes, salt: str, maybe: npt.NDArray[np.bool_], tails: _Words) -> list[int]:
    """Where a trace may end: behind the last byte of it."""
    ends: list[int] = []
    for offset in range(8):
        count = (len(data) - offset) // 8
        if count > 0:
            mixed = _mixed(np.frombuffer(data, "<u8", count, offset), salt)
            hits = np.flatnonzero(maybe[mixed & np.uint64((1 << _BITS) - 1)])
            hits = hits[np.isin(mixed[hits], tails)]
            ends += (offset + 8 * (hits + 1)).tolist()
    return sorted(ends)


def _mixed(words: _Words, salt: str) -> _Words:
    """32 bits of each eight bytes, by a multiplication that is the case's own."""
    odd = int.from_bytes(hashlib.sha256(salt.encode()).digest()[:8], "little") | 1
    with np.errstate(over="ignore"):
        return (words.astype(np.uint64) * np.uint64(odd)) >> np.uint64(32)
