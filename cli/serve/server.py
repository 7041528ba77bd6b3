"""The server of a service: HTTPS on an address that is given, or plain HTTP for programs of this machine alone."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.review.connections import Connections
from cli.review.refusals import Refusals
from cli.review.server import Server, bound, settings
from cli.serve.app import Service
from cli.serve.door import Gate
from cli.serve.pace import Pace, Seats, Uploads
from imgmatch.addresses import is_loopback
from imgmatch.cores import usable_cores
from imgmatch.errors import UsageError

if TYPE_CHECKING:
    from cli.serve.holding import Holding
    from cli.serve.people import People

MOST_CONNECTIONS = 512
_WAITING = 64
"""So many requests may wait for a seat."""
_UPLOAD_BYTES = 2 << 30


@dataclass(frozen=True, slots=True)
class Place:
    """Where a service listens, and by which certificate; ``plain``: by none, for programs of this machine alone.
    ``rate``: requests a minute for each person (0: any); ``most_s``: it ends after so long (0: never).
    """

    host: str
    port: int
    cert: Path | None
    key: Path | None
    plain: bool
    rate: int = 600
    most_s: float = 0

    def require(self) -> None:
        """Raises UsageError where what is sent could be read on the way, or the certificate can't be used."""
        if self.plain and (self.cert or self.key):
            raise UsageError("--http and --cert exclude each other; give one")
        if self.plain and not is_loopback(self.host):
            raise UsageError(
                f"{self.host}: plain HTTP is for this machine alone (127.0.0.1, ::1); give --cert and --key"
            )
        if not self.plain and (self.cert is None or self.key is None):
            raise UsageError("a service speaks HTTPS: give --cert and --key, or --http for this machine alone")
        if self.cert is not None and self.key is not None:
            try:
                ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.cert, self.key, lambda: "")
            except (OSError, ssl.SSLError) as error:
                why = (
                    error.strerror if isinstance(error, FileNotFoundError | PermissionError) else "no such pair in PEM"
                )
                why = "another one's key, or no PEM" if isinstance(error, ssl.SSLError) else why
                raise UsageError(f"{self.cert}, {self.key}: can't be used as certificate and key ({why})") from error


def run(holding: Holding, people: People, place: Place, say: Callable[[str, str], None]) -> str:
    """Serve until Ctrl-C or SIGTERM, and return why it ended. ``say`` is told what it is about (``address`` or
    ``refused``) and the words. Raises UsageError when the address can't be had.
    """
    place.require()
    try:
        listening = bound(place.host, place.port)
    except OSError as error:
        what = f"{place.host}, port {place.port}: can't be used ({error.strerror}); give another --host or --port"
        raise UsageError(what) from error
    refusals = Refusals(lambda why: say("refused", why))
    connections = Connections(refusals.add, ours=False, most=MOST_CONNECTIONS, unknown=MOST_CONNECTIONS // 2)
    cores = usable_cores()
    service = Service(holding, lambda: Seats(cores, _WAITING), Uploads(_UPLOAD_BYTES))
    tls: dict[str, Any] = {} if place.plain else {"ssl_certfile": place.cert, "ssl_keyfile": place.key}
    server = Server(settings(Gate(service.app, people, Pace(place.rate), refusals.add), connections, **tls))
    host, port = listening.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    say("address", f"{'http' if place.plain else 'https'}://{shown}:{port}")

    async def serve() -> None:
        asyncio.get_running_loop().set_exception_handler(connections.trouble)
        if place.most_s:
            asyncio.get_running_loop().call_later(place.most_s, server.end, "its time is over")
        await server.serve(sockets=[listening])

    try:
        asyncio.run(serve())
    finally:
        listening.close()
        holding.ended(server.why, {"searches": service.searches, "refused": sum(refusals.counts.values())})
    return server.why
