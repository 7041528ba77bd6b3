"""``imgmatch index``: the index of a case, built, described, compacted, moved."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import typer.core

from cli.options.common import CaseArg, JobsOpt, ModelOpt, open_case, spec_of
from cli.options.milvus import Kind, MilvusOptions
from cli.options.output import Output
from cli.render.notes import note
from cli.render.progress import count_progress
from imgmatch.errors import CaseError

if TYPE_CHECKING:
    import threading

    from imgmatch.types import ModelSpec
    from indexer.case.case import Case


class EitherOrder(typer.core.TyperGroup):
    """Commands of a case: ``index build CASE``, and ``index CASE build`` as it was once."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """The arguments with the command first."""
        if len(args) > 1 and args[1] in self.commands and (args[0] not in self.commands or Path(args[0]).is_dir()):
            args = [args[1], args[0], *args[2:]]
        return super().parse_args(ctx, args)


def build(
    case: CaseArg,
    kind: Annotated[
        str | None,
        typer.Option("--kind", help="exact, ivf or hnsw; on a server hnsw, ivf or diskann (default: by size)."),
    ] = None,
    recall: Annotated[
        float, typer.Option("--recall", min=0.5, max=1.0, help="Share of the true ten nearest that must be found.")
    ] = 0.99,
    model: ModelOpt = None,
    jobs: JobsOpt = None,
    *,
    out: Output,
) -> None:
    """Build the index; searches and ingests go on meanwhile."""
    from imgmatch.cores import usable_cores
    from indexer.care.indexing import BuildConfig
    from indexer.care.indexing import build as run_build
    from indexer.index.status import describe

    with open_case(case) as opened, count_progress() as progress:
        spec = spec_of(opened, model)
        run_build(opened, spec, BuildConfig(kind, recall, jobs or usable_cores()), progress=progress)
        out.one(describe(opened.shelf(spec)))


def info(case: CaseArg, model: ModelOpt = None, *, out: Output) -> None:
    """Which index a model's vectors have, why, and what it was measured to reach."""
    from indexer.index.status import describe

    with open_case(case) as opened:
        out.one(describe(opened.shelf(spec_of(opened, model))))


def compact(case: CaseArg, *, out: Output) -> None:
    """Remove deleted vectors from the disk, and put small segments together."""
    from indexer.case.compact import compact as run_compact

    with open_case(case) as opened, count_progress() as progress:
        done = run_compact(opened, progress=progress)
    out.one(done)


def move(
    case: CaseArg,
    to: Annotated[Kind, typer.Option("--to", help="Where to.")],
    *,
    milvus: MilvusOptions,
    abandon: Annotated[
        bool, typer.Option("--abandon", help="Leave the rows in the old place: its server is gone.")
    ] = False,
    out: Output,
) -> None:
    """Bring the index to a Milvus server, or back to files; running it again goes on where it stopped."""
    from indexer.care.move import move as run_move

    place = milvus.place(to)
    with open_case(case) as opened, count_progress() as progress:
        done = run_move(opened, place, abandon=abandon, progress=progress)
    out.one(done)


def build_when_due(case: Case, spec: ModelSpec, jobs: int, stop: threading.Event) -> None:
    """After pictures came in: bring the index up to date; a note when it can't be, all is searched all the same."""
    from indexer.care.indexing import BuildConfig, build_if_due

    try:
        build_if_due(case, spec, BuildConfig(jobs=jobs), stop=stop)
    except CaseError as error:
        note(f"imgmatch: the index is not up to date: {error}")
