"""Importing hash lists into a case, and removing them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imgmatch.errors import UsageError
from imgmatch.hashes import digest
from indexer.clock import now_utc
from indexer.known.formats import ListFormat, Malformed, entries, recognise

if TYPE_CHECKING:
    from indexer.case import Case

KINDS = ("ignore", "known", "alert")
_NAMED = 20
_TELL_EVERY = 50_000


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
    progress: Callable[[str, int, int], None] | None = None,
) -> Imported:
    """Read a list (``formats``) into the case, as ``kind``: ``ignore``, ``known`` or ``alert``.

    One transaction: a list is there as a whole or not at all. It counts for what is ingested from now on, and for the
    items that the case has. Raises UsageError, naming the file, when it is no list, is damaged, holds no hash at all,
    or when the case has another list of this name.
    """
    if kind not in KINDS:
        raise UsageError(f"{kind!r} is no kind of list; there are: {', '.join(KINDS)}")
    name = name.strip()
    if not name:
        raise UsageError(f"{path}: a list needs a name; give one that tells it from others")
    format = recognise(path)
    sha256 = _sha256(path)
    done = Imported(name, kind, format.value)
    with case.writing():
        if any(row.name == name for row in case.catalogue.hash_lists()):
            raise UsageError(f"{name}: {case.path} has a list of this name; remove it first, or give another name")
        with case.catalogue.transaction() as writer:
            list_id = writer.add_list(name, kind, (str(path), sha256, format.value), now_utc())
            done.hashes = writer.fill_list(list_id, _rows(path, format, done, progress))
            if not done.hashes:
                raise UsageError(f"{path}: holds no hash; give a list of MD5, SHA-1 or SHA-256")
            writer.close_list(list_id, done.hashes, done.malformed)
        done.items = len({item_id for item_id, _ in case.catalogue.item_list_hits(name=name)})
        case.record(
            "import hash list",
            {
                "list": name,
                "kind": kind,
                "format": format.value,
                "path": str(path),
                "sha256": sha256,
                "hashes": done.hashes,
                "malformed": done.malformed,
            },
        )
    return done


def remove_list(case: Case, name: str) -> int:
    """Forget a list; returns how many hashes it had. What it had left out is read by the next ingest; the record that
    it was left out stays until then. Raises UsageError when there is none of this name.
    """
    with case.writing():
        found = next((row for row in case.catalogue.hash_lists() if row.name == name), None)
        if found is None:
            raise UsageError(f"{name}: no list of this name in {case.path}; see: imgmatch known list {case.path}")
        with case.catalogue.transaction() as writer:
            writer.remove_list(found.list_id)
        case.record("remove hash list", {"list": name, "kind": found.kind, "sha256": found.sha256})
    return found.hashes


def _rows(
    path: Path, format: ListFormat, done: Imported, progress: Callable[[str, int, int], None] | None
) -> Iterator[tuple[bytes, str | None]]:
    for entry in entries(path, format):
        if isinstance(entry, Malformed):
            done.malformed += 1
            if len(done.examples) < _NAMED:
                done.examples.append(f"{entry.where}: {entry.reason}")
            continue
        done.entries += 1
        if progress and done.entries % _TELL_EVERY == 0:
            progress("hashes", done.entries, 0)
        yield entry.digest, entry.category


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return digest(file)[0].sha256
    except OSError as error:
        raise UsageError(f"{path}: can't be read ({error.strerror}); give an existing hash list") from error
