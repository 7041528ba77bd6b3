"""Where evidence comes from: ``walk(path)`` finds it, ``reopen(locator)`` opens it again. Nothing here ever writes."""

from imgmatch.evidence.options import DEFAULT_OPTIONS, PLAIN_FILES, SourceOptions
from imgmatch.evidence.reopen import Reopener, reopen
from imgmatch.evidence.tree import Walked, walk
from imgmatch.limits import SourceLimits

__all__ = [
    "DEFAULT_OPTIONS",
    "PLAIN_FILES",
    "Reopener",
    "SourceLimits",
    "SourceOptions",
    "Walked",
    "reopen",
    "walk",
]
