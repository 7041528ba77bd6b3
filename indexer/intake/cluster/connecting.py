"""The one way to a scheduler: connected, connected again when it was gone for a while, and let go of."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from imgmatch.cores import usable_cores
from imgmatch.errors import MachineError, UsageError
from imgmatch.given import load
from imgmatch.optional import require
from imgmatch.streams import one_line
from indexer.intake.config import ClusterConfig

if TYPE_CHECKING:
    from distributed import Client, Future, Security

_CONNECT_S = 10.0
# A scheduler that is started again is waited for so long.
BACK_S = 120.0
_MOST_FILE = 1 << 20
_MOST_LOCAL = 256

_Out = TypeVar("_Out")


class UnreadError(Exception):
    """What a worker made can't be had."""


class Connection:
    """A client of one scheduler. Raises MachineError where it does not answer, and does not come back."""

    def __init__(self, address: str, security: Security) -> None:
        self.address = address
        self.generation = 0
        """How often it was connected anew: what was asked before is lost."""
        self._security = security
        try:
            self._client: Client = self._connected()
        except (OSError, ValueError) as error:
            raise MachineError(unreached(address, error)) from error

    def _connected(self) -> Client:
        from indexer.intake.cluster.quiet import Client

        return Client(
            self.address, security=self._security, timeout=_CONNECT_S, set_as_default=False, name="imgmatch",
            heartbeat_interval=2000,
        )  # fmt: skip

    def workers(self) -> dict[str, int]:
        """Every worker by its address, with how many threads it has."""
        try:
            if self._client.status == "running":
                return dict(self._client.nthreads())
        except Exception as error:  # noqa: BLE001  (of whatever kind: the scheduler does not answer)
            self._again(error)
        else:
            self._again(None)
        return dict(self._client.nthreads())

    def _again(self, error: BaseException | None) -> None:
        until = time.monotonic() + BACK_S
        with suppress(Exception):
            self._client.close(timeout=1)
        while True:
            try:
                self._client = self._connected()
                self.generation += 1
                return
            except (OSError, ValueError) as missed:
                error = missed
            if time.monotonic() > until:
                says = f"{self.address}: the scheduler does not answer any more, for {BACK_S:.0f} s; what was committed"
                raise MachineError(f"{says} stands, and the same command goes on once it is back") from error
            time.sleep(1)

    def ask(self, work: Callable[..., _Out], *given: Any, worker: str, priority: int = 0) -> Future[_Out]:
        """Have a certain worker do something, and no other."""
        return self._client.submit(
            work, *given, workers=[worker], allow_other_workers=False, pure=False, retries=0, priority=priority
        )

    def tell(self, work: Callable[..., object], *given: Any, worker: str) -> None:
        """The same, and nobody waits for it."""
        from distributed import fire_and_forget

        fire_and_forget(self.ask(work, *given, worker=worker))

    def result(self, future: Future[_Out]) -> Any:
        """What came of it. Raises UnreadError where it can't be had."""
        try:
            return future.result(timeout=_CONNECT_S * 6)
        except Exception as error:  # whatever was in the way, it is asked for again
            raise UnreadError(one_line(error) or type(error).__name__) from error

    def raised(self, future: Future[Any]) -> BaseException:
        """What it raised."""
        return future.exception(timeout=_CONNECT_S) or RuntimeError("no reason given")

    def why(self, future: Future[Any]) -> str:
        """The same in words."""
        with suppress(Exception):
            return one_line(self.raised(future))
        return "no reason given"

    def close(self) -> None:
        """Let go of it."""
        with suppress(Exception):
            self._client.close(timeout=5)


def unreached(address: str, error: BaseException) -> str:
    """Why a scheduler was not reached, and what to do."""
    said = str(error).lower()
    if "certificate" in said or "ssl" in said or "tls" in said.replace(address.lower(), ""):
        return (
            f"{address}: the scheduler and this machine do not trust each other's certificates; use those of the same "
            "authority for both (--tls), and look at both clocks"
        )
    return f"{address}: no scheduler answers there; check the address, and whether it runs (imgmatch scheduler)"


def address_of(named: str, tls: Path | None) -> str:
    """The address of a scheduler that a user names, by itself or by its file. Raises UsageError."""
    from indexer.intake.cluster.quiet import checked

    if "://" in named:
        return checked(named, tls)
    if not Path(named).is_file():
        raise UsageError(f"{named!r} is no scheduler and no file; give tls://HOST:PORT or a scheduler file")
    try:
        told = load(Path(named), _MOST_FILE)
    except (OSError, ValueError) as error:
        raise UsageError(f"{named}: can't be read as the file of a scheduler ({one_line(error)})") from error
    address = told.get("address") if isinstance(told, dict) else None
    if not isinstance(address, str):
        raise UsageError(f"{named}: no file of a scheduler, it names no address; give one that a scheduler wrote")
    return checked(address, tls)


@contextmanager
def connected(config: ClusterConfig) -> Iterator[Connection]:
    """The scheduler that a user names: an address, a file of its own, or ``local:N``, which starts workers here. Raises
    UsageError on any other name, MissingPackageError, and MachineError where nobody answers.
    """
    require("distributed", "cluster")
    from indexer.intake.cluster.quiet import local_cluster, security

    named = config.scheduler
    if not named.startswith("local:"):
        connection = Connection(address_of(named, config.tls), security(config.tls))
        try:
            yield connection
        finally:
            connection.close()
        return
    count = named.removeprefix("local:")
    if not (count.isascii() and count.isdecimal() and 1 <= int(count) <= _MOST_LOCAL):
        raise UsageError(f"{named!r}: local:N starts N workers here, from 1 to {_MOST_LOCAL}")
    require("cryptography", "cluster")
    with local_cluster(int(count), max(1, usable_cores() // int(count))) as (address, secret):
        connection = Connection(address, secret)
        try:
            yield connection
        finally:
            connection.close()
