"""The HTML report of a case and its searches."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import imgmatch
from imgmatch.evidence.read import Finder
from imgmatch.locator import Locator
from imgmatch.types import ModelSpec
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.use import Use
from indexer.catalogue.clock import now_utc
from indexer.catalogue.issues import TABLE_STAGES
from indexer.intake.csvfile import printable
from indexer.out.atomic import whole_folder
from indexer.out.report.pictures import Thumbnail, write_thumbnail
from indexer.search.fields import further
from indexer.search.request import SearchResult

MAX_ISSUES = 1000
MAX_ROWS = 20


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
    arguments = {"images": config.images, "reveal": config.images and config.reveal}
    subject = {"folder": str(target.absolute())}
    recorded = case.use("report", arguments=arguments, subject=subject, model=model, ends="report_written")
    with whole_folder(target) as draft, recorded as use:
        use.entry.counts = {"queries": len(results), "matches": sum(len(result.matches) for result in results)}
        thumbnails = _thumbnails(use, draft, results, config) if config.images else {}
        html = draft / "index.html"
        with html.open("w", encoding="utf-8") as file:
            file.writelines(_render(use, results, model, config, thumbnails))
        use.entry.details = {"index_sha256": hashlib.sha256(html.read_bytes()).hexdigest()}
    return target / "index.html"


def _thumbnails(use: Use, draft: Path, results: Sequence[SearchResult], config: ReportConfig) -> dict[str, Thumbnail]:
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
    finder = Finder(use.limits)

    def write(sha256: str) -> Thumbnail | None:
        places = list(dict.fromkeys(wanted[sha256]))
        return write_thumbnail(pictures, sha256, places, config.reveal, finder)

    with ThreadPoolExecutor(config.jobs, "report") as pool:
        made = zip(contents, pool.map(write, contents), strict=True)
        return {sha256: thumbnail for sha256, thumbnail in made if thumbnail is not None}


def _render(
    use: Use,
    results: Sequence[SearchResult],
    model: ModelSpec,
    config: ReportConfig,
    thumbnails: dict[str, Thumbnail],
) -> Any:
    environment = Environment(
        loader=PackageLoader("indexer.out.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["plain"] = plain
    environment.filters["place"] = lambda locator: plain(locator.words)
    items = use.catalogue.items.by_id(match.item_id for result in results for match in result.matches)
    of_evidence = (row for row in use.catalogue.issues.all() if row.issue.stage not in TABLE_STAGES)
    issues = list(itertools.islice(of_evidence, MAX_ISSUES))
    of_tables = (row for row in use.catalogue.issues.all() if row.issue.stage in TABLE_STAGES)
    return environment.get_template("report.html.j2").generate(
        case=use,
        meta=use.catalogue.meta.all(),
        counts=use.catalogue.counts(),
        issue_kinds=use.catalogue.issues.kinds(),
        issues=issues,
        rows=list(itertools.islice(of_tables, MAX_ROWS)),
        results=results,
        model=model,
        config=config,
        thumbnails=thumbnails,
        items=items,
        further=further,
        head=use.head,
        made_utc=now_utc(),
        account=account(),
        version=imgmatch.__version__,
    )


def plain(text: Any) -> str:
    """No control or direction-changing character reaches a reader, whatever a file is called."""
    return printable(str(text))
