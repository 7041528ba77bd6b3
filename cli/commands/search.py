"""``imgmatch search`` and ``imgmatch explain``: which items look like a query, and why."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.options.asked import AskedOptions
from cli.options.common import (
    CaseArg,
    DeviceOpt,
    IsolationOpt,
    ModelOpt,
    StrictOpt,
    decode_soon,
    embedder_of,
    open_case,
)
from cli.options.filters import FilterOptions
from cli.options.output import Output
from cli.options.query import (
    LeadsOpt,
    LeaveOutOptions,
    MaxFmrOpt,
    QueriesArg,
    RegionsOpt,
    VerifyOptions,
    VerifyWithOpt,
    matcher_of,
    query_paths,
)
from cli.options.report import ReportOptions, refuse_report, report_page
from cli.options.service import ServiceOptions, is_address, one_service
from cli.options.several import AlsoOpt, CasesFirst, one_model, opened_cases, parted, require_searchable, searchers_of
from cli.render.formats import Format, emit_one
from cli.render.notes import EXIT_UNREADABLE, note
from imgmatch.errors import UsageError
from indexer.out.atomic import refuse_existing

if TYPE_CHECKING:
    from cli.serve.asking import Asking
    from imgmatch.types import Match
    from indexer.search.request import SearchResult
    from indexer.search.sets import LabelResult


__all__ = ["CasesFirst", "explain", "search"]

SearchedArg = Annotated[
    str,
    typer.Argument(
        metavar="CASE... [--]", help="Folder of the case, or https://HOST:PORT[/CASE] of a service; several before --."
    ),
]


def search(
    ctx: typer.Context,
    case: SearchedArg,
    queries: QueriesArg,
    also: AlsoOpt = None,
    k: LeadsOpt = 10,
    *,
    leave_out: LeaveOutOptions,
    regions: RegionsOpt = True,
    filters: FilterOptions,
    together: Annotated[
        bool, typer.Option("--together", help="All queries show one room or thing: one ranking for the set.")
    ] = False,
    by: Annotated[str, typer.Option(metavar="item|label", help="Rank pictures, or the labels they bear.")] = "item",
    label_column: Annotated[
        str, typer.Option(metavar="NAME", help="With --by label: which column (chain, city).")
    ] = "label",
    max_fmr: MaxFmrOpt = None,
    with_rejected: Annotated[
        bool, typer.Option("--with-rejected", help="Also what an examiner rejected as a match of the query.")
    ] = False,
    verification: VerifyOptions,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    report: ReportOptions,
    service: ServiceOptions,
    asked: AskedOptions,
    isolation: IsolationOpt = True,
    strict: StrictOpt = False,
    out: Output,
) -> None:
    """Find the items of a case, or of several, that look most like each query photograph."""
    if by not in ("item", "label"):
        raise UsageError(f"--by {by}: say item or label")
    if report.report is not None:
        refuse_report(report.report)
    cases, queries = parted(ctx, case, queries, also or ())
    paths = query_paths(queries)
    if not (served := any(map(is_address, cases))):
        decode_soon(isolation)  # they come up while what follows is loaded
    from indexer.search import sets
    from indexer.search.names import require_names
    from indexer.search.request import SearchRequest
    from indexer.search.several import SeveralCases

    request = SearchRequest(
        sets.depth(k) if by == "label" else k,
        leave_out.leave_out(),
        filters.filter(),
        regions,
        verify_top=verification.top(),
        max_fmr=max_fmr,
        with_rejected=with_rejected,
    )
    # What was left out has no place in labels and CSV.
    told = _Told(report.report is not None, by == "label" or out.format is Format.csv)
    if verification.verify_with != "sift" and served:
        raise UsageError(f"--verify-with {verification.verify_with}: is done on a case alone; leave it out")
    column = label_column if by == "label" else None
    with ExitStack() as stack:
        if served:
            searcher: SeveralCases | Asking = _service(stack, cases, service, model, report, (asked.reason, column))
        else:
            opened = stack.enter_context(opened_cases(cases))
            asked.tell(*opened.values())
            report.require(*opened.values())
            require_searchable(opened)
            require_names(opened.values(), request.within, column)
            embedder, matcher = one_model(opened, model, device), matcher_of(verification.verify_with)
            searcher = SeveralCases(searchers_of(opened, embedder, max_fmr, matcher), embedder)
        run = searcher.together if together else searcher.search
        _emit(told, run(paths, request), out, (column, k))
        if report.report is not None:
            where = opened if len(opened) > 1 else opened[case]
            report_page(where, told.kept, embedder.spec, report.report, reveal=report.seen, no_images=report.no_images)
    if not is_address(case):
        told.hint()
    told.require_one(queries)
    if strict and told.failed:
        raise typer.Exit(EXIT_UNREADABLE)


def _emit(told: _Told, found: Iterator[SearchResult], out: Output, by: tuple[str | None, int]) -> None:
    """Write results as they come: their items, or the labels of a column, so many."""
    from cli.render.search import emit_labels, emit_search
    from indexer.search import sets

    column, k = by
    if column is None:
        emit_search(told.each(found), out.format, out.output)
    else:
        ranked = told.ranked(sets.by_label(result, column, k) for result in told.each(found))
        emit_labels(ranked, out.format, out.output)


def _service(
    stack: ExitStack,
    cases: Sequence[str],
    service: ServiceOptions,
    model: str | None,
    report: ReportOptions,
    told: tuple[str, str | None],
) -> Asking:
    """What searches by a service, ``told`` the reason and a column of labels. Raises UsageError for what is done on a
    case alone.
    """
    from cli.serve.asking import Asking
    from cli.serve.client import Client

    there, names = one_service(cases)
    if report.report is not None:
        raise UsageError(f"{report.report}: a report is made where the case lies; leave out --report")
    client = Client(there, service.token(), service.ca, lambda words: note(f"imgmatch: {words}"))
    stack.callback(client.close)
    asking = Asking(client, names, *told)
    if model not in (None, asking.model):
        raise UsageError(f"--model {model}: {there} searches by {asking.model}; leave it out")
    return asking


class _Told:
    """Results on their way out: those that failed are told once more than that is to be said."""

    def __init__(self, keep: bool, left_out: bool) -> None:
        self.searched = 0
        self.failed: list[SearchResult] = []
        self.kept: list[SearchResult] = []
        self._keep, self._left_out = keep, left_out
        self._lead: tuple[SearchResult, Match] | None = None

    def each(self, results: Iterator[SearchResult]) -> Iterator[SearchResult]:
        told = 0
        for result in results:
            if result.issue is None:
                self.searched += 1
                self._lead = self._lead or next(((result, match) for match in result.matches), None)
            else:
                self.failed.append(result)
            if self.searched or len(self.failed) > 1:  # else it may be all that is said
                for failed in self.failed[told:]:
                    note(f"imgmatch: {_why_not(failed)}; not searched")
                told = len(self.failed)
            if self._left_out and result.left_out.words:
                note(f"imgmatch: {result.locator.path}: left out: {result.left_out.words}")
            if self._keep:
                self.kept.append(result)
            yield result

    def require_one(self, queries: Sequence[Path]) -> None:
        """Raises UsageError where none of these could be searched."""
        if not self.searched:
            what = self.failed[0].locator.path if self.failed else " ".join(map(str, queries))
            why = _why_not(self.failed[0]) if len(self.failed) == 1 else what
            raise UsageError(f"{why}: no query could be searched; give pictures")

    def hint(self) -> None:
        """Of several cases: how an item is looked at in its own."""
        if self._lead is None or not self._lead[1].case:
            return
        result, match = self._lead
        query = (match.query or result.locator).path or "QUERY"
        case, item = shlex.quote(match.case), match.item_id
        explain = f"imgmatch explain {case} {shlex.quote(query)} {item} -o why.png"
        note(f"Each item is of its case: imgmatch show {case} {item}; {explain}")

    def ranked(self, found: Iterator[LabelResult]) -> Iterator[LabelResult]:
        """Labels on their way out: of each the best picture is kept, in their order."""
        for one in found:
            if self._keep:
                best = (label.matches[0] for label in one.labels)
                matches = tuple(dataclasses.replace(match, rank=rank) for rank, match in enumerate(best, start=1))
                self.kept[-1] = dataclasses.replace(one.result, matches=matches)
            yield one


def _why_not(result: SearchResult) -> str:
    assert result.issue is not None
    return f"{result.locator.path}: {result.issue.message}"


def explain(
    case: CaseArg,
    query: Annotated[Path, typer.Argument(metavar="QUERY", help="The query photograph.")],
    item: Annotated[int, typer.Argument(metavar="ITEM", help="The item_id of a match.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Where to write the picture (PNG); a new file.")],
    *,
    leave_out: LeaveOutOptions,
    regions: RegionsOpt = True,
    verify_with: VerifyWithOpt = "sift",
    reveal: Annotated[
        bool, typer.Option("--reveal/--blur", help="Show the pictures as they are; recorded in the audit log.")
    ] = False,
    model: ModelOpt = None,
    device: DeviceOpt = "cpu",
    isolation: IsolationOpt = True,
    format: Annotated[Format, typer.Option("--format", help="How to write the figures.")] = Format.table,
    asked: AskedOptions,
) -> None:
    """Draw why a query and an item match: geometry, inliers, heat maps. Pictures are coarsened unless --reveal."""
    from indexer.search import fields
    from indexer.search.comparison import explain as run_explain
    from indexer.search.request import SearchRequest

    refuse_existing(output)
    with open_case(case) as opened:
        asked.tell(opened)
        decode_soon(isolation)
        embedder = embedder_of(opened, model, device)
        request = SearchRequest(leave_out=leave_out.leave_out(), regions=regions)
        matcher = matcher_of(verify_with)
        found = run_explain(opened, embedder, query, item, output, request, matcher=matcher, reveal=reveal)
    verification = found.verification
    emit_one(
        {
            **fields.values(found.match, fields.EXPLAINED),
            "revealed": found.revealed,
            **{name: getattr(verification, name) for name in ("verified", "kind", "mirrored", "tentative", "inliers")},
            **{name: getattr(verification, name) for name in ("features", "error_px", "overlap", "reason")},
            "surfaces": [surface.points for surface in verification.surfaces],
            "output": str(output),
        },
        format,
        None,
    )
    note(f"Wrote {output}")
