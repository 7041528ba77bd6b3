"""Who may come in: a secret that the page alone holds, and checks on every request. Nothing else guards the page.

Loopback alone is no protection. Every account of the machine can connect to it; any page in the same browser can send
requests to it, and a name can be made to resolve to it (DNS rebinding). A cookie is none either: cookies know no ports,
so that a server of another account on the same address is sent them. So there are no cookies. The page has its secret
for a code that works once, holds it for its tab, and sends it with each request; the Host must be the very address, and
the browser must say (Sec-Fetch-Site, Origin) that the request comes from the page itself. No answer may be framed,
sniffed, kept or read by another origin. After OWASP, "Cross-Site Request Forgery Prevention" and W3C, "Fetch Metadata
Request Headers".
"""

from __future__ import annotations

import hmac
import secrets
import threading
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CODE_S = 600.0
"""So long does a code let in; one that the page asks for to open another tab, a tenth of it."""
PAGES = {
    "/": "matches", "/decisions": "decisions", "/groups": "groups", "/faces": "faces", "/map": "map",
    "/issues": "issues", "/audit": "audit", "/export": "export",
}  # fmt: skip
"""Where the empty page is given to anybody: it holds nothing of the case."""
_STATIC = "/static/"
_ENTER = "/session"
_QUIET = "x-imgmatch-quiet"
"""Set by requests that the page makes by itself: they don't count as use."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "worker-src 'none'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store, max-age=0",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), clipboard-read=()",
    "X-DNS-Prefetch-Control": "off",
}


def awake_or_not() -> float:
    """Seconds that go on while the machine sleeps: a lid that is closed for the night is no use."""
    return time.clock_gettime(_CLOCK) if _CLOCK is not None else time.monotonic()


_CLOCK = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", None))


class Door:
    """The one sitting of a server: its secret, the codes that it is given for, and when it ends.

    ``idle_s``: ends after so long without use; ``most_s``: after so long in any case.
    """

    def __init__(self, idle_s: float, most_s: float = 12 * 3600, clock: Callable[[], float] = awake_or_not) -> None:
        self._secret: str | None = secrets.token_urlsafe(32)
        self._codes: dict[str, float] = {}
        self._idle_s = idle_s
        self._clock = clock
        self._used = clock()
        self._end = self._used + most_s
        self._entered = False
        self._lock = threading.Lock()

    def code(self, life_s: float = CODE_S) -> str:
        """A new code, which lets in once within so many seconds."""
        made = secrets.token_urlsafe(32)
        with self._lock:
            now = self._clock()
            self._codes = {code: until for code, until in self._codes.items() if until >= now}
            self._codes[made] = now + min(life_s, self._idle_s)
        return made

    def exchange(self, code: str) -> str | None:
        """The sitting's secret for a code, once; None ever after."""
        with self._lock:
            found = [known for known in self._codes if _same(code, known)]
            if not found or self._over() or self._secret is None or self._codes.pop(found[0]) < self._clock():
                return None
            self._entered = True
            self._used = self._clock()
            return self._secret

    def admits(self, secret: str, counts: bool = True) -> bool:
        """Is this the secret of a sitting that still goes on? ``counts``: a use that keeps it alive."""
        with self._lock:
            if self._secret is None or not self._entered or self._over() or not _same(secret, self._secret):
                return False
            if counts:
                self._used = self._clock()
            return True

    def end(self) -> None:
        """Nobody comes in any more."""
        with self._lock:
            self._secret = None
            self._codes.clear()

    @property
    def left_s(self) -> float:
        """Seconds until the sitting ends if nothing is asked for."""
        return max(0.0, min(self._used + self._idle_s, self._end) - self._clock())

    @property
    def over(self) -> str:
        """Why the sitting is over; empty while it goes on."""
        with self._lock:
            return self._over()

    def _over(self) -> str:
        now = self._clock()
        if now > self._end:
            return "open for too long"
        if not self._entered and all(until < now for until in self._codes.values()):
            return "idle: nobody came in"
        return "idle for too long" if now - self._used > self._idle_s else ""


class Guard:
    """Middleware around everything: lets in what may come in, and puts the headers on every answer.

    ``address`` is the host and port that the page has; ``refused`` is told why somebody was not let in.
    """

    def __init__(
        self, app: ASGIApp, door: Door, address: str, refused: Callable[[str], None] = lambda why: None
    ) -> None:
        self._app = app
        self._door = door
        self._host = address
        self._origin = f"http://{address}"
        self._refused = refused

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

        await (self._refusal(scope, Headers(scope=scope)) or self._app)(scope, receive, send_with_headers)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        if headers.getlist("host") != [self._host]:
            return self._refuse(421, "another host name", "this page answers to its own address only")
        method, path = scope["method"], scope["path"]
        if method not in ("GET", "HEAD", "POST"):
            return self._refuse(405, "another method", "only GET and POST are answered")
        if method != "POST" and path in PAGES:
            return self._of_no_page(path, headers)
        # Another port of this address is "same-site"; a program that is no browser says nothing.
        if headers.getlist("sec-fetch-site") != ["same-origin"] or headers.get("origin", self._origin) != self._origin:
            return self._refuse(403, "a request of another page or program", "requests of others are refused")
        if method == "POST" and "origin" not in headers:
            return self._refuse(403, "a request of another page or program", "requests of others are refused")
        if (method == "POST" and path == _ENTER) or (method != "POST" and path.startswith(_STATIC)):
            return None
        kind, _, secret = headers.get("authorization", "").partition(" ")
        if kind != "Bearer" or not self._door.admits(secret, _QUIET not in headers):
            why = "a request without the page's secret"
            return self._refuse(401, why, "this tab is not let in, or the review has ended")
        scope.get("state", {}).get("known", lambda: None)()
        return None

    def _of_no_page(self, path: str, headers: Headers) -> Response | None:
        """The empty page: to a browser's tab, no frame or script; from a file's link at its first place only."""
        sites = ("none", "same-origin", *(("cross-site",) if path == "/" else ()))
        dressed = headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")
        if headers.get("sec-fetch-site") in sites and dressed == ("navigate", "document"):
            return None
        return self._refuse(403, "a request of another page or program", "requests of others are refused")

    def _refuse(self, status: int, why: str, said: str) -> Response:
        self._refused(why)
        return PlainTextResponse(f"imgmatch: {said}\n", status, {"Connection": "close"})


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode("utf-8", "surrogateescape"), other.encode())
