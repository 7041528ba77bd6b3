"""Sources that lie elsewhere now: the case follows, once what it read there has been found again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imgmatch.errors import EvidenceError, SourceDiskError, UnknownNameError, UsageError
from imgmatch.evidence import SourceOptions
from imgmatch.evidence.read import Finder, hashed
from imgmatch.locator import Locator, readable
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.catalogue.relocations import Relocation, moved
from indexer.index.protocol import Progress
from indexer.search.names import places_of

SAMPLED = 200
"""How many contents are read again, spread over all of them, unless all are asked for."""


@dataclass(slots=True)
class Relocated:
    """What a move did: files found at the new place, contents read there again, sightings that moved, and what is
    amiss: where it is expected, and why. ``done`` is False where nothing was moved for that.
    """

    old: str
    new: str
    files: int = 0
    checked: int = 0
    sightings: int = 0
    done: bool = False
    amiss: list[tuple[str, str]] = field(default_factory=list)


def as_recorded(path: str) -> str:
    """A place as a case has it: absolute; a path of Windows stays as it is on any system, and so does a locator."""
    if path.startswith("file:"):
        return Locator.parse(path).outermost.at
    windows = path[1:2] == ":" or path.startswith("\\\\")
    return path.replace("/", "\\").rstrip("\\") if windows else os.path.abspath(path)


def relocate(
    case: Case,
    old: str,
    new: Path,
    *,
    every: bool = False,
    partial: bool = False,
    dry_run: bool = False,
    options: SourceOptions | None = None,
    progress: Progress | None = None,
) -> Relocated:
    """Say that what was seen at or below ``old`` lies at or below ``new``. Files are only read.

    Every outermost file must be there, a plain one in its length; of ``SAMPLED`` contents, or of ``every`` one, the
    SHA-256 is compared. Where one is amiss nothing moves, or, with ``partial``, all but the files that are amiss.
    Recorded in any case. Raises UsageError where nothing was seen at ``old``, or ``new`` is not there.
    """
    there, here = as_recorded(old), os.path.abspath(new)
    if not os.path.lexists(here):
        raise UsageError(f"{new}: no such file or folder; give where the sources lie now")
    if there == here:
        raise UsageError(f"{new}: is where they were; give another place")
    done = Relocated(there, here)
    arguments = {"digests": "all" if every else "sampled", "partial": partial, "dry_run": dry_run}
    with case.writing(), case.change("relocate", arguments=arguments) as change:
        known = change.catalogue.relocations
        if not known.any_below(there) and there[1:2] == ":" and known.any_below(there[0].swapcase() + there[1:]):
            done.old = there = there[0].swapcase() + there[1:]  # a drive is called by either letter
        if not known.any_below(there):
            raise UnknownNameError("source", old, places_of(change))
        bad = _compare(change, done, every, options or SourceOptions(), progress)
        done.done = not dry_run and not (bad and not partial)
        if done.done:
            done.sightings = change.writer.relocations.move(there, here, now_utc(), bad)
        change.entry.subject = {"old": readable(there), "new": readable(here)}
        change.entry.details = {"moved": done.done}
        counts = {"files": done.files, "checked": done.checked, "amiss": len(done.amiss), "sightings": done.sightings}
        change.entry.counts = counts
    return done


def undo(case: Case) -> tuple[Relocation, int]:
    """Take the last move back; returns it, and how many sightings it was of. Raises UsageError where there is none."""
    with case.writing(), case.change("relocate", arguments={"undo": True}) as change:
        standing = [made for made in change.catalogue.relocations.all() if made.undone_utc is None]
        if not standing:
            raise UsageError(f"{case.path}: no source was relocated; there is nothing to undo")
        last = standing[-1]
        count = change.writer.relocations.undo(last, now_utc())
        change.entry.subject = {"old": readable(last.new), "new": readable(last.old)}
        change.entry.counts = {"sightings": count}
    return last, count


def relocations(case: Case) -> list[Relocation]:
    """Every move, the oldest first; recorded, since it names sources."""
    with case.use("relocations") as use:
        return use.catalogue.relocations.all()


def _compare(use: Use, done: Relocated, every: bool, options: SourceOptions, progress: Progress | None) -> set[str]:
    """Count and compare what lies at the new place; returns the outermost files, as they were, that are amiss."""
    bad: dict[str, str] = {}
    count = sum(1 for _ in _looked_at(use, done, bad))
    step = 1 if every else max(1, count // SAMPLED)
    finder = Finder(use.limits, options)
    for number, (place, sha256) in enumerate(_looked_at(use, done, bad), start=1):
        if number % step == 0 and place.outermost.at not in bad:
            said = _differs(_at(place, done), sha256, finder)
            done.checked += 1
            if said is not None:
                bad[place.outermost.at] = said
        if progress:
            progress("digests", number, count)
    done.amiss = [(str(moved(file, done.old, done.new)), why) for file, why in bad.items()]
    return set(bad)


def _looked_at(use: Use, done: Relocated, bad: dict[str, str]) -> Iterator[tuple[Locator, str]]:
    """What was seen in files that are there, each with its SHA-256; files that are not go into ``bad``."""
    files: set[str] = set()
    for place, sha256, size in use.catalogue.relocations.seen_below(done.old):
        file = place.outermost.at
        path = moved(file, done.old, done.new)
        if file not in files:
            files.add(file)
            if path is not None and (os.path.isdir(path) or not os.path.exists(path)):
                bad.setdefault(file, "is not there")
        plain = path is not None and file not in bad and place.parent is None and os.path.isfile(path)
        if plain and path is not None and os.path.getsize(path) != size:
            bad[file] = f"has {os.path.getsize(path):,} bytes, not {size:,}: another file, or one that was changed"
        if file not in bad:
            yield place, sha256
    done.files = len(files - bad.keys())


def _at(place: Locator, done: Relocated) -> Locator:
    if place.parent is not None:
        return Locator(place.kind, place.at, _at(place.parent, done))
    return Locator("file", moved(place.at, done.old, done.new) or place.at)


def _differs(place: Locator, sha256: str, finder: Finder) -> str | None:
    try:
        found = hashed(finder.at(place)).sha256
    except (EvidenceError, SourceDiskError) as error:
        return str(error).removeprefix(f"{place}: ")
    within = f" in {place.words}" if place.parent is not None else ""
    return None if found == sha256 else f"another content than was read{within}"
