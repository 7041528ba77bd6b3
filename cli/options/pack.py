"""Packs: to whom, of what, for how long; and the key that opens one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from indexer.catalogue.filters import Filter
    from indexer.out.exchange.pack import PackConfig

IdentityOpt = Annotated[
    Path | None,
    typer.Option("--identity", metavar="FILE", help="Your secret key (age or SSH), where a pack is encrypted to it."),
]


@dataclass(frozen=True, slots=True)
class PackOptions:
    """What of a case goes into a pack, and who can open it."""

    thumbnails: Annotated[
        bool, typer.Option("--thumbnails", help="pack, portable: small pictures too, blurred; recorded.")
    ] = False
    locators: Annotated[bool, typer.Option("--locators", help="pack: where pictures were found, too.")] = False
    labels: Annotated[bool, typer.Option("--labels", help="pack: labels too.")] = False
    decisions: Annotated[bool, typer.Option("--decisions", help="pack: decisions too, and who made them.")] = False
    to: Annotated[
        list[str] | None,
        typer.Option(
            "--to", metavar="KEY", help="pack: encrypt to this public key (age1..., ssh-...), or to those in this file."
        ),
    ] = None
    no_metadata: Annotated[
        bool, typer.Option("--no-metadata", help="pack: vectors under opaque numbers, and nothing else of the items.")
    ] = False
    pdq_only: Annotated[
        bool, typer.Option("--pdq-only", help="pack: PDQ hashes under opaque numbers instead of vectors.")
    ] = False
    expires: Annotated[
        str | None, typer.Option("--expires", metavar="DAY", help="pack: the last day that imgmatch opens it, in UTC.")
    ] = None

    faces: Annotated[
        bool,
        typer.Option("--faces", help="pack: vectors of faces too, where the gate of the case is open; with --reason."),
    ] = False

    def config(self, reveal: int, within: Filter) -> PackConfig:
        """What the options say, of what passes a filter. Raises UsageError where they contradict each other."""
        from indexer.out.exchange.pack import PackConfig

        held = self.thumbnails, reveal, self.locators, self.labels, self.decisions
        limits = not self.no_metadata, self.pdq_only, self.expires or "", tuple(self.to or ()), self.faces
        config = PackConfig(*held, within, *limits)
        config.require_fit()
        return config
