"""Tables of text for people."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence


def text_table(rows: list[list[str]], columns: Sequence[str]) -> str:
    """Rows under their columns; on a terminal as wide as that is."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    if not rows:
        return "none\n"
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for index, name in enumerate(columns):
        numbers = bool(rows) and all(row[index].lstrip("-").replace(".", "", 1).isdigit() for row in rows if row[index])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=numbers)
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))  # Text: a file name is never markup
    # In a pipe nothing is cut or folded: the width is what the longest row needs.
    width = None if sys.stdout.isatty() else 100_000
    text = io.StringIO()
    console = Console(file=text, width=width, color_system=None, legacy_windows=False, highlight=False)
    console.print(table)
    lines = [line.rstrip() for line in text.getvalue().splitlines()]
    return "\n".join(line for line in lines if line) + "\n"
