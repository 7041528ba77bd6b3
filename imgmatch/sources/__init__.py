"""Where evidence comes from: ``walk(path)`` finds it, ``reopen(locator)`` opens it again. Nothing here ever writes."""

from imgmatch.sources.options import DEFAULT_OPTIONS, PLAIN_FILES, SourceLimits, SourceOptions
from imgmatch.sources.tree import Reopener, reopen, walk

__all__ = [
    "DEFAULT_OPTIONS",
    "PLAIN_FILES",
    "Reopener",
    "SourceLimits",
    "SourceOptions",
    "reopen",
    "walk",
]
