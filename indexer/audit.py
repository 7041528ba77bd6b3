"""The audit log of a case: JSON Lines, each entry holding the SHA-256 of the line before, so that a change shows."""

from __future__ import annotations

import getpass
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import CaseError
from indexer.clock import now_utc
from indexer.lock import locked

_FIRST = "0" * 64


def append(path: Path, action: str, details: dict[str, Any]) -> None:
    """Add one entry and force it to disk. Raises CaseError where that can't be done: use that leaves no trace is none.

    ``details`` must be what ``json`` can write; text that is not Unicode is escaped.
    """
    try:
        with path.open("ab+") as file, locked(file):
            number, before = _last(file.name, _tail(file))
            entry = {
                "entry": number + 1,
                "time_utc": now_utc(),
                "actor": account(),
                "action": action,
                "version": imgmatch.__version__,
                **details,
                "before": before,
            }
            file.write(json.dumps(entry, sort_keys=True).encode("ascii") + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise CaseError(
            f"{path}: this use can't be recorded ({error.strerror}); check disk space and rights"
        ) from error


def head(path: Path) -> tuple[int, str]:
    """How many entries the log has, and the SHA-256 of the last one, which the next would name: it stands for all."""
    if not path.exists():
        return 0, _FIRST
    with path.open("rb") as file:
        return _last(file.name, _tail(file))


def page(path: Path, count: int, end: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """The newest ``count`` entries that end at byte ``end`` (None: the log's end), newest first, and where they begin.

    Give that as the next ``end``; 0: there is no older one. Lines that are no entry are given as ``{"damaged": text}``.
    """
    if not path.exists():
        return [], 0
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        stop = start = size if end is None else max(0, min(end, size))
        block = b""
        # One line end more than entries: that of the line before them.
        while start > 0 and block.count(b"\n") <= count:
            step = min(1 << 16, start)
            start = file.seek(start - step)
            block = file.read(step) + block
    lines = block.splitlines(keepends=True)[-count:]
    return [_entry(line) for line in reversed(lines)], stop - sum(map(len, lines))


def _entry(line: bytes) -> dict[str, Any]:
    try:
        entry = json.loads(line)
    except ValueError:
        entry = None
    return entry if isinstance(entry, dict) else {"damaged": line.decode("ascii", "backslashreplace").rstrip()}


def verify(path: Path) -> list[str]:
    """Every fault of the chain: an edited, missing, added or moved entry, or a torn end. Empty when all is well."""
    faults = []
    before = _FIRST
    if not path.exists():
        return [f"{path}: the audit log is missing"]
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                entry = json.loads(line)
                good = entry["entry"] == number and entry["before"] == before and line.endswith(b"\n")
            except (ValueError, TypeError, KeyError):
                good = False
            if not good:
                faults.append(f"{path}: entry {number} does not continue the chain")
            before = hashlib.sha256(line).hexdigest()
    return faults


def _tail(file: Any) -> bytes:
    """The last line, read from the end: the log grows for years."""
    size = file.seek(0, os.SEEK_END)
    block = b""
    while size > 0 and block.count(b"\n") < 2:
        step = min(4096, size)
        size = file.seek(size - step)
        block = file.read(step) + block
    return block.rstrip(b"\n").rpartition(b"\n")[2] + b"\n" if block else b""


def _last(name: str, line: bytes) -> tuple[int, str]:
    if not line:
        return 0, _FIRST
    try:
        return int(json.loads(line)["entry"]), hashlib.sha256(line).hexdigest()
    except (ValueError, TypeError, KeyError) as error:
        raise CaseError(f"{name}: the last entry is damaged; run imgmatch check") from error


def account() -> str:
    """The account that this runs under."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # an account without a name
        return str(os.getuid()) if hasattr(os, "getuid") else "unknown"
