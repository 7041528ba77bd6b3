"""How a result is written, and where."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from cli.render.formats import Format, Record, emit, emit_one

FormatOpt = Annotated[Format, typer.Option("--format", help="How to write the result.")]
OutputOpt = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write the result to this file.", show_default=False)
]


@dataclass(frozen=True, slots=True)
class Output:
    """A result's format and file."""

    format: FormatOpt = Format.table
    output: OutputOpt = None

    def many(self, records: Iterable[Record], columns: Sequence[str], csv_too: Sequence[str] = ()) -> None:
        """Write records; a table has ``columns``, a CSV also ``csv_too``, JSON every field."""
        more = csv_too if self.format is Format.csv else ()
        emit(records, [*columns, *more], self.format, self.output)

    def one(self, record: Record) -> None:
        """Write one record."""
        emit_one(record, self.format, self.output)
