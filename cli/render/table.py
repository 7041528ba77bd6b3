"""Tables of text for people."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Sequence
from typing import Literal

_PATHS = {"path", "place", "found at", "query", "found by", "other_path", "other_place", "source"}
_TAIL = re.compile(r"(?: \(deleted\))?(?: \(\+\d+ more\))?\Z")
_NAMES = re.compile(r"[/\\]| > ")
_LEAST_PATH, _WIDEST_OTHER, _GAP = 16, 14, 2


def text_table(rows: list[list[str]], columns: Sequence[str]) -> str:
    """Rows under their columns; on a terminal as wide as that is, and there paths lose their beginning, never a part
    of a name.
    """
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return "none\n"
    # In a pipe nothing is cut or folded: the width is what the longest row needs.
    width = None if sys.stdout.isatty() else 100_000
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, legacy_windows=False, highlight=False)
    room = _room(rows, columns, console.width)
    rows = [[shortened(c, room) if name in _PATHS else c for name, c in zip(columns, row, strict=True)] for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numbers = bool(rows) and all(row[index].lstrip("-").replace(".", "", 1).isdigit() for row in rows if row[index])
        whole = max(len(row[index]) for row in rows) if name in _PATHS else None
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=numbers or whole is not None, min_width=whole)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a file name is never markup
    console.print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(line for line in lines if line) + "\n"


def shortened(path: str, most: int) -> str:
    """A path, or a place in words, of at most so many letters: what stands at its beginning gives way, the last name
    is always whole, and that something on the way was deleted stays said.
    """
    if len(path) <= most:
        return path
    tail = _TAIL.search(path)
    bare = path[: tail.start()] if tail else path
    best = path
    for name in reversed([*_NAMES.finditer(bare)]):  # from the right: as many names as there is room for
        if not name.start() or name.end() == len(bare):
            continue
        gone = " (deleted)" if " (deleted)" in bare[: name.start()] else ""
        shorter = f"…{gone}{path[name.start() :]}"
        if best != path and len(shorter) > most:
            break
        best = shorter
    return best if len(best) < len(path) else path


def _room(rows: list[list[str]], columns: Sequence[str], width: int) -> int:
    """How wide a path may be, so that the other columns have room."""
    taken, paths = 0, 0
    for index, name in enumerate(columns):
        if name in _PATHS:
            paths += 1
        else:
            taken += min(max(len(name), *(len(row[index]) for row in rows)), _WIDEST_OTHER)
    return max(_LEAST_PATH, (width - taken - _GAP * len(columns)) // max(1, paths) - 1)
