"""The newest entries of an audit log first, a page at a time, without reading the rest."""

from __future__ import annotations

import os
from typing import Any

from imgmatch.vault.lines import LogFile
from indexer.case.redaction import legible

_MOST_BLOCKS = 2048
"""A page is no longer than so many blocks of 64 KiB, whatever stands there."""
_MOST_SHOWN = 10_000


def page(log: LogFile, count: int, end: int | None = None) -> tuple[list[dict[str, Any]], int]:
    """The newest ``count`` entries that end at byte ``end`` (None: the log's end), newest first, and where they begin.

    Give that as the next ``end``; 0: there is no older one. Lines that are no entry are given as ``{"damaged": text}``.
    """
    if not log.exists():
        return [], 0
    with log.open() as file:
        size = file.seek(0, os.SEEK_END)
        stop = start = size if end is None else max(0, min(end, size))
        # One line end more than entries: that of the line before them.
        lines_met, blocks = 0, list[bytes]()
        while start > 0 and lines_met <= count and len(blocks) < _MOST_BLOCKS:
            step = min(1 << 16, start)
            start = file.seek(start - step)
            blocks.append(file.read(step))
            lines_met += blocks[-1].count(b"\n")
        block = b"".join(reversed(blocks))
    lines = block.splitlines(keepends=True)[-count:]
    return [_entry(line) for line in reversed(lines)], stop - sum(map(len, lines))


def _entry(line: bytes) -> dict[str, Any]:
    try:
        return legible(line)
    except (ValueError, KeyError, TypeError):
        return {"damaged": line[:_MOST_SHOWN].decode("ascii", "backslashreplace").rstrip()}
