"""Query pictures that a reviewer has at hand: uploaded ones, which live in memory only, and items of the case."""

from __future__ import annotations

import hashlib
import io
import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from imgmatch.errors import EvidenceError, UsageError
from imgmatch.evidence.read import Content, Finder, read
from imgmatch.locator import Locator, named
from imgmatch.types import Evidence
from indexer.case.use import Use
from indexer.out.show import item_by_number_or_digits

MAX_UPLOAD_BYTES = 64 << 20
MAX_TOTAL_BYTES = 256 << 20
MAX_QUERIES = 50
_LEAST_DIGITS = 4


@dataclass(frozen=True, slots=True)
class QueryPicture:
    """A picture to search with. ``item_id`` is set where it was chosen as, or happens to be, an item of the case."""

    query_id: int
    name: str
    sha256: str
    size_px: tuple[int, int]
    """Upright width and height: what boxes and strokes are given in."""
    size_bytes: int
    item_id: int | None
    uploaded: bool
    found: Evidence
    partial: str | None = None
    """What could not be read of it."""


class Queries:
    """The query pictures of one sitting, oldest first; bounded also where uploads come side by side."""

    def __init__(self, use: Use) -> None:
        self._use = use
        self._finder = Finder(use.limits)
        self._last = 0
        self._held: dict[int, QueryPicture] = {}
        self._names: dict[str, str] = {}
        self._coming = 0
        self._lock = threading.Lock()

    def get(self, query_id: int) -> QueryPicture:
        """Raises UsageError when there is no such picture."""
        found = self._held.get(query_id)
        if found is None:
            raise UsageError(f"query {query_id}: is not here any more; upload or choose it again")
        return found

    def all(self) -> list[QueryPicture]:
        """Every picture, oldest first."""
        with self._lock:
            return list(self._held.values())

    def remove(self, query_id: int) -> QueryPicture:
        """Forget a picture; an uploaded one is gone with that."""
        picture = self.get(query_id)
        with self._lock:
            self._held.pop(query_id, None)
        return picture

    @contextmanager
    def room(self, name: str, size_bytes: int) -> Iterator[None]:
        """Room for an upload, kept from before its first byte is read until it is taken in or refused.

        Raises UsageError when it is too large, alone or with those that are held or on their way.
        """
        with self._lock:
            held = self._coming + sum(picture.size_bytes for picture in self._held.values() if picture.uploaded)
            if size_bytes > MAX_UPLOAD_BYTES or held + size_bytes > MAX_TOTAL_BYTES:
                raise UsageError(
                    f"{name}: too large; up to {MAX_UPLOAD_BYTES >> 20} MiB a picture and {MAX_TOTAL_BYTES >> 20} MiB "
                    "in all: remove others, or ingest it and choose it as an item"
                )
            self._coming += size_bytes
        try:
            yield
        finally:
            with self._lock:
                self._coming -= size_bytes

    def upload(self, name: str, data: bytes) -> QueryPicture:
        """Take in a picture's bytes, for which there is ``room``. Raises UsageError when they are no picture."""
        name = named(name) or "unnamed"
        name = self._own_name(name, hashlib.sha256(data).hexdigest())
        content = read(Evidence(Locator("upload", name), len(data), None, None, None, lambda: io.BytesIO(data)))
        return self._add(name, self._use.catalogue.items.id_of(content.digests.sha256), True, content)

    def _own_name(self, name: str, sha256: str) -> str:
        """A name that no other picture of this sitting came by: it is all that is said of its place."""
        stem, dot, ending = name.rpartition(".") if "." in name[1:] else (name, "", "")
        with self._lock:
            for number in itertools.count(2):
                if self._names.setdefault(name, sha256) == sha256:
                    break
                name = f"{stem} ({number}){dot}{ending}"
        return name

    def choose(self, text: str) -> QueryPicture:
        """Take an item of the case: its id, or the beginning of its SHA-256 (four digits or more).

        Raises UsageError when it names none or several; EvidenceError when the item's picture is not at hand.
        """
        item_id = item_by_number_or_digits(self._use, text.strip(), _LEAST_DIGITS)
        if item_id is None:
            raise UsageError(f"{text!r}: no such item; give an item id, or four or more digits of a SHA-256")
        item = self._use.catalogue.items.by_id([item_id])[item_id]
        sightings = self._use.catalogue.sightings.of([item_id])[item_id]
        try:
            content = self._finder.content(item.sha256, (sighting.locator for sighting in sightings))
        except EvidenceError as error:
            what = "no source has this picture any more" if error.kind == "source_gone" else str(error)
            raise EvidenceError(error.kind, f"item {item_id}: {what}; bring its files back to their place") from error
        return self._add(f"item {item_id}", item_id, False, content)

    def _add(self, name: str, item_id: int | None, uploaded: bool, content: Content) -> QueryPicture:
        digests = content.digests
        try:
            image = content.image(1)
        except EvidenceError as error:
            raise UsageError(f"{name}: {error}; give a picture that can be read") from error
        with self._lock:
            for picture in self._held.values():
                if picture.sha256 == digests.sha256:
                    return picture
            if len(self._held) >= MAX_QUERIES:
                raise UsageError(f"{name}: there are {MAX_QUERIES} query pictures already; remove some")
            self._last += 1
            picture = QueryPicture(
                self._last,
                name,
                digests.sha256,
                image.upright_size_px,
                digests.size_bytes,
                item_id,
                uploaded,
                content.evidence,
                image.partial,
            )
            self._held[self._last] = picture
        return picture
