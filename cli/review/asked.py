"""What a request of the page says, each part checked: whoever has the secret may still send anything."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from cli.options.filters import FilterOptions
from imgmatch.errors import UsageError
from imgmatch.given import loads
from indexer.catalogue import filters
from indexer.search.request import LeaveOut

_MAX_JSON_BYTES = 1 << 20
MAX_MARKS = 500
_BODY_S = 20.0
"""So long may nothing come of a body."""


def get(path: str, answer: Callable[[Request], Response]) -> Route:
    """A route that only shows."""
    return Route(path, answer, methods=["GET"])


def post(path: str, answer: Callable[[Request, dict[str, Any]], Response]) -> Route:
    """A route whose body is a JSON object, worked on in a thread."""

    async def route(request: Request) -> Response:
        data = await body(request, _MAX_JSON_BYTES)
        try:
            given = loads(data or b"{}")
        except ValueError as error:
            raise UsageError(f"the request is no JSON ({error})") from error
        if not isinstance(given, dict):
            raise UsageError("the request is no JSON object")
        return await run_in_threadpool(answer, request, given)

    return Route(path, route, methods=["POST"])


async def body(request: Request, most: int) -> bytes:
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


def wholes(given: Mapping[str, Any], name: str) -> list[int]:
    """Whole numbers of a request, one or a list. Raises UsageError when they are none."""
    value = given.get(name)
    found: list[Any] = value if isinstance(value, list) else [value]
    if not 0 < len(found) <= MAX_MARKS or not numbers(found, len(found)):
        raise UsageError(f"{name}: give up to {MAX_MARKS} whole numbers")
    return found


def text(given: dict[str, Any], name: str) -> str:
    """A text of a request; empty where it is not given."""
    value = given.get(name, "")
    if not isinstance(value, str):
        raise UsageError(f"{name}: {value!r} is no text")
    return value


def whole(given: dict[str, Any], name: str) -> int:
    """A whole number of a request. Raises UsageError when it is none."""
    value = given.get(name)
    if type(value) is not int or not -(2**53) < value < 2**53:
        raise UsageError(f"{name}: {value!r} is no whole number")
    return value


def flag(given: dict[str, Any], name: str) -> bool:
    """Is it set?"""
    return given.get(name) is True


def decimal(text: str, otherwise: float) -> float:
    """A number as text. Raises UsageError when it is none."""
    try:
        return float(text) if text.strip() else otherwise
    except ValueError as error:
        raise UsageError(f"{text!r} is no number") from error


def number(request: Request, name: str, otherwise: int) -> int:
    """A number in the address."""
    text = request.query_params.get(name, "")
    return int(text) if text.isdecimal() and len(text) < 19 else otherwise


def wanted(given: Mapping[str, Any]) -> filters.Filter:
    """A filter as the form gives it: texts, one a line, empty where nothing is asked for."""

    def several(name: str) -> list[str]:
        return [part.strip() for part in str(given.get(name, "")).splitlines() if part.strip()]

    items = several("exclude_item")
    if not all(item.isdecimal() and len(item) < 19 for item in items):
        raise UsageError(f"{' '.join(items)}: give numbers of items, one a line")
    return FilterOptions(
        label=several("label"),
        since=str(given.get("since", "")).strip() or None,
        until=str(given.get("until", "")).strip() or None,
        source=several("source"),
        meta=several("meta"),
        on_list=several("list"),
        exclude_label=several("exclude_label"),
        exclude_source=several("exclude_source"),
        exclude_item=[int(item) for item in items],
        exclude_list=several("exclude_list"),
    ).filter()


def leave_out(given: dict[str, Any]) -> LeaveOut:
    """Boxes and strokes. Raises UsageError for what is none, and for too many."""
    boxes, strokes = given.get("ignore", []), given.get("strokes", [])
    if not isinstance(boxes, list) or not isinstance(strokes, list) or len(boxes) + len(strokes) > MAX_MARKS:
        raise UsageError(f"boxes and strokes: give lists of up to {MAX_MARKS} together")
    only = given.get("box")
    return LeaveOut(
        boxes=tuple(box(one) for one in boxes),
        outside=None if only is None else box(only),
        strokes=tuple(stroke(one) for one in strokes),
    )


def box(value: Any) -> tuple[int, int, int, int]:
    """A box. Raises UsageError when it is none."""
    if not numbers(value, 4):
        raise UsageError(f"{value!r} is no box; give x, y, width, height in pixels")
    x, y, width, height = value
    return x, y, width, height


def stroke(value: Any) -> tuple[int, tuple[tuple[int, int], ...]]:
    """A stroke. Raises UsageError when it is none."""
    points = value.get("points") if isinstance(value, dict) else None
    if not points or not isinstance(points, list) or not all(numbers(point, 2) for point in points):
        raise UsageError("a stroke has a width and points, each x and y in pixels")
    return whole(value, "width"), tuple((x, y) for x, y in points)


def numbers(value: Any, count: int) -> bool:
    """Is it a list of so many whole numbers?"""
    return isinstance(value, list) and len(value) == count and all(type(v) is int and abs(v) < 2**31 for v in value)
