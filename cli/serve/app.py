"""What a service answers: its routes, each described where it stands, and how errors are said."""

from __future__ import annotations

import io
import json
import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

import imgmatch
from cli.options.filters import FilterOptions
from cli.render.search import search_record
from cli.review.asked import body
from cli.serve import messages
from cli.serve.described import Described, openapi
from cli.serve.door import OPEN, PERSON, refusal
from cli.serve.pace import NotNowError, Seats, Uploads
from cli.serve.readings import Readings
from imgmatch.errors import CaseError, EvidenceError, ImgmatchError, MachineError, RefusedError, UsageError
from imgmatch.given import loads
from imgmatch.locator import Locator
from imgmatch.match.faces import hides_faces
from imgmatch.types import Evidence
from imgmatch.workers.wire import WireError, checked
from indexer.case.behalf import on_behalf_of
from indexer.index.kinds import one_thread
from indexer.out.show import show
from indexer.search.names import require_names
from indexer.search.request import LeaveOut, SearchRequest

if TYPE_CHECKING:
    from cli.serve.holding import Holding
    from cli.serve.people import Person

_MOST_JSON_BYTES = 1 << 20
_KEY = re.compile(r"[A-Za-z0-9_.:-]{8,100}\Z")
ROUTES = (
    Described("GET", OPEN, "Is the service up?", messages.Health, open_to_all=True),
    Described("GET", "/v1/openapi.json", "This description", dict[str, Any]),
    Described("GET", "/v1/cases", "The cases that you may search", messages.CasesTold),
    Described("POST", "/v1/pictures", "Send a picture to search with, as the body", messages.PictureTold, raw=True),
    Described(
        "POST", "/v1/searches", "Search with a picture, or a set of them, in one case or several",
        messages.SearchTold, messages.SearchAsked, once=True,
    ),
    Described("GET", "/v1/cases/{case}/items/{item}", "All that is known of an item", dict[str, Any], once=True),
    Described(
        "GET", "/v1/cases/{case}/items/{item}/picture", "An item's picture, blurred and grey", once=True,
        query={"reveal": "yes: as it is, for who has that right; recorded", "px": "the longer side of such a one"},
    ),
)  # fmt: skip


class Service:
    """Its routes, over the cases that it holds."""

    def __init__(self, holding: Holding, seats: Callable[[], Seats], uploads: Uploads) -> None:
        """``seats`` is called once, inside the server's loop."""
        self._holding, self._make_seats, self._uploads = holding, seats, uploads
        self._seats: Seats | None = None
        self._readings = Readings()
        self.searches = 0
        answers = (self.health, self.description, self.cases, self.take, self.search, self.item, self.picture)
        self.app = Starlette(
            routes=[
                Route(one.path, answer, methods=[one.method]) for one, answer in zip(ROUTES, answers, strict=True)
            ],
            exception_handlers={
                ImgmatchError: _failed, ClientDisconnect: _gone, HTTPException: _no_route, Exception: _broken
            },
        )  # fmt: skip

    async def health(self, request: Request) -> Response:
        """It is up."""
        return _json({"state": "up"})

    async def description(self, request: Request) -> Response:
        """OpenAPI."""
        return _json(openapi(ROUTES))

    async def cases(self, request: Request) -> Response:
        """What may be searched."""
        person = _person(request)
        told = [self._holding.told(name, person.reveal) for name in self._of(person)]
        return _json({"imgmatch": imgmatch.__version__, "api": messages.API, "person": person.name, "cases": told})

    async def take(self, request: Request) -> Response:
        """A picture's bytes, kept for what is asked with it."""
        length = request.headers.get("content-length", "")
        if not length.isdecimal() or len(length) > 15:
            raise UsageError("how large the picture is was not said; send it in one piece")
        size = int(length)
        self._uploads.require_room(size)
        try:
            data = await body(request, size)
            sha256 = self._uploads.add(_person(request).name, data)
        finally:
            self._uploads.arrived(size)
        return _json({"sha256": sha256, "size_bytes": len(data)})

    async def search(self, request: Request) -> Response:
        """A search; recorded in each case's log, once for one key."""
        person, key = _person(request), _key(request)
        try:
            asked: messages.SearchAsked = checked(
                messages.SearchAsked, loads(await body(request, _MOST_JSON_BYTES) or b"{}")
            )
        except (ValueError, WireError) as error:
            raise UsageError("the request is not as /v1/openapi.json describes it") from error
        names = [self._require(person, name) for name in asked.get("cases") or self._of(person)]
        if not names:
            raise RefusedError("there is no case that you may search; ask the operator")
        if len(asked["queries"]) > 1 and not asked.get("together"):
            raise UsageError("several queries that are no set (together): ask with each of them")
        data = {one["sha256"]: self._uploads.get(person.name, one["sha256"]) for one in asked["queries"]}
        if missing := [sha256 for sha256, known in data.items() if known is None]:
            return refusal(409, "pictures are to be sent first, or again", missing=missing)
        found = [_evidence(one["name"], data[one["sha256"]] or b"") for one in asked["queries"]]
        results = await self._seated(lambda: self._searched(person, key, list(dict.fromkeys(names)), found, asked))
        self.searches += 1
        return _json({"request": key, "results": results}, {"x-request-id": key})

    def _searched(
        self, person: Person, key: str, names: list[str], found: list[Evidence], asked: messages.SearchAsked
    ) -> list[dict[str, Any]]:
        """Done in a thread: the results of a search as they are told."""
        request = _request(asked)
        several = self._holding.several(names)
        reason = " ".join(asked.get("reason", "").split())
        with on_behalf_of(person.name, key, reason):
            for name in names:
                self._holding.case(name).require("search")
            require_names((self._holding.case(name) for name in names), request.within, asked.get("column"))
            if not asked.get("together"):
                started, (one,) = time.perf_counter(), found
                of = person.name, asked["queries"][0]["sha256"], one.locator, request.leave_out, request.regions
                query = self._readings.of((*of, several.limits), lambda: several.read(one, request))
                return [search_record(several.answer(query, request, started))]

        def each() -> Iterator[Evidence]:
            for number, one in enumerate(found, start=1):
                with on_behalf_of(person.name, f"{key}/{number}", reason):
                    yield one

        return [search_record(result) for result in several.together_of(each(), request)]

    async def item(self, request: Request) -> Response:
        """All that is known of an item; recorded."""
        person, key = _person(request), _key(request)
        name, item = self._require(person, request.path_params["case"]), request.path_params["item"]

        def shown() -> dict[str, Any]:
            with on_behalf_of(person.name, key):
                return show(self._holding.case(name), item)

        return _json(await self._seated(shown), {"x-request-id": key})

    async def picture(self, request: Request) -> Response:
        """An item's picture; recorded."""
        person, key = _person(request), _key(request)
        name, item = self._require(person, request.path_params["case"]), request.path_params["item"]
        reveal, px = request.query_params.get("reveal", "no"), request.query_params.get("px", "800")
        if reveal not in ("yes", "no") or not item.isdecimal() or len(item) > 18 or not px.isdecimal() or len(px) > 5:
            raise UsageError("give the number of an item, reveal=yes or no, and px as a whole number")
        if reveal == "yes" and not person.reveal:
            raise RefusedError("pictures are shown blurred to you; who may see them as they are, the operator says")
        clear_px = int(px) if reveal == "yes" else None

        def made() -> bytes:
            case, subject = self._holding.case(name), {"item_id": int(item)}
            recorded = (
                case.use("picture", subject=subject)
                if clear_px is None
                else case.use("reveal", arguments={"px": clear_px, "faces": not hides_faces()}, subject=subject)
            )
            with on_behalf_of(person.name, key), recorded as use:
                data = self._holding.pictures(name).item(int(item), clear_px)
                use.entry.subject = {**subject, "sha256": use.catalogue.items.by_id([int(item)])[int(item)].sha256}
            return data

        return Response(await self._seated(made), media_type="image/jpeg", headers={"x-request-id": key})

    async def _seated(self, work: Callable[[], Any]) -> Any:
        """What is done in a thread, where there is a seat."""
        if self._seats is None:
            self._seats = self._make_seats()
        async with self._seats.one():
            return await run_in_threadpool(_alone, work)

    def _of(self, person: Person) -> list[str]:
        return [name for name in self._holding.names if person.may(name)]

    def _require(self, person: Person, name: str) -> str:
        if name not in self._of(person):  # said alike of one that is not there: names of cases tell something
            raise RefusedError(f"{name}: there is no such case here, or you have no right to it")
        return name


def _alone(work: Callable[[], Any]) -> Any:
    """Done on this thread's core alone: there are as many seats as cores, and threads of threads only wait."""
    one_thread()
    return work()


def _person(request: Request) -> Person:
    person: Person = request.scope[PERSON]
    return person


def _key(request: Request) -> str:
    """The id of a request: the one that it was given, or a new one."""
    given = request.headers.get(messages.KEY_HEADER)
    if given is not None and not _KEY.match(given):
        raise UsageError(f"{messages.KEY_HEADER}: give 8 to 100 letters, digits or any of _.:-")
    return given or uuid.uuid4().hex


def _evidence(name: str, data: bytes) -> Evidence:
    return Evidence(Locator("upload", name), len(data), None, None, None, lambda: io.BytesIO(data))


def _request(asked: messages.SearchAsked) -> SearchRequest:
    """What is searched for, as ``imgmatch search`` makes it of its options."""
    only = asked.get("box")
    leave_out = LeaveOut(
        boxes=tuple(_box(box) for box in asked.get("ignore_boxes", [])), outside=None if only is None else _box(only)
    )
    return SearchRequest(
        asked.get("k", 10),
        leave_out,
        FilterOptions(**asked.get("within", {})).filter(),
        asked.get("regions", True),
        verify_top=asked.get("verify_top", 50),
        max_fmr=asked.get("max_fmr"),
        with_rejected=asked.get("with_rejected", False),
    )


def _box(box: messages.Box) -> messages.Box:
    x, y, width, height = box
    return x, y, width, height


def _json(value: Any, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value).encode("ascii"), 200, dict(headers or {}), "application/json")


def _failed(request: Request, error: Exception) -> Response:
    if isinstance(error, NotNowError):
        return refusal(error.status, str(error), error.again_s)
    faults = (MachineError, CaseError)
    # Of the person, or of the key that the service runs by: the role, the case's terms.
    status = 403 if isinstance(error, RefusedError) else 500 if isinstance(error, faults) else 400
    return refusal(404 if isinstance(error, EvidenceError) else status, str(error))


def _gone(request: Request, error: Exception) -> Response:
    return refusal(400, "broken off")


def _no_route(request: Request, error: Exception) -> Response:
    status = error.status_code if isinstance(error, HTTPException) else 404
    return refusal(status, "there is no such thing here; see /v1/openapi.json")


def _broken(request: Request, error: Exception) -> Response:
    return refusal(500, f"internal error ({type(error).__name__}); please report it")
