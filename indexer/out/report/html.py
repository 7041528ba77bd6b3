"""The HTML report of a case and its searches."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import imgmatch
from imgmatch.evidence import Reopener
from imgmatch.locator import Locator
from imgmatch.match.calibration import expected_text, false_match_text
from imgmatch.types import FalseMatchRate, ModelSpec, Verification
from indexer.case.audit import Head
from indexer.case.case import Case
from indexer.catalogue.clock import now_utc
from indexer.intake.csvfile import printable
from indexer.out.atomic import whole_folder
from indexer.out.report.pictures import Thumbnail, write_thumbnail
from indexer.search.searcher import SearchResult

MAX_ISSUES = 1000
# What the template shows in words of its own; any further field of a match is listed by its name.
_SHOWN = {"rank", "item_id", "sha256", "score", "sightings", "labels", "candidates", "reasons"}


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What a report shows. ``reveal`` lets a reader show one picture at a time; ``images`` False leaves out all."""

    reveal: bool = False
    images: bool = True
    jobs: int = 2


def write_report(
    case: Case,
    results: Sequence[SearchResult],
    model: ModelSpec,
    folder: str | os.PathLike[str],
    config: ReportConfig | None = None,
) -> Path:
    """Write a report of the case and of ``results``, found by ``model``, into a new folder; returns its index.html.

    The making is recorded in the audit log before (so that a report never exists without a trace) and, with the
    report's SHA-256, after. Raises UsageError when the folder exists or can't be written; nothing half-written stays.
    """
    config = config or ReportConfig()
    target = Path(folder)
    with whole_folder(target) as draft:
        arguments = {"images": config.images, "reveal": config.images and config.reveal}
        subject = {"folder": str(target.absolute())}
        counts = {"queries": len(results), "matches": sum(len(result.matches) for result in results)}
        head = case.record("report", arguments=arguments, subject=subject, model=model, counts=counts)
        thumbnails = _thumbnails(draft, results, config) if config.images else {}
        html = draft / "index.html"
        with html.open("w", encoding="utf-8") as file:
            file.writelines(_render(case, results, model, config, thumbnails, head))
        digest = hashlib.sha256(html.read_bytes()).hexdigest()
    case.record("report_written", {"index_sha256": digest}, subject=subject, model=model, counts=counts)
    return target / "index.html"


def _thumbnails(draft: Path, results: Sequence[SearchResult], config: ReportConfig) -> dict[str, Thumbnail]:
    pictures = draft / "pictures"
    for name in ("blurred", *(["clear"] if config.reveal else [])):
        (pictures / name).mkdir(parents=True)
    wanted: dict[str, list[Locator]] = {}
    order: dict[str, int] = {}
    for result in results:
        if result.sha256 is not None:
            wanted.setdefault(result.sha256, []).insert(0, result.locator)
        for match in result.matches:
            wanted.setdefault(match.sha256, []).extend(sighting.locator for sighting in match.sightings)
            order[match.sha256] = match.item_id
    # Items have their ids in the order in which their sources were walked: in it, a thread goes through an archive or a
    # disk image once, not once a picture.
    contents = sorted(wanted, key=lambda sha256: (order.get(sha256, 0), sha256))
    own = threading.local()

    def write(sha256: str) -> Thumbnail | None:
        if not hasattr(own, "reopener"):
            own.reopener = Reopener()
        places = list(dict.fromkeys(wanted[sha256]))
        return write_thumbnail(pictures, sha256, places, config.reveal, own.reopener)

    with ThreadPoolExecutor(config.jobs, "report") as pool:
        made = zip(contents, pool.map(write, contents), strict=True)
        return {sha256: thumbnail for sha256, thumbnail in made if thumbnail is not None}


def _render(
    case: Case,
    results: Sequence[SearchResult],
    model: ModelSpec,
    config: ReportConfig,
    thumbnails: dict[str, Thumbnail],
    head: Head,
) -> Any:
    environment = Environment(
        loader=PackageLoader("indexer.out.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.filters["place"] = lambda locator: plain((locator.parent is None and locator.path) or locator)
    items = case.catalogue.items.by_id(match.item_id for result in results for match in result.matches)
    issues = list(itertools.islice(case.catalogue.issues.all(), MAX_ISSUES))
    return environment.get_template("report.html.j2").generate(
        case=case,
        meta=case.catalogue.meta.all(),
        counts=case.catalogue.counts(),
        issue_kinds=case.catalogue.issues.kinds(),
        issues=issues,
        results=results,
        model=model,
        config=config,
        thumbnails=thumbnails,
        items=items,
        further=further,
        head=head,
        made_utc=now_utc(),
        version=imgmatch.__version__,
    )


def further(match: Any) -> list[tuple[str, str]]:
    """Fields of a match beyond the ones that every match has, where they are set: name and value in words."""
    found = []
    for field in dataclasses.fields(match):
        value = getattr(match, field.name)
        if field.name not in _SHOWN and value not in (None, (), {}, ""):
            found.append((field.name.replace("_", " "), _words(value)))
    return found


def _words(value: Any) -> str:
    if isinstance(value, Locator):
        return value.path or str(value)
    if isinstance(value, FalseMatchRate):
        said = f"{false_match_text(value)} unrelated pairs of pictures score this high"
        expected = "" if value.expected_upper is None else f"; {expected_text(value)} such false matches expected here"
        return said.replace("1 in ", "one in ", 1) + expected
    if isinstance(value, Verification):
        return f"{value.inliers} points agree of {value.tentative} pairs; {value.overlap:.0%} of the item covered"
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        named = ((field.name.replace("_", " "), getattr(value, field.name)) for field in dataclasses.fields(value))
        # Long sequences (points, matrices) are for programs.
        return ", ".join(
            f"{name} {_words(part)}"
            for name, part in named
            if part is not None and not (hasattr(part, "__len__") and not isinstance(part, str) and len(part) > 4)
        )
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, tuple | list):
        return "; ".join(map(_words, value))
    if isinstance(value, dict):
        return "; ".join(f"{str(name).replace('_', ' ')}: {_words(part)}" for name, part in value.items())
    return str(value)


def plain(text: Any) -> str:
    """No control or direction-changing character reaches a reader, whatever a file is called."""
    return printable(str(text))
