"""The catalogue of a case in SQLite: the one place that says what is committed, and the only package that speaks SQL.

One module a subject: its rows, what is read and written of it, and its tables with what deleting, merging and
compacting do with them (``table``); ``registry`` holds them all.
"""

from indexer.catalogue.catalogue import Catalogue
from indexer.catalogue.containers import ContainerRow
from indexer.catalogue.custody import LogState
from indexer.catalogue.decisions import DecisionRow
from indexer.catalogue.erasures import ErasureRow
from indexer.catalogue.faces import FaceDecisionRow, FaceRow, PersonRow
from indexer.catalogue.indexes import GenerationRow, RemoteRow
from indexer.catalogue.issues import NO_PICTURE, IssueRow, KindRow, plainly_no_picture
from indexer.catalogue.items import ItemRow
from indexer.catalogue.listed import ListedFile
from indexer.catalogue.lists import ListHit, ListRow
from indexer.catalogue.models import CalibrationRow
from indexer.catalogue.releases import ReleasedFile, ReleaseRow
from indexer.catalogue.segments import SegmentRow
from indexer.catalogue.sightings import SightingRow
from indexer.catalogue.writer import Writer

__all__ = [
    "NO_PICTURE",
    "CalibrationRow",
    "Catalogue",
    "ContainerRow",
    "DecisionRow",
    "ErasureRow",
    "FaceDecisionRow",
    "FaceRow",
    "GenerationRow",
    "IssueRow",
    "ItemRow",
    "KindRow",
    "ListHit",
    "ListRow",
    "ListedFile",
    "LogState",
    "PersonRow",
    "ReleaseRow",
    "ReleasedFile",
    "RemoteRow",
    "SegmentRow",
    "SightingRow",
    "Writer",
    "plainly_no_picture",
]
