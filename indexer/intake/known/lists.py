"""Importing hash lists into a case, and removing them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from imgmatch.errors import UnknownNameError, UsageError
from imgmatch.picture.hashes import digest
from imgmatch.picture.pdq import BITS, DISTANCE
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress
from indexer.intake.known.formats import Entry, ListFormat, Malformed, PdqEntry, entries, pdq_entries, recognise
from indexer.intake.known.pdq_near import match_pdq

if TYPE_CHECKING:
    from indexer.case.case import Case

KINDS = ("ignore", "known", "alert")
_NAMED = 20
_TELL_EVERY = 50_000
_Entry = TypeVar("_Entry", Entry, PdqEntry)


@dataclass(slots=True)
class Imported:
    """What an import brought in. ``entries`` were read, ``hashes`` of them are distinct; ``malformed`` parts held no
    hash, ``examples`` names the first twenty. ``items`` of the case are on the list now.
    """

    name: str
    kind: str
    format: str
    entries: int = 0
    hashes: int = 0
    malformed: int = 0
    items: int = 0
    examples: list[str] = field(default_factory=list)


def import_list(
    case: Case,
    path: Path,
    kind: str,
    name: str,
    *,
    pdq: bool = False,
    distance: int = DISTANCE,
    progress: Progress | None = None,
) -> Imported:
    """Read a list (``formats``) into the case, as ``kind``: ``ignore``, ``known`` or ``alert``.

    One transaction: a list is there as a whole or not at all. It counts for what is ingested from now on, and for the
    items that the case has. ``pdq``: it holds PDQ hashes, where its content does not say so; they match within
    ``distance`` bits.

    Raises UsageError, naming the file, when it is no list, is damaged, holds no hash at all, or when the case has
    another list of this name; and for PDQ as ignore list: what only looks alike is not to be left out.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of list; there are: {', '.join(KINDS)}")
    name = name.strip()
    if not name:
        raise UsageError(f"{path}: a list needs a name; give one that tells it from others")
    format = ListFormat.pdq if pdq else recognise(path)
    is_pdq = format is ListFormat.pdq
    if is_pdq and kind == "ignore":
        raise UsageError(f"{path}: a PDQ list says what looks alike, not what is the same; import it as known or alert")
    if not 0 <= distance < BITS:
        raise UsageError(f"distance {distance}: it must be between 0 and {BITS - 1} bits")
    sha256 = _sha256(path)
    done = Imported(name, kind, format.value)
    arguments = {"list": name, "kind": kind, "format": format.value}
    subject = {"path": str(path), "sha256": sha256}
    with case.writing():
        with case.change("import hash list", arguments=arguments, subject=subject) as change:
            known, writer = change.catalogue, change.writer
            if any(row.name == name for row in known.lists.all()):
                raise UsageError(f"{name}: {case.path} has a list of this name; remove it first, or give another name")
            source = (str(path), sha256, format.value)
            list_id = writer.lists.add(name, kind, source, now_utc(), distance if is_pdq else None)
            if is_pdq:
                read = _good(pdq_entries(path), done, progress)
                done.hashes = writer.lists.fill_pdqs(list_id, ((e.hash, e.quality, e.category) for e in read))
            else:
                named = _good(entries(path, format), done, progress)
                done.hashes = writer.lists.fill(list_id, ((e.digest, e.category) for e in named))
            if not done.hashes:
                raise UsageError(f"{path}: holds no hash; give a list of MD5, SHA-1, SHA-256 or PDQ")
            writer.lists.close(list_id, done.hashes, done.malformed)
            done.items = len({item_id for item_id, _ in known.lists.item_hits(name=name)})
            change.entry.counts = {"hashes": done.hashes, "malformed": done.malformed, "items": done.items}
        if is_pdq:
            # Against as many items as there may be: in transactions of its own, which the next ingest goes on with.
            with case.use("match hash list", arguments={"list": name}, ends="matched hash list") as use:
                for _ in match_pdq(use):
                    pass  # what it finds is in the catalogue, and counted next
                done.items = len({item_id for item_id, _ in use.catalogue.lists.item_hits(name=name)})
                use.entry.counts = {"items": done.items}
    return done


def remove_list(case: Case, name: str) -> int:
    """Forget a list; returns how many hashes it had. What it had left out is read by the next ingest; the record that
    it was left out stays until then. Raises UsageError when there is none of this name.
    """
    with case.writing(), case.change("remove hash list", arguments={"list": name}) as change:
        lists = {row.name: row for row in change.catalogue.lists.all()}
        if name not in lists:
            raise UnknownNameError("hash list", name, list(lists))
        found = lists[name]
        change.writer.lists.remove(found.list_id)
        change.entry.subject = {"kind": found.kind, "sha256": found.sha256}
        change.entry.counts = {"hashes": found.hashes}
    return found.hashes


def _good(read: Iterable[_Entry | Malformed], done: Imported, progress: Progress | None) -> Iterator[_Entry]:
    """The entries that hold a hash; counts them and the others."""
    for entry in read:
        if isinstance(entry, Malformed):
            done.malformed += 1
            if len(done.examples) < _NAMED:
                done.examples.append(f"{entry.where}: {entry.reason}")
            continue
        done.entries += 1
        if progress and done.entries % _TELL_EVERY == 0:
            progress("hashes", done.entries, 0)
        yield entry


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return digest(file)[0].sha256
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing hash list") from error
