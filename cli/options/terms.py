"""The terms of a case: what it is for, until when it is kept, what it demands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import typer

DemandOpt = Annotated[
    list[str] | None,
    typer.Option(
        "--demand",
        metavar="WHAT",
        help="reason (of every search), release (whom and what for), two-persons; may be repeated; none: no more.",
    ),
]


@dataclass(frozen=True, slots=True)
class TermOptions:
    """What is said of a case; an empty text takes it back."""

    purpose: Annotated[str | None, typer.Option(help="What the case is for.")] = None
    authority: Annotated[str | None, typer.Option(help="On whose authority or legal basis.")] = None
    consent: Annotated[str | None, typer.Option(help="By whose consent, or why without; see docs/consent.md.")] = None
    examiner: Annotated[str | None, typer.Option(help="Who works on it.")] = None
    valid_from: Annotated[
        str | None, typer.Option("--valid-from", metavar="DATE", help="First day on which it may be used (UTC).")
    ] = None
    retain_until: Annotated[
        str | None, typer.Option("--retain-until", metavar="DATE", help="Last day on which it may be used (UTC).")
    ] = None
    demand: DemandOpt = None

    def told(self) -> dict[str, str]:
        """Those that were given, by the names that they are kept under."""
        names = ("purpose", "authority", "consent", "examiner", "valid_from", "retain_until")
        told = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.demand is not None:
            told["demands"] = "" if self.demand == ["none"] else " ".join(self.demand)
        return told
