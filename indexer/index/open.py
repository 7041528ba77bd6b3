"""The index of an open case, which follows what other processes commit, delete, compact and build."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from imgmatch.vault.sealed import SealError
from indexer.index import kinds, manifest
from indexer.index.layered import Base, LayeredIndex
from indexer.index.manifest import IndexFileError
from indexer.index.protocol import Ids, Queries, Similarities
from indexer.index.shelf import INDEXES, Shelf

if TYPE_CHECKING:
    from indexer.index.remote import RemoteIndex


class CaseIndex:
    """VectorIndex over everything that is committed by one model at the time of each search."""

    def __init__(self, shelf: Shelf, warn: Callable[[str], None] | None = None) -> None:
        """``warn`` is told, in a line, of an index that can't be used: every row is compared then.

        Raises CaseError when a segment is damaged.
        """
        self._shelf = shelf
        self._catalogue = shelf._catalogue
        self._warn = warn or (lambda message: None)
        if not shelf.segments():
            # Nothing to search, or a catalogue that is damaged where it names what there is: that must not look alike.
            self._catalogue.require_sound()
        self._base: tuple[str, Base | None] = ("", None)
        self._state: dict[str, int] = {}
        self._loading = threading.Lock()
        self._now = self._load()

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return self._latest().rows

    @property
    def tail_rows(self) -> int:
        """How many of them are compared one by one."""
        return self._latest().tail_rows

    def search(self, queries: Queries, k: int, within: Ids | None = None) -> tuple[Similarities, Ids]:
        """As VectorIndex.search."""
        return self._latest().search(queries, k, within)

    def _latest(self) -> LayeredIndex | RemoteIndex:
        if self._catalogue.state() == self._state:
            return self._now
        with self._loading:  # another thread may have loaded it meanwhile
            if self._catalogue.state() != self._state:
                self._now = self._load()
            return self._now

    def _load(self) -> LayeredIndex | RemoteIndex:
        state = self._catalogue.state()
        self._now = self._loaded()
        self._state = state  # after it: who finds this state finds what is of it
        return self._now

    def _loaded(self) -> LayeredIndex | RemoteIndex:
        store = self._shelf.store()
        remote = self._catalogue.indexes.remote()
        if remote is not None:
            from indexer.index.remote import open_remote  # what speaks to servers is loaded where there is one

            return open_remote(self._shelf, remote, store)
        generation = self._shelf.generation()
        if generation is None:
            self._base = ("", None)
        elif generation.name != self._base[0]:
            self._base = (generation.name, self._open_base())
        return LayeredIndex(store, self._base[1])

    def _open_base(self) -> Base | None:
        try:
            return open_base(self._shelf)
        except IndexFileError as fault:
            self._warn(str(fault))
            return None


def open_base(shelf: Shelf) -> Base | None:
    """The built index in use, checked before FAISS reads it; None where there is none. Raises IndexFileError."""
    while True:
        generation = shelf.generation()
        if generation is None:
            return None
        where = shelf.index_folder(generation.name)
        try:
            found = manifest.of(shelf, generation)
            path = manifest.checked_file(where, found)
            index = kinds.read(path, shelf.seal, f"{INDEXES}/{generation.name}/{found.file}")
        except (IndexFileError, SealError, RuntimeError) as error:  # RuntimeError is what FAISS raises
            if shelf.generation() != generation:
                continue  # a build has just replaced it
            if isinstance(error, IndexFileError):
                raise
            raise IndexFileError(f"{where}: FAISS can't read it ({_first_line(error)}); {manifest.REBUILD}") from error
        if index.d != shelf.spec.dim or index.ntotal != found.rows:
            raise IndexFileError(f"{path}: holds {index.ntotal:,} rows of {index.d}-d; {manifest.REBUILD}")
        return Base(index, found)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
