"""Why a case is used, and for whom what leaves it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.notes import note

if TYPE_CHECKING:
    from indexer.case.case import Case


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """For whom what is written is, and what for."""

    recipient: Annotated[
        str, typer.Option(metavar="TEXT", help="For whom what is written is; kept. A case may demand it.")
    ] = ""
    purpose: Annotated[
        str, typer.Option(metavar="TEXT", help="What for it leaves the case; kept. A case may demand it.")
    ] = ""

    def tell(self, case: Case, reason: str = "") -> None:
        """Say it to a case, and why it is used, for every use of it from now on."""
        from indexer.case.terms import Asked

        case.asked = Asked(*(" ".join(text.split()) for text in (reason, self.recipient, self.purpose)))

    def remind(self, what: str) -> None:
        """Say that something left without saying for whom."""
        if not (self.recipient and self.purpose):
            note(f"imgmatch: {what}: listed as a release; --recipient and --purpose say for whom and what for")


@dataclass(frozen=True, slots=True)
class ReasonOptions:
    """Why a case is searched."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log. A case may demand it.")] = ""

    def tell(self, case: Case) -> None:
        """Say it to a case, for every use of it from now on."""
        ReleaseOptions().tell(case, self.reason)
