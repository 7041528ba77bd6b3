"""Known files: hash lists that a case imports, and what they say of what is ingested."""

from indexer.known.lists import KINDS, Imported, import_list, remove_list
from indexer.known.matching import Alert, KnownFiles, Listed, listed

__all__ = ["KINDS", "Alert", "Imported", "KnownFiles", "Listed", "import_list", "listed", "remove_list"]
