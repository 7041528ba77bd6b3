"""A case's index from files to a Milvus server, from one server to another, and back."""

from __future__ import annotations

from dataclasses import dataclass

from imgmatch.errors import CaseError, UsageError
from indexer.care.indexing import build_if_due, drop_generations
from indexer.case.case import Case
from indexer.catalogue import RemoteRow
from indexer.index.protocol import Progress
from indexer.index.remote import empty, follow


@dataclass(frozen=True, slots=True)
class Moved:
    """Where the index is now, and how many rows it holds."""

    kind: str
    rows: int
    uri: str | None
    collection: str | None


def move(
    case: Case,
    target: RemoteRow | None,
    *,
    abandon: bool = False,
    progress: Progress | None = None,
) -> Moved:
    """Bring the index to ``target``, or to files where it is None. Vectors stay in the case's segments all the time.

    A new collection is filled first, then one transaction puts it to use, then the old place is emptied: searches go on
    meanwhile. After a kill, the same call goes on where it stopped. ``abandon`` leaves the rows in the old place, for a
    server that is gone. Raises CaseError when a server does not answer; what was done is kept.
    """
    if target is not None and case.place.keys is not None:
        raise UsageError("a server of vectors keeps them in the clear: the index of an encrypted case stays its own")
    with case.writing():
        current, coming = case.catalogue.indexes.remote(), case.catalogue.indexes.remote("coming")
        if coming is not None and not _same(coming, target):
            _leave(case, "coming", abandon)
            coming = None
        if not _same(current, target):
            if target is not None:
                if coming is None:
                    with case.change("index_move_started", arguments=_told(target)) as change:
                        change.writer.indexes.set_remote("coming", target)
                follow(case.shelves(), role="coming", progress=progress)
                coming = case.catalogue.indexes.remote("coming")
            # A place that an earlier move has not emptied must not be forgotten.
            _leave(case, "leaving", abandon)
            _switch(case, coming)
        rows = follow(case.shelves())
    if target is None:
        for shelf in case.shelves():
            build_if_due(case, shelf.spec, progress=progress)
            rows += shelf.count()
    else:
        drop_generations(case)
    _leave(case, "leaving", abandon)
    now = case.catalogue.indexes.remote()
    return Moved("milvus" if now else "faiss", rows, now.uri if now else None, now.collection if now else None)


def _same(one: RemoteRow | None, other: RemoteRow | None) -> bool:
    if one is None or other is None:
        return one is other
    return (one.uri, one.collection) == (other.uri, other.collection)


def _switch(case: Case, target: RemoteRow | None) -> None:
    with case.change("index_move", arguments=_told(target)) as change:
        change.writer.indexes.set_remote("leaving", case.catalogue.indexes.remote())
        change.writer.indexes.set_remote("current", target)
        change.writer.indexes.set_remote("coming", None)
        change.entry.counts = {"vectors": case.catalogue.counts()["vectors"]}


def _told(target: RemoteRow | None) -> dict[str, str]:
    return {"to": "milvus", "uri": target.uri, "collection": target.collection} if target else {"to": "faiss"}


def _leave(case: Case, role: str, abandon: bool) -> None:
    """Empty a place, so that no server keeps what the case has taken away, and forget it."""
    old = case.catalogue.indexes.remote(role)
    if old is None:
        return
    if not abandon:
        try:
            empty(case.shelves(), old)
        except CaseError as error:
            raise CaseError(
                f"{error}; the case's rows there are not removed: run it again, or with --abandon if the server is gone"
            ) from error
    with case.change("index_left", arguments={**_told(old), "abandoned": abandon}) as change:
        change.writer.indexes.forget_sent(old.namespace)
        change.writer.indexes.set_remote(role, None)
