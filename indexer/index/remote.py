"""A case whose index is a Milvus collection: the collection follows the segments, which stay the truth.

What the server is asked for are candidates. They are scored again from the segments, so what it holds too much is never
shown, and whatever it lacks, and when ever a kill struck, is found out by counting and sent again.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from imgmatch.errors import CaseError
from indexer.catalogue import RemoteRow
from indexer.index import policy
from indexer.index.disk import locked
from indexer.index.milvus import MOST, Collection, checked_name, checked_uri
from indexer.index.protocol import Ids, Progress, Queries, Similarities, best, nothing
from indexer.index.shelf import Shelf
from indexer.index.store import Store

_LOCK = "remote.lock"
# Candidates asked for at ten results: exact scoring puts right what a server's codes or graph put in the wrong order.
_CANDIDATES = 40
# Candidates of the queries of one request together.
_REQUEST = 65_536
_TIE = np.float32(1e-6)


class RemoteIndex:
    """VectorIndex over a case's rows in its collection. Memory: as Store; vectors are read for candidates only."""

    tail_rows = 0

    def __init__(self, store: Store, collection: Collection) -> None:
        """``collection`` must hold the rows of ``store``."""
        self._store = store
        self._collection = collection

    @property
    def rows(self) -> int:
        """How many vectors it holds."""
        return self._store.rows

    def search(self, queries: Queries, k: int, within: Ids | None = None) -> tuple[Similarities, Ids]:
        """As VectorIndex.search. Raises CaseError when the server does not answer."""
        similarities, ids = nothing(len(queries), k)
        rows = self._store.rows
        allowed = rows if within is None else min(len(within), rows)
        if not allowed or not len(queries):
            return similarities, ids
        # The nearest of all, filtered here, hold the nearest of those allowed, if only enough of them are asked for: no
        # list of a million ids goes to the server, and a filter costs no neighbour.
        wanted = math.ceil(policy.candidates(k, _CANDIDATES) * rows / allowed)
        if wanted > MOST and rows > MOST:
            return self._store.nearest(queries, k, self._store.ids() if within is None else within)
        wanted = min(wanted, rows, MOST)
        step = max(1, _REQUEST // wanted)
        for start in range(0, len(queries), step):
            part = slice(start, start + step)
            similarities[part], ids[part] = self._search(queries[part], k, wanted, within)
        return similarities, ids

    def _search(self, queries: Queries, k: int, wanted: int, within: Ids | None) -> tuple[Similarities, Ids]:
        near = self._collection.nearest(queries, wanted)
        scores, near = self._store.score(queries, near)
        worst = np.where(near >= 0, scores, np.inf).min(axis=1)
        if within is not None:
            near = np.where(np.isin(near, within), near, -1)
        similarities, ids = best(scores, near, k)
        held = self._store.rows if within is None else len(within)
        short = (ids >= 0).sum(axis=1) < min(k, held)
        # As far as the last that came, there may be more of the same similarity and a lower id.
        if wanted < self._store.rows:
            short |= similarities[:, -1] <= worst + _TIE
        if short.any():
            everything = self._store.ids() if within is None else within
            similarities[short], ids[short] = self._store.nearest(queries[short], k, everything)
        return similarities, ids


def place(uri: str, collection: str) -> RemoteRow:
    """A new place for a case's vectors, under a namespace of its own. Raises UsageError on a bad address."""
    return RemoteRow(checked_uri(uri), checked_name(collection), uuid.uuid4().hex)


def open_remote(shelf: Shelf, remote: RemoteRow, store: Store) -> RemoteIndex:
    """The index of a shelf that is kept by Milvus, once it holds the rows of ``store``. Raises CaseError."""
    kept = _Kept(shelf, remote)
    kept.bring_up(store, None)
    return RemoteIndex(store, kept.collection)


def follow(
    shelves: Iterable[Shelf], *, role: str = "current", settle: bool = True, progress: Progress | None = None
) -> int:
    """Send what a case's collections lack and take out what it has deleted; returns how many rows are there.

    ``settle``: this was all for now, the server may index it. Does nothing where the index is not on a server. Can be
    cut off and run again at any moment, and beside others. Raises CaseError when the server does not answer.
    """
    rows = 0
    for shelf in shelves:
        remote = shelf._catalogue.indexes.remote(role)
        if remote is not None and (shelf.segments() or shelf._catalogue.indexes.sent(remote.namespace, shelf.model_id)):
            store = shelf.store()
            kept = _Kept(shelf, remote)
            kept.bring_up(store, progress)
            if settle:
                kept.collection.settle()
            rows += store.rows
    return rows


def follow_commit(shelves: Iterable[Shelf]) -> bool:
    """As ``follow``, within a longer run; False where there is no server or it does not answer, which spares further
    waits.
    """
    following = [shelf for shelf in shelves if shelf._catalogue.indexes.remote() is not None]
    try:
        follow(following, settle=False)
    except CaseError:
        return False  # the case has the rows; whoever ends the run, or opens the index, sends them and says why not
    return bool(following)


def empty(shelves: Iterable[Shelf], remote: RemoteRow) -> None:
    """Take every row of a case out of a place. Raises CaseError when the server keeps some."""
    for shelf in shelves:
        if shelf._catalogue.indexes.sent(remote.namespace, shelf.model_id):
            collection = Collection(remote, shelf.spec)
            collection.remove_above(0)
            if left := collection.count():
                raise CaseError(f"{collection.where}: the server still holds {left} of the case's rows")


def make_again(shelf: Shelf, remote: RemoteRow, kind: str) -> None:
    """Give a collection an index of another kind. Raises UsageError on one that no server has, CaseError where this
    server does not.
    """
    Collection(remote, shelf.spec).make_again(kind, shelf.count())


def describe(shelf: Shelf, remote: RemoteRow) -> dict[str, Any]:
    """What there is to say about a model's index on a server, as far as it holds what it should."""
    collection = Collection(remote, shelf.spec)
    live, there = shelf.count(), collection.count()
    return {
        "model": shelf.spec.name,
        "kind": "milvus",
        "uri": remote.uri,
        "collection": collection.name,
        "index": collection.index.name,
        "namespace": remote.namespace,
        "rows": live,
        "in_index": there,
        "build_due": live != there,
    }


def faults(shelf: Shelf, remote: RemoteRow) -> Iterator[str]:
    """Compare every id that a shelf's collection holds with the live rows; nothing when all is well."""
    collection = Collection(remote, shelf.spec)
    lacking = foreign = 0
    for live, there in _ranges(collection, shelf.store().ids()):
        lacking += len(np.setdiff1d(live, there, assume_unique=True))
        foreign += len(np.setdiff1d(there, live, assume_unique=True))
    if lacking or foreign:
        what = f"lacks {lacking} rows and holds {foreign} deleted ones"
        yield f"{collection.where}: {what}; run: imgmatch index build {shelf.path}"


class _Kept:
    """A shelf and its collection, which is made to hold the same rows."""

    def __init__(self, shelf: Shelf, remote: RemoteRow) -> None:
        self._shelf = shelf
        self.collection = Collection(remote, shelf.spec, shelf.count())

    def bring_up(self, store: Store, progress: Progress | None) -> None:
        """Make the collection hold the rows of ``store`` and no other of this case. Takes the lock only where it
        must.
        """
        collection = self.collection
        if collection.count() == store.rows and self._sent() >= _last(store):
            return
        with self._sending():
            self._send_since(store, progress)
            if collection.count() == store.rows:
                return
            collection.remove(self._shelf.dead().tolist())
            if collection.count() != store.rows:
                _reconcile(collection, store)

    def _send_since(self, store: Store, progress: Progress | None) -> None:
        """Send rows above the last that was noted as sent; ids only grow, so these are the new ones."""
        sent = self._sent()
        done = 0
        for ids, rows in store.blocks():
            new = ids > sent
            if new.any():
                self.collection.send(ids[new], rows[new])
                sent = int(ids[-1])
                with self._shelf._catalogue.transaction() as writer:
                    writer.indexes.set_sent(self.collection.remote.namespace, self._shelf.model_id, sent)
            done += len(ids)
            if progress:
                progress("index", done, store.rows)

    def _sent(self) -> int:
        return self._shelf._catalogue.indexes.sent(self.collection.remote.namespace, self._shelf.model_id)

    @contextmanager
    def _sending(self) -> Iterator[None]:
        """One process of this machine at a time sends for a case."""
        path = self._shelf.path
        try:
            with (path / _LOCK).open("ab") as file, locked(file):
                yield
        except PermissionError as error:
            raise CaseError(f"{path}: its collection lacks rows, and this user may not write here") from error


def _reconcile(collection: Collection, store: Store) -> None:
    """Compare id by id: after a collection was dropped or restored, or deleted rows were compacted away unnoticed."""
    ids = store.ids()
    for live, there in _ranges(collection, ids):
        collection.remove(np.setdiff1d(there, live, assume_unique=True).tolist())
        lacking = np.setdiff1d(live, there, assume_unique=True)
        collection.send(lacking, store.gather(lacking)[0])
        if len(live) and collection.count(int(live[0]), int(live[-1])) > len(live):
            collection.send(live, store.gather(live)[0])  # some are there twice: each replaces all of its key
    collection.remove_above(_last(store))


def _ranges(collection: Collection, ids: Ids) -> Iterator[tuple[Ids, Ids]]:
    """Live ids and those that the collection holds, a range at a time, up to the highest live id."""
    last = int(ids[-1]) if len(ids) else 0
    for first in range(1, last + 1, MOST):
        end = min(last, first + MOST - 1)
        live = ids[np.searchsorted(ids, first) : np.searchsorted(ids, end, side="right")]
        yield live, collection.ids_between(first, end)


def _last(store: Store) -> int:
    ids = store.ids()
    return int(ids[-1]) if len(ids) else 0
