"""How a result is written, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.formats import Format, Record, emit, emit_one
from indexer.out.atomic import refuse_existing

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FormatOpt = Annotated[Format, typer.Option("--format", help="How to write the result.")]
ByNameOpt = Annotated[
    Format | None,
    typer.Option("--format", help="How to write the result (default: as the name of --output ends, else a table)."),
]
_ENDINGS = ("csv", "json", "jsonl", "ndjson")


def _new(output: Path | None) -> Path | None:
    if output is not None:
        refuse_existing(output)
    return output


OutputOpt = Annotated[
    Path | None,
    typer.Option("--output", "-o", callback=_new, help="Write the result to this new file; none is overwritten."),
]


def format_of(output: Path | None) -> Format:
    """How to write a file of this name: CSV, JSON, JSON Lines, else a table."""
    ending = "" if output is None else output.suffix.lower().removeprefix(".")
    return Format({"ndjson": "jsonl"}.get(ending, ending)) if ending in _ENDINGS else Format.table


@dataclass(frozen=True, slots=True)
class Output:
    """A result's format and file."""

    wanted: ByNameOpt = None
    output: OutputOpt = None

    @property
    def format(self) -> Format:
        """What is asked for, or what the name of the file says."""
        return self.wanted or format_of(self.output)

    def many(self, records: Iterable[Record], columns: Sequence[str], csv_too: Sequence[str] = ()) -> None:
        """Write records; a table has ``columns``, a CSV also ``csv_too``, JSON every field."""
        more = csv_too if self.format is Format.csv else ()
        emit(records, [*columns, *more], self.format, self.output)

    def one(self, record: Record | DataclassInstance) -> None:
        """Write one record, or what a function of the library tells of itself."""
        told = record if isinstance(record, Mapping) else dataclasses.asdict(record)
        emit_one(told, self.format, self.output)
