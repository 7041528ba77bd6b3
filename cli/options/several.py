"""Several cases at once: which they are, and how they are opened to be searched together."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from cli.options.common import embedder_of, open_case
from cli.options.query import no_background
from cli.render.notes import note
from imgmatch.errors import CaseError, UsageError
from imgmatch.vault.keys import LockedError

if TYPE_CHECKING:
    from imgmatch.models.base import Embedder
    from imgmatch.models.xfeat.matcher import Matcher
    from indexer.case.case import Case
    from indexer.search.searcher import Searcher

_AFTER = "arguments after --"
AlsoOpt = Annotated[
    list[Path] | None,
    typer.Option("--also", metavar="CASE", help="Search this case too: one ranking, each match names its case."),
]


class CasesFirst(typer.core.TyperCommand):
    """A command whose arguments are cases, then ``--``, then queries; without ``--`` the first alone is a case."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """As click parses them, and how many stood after ``--``, which it forgets."""
        if "--" in args:
            ctx.meta[_AFTER] = len(args) - args.index("--") - 1
        return super().parse_args(ctx, args)


def parted(ctx: typer.Context, case: str, rest: Sequence[Path], also: Sequence[Path]) -> tuple[list[str], list[Path]]:
    """The cases and the queries of a ``CasesFirst``. Raises UsageError where there is no query, or a case is taken for
    one.
    """
    count = max(0, len(rest) - ctx.meta.get(_AFTER, len(rest)))
    from indexer.case.place import is_case

    cases, queries = [case, *map(str, rest[:count]), *map(str, also)], list(rest[count:])
    if not queries:
        raise UsageError("no query is named; give pictures or folders after --")
    for query in queries:
        if str(query).startswith("--") and not query.exists():
            raise UsageError(f"{query}: stands after --, where there are queries alone; give options before it")
        if is_case(query):
            named = " ".join([*cases, str(query)])
            raise UsageError(f"{query}: is a case, no query; several cases are searched as: {named} -- QUERY...")
    return cases, queries


@contextmanager
def opened_cases(paths: Sequence[str]) -> Iterator[dict[str, Case]]:
    """Cases by the names that they were given, all of them open. Raises CaseError where one can't be opened, and
    UsageError where one is named twice.
    """
    seen: dict[str, str] = {}
    for path in paths:
        real = os.path.realpath(path)
        if real in seen:
            raise UsageError(f"{path}: is the same case as {seen[real]}; name each case once")
        seen[real] = path
    with ExitStack() as stack:
        yield {path: stack.enter_context(_opened(path)) for path in paths}


def _opened(path: str) -> Case:
    """One of several: what does not open it says which it is."""
    try:
        return open_case(Path(path))
    except LockedError as error:
        raise error if path in str(error) else LockedError(f"{path}: {error}") from error


def one_model(cases: dict[str, Case], model: str | None, device: str, threads: int | None = None) -> Embedder:
    """The one model that cases are searched by, each run by so many ``threads``. Raises UsageError where they were made
    with different ones, and none is named.
    """
    (first, case), *others = cases.items()
    for name, other in others:
        spec, one = other.default_model, case.default_model
        if model is None and (spec.name, spec.weights_sha256) != (one.name, one.weights_sha256):
            told = (f"{spec.name!r}, {first} by {one.name!r}", "search them apart, or by one that both have (--model)")
            if spec.name == one.name:
                told = f"{spec.name!r} with other weights than {first}", "search them apart"
            raise UsageError(f"{name}: its vectors are by {told[0]}; scores of two models make no ranking: {told[1]}")
    return embedder_of(case, model, device, threads)


def searchers_of(
    cases: dict[str, Case], embedder: Embedder, max_fmr: float | None, matcher: Matcher | None = None
) -> dict[str, Searcher]:
    """A searcher a case. Raises CaseError, naming it, where one holds no vectors by this model."""
    from indexer.search.background import background as background_of
    from indexer.search.searcher import Searcher

    found = {}
    for name, case in cases.items():
        background = background_of(case, embedder.spec)
        found[name] = Searcher(
            case, embedder, warn=lambda message: note(f"imgmatch: {message}"), background=background, matcher=matcher
        )
        if background is None and max_fmr is None:
            no_background(case)
    return found


def require_searchable(cases: dict[str, Case]) -> None:
    """Raises CaseError or UsageError where a search of one could not be recorded, or is not allowed now, before another
    one is searched.
    """
    for name, case in cases.items():
        if case.read_only:
            raise CaseError(f"{name}: is read-only here: a search can't be recorded, and is refused; leave it out")
        case.require("search")
