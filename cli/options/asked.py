"""Why a case is used, and for whom what leaves it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import typer

from cli.render.notes import note

if TYPE_CHECKING:
    from indexer.case.case import Case


def tell(case: Case, reason: str, recipient: str = "", purpose: str = "") -> None:
    """Say to a case why it is used and for whom what leaves it is, for every use of it from now on."""
    from indexer.case.terms import Asked

    case.asked = Asked(*(" ".join(text.split()) for text in (reason, recipient, purpose)))


def remind(case: Case, what: object) -> None:
    """Say that something left without saying for whom, where it did."""
    if not (case.asked.recipient and case.asked.purpose):
        note(f"imgmatch: {what}: listed as a release; --recipient and --purpose say for whom and what for")


@dataclass(frozen=True, slots=True)
class ReasonOptions:
    """Why a case is searched."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log. A case may demand it.")] = ""

    def tell(self, *cases: Case) -> None:
        """Say it to cases."""
        for case in cases:
            tell(case, self.reason)


@dataclass(frozen=True, slots=True)
class ReleaseOptions:
    """For whom what is written is, and what for."""

    recipient: Annotated[
        str, typer.Option(metavar="TEXT", help="For whom what is written is; kept. A case may demand it.")
    ] = ""
    purpose: Annotated[
        str, typer.Option(metavar="TEXT", help="What for it leaves the case; kept. A case may demand it.")
    ] = ""


@dataclass(frozen=True, slots=True)
class AskedOptions(ReleaseOptions):
    """The same, and why a case is searched."""

    reason: Annotated[str, typer.Option(metavar="TEXT", help="Why; kept in the log. A case may demand it.")] = ""

    def tell(self, *cases: Case) -> None:
        """Say it to cases."""
        for case in cases:
            tell(case, self.reason, self.recipient, self.purpose)
