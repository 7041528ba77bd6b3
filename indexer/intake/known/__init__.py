"""Known files: hash lists that a case imports, and what they say of what is ingested."""

from indexer.intake.known.lists import KINDS, Imported, import_list, remove_list
from indexer.intake.known.matching import Alert, KnownFiles, Listed, ListMatch, listed
from indexer.intake.known.pdq_near import match_pdq

__all__ = [
    "KINDS",
    "Alert",
    "Imported",
    "KnownFiles",
    "ListMatch",
    "Listed",
    "import_list",
    "listed",
    "match_pdq",
    "remove_list",
]
