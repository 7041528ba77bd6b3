"""Who is let in to a service: whoever sends a valid token, not too often; and what stands on each answer."""

from __future__ import annotations

import json
import math
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cli.serve.messages import API, API_HEADER
from cli.serve.pace import Pace
from cli.serve.people import People

HEADERS = {
    API_HEADER: str(API),
    "cache-control": "no-store, max-age=0",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
PERSON = "imgmatch.person"
"""Where an application finds who asks, in its scope."""
WRONG_A_MINUTE = 10
"""Requests without a valid token from one address; then it waits."""
OPEN = "/health"


def refusal(status: int, why: str, again_s: float = 0, **more: object) -> Response:
    """An answer that says why there is none."""
    headers = {"retry-after": str(math.ceil(again_s))} if again_s else {}
    if status == 401:
        headers["www-authenticate"] = "Bearer"
    data = json.dumps({"error": why, **more}).encode("ascii")
    return Response(data, status, headers, "application/json")


class Gate:
    """Middleware around everything. ``refused`` is told why somebody was not let in."""

    def __init__(self, app: ASGIApp, people: People, pace: Pace, refused: Callable[[str], None]) -> None:
        self._app, self._people, self._pace, self._refused = app, people, pace, refused
        self._wrong = Pace(WRONG_A_MINUTE, WRONG_A_MINUTE)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = None if scope["path"] == OPEN else self._refusal(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        kind, _, token = Headers(scope=scope).get("authorization", "").partition(" ")
        person = self._people.of(token.strip()) if kind.lower() == "bearer" else None
        if person is None:  # a valid one gets in, whatever others send from its address
            address = str((scope.get("client") or ("?", 0))[0])
            self._refused("a request without a valid token")
            if wait_s := self._wrong.wait_s(address):
                return refusal(429, f"too many requests without a valid token from {address}; wait", wait_s)
            return refusal(401, "the token is missing, wrong, expired or revoked; ask the operator for one")
        wait_s = self._pace.wait_s(person.name)
        if wait_s:
            self._refused(f"too many requests of {person.name}")
            return refusal(429, f"too many requests; wait {math.ceil(wait_s)} s", wait_s)
        scope[PERSON] = person
        scope.get("state", {}).get("known", lambda: None)()
        return None
