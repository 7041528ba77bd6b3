"""The server: one socket of this machine alone, until Ctrl-C, the page's own end, idleness, or its longest time."""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import signal
import socket
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Any

import uvicorn

from cli.review.app import Bell, make_app
from cli.review.connections import AT_ONCE, KEPT_S, Connections
from cli.review.door import Door, Guard
from cli.review.opening import Doorstep
from cli.review.refusals import Refusals
from imgmatch.errors import ImgmatchError, UsageError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

    from indexer.review import Desk

LOOPBACK = "127.0.0.1"
_LOOK_S = 1.0
_KEPT_FREE = (1, 53)
"""Second numbers of 127.x that others may use: the host's own name, the resolver."""


@dataclass(frozen=True, slots=True)
class Terms:
    """Where a page is shown and for how long. An empty ``host`` is a random address of this machine alone."""

    host: str = ""
    port: int = 0
    idle_s: float = 1800
    most_s: float = 12 * 3600
    open_browser: bool = True


class Server(uvicorn.Server):
    """Stops without raising the signal again: an end by Ctrl-C is no failure."""

    why = "stopped"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """The process is told to end."""
        self.why = "Ctrl-C" if sig == signal.SIGINT else "told to stop"
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    def end(self, why: str) -> None:
        """End it, and say why."""
        self.why = why
        self.should_exit = True


def listen(host: str, port: int) -> socket.socket:
    """A socket on the loopback interface; port 0: one that is free; no host: a random one of 127.0.0.0/8.

    At an address of its own the page shares neither cookies nor site with other programs of this machine. Where the
    system has 127.0.0.1 alone (macOS), it is that. Raises UsageError when it is no such address, taken or not allowed.
    """
    if host and not re.fullmatch(r"127(\.\d{1,3}){3}", host):
        raise UsageError(f"{host!r}: is no address of this machine alone; give one as 127.0.0.1, or leave it out")
    for tried in (host,) if host else (_random_host(), LOOPBACK):
        try:
            return bound(tried, port)
        except OSError as error:
            failed = error
    raise UsageError(
        f"port {port}: can't be used ({failed.strerror}); leave --port and --host out for free ones"
    ) from failed


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens: who is told the address may ask at once, and waits until there is an answer. Raises
    OSError where the address can't be had.
    """
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    # With its protocol named: else asyncio leaves it to the system to wait for more to send, 40 ms an answer.
    listening = socket.socket(family, kind, protocol)
    if sys.platform == "win32":
        # There the usual option lets another program take the same address.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
    else:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        listening.listen(AT_ONCE)
    except OSError:
        listening.close()
        raise
    return listening


def settings(app: ASGIApp, connections: Connections, **more: Any) -> uvicorn.Config:
    """How an application is served: no more than it needs, and nothing of it in a log."""
    return uvicorn.Config(
        app,
        http=connections.protocol,
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error" if os.environ.get("IMGMATCH_DEBUG") else "critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=AT_ONCE,
        timeout_keep_alive=KEPT_S,
        timeout_graceful_shutdown=5,
        **more,
    )


def _random_host() -> str:
    second = secrets.choice([number for number in range(1, 255) if number not in _KEPT_FREE])
    return f"127.{second}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"


def serve(desk: Desk, terms: Terms, say: Callable[[str, str], None]) -> str:
    """Show a desk until it ends, and return why it did. ``say`` is told what it is about (``address`` or ``refused``)
    and the words.

    Raises UsageError when the address can't be had.
    """
    listening = listen(terms.host, terms.port)
    host, port = listening.getsockname()
    door = Door(terms.idle_s, terms.most_s)

    def tell(why: str) -> None:
        say("refused", why)
        with suppress(ImgmatchError):
            desk.refused(why)

    refusals = Refusals(tell)
    connections = Connections(refusals.add)
    code = door.code()
    address = f"http://{host}:{port}/#code={code}"
    doorstep = Doorstep(address) if terms.open_browser else None

    def entered() -> None:
        if doorstep is not None:
            doorstep.remove()
        desk.entered(host, port)

    app = make_app(desk, door, Bell(lambda: server.end("ended on the page"), entered, refusals.add))
    server = Server(settings(Guard(app, door, f"{host}:{port}", refusals.add), connections))
    say("address", address)

    async def run() -> None:
        asyncio.get_running_loop().set_exception_handler(connections.trouble)
        watching = asyncio.create_task(_end_when_over(server, door))
        if doorstep is not None:
            doorstep.open()
        try:
            await server.serve(sockets=[listening])
        finally:
            watching.cancel()

    try:
        asyncio.run(run())
    finally:
        listening.close()
        door.end()
        if doorstep is not None:
            doorstep.remove()
        desk.close(server.why, refusals.counts)
    return server.why


async def _end_when_over(server: Server, door: Door) -> None:
    while not (why := door.over):
        await asyncio.sleep(_LOOK_S)
    server.end(why)
