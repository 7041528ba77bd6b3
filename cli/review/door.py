"""Who may come in: a token that works once, one session, and checks on every request. Nothing else guards the page.

Loopback alone is no protection: any page in the same browser can send requests to 127.0.0.1, and a name can be made to
resolve to it (DNS rebinding). So the Host must be the very address, what changes anything must come from this page
(Origin, Sec-Fetch-Site and a secret that only the page knows), and no answer may be framed, sniffed, kept or read by
another origin. After OWASP, "Cross-Site Request Forgery Prevention" and W3C, "Fetch Metadata Request Headers".
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CSRF_HEADER = "x-imgmatch-csrf"
_QUIET = "x-imgmatch-quiet"
"""Set by requests that the page makes by itself: they don't count as use."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), clipboard-read=()",
    "X-DNS-Prefetch-Control": "off",
}


class Door:
    """The one session of a server."""

    def __init__(self, idle_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.token: str | None = secrets.token_urlsafe(32)
        self.csrf = secrets.token_urlsafe(32)
        self._session: str | None = None
        self._idle_s = idle_s
        self._clock = clock
        self._used = clock()
        self._lock = threading.Lock()

    def exchange(self, token: str) -> str | None:
        """The session's secret for the token, once; None ever after."""
        with self._lock:
            if self.token is None or self.expired or not _same(token, self.token):
                return None
            self.token = None
            self._session = secrets.token_urlsafe(32)
            self._used = self._clock()
            return self._session

    def admits(self, session: str | None, counts: bool = True) -> bool:
        """Is this the session, and not idle for too long? ``counts``: a use that keeps it alive."""
        with self._lock:
            if session is None or self._session is None or self.expired or not _same(session, self._session):
                return False
            if counts:
                self._used = self._clock()
            return True

    def end(self) -> None:
        """Nobody comes in any more."""
        with self._lock:
            self.token = self._session = None

    @property
    def expired(self) -> bool:
        """Nothing was asked for longer than the idle time."""
        return self._clock() - self._used > self._idle_s


class Guard:
    """Middleware around everything: lets in what may come in, and puts the headers on every answer."""

    def __init__(self, app: ASGIApp, door: Door, port: int, entered: Callable[[], None] = lambda: None) -> None:
        self._app = app
        self._door = door
        self._host = f"127.0.0.1:{port}"
        self._origin = f"http://{self._host}"
        # Cookies know no ports: another page of this program must not overwrite ours.
        self._cookie = f"imgmatch-review-{port}"
        self._entered = entered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            return  # no websockets, no lifespan: not answered

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        answer = self._refusal(scope)
        await (answer or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if headers.getlist("host") != [self._host]:
            return _refuse(421, "this page answers to its own address only")
        site = headers.get("sec-fetch-site")
        reads = scope["method"] in ("GET", "HEAD")
        if not reads and scope["method"] != "POST":
            return _refuse(405, "only GET and POST are answered")
        token = parse_qs(scope["query_string"].decode("latin-1")).get("token")
        if reads and scope["path"] == "/" and token:
            # How the address was come by does not matter, only that the token is right and fresh.
            return self._exchange(token[0])
        # Another port of this machine is "same-site": to the browser its requests carry our cookie.
        if site not in (None, "same-origin", *(("none",) if reads else ())):
            return _refuse(403, "requests of other pages are refused")
        if not self._door.admits(self._session(headers), _QUIET not in headers):
            return _refuse(401, "no session, or it has ended; start again with: imgmatch review CASE")
        if not reads:
            if headers.get("origin") != self._origin:
                return _refuse(403, "requests of other pages are refused")
            if not _same(headers.get(CSRF_HEADER, ""), self._door.csrf):
                return _refuse(403, "the request does not come from this page")
        return None

    def _exchange(self, token: str) -> Response:
        session = self._door.exchange(token)
        if session is None:
            return _refuse(
                401, "this address has been used, or is wrong or too old; start again with: imgmatch review CASE"
            )
        self._entered()
        response = RedirectResponse("/", status_code=303)
        response.set_cookie(self._cookie, session, httponly=True, samesite="strict", path="/")
        return response

    def _session(self, headers: Headers) -> str | None:
        cookie: SimpleCookie = SimpleCookie()
        try:
            cookie.load(headers.get("cookie", ""))
        except CookieError:
            return None
        found: Any = cookie.get(self._cookie)
        return None if found is None else str(found.value)


def _refuse(status: int, why: str) -> Response:
    return PlainTextResponse(f"imgmatch: {why}\n", status)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
