"""The HTML report of a search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.asked import remind
from cli.options.common import LanguageOpt
from cli.render.notes import note
from imgmatch.errors import UsageError
from indexer.out.atomic import refuse_existing

if TYPE_CHECKING:
    from imgmatch.types import ModelSpec
    from indexer.case.case import Case
    from indexer.search.request import SearchResult

RevealFacesOpt = Annotated[
    bool, typer.Option("--reveal-faces", help="Pictures that can be seen, faces in them too; else those stay hidden.")
]
_NO_REPORTS = (
    ".csv",
    ".doc",
    ".docx",
    ".json",
    ".jsonl",
    ".md",
    ".ndjson",
    ".parquet",
    ".pdf",
    ".txt",
    ".xlsx",
    ".xml",
    ".zip",
)
NoImagesOpt = Annotated[bool, typer.Option("--no-images", help="Report: hashes and numbers only.")]


@dataclass(frozen=True, slots=True)
class ReportOptions:
    """A report beside a search's results."""

    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html|DIR", help="Also write a lead sheet: one HTML file that can be mailed, or a new folder."
        ),
    ] = None
    reveal: Annotated[
        bool, typer.Option("--reveal", help="Report: let a reader show pictures as they are; recorded.")
    ] = False
    reveal_faces: RevealFacesOpt = False
    no_images: NoImagesOpt = False
    language: LanguageOpt = None

    @property
    def seen(self) -> int:
        """How much of a picture may be seen, as ReportConfig.reveal."""
        return 2 if self.reveal_faces else int(self.reveal)

    def require(self, *cases: Case) -> None:
        """Before a search: raises CaseError or UsageError where a case would refuse the report."""
        for case in cases if self.report is not None else ():
            case.require("report", {"reveal": self.seen})


def refuse_report(target: Path) -> None:
    """Before a search: raises UsageError where a report of this name can't be written, or would not be what it says."""
    if target.suffix.lower() in _NO_REPORTS:
        raise UsageError(f"{target}: a report is one file that ends in .html, or a folder; a browser prints it to PDF")
    refuse_existing(target)


def report_page(
    case: Case | Mapping[str, Case],
    results: Sequence[SearchResult],
    model: ModelSpec,
    target: Path,
    *,
    reveal: int,
    no_images: bool,
) -> None:
    """Write the HTML report of a search and say where it is. Raises UsageError when the options exclude each other."""
    from imgmatch.cores import usable_cores
    from indexer.out.report import ReportConfig, write_report
    from indexer.out.report.pictures import WITH_FACES, faces_shown

    if reveal and no_images:
        raise UsageError("--reveal and --no-images exclude each other; give one")
    if reveal and faces_shown(reveal) and reveal < WITH_FACES:
        note("imgmatch: faces in the pictures are not hidden: pip install 'imgmatch[faces]'")
    page = write_report(case, results, model, target, ReportConfig(reveal, not no_images, usable_cores()))
    note(f"Report: {page}")
    for one in [*case.values()] if isinstance(case, Mapping) else [case]:
        if reveal:
            remind(one, page)
