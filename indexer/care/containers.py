"""Disk images read as a whole, and held against the hashes that they store, or that were made of them before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext

from imgmatch.errors import EvidenceError, SourceDiskError
from imgmatch.evidence import SourceOptions
from imgmatch.evidence.read import Finder
from imgmatch.evidence.stated import HASHES, digested, state, wrong_checksums, wrong_hashes
from imgmatch.locator import Locator
from indexer.case.case import Case
from indexer.catalogue import ContainerRow
from indexer.catalogue.clock import now_utc
from indexer.index.protocol import Progress


def check_containers(
    case: Case, options: SourceOptions, counts: Counter[str], *, keep: bool = False, progress: Progress | None = None
) -> Iterator[tuple[ContainerRow, list[str]]]:
    """Each disk image of a case with what is wrong with it, once all of it was read: hashes of all its bytes, checksums
    of what it stores, what it said of itself when it was met. What was found is kept. Of one that stores no hash, and
    of which none was made, nothing is read, unless with ``keep``: then it is made, and kept to compare with. Of a case
    that is read-only nothing is kept or recorded.

    ``counts``: how many were ``read``, ``skipped``, and how many ``bytes`` that was. Recorded before and after.
    """
    arguments = {"containers": True, "keep_hashes": keep}
    writing = nullcontext() if case.read_only else case.writing()
    checking = case.use("check", arguments=arguments, ends="checked", must_be_recorded=False)
    with writing, checking as use:
        use.entry.counts = counts
        rows = use.catalogue.containers.all()
        finder = Finder(use.limits, options)
        total = sum(row.disk_bytes for row in rows)
        for row in rows:

            def tell(at: int, _: int) -> None:
                if progress:
                    progress("images", counts["bytes"] + at, total)

            if not (row.hashes or row.made or keep or any("checksum" in name for name in row.facts)):
                counts["skipped"] += 1
                yield row, []
                continue
            made: dict[str, str] | None = None
            try:
                image = finder.at(row.locator)
                said = state(image, finder.options)
                faults = wrong_checksums(image, finder.options, said)
                faults += [f"says another {what} now than when it was met" for what in _otherwise(row, said.hashes)]
                found = digested(image, finder.options, tell)
                faults += wrong_hashes(found, said.hashes)
                faults += [
                    f"its {HASHES[name]} is {found[name]}, and was {value} on {row.made_utc}"
                    for name, value in row.made.items()
                    if found.get(name) != value
                ]
                made = found if keep and not row.made and not faults else None
            except (EvidenceError, SourceDiskError) as error:
                faults = [str(error).removeprefix(f"{row.locator}: ")]
            counts["read"] += 1
            counts["bytes"] += row.disk_bytes
            counts["faults"] += bool(faults)
            now = now_utc()
            seen = row._replace(faults=faults, checked_utc=now)
            yield (seen._replace(made=made, made_utc=now) if made else seen), faults
            if not case.read_only:
                with use.catalogue.transaction() as writer:
                    writer.containers.checked(row.locator, faults, now, made)


def image_faults(place: Locator, finder: Finder) -> list[str]:
    """What is wrong with all the bytes of an image that stores hashes of them. Raises EvidenceError."""
    image = finder.at(place)
    stored = state(image, finder.options).hashes
    return wrong_hashes(digested(image, finder.options), stored) if stored else []


def _otherwise(row: ContainerRow, hashes: dict[str, str]) -> list[str]:
    return [HASHES[name] for name in row.hashes if hashes.get(name) != row.hashes[name]]
