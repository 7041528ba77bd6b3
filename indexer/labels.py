"""Labels of reference pictures: a CSV that says which hotel, chain or city each shows."""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.types import Issue

if TYPE_CHECKING:
    from indexer.case import Case

_SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")
_COMMIT_ROWS = 4096


def apply_labels(case: Case, path: Path, roots: Sequence[str | os.PathLike[str]]) -> tuple[int, list[Issue]]:
    """Read the CSV and set its labels on the items that it names. Returns how many rows were set, and an Issue for
    each row that names nothing in the case.

    The first column is ``file`` (absolute, or relative to the CSV's folder or to an ingested path) or ``sha256``, then
    ``label``, then any further columns (chain, city, ...). Empty cells set nothing. Raises UsageError on another
    layout.
    """
    source = Locator.file(path)
    issues = []
    ready: list[tuple[int, str, dict[str, str]]] = []
    count = 0
    for number, key, columns in read_labels(path):
        item_id = _item(case, key, path, roots)
        if item_id is None:
            message = f"row {number}: no item in the case for {key!r}; its labels were not set"
            issues.append(Issue(Locator("row", str(number), source), "labels", "no_item", message))
            continue
        # Same content in two files may be in two hotels: each row that names it speaks for itself.
        ready.append((item_id, key, columns))
        count += 1
        if len(ready) >= _COMMIT_ROWS:
            case.set_labels(ready)
            ready = []
    case.set_labels(ready)
    return count, issues


def read_labels(path: Path) -> Iterator[tuple[int, str, dict[str, str]]]:
    """Rows of a label CSV (UTF-8): line number, file name or SHA-256, and the named columns that are not empty.

    Raises UsageError, naming the file and the line, when it has another layout.
    """
    try:
        with path.open(encoding="utf-8-sig", errors="surrogateescape", newline="") as file:
            rows = csv.reader(file)
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
                yield rows.line_num, cells[0], {name: value for name, value in named.items() if value}
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing CSV file") from error
    except csv.Error as error:
        raise UsageError(f"{path}, line {rows.line_num}: {error}; mend the line") from error


def _item(case: Case, key: str, path: Path, roots: Sequence[str | os.PathLike[str]]) -> int | None:
    if _SHA256.match(key):
        return case.catalogue.item_by_sha256(key)
    for folder in (str(path.parent), *(os.fsdecode(root) for root in roots)):
        item_id = case.catalogue.item_at(Locator.file(os.path.join(folder, key)))
        if item_id is not None:
            return item_id
    return None
