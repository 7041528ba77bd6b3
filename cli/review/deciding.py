"""Decisions, and groups of near-copies, which can be decided on as a whole: what the page asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from cli.review.asked import decimal, get, number, post, text, whole, wholes
from imgmatch.errors import UsageError
from indexer.review.judging import Pair

if TYPE_CHECKING:
    from cli.review.lists import Lists
    from cli.review.views import Views
    from imgmatch.types import Decision
    from indexer.review import Desk

_MOST_NOTE = 2000


class Deciding:
    """Its routes, over a desk."""

    def __init__(self, desk: Desk, views: Views, lists: Lists) -> None:
        self._desk, self._views, self._lists = desk, views, lists
        self.routes = [
            post("/decisions", self.decide),
            post("/decisions/undo", self.undo),
            get("/decisions/made", self.made),
            post("/examiner", self.examiner),
            post("/groups/start", self.groups_start),
            get("/groups/found", self.groups_found),
            get("/groups/{group:int}", self.group),
        ]

    def decide(self, request: Request, given: dict[str, Any]) -> Response:
        """Say the same of some matches of a search, or of a group's pictures and its best one. Those that were not
        looked at are refused by name; where all are, the request fails.
        """
        said = self._desk.judging.decide(self._pairs(given), text(given, "verdict"), _note(given))
        refused = [one for one in said if one.row is None]
        if len(refused) == len(said):
            more = f" (and {len(refused) - 1} more)" if len(refused) > 1 else ""
            raise UsageError((refused[0].refused if refused else "nothing was chosen to decide on") + more)
        decided = [
            {"item": one.item_id, "verdict": one.row.verdict, **_now(one.stands)} for one in said if one.row is not None
        ]
        return JSONResponse(
            {
                **decided[0],
                "examiner": self._desk.examiner,
                "decided": decided,
                "refused": [{"item": one.item_id, "why": one.refused} for one in refused],
            }
        )

    def _pairs(self, given: dict[str, Any]) -> list[Pair]:
        items = wholes(given, "items" if "items" in given else "item") if "group" not in given else []
        if "group" in given:
            best, *others = self._desk.stacks.get(whole(given, "group")).members
            return [Pair(best.item.sha256, member.item.item_id) for member in others]
        kept = self._desk.kept(whole(given, "search"))
        return [Pair(kept.query_of(item).sha256, item) for item in dict.fromkeys(items)]

    def undo(self, request: Request, given: dict[str, Any]) -> Response:
        """Take back what the examiner said last of a match, or of two contents."""
        if "search" in given:
            item = whole(given, "item")
            query, other = self._desk.kept(whole(given, "search")).query_of(item).sha256, str(item)
        else:
            query, other = text(given, "query_sha256"), text(given, "item_sha256")
        _, stands = self._desk.judging.withdraw(query, other, _note(given))
        return JSONResponse({"examiner": self._desk.examiner, **_now(stands)})

    def made(self, request: Request) -> Response:
        """Decisions of the case, a page of them; recorded."""
        asked = request.query_params
        return HTMLResponse(self._lists.decisions(asked.get("state", ""), number(request, "page", 0)))

    def examiner(self, request: Request, given: dict[str, Any]) -> Response:
        """Who decides from now on."""
        self._desk.name_examiner(text(given, "name"))
        return JSONResponse({"examiner": self._desk.examiner})

    def groups_start(self, request: Request, given: dict[str, Any]) -> Response:
        """Look for near-copies, beside the work."""
        self._desk.stacks.start(decimal(text(given, "least"), 0.9))
        return JSONResponse({"html": self._views.groups(0)})

    def groups_found(self, request: Request) -> Response:
        """A page of groups, or how far it is."""
        running = self._desk.stacks.progress().state == "running"
        return JSONResponse({"running": running, "html": self._views.groups(number(request, "page", 0))})

    def group(self, request: Request) -> Response:
        """One group."""
        return HTMLResponse(self._views.group(request.path_params["group"]))


def _note(given: dict[str, Any]) -> str:
    return text(given, "note")[:_MOST_NOTE]


def _now(stands: Decision | None) -> dict[str, Any]:
    """What stands of a pair now."""
    if stands is None:
        return {"stands": "open", "waits": False, "decided_utc": None}
    return {"stands": stands.verdict, "waits": stands.waits, "decided_utc": stands.decided_utc}
