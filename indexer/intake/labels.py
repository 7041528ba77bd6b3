"""Labels of reference pictures: a CSV that says which hotel, chain or city each shows."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.errors import UsageError
from imgmatch.given import Rows
from imgmatch.locator import Locator
from imgmatch.types import Issue

if TYPE_CHECKING:
    from indexer.case.run import Run

_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
_COMMIT_ROWS = 4096


@dataclass(frozen=True, slots=True)
class LabelRow:
    """A row that says something of a picture: its number, the picture's file name or SHA-256, its columns.

    ``spoken`` is what the catalogue keeps as the source of these labels: what the same source says later replaces them.
    """

    number: int
    key: str
    columns: dict[str, str]
    spoken: str


def apply_labels(
    run: Run,
    path: Path,
    rows: Iterable[LabelRow | Issue],
    roots: Sequence[str | os.PathLike[str]],
    record: Callable[[list[Issue]], None],
    stage: str,
) -> int:
    """Set the labels of a table (``read_labels``, or a manifest) on the items that its rows name; returns how many
    rows were set. ``record`` is given an Issue for each row that names nothing in the case, some thousand at a time;
    those of an earlier run are cleared.

    A file is named by its absolute path, or relative to the table's folder or to an ingested path.
    """
    source = Locator.file(path)
    with run.catalogue.transaction() as writer:
        writer.issues.clear(f"{source}|row:")
    issues: list[Issue] = []
    ready: list[tuple[int, str, dict[str, str]]] = []
    count = 0
    for row in rows:
        if isinstance(row, Issue):
            issues.append(row)
        elif (item_id := _item(run, row.key, path, roots)) is None:
            issues.append(_no_item(row, source, stage, path))
        else:
            # Same content in two files may be in two hotels: each row that names it speaks for itself.
            ready.append((item_id, row.spoken, row.columns))
            count += 1
        if len(ready) >= _COMMIT_ROWS:
            run.set_labels(ready)
            ready = []
        if len(issues) >= _COMMIT_ROWS:
            record(issues)
            issues = []
    run.set_labels(ready)
    if issues:
        record(issues)
    return count


def _no_item(row: LabelRow, source: Locator, stage: str, path: Path) -> Issue:
    place = Locator("row", str(row.number), source)
    if not _SHA256.match(row.key) and stage == "manifest" and not os.path.lexists(os.path.join(path.parent, row.key)):
        message = f"row {row.number}: no file {row.key!r}; what it says of it was not kept"
        return Issue(place, stage, "missing_file", message)
    message = f"row {row.number}: no item in the case for {row.key!r}; its labels were not set"
    return Issue(place, stage, "no_item", message)


def read_labels(path: Path) -> Iterator[LabelRow]:
    """Rows of a label CSV (UTF-8). The first column is ``file`` or ``sha256``, then ``label``, then any further columns
    (chain, city, ...). Empty cells set nothing.

    Raises UsageError, naming the file and the line, when it has another layout.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = Rows(file)
            header = [name.strip() for name in next(rows, [])]
            if len(header) < 2 or header[0] not in ("file", "sha256") or header[1] != "label":
                raise UsageError(
                    f"{path}: the first line must read file,label or sha256,label and may name further columns; "
                    f"it reads {','.join(header) or '(nothing)'!r}"
                )
            if len(set(header)) != len(header) or not all(header):
                raise UsageError(f"{path}: two columns have the same name, or one has none; name each once")
            for cells in rows:
                if not cells:
                    continue
                if len(cells) != len(header):
                    raise UsageError(
                        f"{path}, line {rows.line_num}: {len(cells)} cells, the first line has {len(header)}; "
                        "mend the line"
                    )
                named = dict(zip(header[1:], (cell.strip() for cell in cells[1:]), strict=True))
                columns = {name: value for name, value in named.items() if value}
                yield LabelRow(rows.line_num, cells[0], columns, cells[0])
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing CSV file") from error
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: {error}; mend the line") from error


def _item(run: Run, key: str, path: Path, roots: Sequence[str | os.PathLike[str]]) -> int | None:
    if _SHA256.match(key):
        return run.catalogue.items.id_of(key)
    for folder in (str(path.parent), *(os.fsdecode(root) for root in roots)):
        item_id = run.catalogue.sightings.item_at(Locator.file(os.path.join(folder, key)))
        if item_id is not None:
            return item_id
    return None
