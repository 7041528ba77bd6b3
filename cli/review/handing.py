"""The log, what could not be used, where pictures were taken, and the report: what the page asks of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from cli.review.asked import flag, get, number, numbers, post, text, whole
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from cli.review.lists import Lists
    from indexer.review import Desk


class Handing:
    """Its routes, over a desk."""

    def __init__(self, desk: Desk, lists: Lists) -> None:
        self._desk, self._lists = desk, lists
        self.routes = [
            get("/audit/entries", self.entries),
            post("/audit/verify", self.audit_verify),
            get("/issues/found", self.issues),
            get("/map/spots", self.spots),
            get("/map/items", self.spot),
            post("/export", self.export),
        ]

    def entries(self, request: Request) -> Response:
        """Entries of the log, a page of them."""
        return HTMLResponse(self._lists.audit(number(request, "end", 0)))

    def audit_verify(self, request: Request, given: dict[str, Any]) -> Response:
        """Is the chain whole?"""
        return JSONResponse({"faults": self._desk.case.log.verify().faults})

    def issues(self, request: Request) -> Response:
        """Evidence that could not be used, a page of it; recorded."""
        return HTMLResponse(self._lists.issues(request.query_params.get("kind", ""), number(request, "page", 0)))

    def spots(self, request: Request) -> Response:
        """The map, with where pictures were taken; recorded."""
        return HTMLResponse(self._lists.map())

    def spot(self, request: Request) -> Response:
        """The pictures of a place, by their numbers."""
        ids = [
            int(part) for part in request.query_params.get("ids", "").split(",") if part.isdecimal() and len(part) < 19
        ]
        return HTMLResponse(self._lists.spot(ids))

    def export(self, request: Request, given: dict[str, Any]) -> Response:
        """Write the report of some searches to a new folder."""
        chosen = given.get("searches", [])
        if not isinstance(chosen, list) or not numbers(chosen, len(chosen)):
            raise UsageError("searches: give their numbers")
        folder, k, shown = text(given, "folder"), whole(given, "k"), (flag(given, "reveal"), flag(given, "images"))
        release = text(given, "recipient"), text(given, "purpose")
        page = self._desk.export(folder, chosen, k, *shown, *release)
        return JSONResponse({"written": str(page)})
