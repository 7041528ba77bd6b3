"""Labels of reference pictures: a table that says which hotel, chain or city each shows."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.given import legible
from imgmatch.locator import Locator, readable
from imgmatch.types import Issue
from indexer.catalogue.clock import now_utc
from indexer.intake.places import Places
from indexer.intake.tablefile import records

if TYPE_CHECKING:
    from indexer.case.run import Run

KEY_COLUMNS = ("sha256", "path", "file", "filename", "local_path", "image")
"""Columns that name the picture, in the order of trust."""
_AT_ONCE = 4096
_NAMED = 5
_SHOWN = 80
_WHY = {
    "missing_file": "no such file",
    "no_item": "no item of the case (a file that is no picture, was left out, or is not ingested)",
    "erased": "content that was erased from the case, and stays out",
    "ambiguous": "several files whose names differ in upper and lower case only; write it as its file has it",
    "no_file": "no picture named",
    "malformed_row": "not read",
}


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row that says something of a picture: its number, the picture's file name or SHA-256, its columns.

    ``spoken`` is what the catalogue keeps as the source of these labels: what the same source says later replaces them.
    """

    number: int
    key: str
    columns: dict[str, str]
    spoken: str


@dataclass(frozen=True, slots=True)
class UnusedRow:
    """A row that says something of nothing: its number (0: of no row), a kind of ``_WHY``, and what stands there."""

    number: int
    kind: str
    what: str


@dataclass(slots=True)
class Applied:
    """What became of a table: how many rows were set and how many were not, and why, a sentence for each kind."""

    set: int = 0
    unused: int = 0
    told: list[str] = field(default_factory=list)


def apply_labels(
    run: Run,
    path: Path,
    rows: Iterable[LabelRow | UnusedRow],
    roots: Sequence[str | os.PathLike[str]],
    stage: str,
) -> Applied:
    """Set the labels of a table (``read_labels``, or a manifest) on the items that its rows name.

    Rows that name nothing in the case are one issue for each kind, of the table and not of evidence; those of an
    earlier run with this table are cleared.
    """
    done = Applied()
    places = Places(run.catalogue, path, roots)
    unused: dict[str, list[UnusedRow]] = {}
    counts: dict[str, int] = {}
    total = 0

    def left(row: UnusedRow) -> None:
        counts[row.kind] = counts.get(row.kind, 0) + 1
        named = unused.setdefault(row.kind, [])
        if len(named) < _NAMED:
            named.append(row)

    def settle(waiting: list[LabelRow]) -> None:
        ready: list[tuple[int, str, dict[str, str]]] = []
        for row, item_id in zip(waiting, places.items([row.key for row in waiting]), strict=True):
            if isinstance(item_id, int):
                # Same content in two files may be in two hotels: each row that names it speaks for itself.
                columns = {readable(name): readable(value) for name, value in row.columns.items()}
                ready.append((item_id, readable(row.spoken), columns))
            else:
                left(UnusedRow(row.number, item_id, row.key))
        run.set_labels(ready)
        done.set += len(ready)

    waiting: list[LabelRow] = []
    for row in rows:
        total += 1
        if isinstance(row, UnusedRow):
            left(row)
        else:
            waiting.append(row)
        if len(waiting) >= _AT_ONCE:
            settle(waiting)
            waiting = []
    settle(waiting)
    done.unused = sum(counts.values())
    source, now = Locator.file(path), now_utc()
    with run.catalogue.transaction() as writer:
        writer.issues.clear(f"{source}|row")
        for kind, rows_of in unused.items():
            told = _told(kind, counts[kind], total, rows_of)
            done.told.append(told)
            writer.issues.add(Issue(Locator("rows", kind, source), stage, kind, told), now, run.run_id)
    return done


def _told(kind: str, count: int, total: int, named: Sequence[UnusedRow]) -> str:
    if kind == "erased":  # and so are its names
        return f"{count:,} of {total:,} rows: {_WHY[kind]}; what they say was not kept"
    examples = "; ".join((f"row {row.number}: " if row.number else "") + legible(row.what)[:_SHOWN] for row in named)
    more = f"; and {count - len(named):,} more" if count > len(named) else ""
    return f"{count:,} of {total:,} rows: {_WHY[kind]}; what they say was not kept ({examples}{more})"


def read_labels(path: Path) -> Iterator[LabelRow | UnusedRow]:
    """Rows of a label table: CSV or an Excel workbook. One column is ``file`` (or another of KEY_COLUMNS), one is
    ``label``, and there may be further ones (chain, city, ...). Empty cells set nothing.

    Raises UsageError, naming the file, when it has another layout.
    """
    needed = "the first line must read file,label or sha256,label and may name further columns"
    for number, row in records(path, KEY_COLUMNS, needed, ("label",)):
        if isinstance(row, str):
            yield UnusedRow(number, "malformed_row", row)
            continue
        named = next((name for name in KEY_COLUMNS if row.get(name)), None)
        if named is None:
            yield UnusedRow(number, "no_file", "neither a file nor a SHA-256")
            continue
        columns = {name: value for name, value in row.items() if name not in KEY_COLUMNS and value}
        yield LabelRow(number, row[named], columns, row[named])
