"""Files as tables name them, found among what a case has seen: absolute or relative to the table or to what was
ingested, with the separators of either system, in other letters where that leaves no doubt.
"""

from __future__ import annotations

import functools
import os
import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.given import legible
from imgmatch.locator import Locator
from indexer.case.traces import digest

if TYPE_CHECKING:
    from indexer.catalogue import Catalogue

SHA256 = re.compile(r"[0-9a-fA-F]{64}\Z")


class Places:
    """Which items the names in a table are of, the table being at ``path`` and ``roots`` having been ingested."""

    def __init__(self, catalogue: Catalogue, path: Path, roots: Sequence[str | os.PathLike[str]]) -> None:
        self._catalogue = catalogue
        self._salt = catalogue.meta.all().get("case_id", "") if catalogue.erasures.any() else ""
        given = [os.path.abspath(os.fsdecode(root)) for root in roots]
        folders = (os.path.abspath(path.parent), *given, *map(os.path.dirname, given))
        self._folders = tuple(dict.fromkeys(folders))

    def items(self, keys: Sequence[str]) -> list[int | str]:
        """The item of each name, which may be a SHA-256 too; ``missing_file``, ``no_item``, ``erased`` or
        ``ambiguous`` where there is none. Names that are not met as they stand are compared with every place of the
        case, all at once.
        """
        found = [self._exactly(key) for key in keys]
        missed = (key for key, item in zip(keys, found, strict=True) if item is None)
        wanted = {folded(place) for key in missed for place in self._of(key)}
        seen: dict[str, dict[str, int]] = {}
        if wanted:
            for sighting in self._catalogue.sightings.all():
                if sighting.locator.parent is None and (own := folded(sighting.locator.at)) in wanted:
                    seen.setdefault(own, {})[sighting.locator.at] = sighting.item_id
        return [self._alike(key, seen) if item is None else item for key, item in zip(keys, found, strict=True)]

    def _exactly(self, key: str) -> int | str | None:
        if SHA256.match(key):
            kept_out = self._catalogue.erasures.keeps_out(key)
            return self._catalogue.items.id_of(key) or ("erased" if kept_out else "no_item")
        for place in self._of(key):
            item_id = self._catalogue.sightings.item_at(Locator.file(place))
            if item_id is not None:
                return item_id
        return None

    def _alike(self, key: str, seen: dict[str, dict[str, int]]) -> int | str:
        for place in self._of(key):
            if places := seen.get(folded(place)):
                items = set(places.values())
                return items.pop() if len(items) == 1 else "ambiguous"
        if self._salt and any(self._was_erased(place) for place in self._of(key)):
            return "erased"
        return "no_item" if any(map(os.path.lexists, self._of(key))) else "missing_file"

    def _was_erased(self, place: str) -> bool:
        mark = digest(self._salt, place.encode("utf-8", "surrogateescape"))
        return self._catalogue.erasures.has_trace(mark)

    def _of(self, key: str) -> Iterator[str]:
        return (os.path.abspath(os.path.join(folder, name)) for folder in self._folders for name in spellings(key))


def spellings(key: str) -> tuple[str, ...]:
    """A name as it stands in a table, and as it may be meant: in other letters, with this system's separators."""
    texts = (key, legible(key))
    return tuple(dict.fromkeys((*texts, *(text.replace("\\", os.sep) for text in texts))))


def folded(place: str) -> str:
    """A path without regard to upper and lower case, and to how its accents are composed."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", place).casefold())


def on_disk(folder: str, key: str) -> str | None:
    """The file that a name in a table is of, looked up in a folder; None where there is none, or more than one."""
    for name in spellings(key):
        place = os.path.join(folder, name)
        if os.path.isfile(place):
            return place
    for name in spellings(key):
        place = "/" if os.path.isabs(name) else folder
        for part in Path(os.path.normpath(name)).parts:
            if part in ("/", os.pardir) or os.path.lexists(os.path.join(place, part)):
                place = os.path.normpath(os.path.join(place, part))
                continue
            alike = _listed(place).get(folded(part), ())
            if len(alike) != 1:
                break
            place = os.path.join(place, alike[0])
        else:
            if os.path.isfile(place):
                return place
    return None


@functools.lru_cache(maxsize=64)
def _listed(folder: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                found.setdefault(folded(entry.name), []).append(entry.name)
    except OSError:
        pass
    return found
