"""The server: one socket on 127.0.0.1, until Ctrl-C, the page's own end, or idleness."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import threading
import webbrowser
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import TYPE_CHECKING

import uvicorn

from cli.review.app import make_app
from cli.review.door import Door, Guard
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from indexer.review import Desk

LOOPBACK = "127.0.0.1"
_LOOK_S = 1.0


class _Server(uvicorn.Server):
    """Stops without raising the signal again: an end by Ctrl-C is no failure."""

    why = "stopped"

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.why = "Ctrl-C" if sig == signal.SIGINT else "told to stop"
        super().handle_exit(sig, frame)
        self._captured_signals.clear()

    def end(self, why: str) -> None:
        self.why = why
        self.should_exit = True


def listen(port: int) -> socket.socket:
    """A socket on 127.0.0.1; 0: a port that is free. Raises UsageError when it is taken or not allowed."""
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((LOOPBACK, port))
        listening.listen()  # who is told the address may ask at once, and waits until the page is there
    except OSError as error:
        listening.close()
        raise UsageError(f"port {port}: can't be used ({error.strerror}); leave --port out for a free one") from error
    return listening


def serve(
    desk: Desk, *, port: int = 0, idle_s: float = 1800, open_browser: bool = True, say: Callable[[str, float], None]
) -> str:
    """Show a desk until it ends, and return why it did. ``say`` is told the address and the idle minutes.

    Raises UsageError when the port can't be had.
    """
    listening = listen(port)
    port = listening.getsockname()[1]
    door = Door(idle_s)

    def entered() -> None:
        with desk.case.use("review_session", arguments={"port": port, "examiner": desk.examiner}):
            pass

    app = make_app(desk, door, lambda: server.end("ended on the page"))
    config = uvicorn.Config(
        Guard(app, door, port, entered),
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="error" if os.environ.get("IMGMATCH_DEBUG") else "critical",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    server = _Server(config)
    address = f"http://{LOOPBACK}:{port}/?token={door.token}"
    say(address, idle_s / 60)

    async def run() -> None:
        watching = asyncio.create_task(_end_when_idle(server, door))
        if open_browser:
            # A browser that does not return must not keep the page waiting; one that is missing is no failure.
            threading.Thread(target=_open, args=(address,), daemon=True).start()
        try:
            await server.serve(sockets=[listening])
        finally:
            watching.cancel()

    try:
        asyncio.run(run())
    finally:
        listening.close()
        door.end()
        desk.close(server.why)
    return server.why


async def _end_when_idle(server: _Server, door: Door) -> None:
    while not door.expired:
        await asyncio.sleep(_LOOK_S)
    server.end("idle for too long")


def _open(address: str) -> None:
    with suppress(webbrowser.Error, OSError):
        webbrowser.open(address)
