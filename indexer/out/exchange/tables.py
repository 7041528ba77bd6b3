"""Tables of a case as CSV, JSON Lines or Parquet, one file a table; the columns are part of the product."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from imgmatch import times
from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.optional import require
from imgmatch.types import ModelSpec
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.index.protocol import Progress
from indexer.intake.csvfile import write_csv
from indexer.out.atomic import whole_folder
from indexer.out.exchange.snapshot import item_batches
from indexer.out.jsontext import json_text
from indexer.out.places import file_name, mime_type
from indexer.out.released import hand_out
from indexer.search.fields import BOX, EXPORTED, FIELDS, NUMBER, TEXT, TEXTS, TRUTH, WHOLE, values

if TYPE_CHECKING:
    from indexer.search.request import SearchResult

FORMATS = ("csv", "jsonl", "parquet")
_BATCH = 8192
Record = dict[str, Any]

TIME = "time"
"""Beside the kinds of ``indexer.search.fields``: ISO 8601, UTC."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its name, and its columns with their kinds, in order."""

    name: str
    columns: dict[str, str]


TABLES = {
    table.name: table
    for table in (
        Table(
            "items",
            {"item_id": WHOLE, "sha256": TEXT, "sha1": TEXT, "md5": TEXT, "size_bytes": WHOLE, "format": TEXT,
             "mime_type": TEXT, "width_px": WHOLE, "height_px": WHOLE, "partial": TEXT, "sightings": WHOLE},
        ),
        Table(
            "sightings",
            {"sighting_id": WHOLE, "item_id": WHOLE, "sha256": TEXT, "locator": TEXT, "path": TEXT, "file_name": TEXT,
             "deleted": TRUTH, "modified_utc": TIME, "modified_local": TEXT, "seen_utc": TIME, "run_id": WHOLE},
        ),
        Table("labels", {"item_id": WHOLE, "sha256": TEXT, "source": TEXT, "name": TEXT, "value": TEXT}),
        Table(
            "issues",
            {"locator": TEXT, "path": TEXT, "stage": TEXT, "error": TEXT, "what": TEXT, "message": TEXT, "sha256": TEXT,
             "seen_utc": TIME, "run_id": WHOLE, "beside": TRUTH},
        ),
        Table(
            "decisions",
            {"decision_id": WHOLE, "query_sha256": TEXT, "item_sha256": TEXT, "verdict": TEXT, "examiner": TEXT,
             "account": TEXT, "decided_utc": TIME, "note": TEXT, "stands": TRUTH},
        ),
        Table(
            "groups",
            {"group": WHOLE, "best": TRUTH, "item_id": WHOLE, "sha256": TEXT, "width_px": WHOLE, "height_px": WHOLE,
             "size_bytes": WHOLE, "format": TEXT, "differs": TEXTS, "locator": TEXT},
        ),
        Table(
            "matches",
            {"query": TEXT, "query_sha256": TEXT, "model": TEXT, "answer": TEXT,
             **{name: FIELDS[name].kind for name in EXPORTED}, "issue": TEXT},
        ),
    )
}  # fmt: skip
PLAIN = ("items", "sightings", "labels", "issues", "decisions")
"""What is written where no table is named: all that costs no search."""


def export_tables(
    case: Case,
    folder: str | os.PathLike[str],
    format: str,
    names: Sequence[str] = (),
    *,
    results: Iterable[SearchResult] = (),
    model: ModelSpec | None = None,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write tables into a new folder, ``NAME.FORMAT`` each; returns the number of rows of each.

    ``names``: which (default: ``PLAIN``). ``results`` are the searches of the table ``matches``, ``model`` is the one
    of ``groups`` (default: the case's). Streamed by batches of 8,192 rows. Raises UsageError on an unknown name, and
    where the folder exists or can't be written; ImgmatchError where Parquet's package is missing.
    """
    for name in names:
        if name not in TABLES:
            raise UsageError(f"{name!r} is no table; choose from {', '.join(TABLES)}")
    if format not in FORMATS:
        raise UsageError(f"{format!r} is no format of tables; choose from {', '.join(FORMATS)}")
    target = Path(folder)
    wanted = [name for name in TABLES if name in (names or PLAIN)]
    write = {"csv": _write_csv, "jsonl": _write_jsonl, "parquet": _write_parquet}[format]
    if format == "parquet":
        require("pyarrow", "exchange")
    counts = {}
    arguments, subject = {"format": format, "tables": wanted}, {"folder": str(target.absolute())}
    recorded = case.use("export", arguments=arguments, subject=subject, model=model, ends="exported")
    with whole_folder(target) as draft, recorded as use, use.catalogue.snapshot():
        makers: dict[str, Callable[[], Iterator[Record]]] = {
            "items": lambda: _items(use, progress),
            "sightings": lambda: _sightings(use),
            "labels": lambda: _named("labels", use.catalogue.labels.table()),
            "issues": lambda: _issues(use),
            "decisions": lambda: _decisions(use),
            "groups": lambda: _groups(use, model or case.default_model, progress),
            "matches": lambda: _matches(results),
        }
        for name in wanted:
            counts[name] = write(draft / f"{name}.{format}", makers[name](), TABLES[name])
        use.entry.counts = counts
        hand_out(use, format, target, draft)
    return counts


def _write_csv(path: Path, records: Iterator[Record], table: Table) -> int:
    with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        return write_csv(file, records, list(table.columns))


def _write_jsonl(path: Path, records: Iterator[Record], table: Table) -> int:
    count = 0
    with path.open("w", encoding="utf-8", errors="backslashreplace") as file:
        for record in records:
            ordered = {column: record.get(column) for column in table.columns}
            file.write(json_text(ordered) + "\n")
            count += 1
    return count


def _write_parquet(path: Path, records: Iterator[Record], table: Table) -> int:
    pa = require("pyarrow", "exchange")
    parquet = require("pyarrow.parquet", "exchange")
    kinds = {
        TEXT: pa.string(),
        WHOLE: pa.int64(),
        NUMBER: pa.float64(),
        TRUTH: pa.bool_(),
        TIME: pa.timestamp("us", tz="UTC"),
        TEXTS: pa.list_(pa.string()),
        BOX: pa.list_(pa.int64()),
    }
    schema = pa.schema([(name, kinds[kind]) for name, kind in table.columns.items()])
    count = 0
    with path.open("wb") as file, parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while batch := list(itertools.islice(records, _BATCH)):
            columns = {
                name: [_typed(record.get(name), kind) for record in batch] for name, kind in table.columns.items()
            }
            writer.write_table(pa.table(columns, schema=schema))
            count += len(batch)
    return count


def _typed(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == TIME:
        return datetime.fromisoformat(value)
    if kind == TEXT:
        return str(value).encode("utf-8", "backslashreplace").decode("utf-8")
    return list(value) if kind in (TEXTS, BOX) else value


def _named(name: str, rows: Iterator[tuple[Any, ...]]) -> Iterator[Record]:
    for row in rows:
        yield dict(zip(TABLES[name].columns, row, strict=True))


def _items(use: Use, progress: Progress | None) -> Iterator[Record]:
    for items in item_batches(use, progress):
        seen = use.catalogue.sightings.counts(list(items))
        for item in items.values():
            record = {name: getattr(item, name, None) for name in TABLES["items"].columns}
            yield {**record, "mime_type": mime_type(item.format), "sightings": seen.get(item.item_id, 0)}


def _sightings(use: Use) -> Iterator[Record]:
    for number, item_id, sha256, locator, modified, seen, run_id in use.catalogue.sightings.table():
        place = Locator.parse(locator)
        yield {
            "sighting_id": number,
            "item_id": item_id,
            "sha256": sha256,
            "locator": locator,
            "path": place.path,
            "file_name": file_name(place),
            "deleted": place.deleted,
            "modified_utc": modified if times.is_utc(modified) else None,
            "modified_local": None if times.is_utc(modified) else modified,
            "seen_utc": seen,
            "run_id": run_id,
        }


def _issues(use: Use) -> Iterator[Record]:
    for row in use.catalogue.issues.all():
        yield {
            "locator": str(row.issue.locator),
            "path": row.issue.locator.path,
            "stage": row.issue.stage,
            "error": row.issue.error,
            "what": row.issue.what,
            "message": row.issue.message,
            "sha256": row.sha256,
            "seen_utc": row.seen_utc,
            "run_id": row.run_id,
            "beside": row.beside,
        }


def _decisions(use: Use) -> Iterator[Record]:
    standing = use.catalogue.decisions.newest()
    for row in use.catalogue.decisions.all():
        record = {name: getattr(row, name, None) for name in TABLES["decisions"].columns}
        yield {**record, "stands": row.decision_id in standing}


def _groups(use: Use, spec: ModelSpec, progress: Progress | None) -> Iterator[Record]:
    from indexer.search.copies import Copies
    from indexer.search.groups import groups

    for group in groups(use, spec, Copies(use).told, progress=progress):
        for member in group.members:
            item = member.item
            record = {name: getattr(item, name, None) for name in TABLES["groups"].columns}
            yield {
                **record,
                "group": group.number,
                "best": member is group.members[0],
                "differs": list(member.differs),
                "locator": str(member.sightings[0]),
            }


def _matches(results: Iterable[SearchResult]) -> Iterator[Record]:
    for result in results:
        head = {
            "query": str(result.locator),
            "query_sha256": result.sha256,
            "model": result.model,
            "answer": result.answer,
        }
        if not result.matches:
            yield {**head, "issue": None if result.issue is None else result.issue.message}
        for match in result.matches:
            yield {**head, **values(match, EXPORTED)}
        for match in result.left_out.rejected:
            yield {**head, **values(match, EXPORTED), "rank": None}
