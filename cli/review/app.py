"""The page over a desk: how one comes in, its own files, its pages, and how errors are said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response

from cli.review.asked import get, post, text
from cli.review.deciding import Deciding
from cli.review.door import CODE_S, PAGES
from cli.review.facing import Facing
from cli.review.handing import Handing
from cli.review.lists import Lists
from cli.review.searching import Searching
from cli.review.views import Views
from imgmatch import language, templating
from imgmatch.errors import ImgmatchError, UsageError

if TYPE_CHECKING:
    from cli.review.door import Door
    from indexer.review import Desk

_KINDS = {"js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}


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
        lists = Lists(desk, self._views)
        self._views.fill = {
            "decisions": lambda: "",
            "issues": lambda: "",
            "map": lambda: "",
            "faces": self._views.tray,
            "audit": lambda: lists.audit(None),
        }
        routes = [
            *(get(path, self.empty) for path in PAGES),
            get("/static/{name}", self.static),
            post("/session", self.enter),
            get("/session", self.session),
            post("/codes", self.code),
            get("/pages/{name}", self.page),
            post("/end", self.end),
            *Searching(desk, self._views).routes,
            *Deciding(desk, self._views, lists).routes,
            *Handing(desk, lists).routes,
            *Facing(desk, self._views).routes,
        ]
        self.app = Starlette(
            routes=routes, exception_handlers={ImgmatchError: _failed, ClientDisconnect: _gone, Exception: _broken}
        )

    # --- coming in

    def empty(self, request: Request) -> Response:
        return HTMLResponse(_empty())

    def static(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _STATIC:
            return PlainTextResponse("no such file\n", 404)
        return Response(_file(name), media_type=_KINDS[name.rpartition(".")[2]])

    def enter(self, request: Request, given: dict[str, Any]) -> Response:
        secret = self._door.exchange(text(given, "code"))
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

    def end(self, request: Request, given: dict[str, Any]) -> Response:
        self._door.end()
        self._bell.end()
        return JSONResponse({"ended": True})


def _empty() -> str:
    """The page that fills itself, with what its script says in the language of the page."""
    scripts = (_file(name).decode("utf-8") for name in sorted(_STATIC) if name.endswith(".js"))
    words = {word: language.say(word) for script in scripts for word in templating.script_messages(script)}
    said = {word: told for word, told in words.items() if told != word}
    page = _file("page.html").decode("utf-8")
    # Within a script element nothing may end it.
    return page.replace("{language}", language.current()).replace("{words}", json.dumps(said).replace("<", "\\u003c"))


def _file(name: str) -> bytes:
    return files("cli.review").joinpath("static", name).read_bytes()


_STATIC = {file.name for file in files("cli.review").joinpath("static").iterdir() if file.name != "page.html"}


def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error)}, 400)


def _gone(request: Request, error: Exception) -> Response:
    return PlainTextResponse("broken off\n", 400)


def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": f"internal error ({type(error).__name__}); please report it"}, 500)
