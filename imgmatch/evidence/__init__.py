"""Where evidence comes from: ``walk(path)`` finds it, ``reopen(locator)`` opens it again. Nothing here ever writes."""

from typing import TYPE_CHECKING

from imgmatch.evidence.options import DEFAULT_OPTIONS, PLAIN_FILES, SourceOptions
from imgmatch.evidence.reopen import Reopener, reopen
from imgmatch.limits import SourceLimits

if TYPE_CHECKING:
    from imgmatch.evidence.tree import Walked, walk

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


def __getattr__(name: str) -> object:
    """What walks, with every kind of container, once it is asked for: who opens one file again need not wait for it."""
    if name not in ("Walked", "walk"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from imgmatch.evidence import tree

    return getattr(tree, name)
