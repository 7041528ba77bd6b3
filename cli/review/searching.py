"""Query pictures, searches, what they found, and comparisons: what the page asks of them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cli.review.asked import body, decimal, flag, get, leave_out, number, post, text, wanted, whole, wholes
from imgmatch.errors import ImgmatchError, UsageError
from indexer.review.pictures import heat_png
from indexer.search.request import SearchRequest

if TYPE_CHECKING:
    from cli.review.views import Views
    from indexer.review import Desk

PAGE = 24
_SEARCH = "/searches/{search:int}"


class Searching:
    """Its routes, over a desk."""

    def __init__(self, desk: Desk, views: Views) -> None:
        self._desk, self._views = desk, views
        self._uploading = asyncio.Lock()
        self.routes = [
            get("/queries/{query:int}/picture", self.query_picture),
            get("/items/{item:int}/picture", self.item_picture),
            get("/items", self.items),
            get("/items/{item:int}", self.item),
            get(_SEARCH, self.results),
            get(_SEARCH + "/items/{item:int}", self.match),
            get(_SEARCH + "/items/{item:int}/geometry", self.geometry),
            get(_SEARCH + "/items/{item:int}/heat/{side}", self.heat),
            Route("/queries", self.upload, methods=["POST"]),
            post("/queries/item", self.choose),
            post("/queries/{query:int}/remove", self.remove),
            post("/queries/{query:int}/clear", self.clear_query),
            post("/items/{item:int}/clear", self.clear_item),
            post("/searches", self.search),
            post(_SEARCH + "/verify", self.verify),
        ]

    # --- pictures

    def query_picture(self, request: Request) -> Response:
        """A query, blurred."""
        return _jpeg(self._desk.pictures.query(self._desk.queries.get(request.path_params["query"])))

    def item_picture(self, request: Request) -> Response:
        """An item, blurred."""
        try:
            return _jpeg(self._desk.pictures.item(request.path_params["item"]))
        except ImgmatchError as error:
            return PlainTextResponse(f"{error}\n", 404)

    def clear_query(self, request: Request, given: dict[str, Any]) -> Response:
        """A query as it is; recorded."""
        shown = whole(given, "px"), flag(given, "grey"), flag(given, "faces")
        return _jpeg(self._desk.reveal_query(request.path_params["query"], *shown))

    def clear_item(self, request: Request, given: dict[str, Any]) -> Response:
        """An item as it is; recorded."""
        shown = whole(given, "px"), flag(given, "grey"), flag(given, "faces")
        return _jpeg(self._desk.reveal_item(request.path_params["item"], *shown))

    # --- queries and items

    async def upload(self, request: Request) -> Response:
        """One picture: taken, or refused with the reason."""
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 15:
            raise UsageError("how large the picture is was not said; send it in one piece")
        name = request.query_params.get("name", "")[:300]
        with self._desk.queries.room(name, int(length)):
            async with self._uploading:  # one in memory twice, not all of them
                data = await body(request, int(length))
                before = {picture.query_id for picture in self._desk.queries.all()}
                picture = await run_in_threadpool(self._desk.upload, name, data)
        known = picture.name if picture.query_id in before else ""
        html = await run_in_threadpool(self._views.tray)
        return JSONResponse({"query": picture.query_id, "html": html, "known": known, "partial": picture.partial})

    def choose(self, request: Request, given: dict[str, Any]) -> Response:
        """An item of the case to search with."""
        picture = self._desk.choose(text(given, "item"))
        return JSONResponse({"query": picture.query_id, "html": self._views.tray()})

    def remove(self, request: Request, given: dict[str, Any]) -> Response:
        """Forget a query picture."""
        self._desk.queries.remove(request.path_params["query"])
        return JSONResponse({"html": self._views.tray()})

    def items(self, request: Request) -> Response:
        """Items of the case, a page of them."""
        return HTMLResponse(self._views.browse(number(request, "after", 0), wanted(request.query_params)))

    def item(self, request: Request) -> Response:
        """All that is known of an item."""
        return HTMLResponse(self._views.item(request.path_params["item"]))

    # --- searching

    def search(self, request: Request, given: dict[str, Any]) -> Response:
        """Search with a query, or several together."""
        within: Mapping[str, Any] = {name: value for name, value in given.items() if isinstance(value, str)}
        asked = SearchRequest(leave_out=leave_out(given), within=wanted(within), regions=flag(given, "regions"))
        kept = self._desk.search(wholes(given, "queries" if "queries" in given else "query"), asked)
        return JSONResponse(self._views.searched(kept))

    def verify(self, request: Request, given: dict[str, Any]) -> Response:
        """Ask geometry about the nearest."""
        return JSONResponse(self._views.searched(self._desk.verify(request.path_params["search"])))

    def results(self, request: Request) -> Response:
        """A page of what was found."""
        asked = request.query_params
        states = [state for state in asked.get("states", "open,seen,possible,confirmed").split(",") if state]
        return JSONResponse(
            self._views.results(
                self._desk.kept(request.path_params["search"]),
                states,
                decimal(asked.get("least", ""), -1.0),
                asked.get("by", "item"),
                asked.get("column", "label"),
                number(request, "page", 0),
                PAGE,
            )
        )

    def match(self, request: Request) -> Response:
        """A match beside its query."""
        kept = self._desk.kept(request.path_params["search"])
        return HTMLResponse(self._views.match(kept, request.path_params["item"]))

    def geometry(self, request: Request) -> Response:
        """What geometry says of the two; recorded."""
        search, item = request.path_params["search"], request.path_params["item"]
        compared = self._desk.compare(search, item)
        return JSONResponse(self._views.geometry(self._desk.kept(search).query_of(item), compared))

    def heat(self, request: Request) -> Response:
        """Where the two are alike."""
        compared = self._desk.compare(request.path_params["search"], request.path_params["item"])
        side = request.path_params["side"]
        if compared.heat is None or side not in ("query", "item"):
            return PlainTextResponse("no heat map\n", 404)
        peak = max(float(part.max()) for part in compared.heat)
        return Response(heat_png(compared.heat[side == "item"], peak), media_type="image/png")


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")
