"""Connections that can't crowd out the examiner: few, of this account alone, and none that says nothing for long.

A connection is known once a request over it had the page's secret. Those that are not are closed, the oldest first,
where there are too many: whoever opens thousands (or sends a line a minute, "slowloris") takes nothing from the page.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol

from cli.review.peers import foreign

MOST = 64
"""So many connections at once; a browser has six to one address."""
UNKNOWN = 24
"""So many of them that no request with the secret came over yet."""
AT_ONCE = 100
"""So many are taken from the system at once, and wait there at most."""
KEPT_S = 90
"""So long is one kept that says nothing after an answer: the page has said more by then."""
HEAD_S = 10.0
"""So long may the head of a request take."""
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Connections:
    """Those of one server. ``refused`` is told why one was closed at once. ``ours``: none of another account of this
    machine; ``most`` at once, so many ``unknown`` of them.
    """

    def __init__(
        self,
        refused: Callable[[str], None] = lambda why: None,
        *,
        ours: bool = True,
        most: int = MOST,
        unknown: int = UNKNOWN,
    ) -> None:
        self.refused = refused
        self.ours = ours
        self._most, self._most_unknown = most, unknown
        self.unknown: dict[_Connection, None] = {}
        self._known: dict[_Connection, None] = {}
        self.protocol = type("Connection", (_Connection,), {"room": self})

    def arrived(self, one: _Connection) -> None:
        """Let one in, and the oldest unknown ones go where they are too many."""
        self.unknown[one] = None
        while len(self.unknown) > self._most_unknown or len(self.unknown) + len(self._known) > self._most:
            self._close(next(iter(self.unknown if len(self.unknown) > 1 else self._known)))

    def known(self, one: _Connection) -> None:
        """A request with the secret came over it."""
        if self.unknown.pop(one, one) is None:
            self._known[one] = None

    def left(self, one: _Connection) -> None:
        """It is closed."""
        self.unknown.pop(one, None)
        self._known.pop(one, None)

    def trouble(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What went wrong in the loop: where no connection can be opened any more, the unknown ones go, quietly."""
        error = context.get("exception")
        if isinstance(error, OSError) and error.errno in _NO_ROOM:
            self.refused("no room for another connection")
            for one in list(self.unknown):
                self._close(one)
        elif not isinstance(error, ConnectionError):
            loop.default_exception_handler(context)

    def _close(self, one: _Connection) -> None:
        self.left(one)
        one.transport.abort()


class _Connection(H11Protocol):
    """HTTP as uvicorn speaks it, with a time for the head of a request."""

    room: Connections
    _waiting: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A connection of another account ends here."""
        super().connection_made(transport)
        ends = (transport.get_extra_info("peername"), transport.get_extra_info("sockname"))
        account = foreign(*ends) if self.room.ours else None
        if account is not None:
            self.room.refused(f"a connection of account {account}")
            transport.abort()
            return
        self.app_state = {**self.app_state, "known": lambda: self.room.known(self)}
        self.room.arrived(self)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """The time for the head runs until a request is there."""
        super().data_received(data)
        if self._waiting is not None and self.cycle is not None and not self.cycle.response_complete:
            self._waiting.cancel()
            self._waiting = None

    def on_response_complete(self) -> None:
        """The time for the next head begins; the page itself has as long as a connection is kept."""
        if self in self.room.unknown:
            self._wait()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        if self._waiting is not None:
            self._waiting.cancel()
        self.room.left(self)
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
        self._waiting = self.loop.call_later(HEAD_S, self.transport.abort)
