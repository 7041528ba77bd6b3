"""A case on disk, and search over it.

What may be relied on is named in ``__all__``; each name is imported when it is first asked for, so that importing the
package costs nothing.
"""

from importlib import import_module

_HOMES = {
    "Case": "indexer.case.case",
    "IngestConfig": "indexer.intake.ingest",
    "SearchRequest": "indexer.search.request",
    "SearchResult": "indexer.search.request",
    "Searcher": "indexer.search.searcher",
    "ingest": "indexer.intake.ingest",
}
__all__ = ["Case", "IngestConfig", "SearchRequest", "SearchResult", "Searcher", "ingest"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
