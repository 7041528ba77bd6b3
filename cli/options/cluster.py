"""Options of what is done by several machines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.notes import note
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.intake.config import ClusterConfig

TlsOpt = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="The laboratory's certificates: ca.pem, cert.pem, key.pem.",
        envvar="IMGMATCH_TLS",
    ),
]


@dataclass(frozen=True, slots=True)
class ClusterOptions:
    """Who does the work of an ingest."""

    workers: Annotated[
        str | None,
        typer.Option(
            metavar="SCHEDULER",
            help="Have workers read, decode and embed: tls://HOST:PORT, a scheduler file, or local:N.",
        ),
    ] = None
    tls: TlsOpt = None
    mixed_workers: Annotated[
        bool,
        typer.Option(
            "--mixed-workers",
            help="Also workers with other packages or processors: their vectors may differ in the last digits.",
        ),
    ] = False

    def config(self) -> ClusterConfig | None:
        """As the options say; None where this machine does it all."""
        from indexer.intake.config import ClusterConfig

        if self.workers is None:
            if self.mixed_workers:
                raise UsageError("--mixed-workers says which workers take part; give --workers SCHEDULER too")
            return None
        return ClusterConfig(self.workers, self.tls, self.mixed_workers, note)
