"""Tables of text for people."""

from __future__ import annotations

import io
import re
import shutil
import sys
import textwrap
from collections.abc import Iterable, Sequence
from typing import Literal

_PATHS = {"path", "place", "found at", "query", "found by", "other_path", "other_place", "source"}
_TAIL = re.compile(r"(?: \(deleted\))?(?: \(\+\d+ more\))?\Z")
_NAMES = re.compile(r"[/\\]| > ")
_LEAST_PATH, _WIDEST_OTHER, _GAP = 16, 14, 3


def text_table(rows: list[list[str]], columns: Sequence[str]) -> str:
    """Rows under their columns; on a terminal as wide as that is, and there paths lose their beginning, never a part
    of a name, and no word is broken: what there is no room for stands below its row, the widest first.
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
    below = _below(rows, columns, console.width)
    hung = [_hanging(row, columns, below, console.width) for row in rows]
    rows = [[cell for index, cell in enumerate(row) if index not in below] for row in rows]
    columns = [name for index, name in enumerate(columns) if index not in below]
    room = _room(rows, columns, console.width)
    console.width = 100_000 if below else console.width  # then each row is one line
    rows = [[shortened(c, room) if name in _PATHS else c for name, c in zip(columns, row, strict=True)] for row in rows]
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numbers = bool(rows) and all(row[index].lstrip("-").replace(".", "", 1).isdigit() for row in rows if row[index])
        cells = [row[index] for row in rows]
        whole = _wide(cells) if name in _PATHS else None
        least = _wide(word for text in (name, *cells) for word in text.split()) if whole is None else whole
        justify: Literal["left", "right"] = "right" if numbers else "left"
        table.add_column(name, justify=justify, overflow="fold", no_wrap=numbers or whole is not None, min_width=least)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a file name is never markup
    console.print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    if below:
        first = next(number for number, line in enumerate(lines) if line)
        head, body = lines[first : first + 2], lines[first + 2 : first + 2 + len(rows)]  # a row may have no text left
        lines = [*head, *(line for row, more in zip(body, hung, strict=True) for line in (row, *more))]
    return "\n".join(filter(None, lines)) + "\n"


def _wide(texts: Iterable[str]) -> int:
    """How many columns of a terminal the widest takes; 1 at least."""
    from rich.cells import cell_len

    return max((1, *map(cell_len, texts)))


def _below(rows: list[list[str]], columns: Sequence[str], width: int) -> set[int]:
    """Which columns stand below their row: none where words fit side by side, else the widest, until the rest does on
    one line. The first stays.
    """
    cells = [[name, *(row[index] for row in rows)] for index, name in enumerate(columns)]
    words = [
        _LEAST_PATH if name in _PATHS else _wide(word for text in texts for word in text.split())
        for name, texts in zip(columns, cells, strict=True)
    ]
    if sum(words) + _GAP * len(columns) <= width:
        return set()
    whole, below = [_wide(texts) for texts in cells], set[int]()
    for index in sorted(range(1, len(columns)), key=lambda index: -whole[index]):
        if sum(wide + _GAP for each, wide in enumerate(whole) if each not in below) <= width:
            break
        below.add(index)
    return below


def _hanging(row: list[str], columns: Sequence[str], below: set[int], width: int) -> list[str]:
    """The lines below a row."""
    lines: list[str] = []
    for index in sorted(below):
        head = f"    {columns[index]}: "
        text = row[index]
        if columns[index] in _PATHS:
            lines += [head + shortened(text, width - len(head))] * bool(text)
        else:
            lines += _wrapped(text, width, head, "      ")
    return lines


def _wrapped(text: str, width: int, first: str, rest: str) -> list[str]:
    """Lines of a text, no word of it broken: a hash is copied whole. None of an empty one."""
    return textwrap.wrap(
        text, max(20, width), initial_indent=first, subsequent_indent=rest, break_long_words=False,
        break_on_hyphens=False,
    )  # fmt: skip


def record_table(rows: Sequence[tuple[str, str]]) -> str:
    """Fields and their values; on a terminal a value that has no room beside its field stands below it."""
    width = _terminal()
    wide = _wide(name for name, _ in rows)
    lines = []
    for name, value in rows:
        beside = _wrapped(value, width, f" {name:<{wide}}   ", " " * (wide + 4)) or [f" {name}"]
        if value and (len(beside) > 2 or max(map(len, beside)) > width):
            beside = [f" {name}", *_wrapped(value, width, "     ", "     ")]
        lines += beside
    return "\n".join(lines) + "\n"


def _terminal() -> int:
    """How wide the terminal is; in a pipe nothing is cut or folded."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else 100_000


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
