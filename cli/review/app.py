"""What the page can ask for: each route parses, asks the desk, and answers with a piece of HTML, a picture or JSON."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from cli.review.door import CODE_S, PAGES
from cli.review.views import Views
from imgmatch.errors import ImgmatchError, UsageError
from imgmatch.given import loads
from indexer.catalogue import filters
from indexer.review.pictures import heat_png
from indexer.search.request import LeaveOut, SearchRequest

if TYPE_CHECKING:
    from cli.review.door import Door
    from indexer.review import Desk

_MAX_JSON_BYTES = 1 << 20
_MAX_MARKS = 500
PAGE = 24
_BODY_S = 20.0
"""So long may nothing come of a body."""
_KINDS = {
    "session.js": "text/javascript",
    "app.js": "text/javascript",
    "app.css": "text/css",
    "icon.svg": "image/svg+xml",
}


@dataclass(frozen=True, slots=True)
class Bell:
    """What the page tells its server: it is to end, a tab came in (which is recorded first), or was refused."""

    end: Callable[[], None]
    entered: Callable[[], None]
    refused: Callable[[str], None]


def make_app(desk: Desk, door: Door, bell: Bell) -> Starlette:
    """The page over a desk; to be wrapped in a ``Guard``."""
    return _Pages(desk, door, bell).app


class _Pages:
    def __init__(self, desk: Desk, door: Door, bell: Bell) -> None:
        self._desk = desk
        self._door = door
        self._bell = bell
        self._views = Views(desk)
        self._uploading = asyncio.Lock()
        routes = [
            *(_get(path, self.empty) for path in PAGES),
            _get("/static/{name}", self.static),
            Route("/session", self._posted(self.enter), methods=["POST"]),
            _get("/session", self.session),
            Route("/codes", self._posted(self.code), methods=["POST"]),
            _get("/pages/{name}", self.page),
            _get("/queries/{query:int}/picture", self.query_picture),
            _get("/items/{item:int}/picture", self.item_picture),
            _get("/items", self.items),
            _get("/items/{item:int}", self.item),
            _get("/searches/{search:int}", self.results),
            _get("/searches/{search:int}/items/{item:int}", self.match),
            _get("/searches/{search:int}/items/{item:int}/geometry", self.geometry),
            _get("/searches/{search:int}/items/{item:int}/heat/{side}", self.heat),
            _get("/groups/found", self.groups_found),
            _get("/groups/{group:int}", self.group),
            _get("/audit/entries", self.audit_entries),
            Route("/queries", self.upload, methods=["POST"]),
            Route("/queries/{query:int}/clear", self._posted(self.clear_query), methods=["POST"]),
            Route("/items/{item:int}/clear", self._posted(self.clear_item), methods=["POST"]),
            Route("/queries/item", self._posted(self.choose), methods=["POST"]),
            Route("/queries/{query:int}/remove", self._posted(self.remove), methods=["POST"]),
            Route("/searches", self._posted(self.search), methods=["POST"]),
            Route("/searches/{search:int}/verify", self._posted(self.verify), methods=["POST"]),
            Route("/decisions", self._posted(self.decide), methods=["POST"]),
            Route("/examiner", self._posted(self.examiner), methods=["POST"]),
            Route("/groups/start", self._posted(self.groups_start), methods=["POST"]),
            Route("/audit/verify", self._posted(self.audit_verify), methods=["POST"]),
            Route("/export", self._posted(self.export), methods=["POST"]),
            Route("/end", self._posted(self.end), methods=["POST"]),
        ]
        self.app = Starlette(
            routes=routes, exception_handlers={ImgmatchError: _failed, ClientDisconnect: _gone, Exception: _broken}
        )

    @staticmethod
    def _posted(answer: Callable[[Request, dict[str, Any]], Response]) -> Callable[[Request], Any]:
        """A route whose body is a JSON object, worked on in a thread."""

        async def route(request: Request) -> Response:
            data = await _body(request, _MAX_JSON_BYTES)
            try:
                given = loads(data or b"{}")
            except ValueError as error:
                raise UsageError(f"the request is no JSON ({error})") from error
            if not isinstance(given, dict):
                raise UsageError("the request is no JSON object")
            return await run_in_threadpool(answer, request, given)

        return route

    # --- coming in

    def empty(self, request: Request) -> Response:
        return HTMLResponse(_file("page.html"))

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _KINDS:
            return PlainTextResponse("no such file\n", 404)
        return Response(_file(name), media_type=_KINDS[name])

    def enter(self, request: Request, given: dict[str, Any]) -> Response:
        secret = self._door.exchange(_text(given, "code"))
        if secret is None:
            self._bell.refused("a code that is wrong, used or too old")
            raise UsageError(
                "this address has been used, or is wrong or too old; start again with: imgmatch review CASE"
            )
        self._bell.entered()
        return JSONResponse({"secret": secret})

    def session(self, request: Request) -> Response:
        return JSONResponse({"left_s": self._door.left_s})

    def code(self, request: Request, given: dict[str, Any]) -> Response:
        return JSONResponse({"code": self._door.code(CODE_S / 10)})

    def page(self, request: Request) -> Response:
        here = request.path_params["name"]
        if here not in PAGES.values():
            return PlainTextResponse("no such page\n", 404)
        return JSONResponse({**self._views.page(here), "left_s": self._door.left_s})

    # --- pictures

    def query_picture(self, request: Request) -> Response:
        return _jpeg(self._desk.pictures.query(self._desk.queries.get(request.path_params["query"])))

    def item_picture(self, request: Request) -> Response:
        try:
            return _jpeg(self._desk.pictures.item(request.path_params["item"]))
        except ImgmatchError as error:
            return PlainTextResponse(f"{error}\n", 404)

    def clear_query(self, request: Request, given: dict[str, Any]) -> Response:
        return _jpeg(self._desk.reveal_query(request.path_params["query"], _whole(given, "px"), _flag(given, "grey")))

    def clear_item(self, request: Request, given: dict[str, Any]) -> Response:
        return _jpeg(self._desk.reveal_item(request.path_params["item"], _whole(given, "px"), _flag(given, "grey")))

    # --- queries and items

    async def upload(self, request: Request) -> Response:
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 15:
            raise UsageError("how large the picture is was not said; send it in one piece")
        name = request.query_params.get("name", "")[:300]
        with self._desk.queries.room(name, int(length)):
            async with self._uploading:  # one in memory twice, not all of them
                data = await _body(request, int(length))
                picture = await run_in_threadpool(self._desk.upload, name, data)
        return JSONResponse({"query": picture.query_id, "html": await run_in_threadpool(self._views.tray)})

    def choose(self, request: Request, given: dict[str, Any]) -> Response:
        picture = self._desk.choose(_text(given, "item"))
        return JSONResponse({"query": picture.query_id, "html": self._views.tray()})

    def remove(self, request: Request, given: dict[str, Any]) -> Response:
        self._desk.queries.remove(request.path_params["query"])
        return JSONResponse({"html": self._views.tray()})

    def items(self, request: Request) -> Response:
        return HTMLResponse(self._views.browse(_number(request, "after", 0), _filter(request.query_params)))

    def item(self, request: Request) -> Response:
        return HTMLResponse(self._views.item(request.path_params["item"]))

    # --- searching

    def search(self, request: Request, given: dict[str, Any]) -> Response:
        asked = SearchRequest(leave_out=_leave_out(given), within=_filter(given), regions=_flag(given, "regions"))
        kept = self._desk.search(_whole(given, "query"), asked)
        return JSONResponse(self._views.searched(kept))

    def verify(self, request: Request, given: dict[str, Any]) -> Response:
        return JSONResponse(self._views.searched(self._desk.verify(request.path_params["search"])))

    def results(self, request: Request) -> Response:
        asked = request.query_params
        states = [state for state in asked.get("states", "open,confirmed").split(",") if state]
        found = self._views.results(
            self._desk.kept(request.path_params["search"]),
            states,
            _decimal(asked.get("least", ""), -1.0),
            asked.get("by", "item"),
            asked.get("column", "label"),
            _number(request, "page", 0),
            PAGE,
        )
        return JSONResponse(found)

    def match(self, request: Request) -> Response:
        return HTMLResponse(
            self._views.match(self._desk.kept(request.path_params["search"]), request.path_params["item"])
        )

    def geometry(self, request: Request) -> Response:
        search, item = request.path_params["search"], request.path_params["item"]
        compared = self._desk.compare(search, item)
        return JSONResponse(self._views.geometry(self._desk.kept(search), compared))

    def heat(self, request: Request) -> Response:
        compared = self._desk.compare(request.path_params["search"], request.path_params["item"])
        side = request.path_params["side"]
        if compared.heat is None or side not in ("query", "item"):
            return PlainTextResponse("no heat map\n", 404)
        peak = max(float(part.max()) for part in compared.heat)
        return Response(heat_png(compared.heat[side == "item"], peak), media_type="image/png")

    # --- deciding

    def decide(self, request: Request, given: dict[str, Any]) -> Response:
        kept = self._desk.kept(_whole(given, "search"))
        item = _whole(given, "item")
        row = self._desk.decide(kept.query.sha256, item, _text(given, "verdict"), _text(given, "note")[:2000])
        return JSONResponse({"verdict": row.verdict, "examiner": row.examiner, "decided_utc": row.decided_utc})

    def examiner(self, request: Request, given: dict[str, Any]) -> Response:
        self._desk.name_examiner(_text(given, "name"))
        return JSONResponse({"examiner": self._desk.examiner})

    # --- groups, log, export, end

    def groups_start(self, request: Request, given: dict[str, Any]) -> Response:
        self._desk.stacks.start(_decimal(_text(given, "least"), 0.9))
        return JSONResponse({"html": self._views.groups(0)})

    def groups_found(self, request: Request) -> Response:
        running = self._desk.stacks.progress().state == "running"
        return JSONResponse({"running": running, "html": self._views.groups(_number(request, "page", 0))})

    def group(self, request: Request) -> Response:
        return HTMLResponse(self._views.group(request.path_params["group"]))

    def audit_entries(self, request: Request) -> Response:
        return HTMLResponse(self._views.audit(_number(request, "end", 0)))

    def audit_verify(self, request: Request, given: dict[str, Any]) -> Response:
        return JSONResponse({"faults": self._desk.case.log.verify().faults})

    def export(self, request: Request, given: dict[str, Any]) -> Response:
        chosen = given.get("searches", [])
        if not isinstance(chosen, list) or not all(type(one) is int for one in chosen):
            raise UsageError("searches: give their numbers")
        page = self._desk.export(
            _text(given, "folder"), chosen, _whole(given, "k"), _flag(given, "reveal"), _flag(given, "images")
        )
        return JSONResponse({"written": str(page)})

    def end(self, request: Request, given: dict[str, Any]) -> Response:
        self._door.end()
        self._bell.end()
        return JSONResponse({"ended": True})


def _get(path: str, answer: Callable[[Request], Response]) -> Route:
    return Route(path, answer, methods=["GET"])


def _file(name: str) -> bytes:
    return files("cli.review").joinpath("static", name).read_bytes()


async def _body(request: Request, most: int) -> bytes:
    """The body, in memory. Raises UsageError as soon as it is larger than it may be, or nothing comes for too long."""
    data = bytearray()
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(_BODY_S):
                data += await anext(stream)
        except StopAsyncIteration:
            return bytes(data)
        except TimeoutError as error:
            raise UsageError(f"nothing was sent for {_BODY_S:g} seconds; send it again") from error
        if len(data) > most:
            raise UsageError(f"more than {most:,} bytes were sent; send less, or ingest the picture")


def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _gone(request: Request, error: Exception) -> Response:
    return PlainTextResponse("broken off\n", 400)


def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"internal error ({type(error).__name__}); please report it"}, 500)


def _jpeg(data: bytes) -> Response:
    return Response(data, media_type="image/jpeg")


def _text(given: dict[str, Any], name: str) -> str:
    value = given.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is no text")
    return value


def _whole(given: dict[str, Any], name: str) -> int:
    value = given.get(name)
    if type(value) is not int or not -(2**53) < value < 2**53:
        raise UsageError(f"{name}: {value!r} is no whole number")
    return value


def _flag(given: dict[str, Any], name: str) -> bool:
    return given.get(name) is True


def _decimal(text: str, otherwise: float) -> float:
    try:
        return float(text) if text.strip() else otherwise
    except ValueError as error:
        raise UsageError(f"{text!r} is no number") from error


def _number(request: Request, name: str, otherwise: int) -> int:
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else otherwise


def _filter(given: Any) -> filters.Filter:
    """A filter as the form gives it: texts, empty where nothing is asked for."""
    label, source = str(given.get("label", "")).strip(), str(given.get("source", "")).strip()
    since, until = str(given.get("since", "")).strip(), str(given.get("until", "")).strip()
    return filters.Filter(
        labels=(filters.label(label),) if label else (),
        sources=(filters.source(source),) if source else (),
        since=filters.date(since) if since else None,
        until=filters.date(until) if until else None,
    )


def _leave_out(given: dict[str, Any]) -> LeaveOut:
    boxes, strokes = given.get("ignore", []), given.get("strokes", [])
    if not isinstance(boxes, list) or not isinstance(strokes, list) or len(boxes) + len(strokes) > _MAX_MARKS:
        raise UsageError(f"boxes and strokes: give lists of up to {_MAX_MARKS} together")
    only = given.get("box")
    return LeaveOut(
        boxes=tuple(_box(box) for box in boxes),
        outside=None if only is None else _box(only),
        strokes=tuple(_stroke(stroke) for stroke in strokes),
    )


def _box(value: Any) -> tuple[int, int, int, int]:
    if not _numbers(value, 4):
        raise UsageError(f"{value!r} is no box; give x, y, width, height in pixels")
    x, y, width, height = value
    return x, y, width, height


def _stroke(value: Any) -> tuple[int, tuple[tuple[int, int], ...]]:
    points = value.get("points") if isinstance(value, dict) else None
    if not points or not isinstance(points, list) or not all(_numbers(point, 2) for point in points):
        raise UsageError("a stroke has a width and points, each x and y in pixels")
    return _whole(value, "width"), tuple((x, y) for x, y in points)


def _numbers(value: Any, count: int) -> bool:
    return isinstance(value, list) and len(value) == count and all(type(v) is int and abs(v) < 2**31 for v in value)
