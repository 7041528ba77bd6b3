"""The models that made vectors in a case, and their calibrations."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

from imgmatch.given import loads
from imgmatch.types import ModelSpec
from indexer.catalogue.sql import Reads, Writes
from indexer.catalogue.table import Handled, Kept, Table

TABLES = (
    Table(
        "models",
        {
            1: """
            CREATE TABLE models (
                model_id INTEGER PRIMARY KEY,
                name TEXT NOT NULL,
                weights_sha256 TEXT NOT NULL,
                dim INTEGER NOT NULL,
                spec_json TEXT NOT NULL,
                added_utc TEXT NOT NULL,
                UNIQUE (name, weights_sha256)
            ) STRICT;
            """
        },
        delete=Kept(),
        merge=Handled("a model that this case does not know is refused"),
        compact=Kept(),
    ),
    # The scores of different pictures by a model: from which background, and how many items it was drawn from.
    Table(
        "calibrations",
        {
            4: """
            CREATE TABLE calibrations (
                model_id INTEGER PRIMARY KEY REFERENCES models,
                background TEXT NOT NULL,
                items INTEGER NOT NULL,
                calibration_json TEXT NOT NULL,
                made_utc TEXT NOT NULL
            ) STRICT;
            """
        },
        delete=Kept("made anew when the case has changed enough"),
        merge=Kept("drawn from that case, or from a background that it named"),
        compact=Kept(),
    ),
)


class CalibrationRow(NamedTuple):
    """A stored calibration: path of the background case ("" for the case itself), items there when it was made."""

    background: str
    items: int
    record: dict[str, Any]
    made_utc: str


class ModelReads(Reads):
    """Which models there are."""

    def all(self) -> list[tuple[int, ModelSpec]]:
        """Every model that has made vectors here, with its id."""
        rows = self._rows("SELECT model_id, spec_json FROM models ORDER BY model_id")
        return [(model_id, ModelSpec(**json.loads(spec))) for model_id, spec in rows]

    def id_of(self, spec: ModelSpec) -> int | None:
        """The id of exactly this model (same name, same weights), or None."""
        row = self._one(
            "SELECT model_id FROM models WHERE name = ? AND weights_sha256 = ?", (spec.name, spec.weights_sha256)
        )
        return None if row is None else int(row[0])

    def calibration(self, model_id: int) -> CalibrationRow | None:
        """The stored calibration of a model. Raises ValueError or TypeError where it is no JSON of a few values."""
        row = self._one(
            "SELECT background, items, calibration_json, made_utc FROM calibrations WHERE model_id = ?", (model_id,)
        )
        return None if row is None else CalibrationRow(row[0], row[1], dict(loads(row[2])), row[3])


class ModelWrites(Writes, ModelReads):
    """Noting models."""

    def add(self, spec: ModelSpec, spec_json: str, now_utc: str) -> int:
        """Note a model; returns its id."""
        return self._insert(
            "INSERT INTO models (name, weights_sha256, dim, spec_json, added_utc) VALUES (?, ?, ?, ?, ?)",
            (spec.name, spec.weights_sha256, spec.dim, spec_json, now_utc),
        )

    def set_calibration(self, model_id: int, row: CalibrationRow) -> None:
        """Store a model's calibration in the place of the one before."""
        self._run(
            "INSERT OR REPLACE INTO calibrations VALUES (?, ?, ?, ?, ?)",
            (model_id, row.background, row.items, json.dumps(row.record), row.made_utc),
        )
