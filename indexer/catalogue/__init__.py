"""The catalogue of a case in SQLite: items, sightings, labels, issues, runs and which segment holds which vectors.

It is the one place that says what is committed. The only package that speaks SQL: schema, rows, reading, writing.
"""

from indexer.catalogue.custody import LogState
from indexer.catalogue.known import ListedFile, ListHit, ListRow
from indexer.catalogue.reader import Catalogue
from indexer.catalogue.rows import (
    CalibrationRow,
    DecisionRow,
    GenerationRow,
    IssueRow,
    ItemRow,
    RemoteRow,
    SegmentRow,
    SightingRow,
)
from indexer.catalogue.writer import Writer

__all__ = [
    "CalibrationRow",
    "Catalogue",
    "DecisionRow",
    "GenerationRow",
    "IssueRow",
    "ItemRow",
    "ListHit",
    "ListRow",
    "ListedFile",
    "LogState",
    "RemoteRow",
    "SegmentRow",
    "SightingRow",
    "Writer",
]
