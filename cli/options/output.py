"""How a result is written, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.formats import Format, Record, emit, emit_one

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

FormatOpt = Annotated[Format, typer.Option("--format", help="How to write the result.")]
OutputOpt = Annotated[Path | None, typer.Option("--output", "-o", help="Write the result to this file.")]


@dataclass(frozen=True, slots=True)
class Output:
    """A result's format and file."""

    format: FormatOpt = Format.table
    output: OutputOpt = None

    def many(self, records: Iterable[Record], columns: Sequence[str], csv_too: Sequence[str] = ()) -> None:
        """Write records; a table has ``columns``, a CSV also ``csv_too``, JSON every field."""
        more = csv_too if self.format is Format.csv else ()
        emit(records, [*columns, *more], self.format, self.output)

    def one(self, record: Record | DataclassInstance) -> None:
        """Write one record, or what a function of the library tells of itself."""
        told = record if isinstance(record, Mapping) else dataclasses.asdict(record)
        emit_one(told, self.format, self.output)
