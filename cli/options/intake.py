"""Options of commands that bring pictures into a case."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli.options.common import DeviceOpt, IsolationOpt, JobsOpt, ModelOpt
from cli.options.sources import InsideOptions, LimitOpt, PasswordOptions

if TYPE_CHECKING:
    from indexer.intake.ingest import IngestConfig


@dataclass(frozen=True, slots=True)
class TakingOptions:
    """How pictures are taken in, by what, and what is told meanwhile."""

    model: ModelOpt = None
    device: DeviceOpt = "auto"
    jobs: JobsOpt = None
    profile: Annotated[
        str, typer.Option(help="fast, or thorough: parts of pictures too; may be added to a case read fast.")
    ] = "fast"
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Build the index when it is due, beside and afterwards.")
    ] = True
    isolation: IsolationOpt = True
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="PATTERN", help="Pass over files and folders of such names, as '*.iso' or 'cache/*'."),
    ] = None
    only_pictures: Annotated[
        bool, typer.Option("--only-pictures", help="Of what is no picture keep only how many there are of each type.")
    ] = False
    log: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Add lines of JSON to this file: start, each minute, each issue, end.",
        ),
    ] = None
    every: Annotated[
        float, typer.Option(min=0.01, metavar="SECONDS", help="How often the log, and a line without a terminal, tell.")
    ] = 60.0
    limit: LimitOpt = None

    def config(self, inside: InsideOptions, passwords: PasswordOptions, **more: Any) -> IngestConfig:
        """An ingest as the options say."""
        from imgmatch.cores import usable_cores
        from imgmatch.evidence.limits import limits as all_limits
        from indexer.intake.ingest import IngestConfig

        limits = all_limits(self.limit or ())
        return IngestConfig(
            jobs=self.jobs or usable_cores(),
            limits=limits.picture,
            sources=inside.sources(passwords, limits.source, tuple(self.exclude or ())),
            profile=self.profile,
            isolation=self.isolation,
            worker_limits=limits.worker,
            only_pictures=self.only_pictures,
            **more,
        )
