"""A case that travels with its sources: paths count from where the case lies, wherever that is today."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import PurePath, PurePosixPath, PureWindowsPath

from imgmatch.locator import Locator
from indexer.catalogue import Catalogue, Writer
from indexer.catalogue.relocations import moved

HOME = "portable_home"
"""Of what is said of a case: where it lay when it was last opened, if its paths count from there."""
_LOOKED_AT = 64


def has_moved(catalogue: Catalogue, folder: str | os.PathLike[str]) -> bool:
    """Is it a case whose paths count from its folder, and does it lie elsewhere than it did?"""
    home = catalogue.meta.all().get(HOME)
    return home is not None and home != here(folder)


def here(folder: str | os.PathLike[str]) -> str:
    """Where a case lies, as it is kept: as a locator, which holds names of any bytes."""
    return str(Locator.file(folder))


def follow(writer: Writer, folder: str | os.PathLike[str], now_utc: str) -> tuple[str, int]:
    """Bring places along to where the case lies now; returns where it lay, and how many sightings moved.

    A source moves with the folder that it shares with the case, if something is found there now. What shares no more
    than the root of a file system with the case stays where it is; a drive of Windows is such a folder.
    """
    old, new = Locator.parse(writer.meta.all()[HOME]).at, os.path.abspath(folder)
    count = 0
    for before, after in zip(_folders(old), _folders(new), strict=False):
        seen = writer.relocations.seen_below(before)
        files = dict.fromkeys(place.outermost.at for place, _, _ in seen)
        there = (moved(file, before, after) for file in itertools.islice(files, _LOOKED_AT))
        if before != after and any(place is not None and os.path.lexists(place) for place in there):
            count += writer.relocations.move(before, after, now_utc)
    writer.meta.set({HOME: here(folder)})
    return old, count


def _folders(path: str) -> Iterator[str]:
    """A folder and those that it lies in, but for the root of all."""
    pure: PurePath = PureWindowsPath(path) if path[1:2] == ":" or path.startswith("\\\\") else PurePosixPath(path)
    yield from (str(each) for each in (pure, *pure.parents) if str(each) not in ("/", "."))
