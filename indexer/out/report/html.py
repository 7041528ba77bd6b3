"""The lead sheet: the HTML report of a case and its searches."""

from __future__ import annotations

import hashlib
import itertools
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from jinja2 import Environment, PackageLoader, StrictUndefined

import imgmatch
from imgmatch.evidence.limits import AllLimits
from imgmatch.evidence.read import Finder
from imgmatch.locator import Locator
from imgmatch.templating import Translated
from imgmatch.types import Evidence, ModelSpec
from imgmatch.vault import memory
from indexer.case import receipt
from indexer.case.account import account
from indexer.case.case import Case
from indexer.case.handed import handed_out
from indexer.case.use import Use
from indexer.catalogue import IssueRow
from indexer.catalogue.clock import now_utc
from indexer.catalogue.issues import TABLE_STAGES
from indexer.intake.csvfile import printable
from indexer.out.atomic import whole_file, whole_folder
from indexer.out.codes import inline_code
from indexer.out.places import file_name
from indexer.out.report.leads import sheet
from indexer.out.report.pairs import fitted
from indexer.out.report.pictures import Beside, Kept, Thumbnail, Within, faces_shown, keep_thumbnail
from indexer.search.fields import further
from indexer.search.request import SearchResult

MAX_ISSUES = 1000
MAX_ROWS = 20
_UUID = re.compile(r"[0-9a-fA-F-]{8,64}\Z")


@dataclass(frozen=True, slots=True)
class ReportConfig:
    """What a report shows. ``reveal`` lets a reader show pictures as they are, a query and its match together, faces
    hidden unless it is WITH_FACES; ``images`` False leaves out all. ``recipient`` and ``purpose``: for whom it is and
    what for, where that is not what is said for all uses of the case.
    """

    reveal: int = 0
    images: bool = True
    jobs: int = 2
    recipient: str = ""
    purpose: str = ""

    @property
    def release(self) -> dict[str, str]:
        """For whom and what for, as the log has it."""
        return {name: said for name, said in (("recipient", self.recipient), ("purpose", self.purpose)) if said}


def is_page(target: str | os.PathLike[str]) -> bool:
    """Is a report of this name one file that holds everything, by its ending; else it is a folder."""
    return Path(target).suffix.lower() in (".html", ".htm")


def write_report(
    case: Case | Mapping[str, Case],
    results: Sequence[SearchResult],
    model: ModelSpec,
    target: str | os.PathLike[str],
    config: ReportConfig | None = None,
    uploaded: Mapping[str, Evidence] | None = None,
) -> Path:
    """Write a report of the case, or of several by the names that matches give them, and of ``results``, found by
    ``model``: one file that holds all its pictures where ``target`` ends in .html, else a new folder; returns the page.

    ``uploaded`` are queries that lie nowhere, by SHA-256; they are shown where pictures may be revealed. The making is
    recorded in each case's audit log before (so that a report never exists without a trace) and, with the page's
    SHA-256, after. Raises UsageError when the target exists or can't be written; nothing half-written stays.
    """
    config = config or ReportConfig()
    cases = case if isinstance(case, Mapping) else {"": case}
    path = Path(target)
    arguments = {
        "images": config.images,
        "reveal": config.images and bool(config.reveal),
        "faces": config.images and faces_shown(config.reveal),
        **config.release,
    }
    subject = {"file" if is_page(path) else "folder": str(path.absolute())}
    with ExitStack() as ends:
        kept: Kept
        draft = Path()
        if is_page(path):
            file: IO[bytes] = ends.enter_context(whole_file(path))
            kept = Within(ends.enter_context(memory.file(path.absolute().parent)))
        else:
            draft = ends.enter_context(whole_folder(path))
            file, kept = ends.enter_context((draft / "index.html").open("wb")), Beside(draft)
        uses = {}
        for name, one in cases.items():
            recorded = one.use("report", arguments=arguments, subject=subject, model=model, ends="report_written")
            uses[name] = ends.enter_context(recorded)
            own = sum(match.case == name for result in results for match in result.matches)
            uses[name].entry.counts = {"queries": len(results), "matches": own}
        places = _places(results, uploaded or {}, config)
        pictures = _pictures(uses.values(), kept, places, config) if config.images else {}
        digest = hashlib.sha256()
        for part in _render(uses, results, model, config, pictures, kept):
            data = part.encode("utf-8", "backslashreplace")
            digest.update(data)
            file.write(data)
        file.flush()
        left = handed_out("report", path, file if is_page(path) else draft)
        for use in uses.values():
            use.entry.details, use.handed_out = {"index_sha256": digest.hexdigest()}, left
    return path if is_page(path) else path / "index.html"


def _places(
    results: Sequence[SearchResult], uploaded: Mapping[str, Evidence], config: ReportConfig
) -> dict[str, list[Locator] | Evidence]:
    """Where to find each content that is shown, in the order in which their sources were walked: in it, a thread goes
    through an archive or a disk image once, not once a picture.
    """
    found: dict[str, list[Locator]] = {}
    order: dict[str, tuple[str, int]] = {}
    for result in results:
        queries = zip(result.queries or (result.locator,), result.contents or (result.sha256,), strict=False)
        for locator, sha256 in queries:
            if sha256:
                found.setdefault(sha256, []).insert(0, locator)
        for match in result.matches:
            found.setdefault(match.sha256, []).extend(sighting.locator for sighting in match.sightings)
            order.setdefault(match.sha256, (match.case, match.item_id))
    wanted: dict[str, list[Locator] | Evidence] = {}
    for sha256 in sorted(found, key=lambda sha256: (order.get(sha256, ("", 0)), sha256)):
        places = [place for place in dict.fromkeys(found[sha256]) if place.kind != "upload"]
        wanted[sha256] = uploaded[sha256] if config.reveal and not places and sha256 in uploaded else places
    return wanted


def _pictures(
    uses: Iterable[Use], kept: Kept, places: Mapping[str, list[Locator] | Evidence], config: ReportConfig
) -> dict[str, Thumbnail]:
    limits = AllLimits()
    for use in uses:
        limits = limits.widened(use.limits.named())
    finder = Finder(limits)

    def keep(sha256: str) -> Thumbnail | None:
        return keep_thumbnail(kept, sha256, places[sha256], config.reveal, finder)

    with ThreadPoolExecutor(config.jobs, "report") as pool:
        return {made.sha256: made for made in pool.map(keep, places) if made is not None}


@dataclass(frozen=True, slots=True)
class _Part:
    """What a sheet says of one case as a whole; ``name`` is empty where it is the only one."""

    name: str
    use: Use
    meta: Mapping[str, str]
    counts: Mapping[str, int]
    issue_kinds: Mapping[str, int]
    issues: Sequence[IssueRow]
    rows: Sequence[IssueRow]

    @classmethod
    def of(cls, name: str, use: Use) -> _Part:
        issues = use.catalogue.issues
        of_evidence = (row for row in issues.all() if row.issue.stage not in TABLE_STAGES)
        of_tables = (row for row in issues.all() if row.issue.stage in TABLE_STAGES)
        return cls(
            name,
            use,
            use.catalogue.meta.all(),
            use.catalogue.counts(),
            issues.kinds(),
            list(itertools.islice(of_evidence, MAX_ISSUES)),
            list(itertools.islice(of_tables, MAX_ROWS)),
        )

    @property
    def called(self) -> str:
        """Its id, where that is one."""
        case_id = str(self.meta.get("case_id", ""))
        return case_id if _UUID.match(case_id) else ""


def _render(
    uses: Mapping[str, Use],
    results: Sequence[SearchResult],
    model: ModelSpec,
    config: ReportConfig,
    pictures: Mapping[str, Thumbnail],
    kept: Kept,
) -> Iterator[str]:
    parts = [_Part.of(name, use) for name, use in uses.items()]
    named, made_utc = ", ".join(part.called for part in parts), now_utc()
    return (
        environment()
        .get_template("report.html.j2")
        .generate(
            parts=parts,
            footer=f"imgmatch lead sheet, case{'s' * (len(parts) > 1)} {named}, made {made_utc}",
            sheet=sheet(uses, results, pictures),
            model=model,
            config=config,
            pictures=pictures,
            names={sha256: number for number, sha256 in enumerate(pictures, start=1)},
            src=kept.src,
            inside=isinstance(kept, Within),
            further=further,
            fitted=fitted,
            dict=dict,
            inline_code=inline_code,
            receipt_text=receipt.text,
            receipt_words=receipt.words,
            made_utc=made_utc,
            account=account(),
            version=imgmatch.__version__,
        )
    )


def environment() -> Environment:
    """What pages are made with: whatever stands in them is escaped, and asked for by a name that is there."""
    made = Environment(
        loader=PackageLoader("indexer.out.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[Translated],
    )
    made.filters |= {"plain": plain, "when": when, "place": place, "name": file_name}
    return made


def place(locator: Locator) -> str:
    """Where something was found, in words."""
    return plain(locator.words)


def when(utc: str) -> str:
    """A time to the minute."""
    return plain(f"{utc[:10]} {utc[11:16]} UTC")


def plain(text: Any) -> str:
    """No control or direction-changing character reaches a reader, whatever a file is called."""
    return printable(str(text))
