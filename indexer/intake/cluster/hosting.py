"""A scheduler, and a machine's worker, as a laboratory starts them: at one address, beyond this machine with TLS."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from imgmatch.addresses import is_loopback
from imgmatch.cores import usable_cores
from imgmatch.errors import MachineError, UsageError
from imgmatch.optional import require
from imgmatch.streams import one_line
from indexer.intake.cluster.connecting import address_of, unreached
from indexer.intake.cluster.station import PATH_MAP, path_map

_JOIN_S = 20.0
_AGAIN_S = 3.0
_LOOK_S = 0.2

Tell = Callable[[str], None]


def run_scheduler(
    host: str, port: int, tls: Path | None, file: Path | None, dashboard: str | None, stop: threading.Event, tell: Tell
) -> None:
    """Run a scheduler until ``stop``; ``file`` gets its address. ``dashboard``: HOST:PORT of Dask's page on this
    machine, where it is wanted. Raises UsageError where it would be open to others, MachineError where it can't listen.
    """
    require("distributed", "cluster")

    if tls is None and not is_loopback(host):
        raise UsageError(
            f"--host {host}: whoever reaches a scheduler without TLS can run programs on its workers; give --tls FOLDER"
        )
    if dashboard is not None and not is_loopback(urlsplit(f"//{dashboard}").hostname or ""):
        raise UsageError(f"--dashboard {dashboard}: the page has no password; give an address of this machine alone")
    asyncio.run(_scheduler(_Place(host, port, tls), file, dashboard, stop, tell))


class _Place:
    def __init__(self, host: str, port: int, tls: Path | None) -> None:
        from indexer.intake.cluster import quiet

        self.host, self.port = host, port
        self.security = quiet.security(tls)
        self.protocol = "tcp://" if tls is None else "tls://"


async def _scheduler(
    place: _Place, file: Path | None, dashboard: str | None, stop: threading.Event, tell: Tell
) -> None:
    from indexer.intake.cluster import quiet

    made = (quiet.Scheduler if dashboard is not None else quiet.QuietScheduler)(
        host=place.host, port=place.port, protocol=place.protocol, security=place.security,
        dashboard=dashboard is not None, dashboard_address=dashboard,
    )  # fmt: skip
    try:
        await made
    except (OSError, ValueError) as error:
        raise MachineError(
            f"{place.host}:{place.port}: can't listen there ({one_line(error)}); give another"
        ) from error
    try:
        if file is not None:
            _write(file, {"address": made.address})
        tell(f"imgmatch: scheduler at {made.address}; workers: imgmatch worker {made.address}. End with Ctrl-C")
        await _told(stop)
    finally:
        with suppress(Exception):
            await asyncio.wait_for(made.close(), 10)
        if file is not None:
            file.unlink(missing_ok=True)


def _write(file: Path, told: dict[str, str]) -> None:
    draft = file.with_name(f"{file.name}.new")
    try:
        draft.write_text(json.dumps(told) + "\n", encoding="utf-8")
        draft.replace(file)
    except OSError as error:
        raise UsageError(f"{file}: can't be written ({error.strerror}); choose another place") from error


def run_worker(
    scheduler: str, tls: Path | None, host: str | None, jobs: int | None, pairs: Sequence[str], stop: threading.Event,
    tell: Tell,
) -> None:  # fmt: skip
    """Work for a scheduler until ``stop``; where it is gone, it is looked for until it is back. ``pairs``: OLD=NEW.

    Raises UsageError on a wrong address or map, MachineError where nobody answers at first.
    """
    require("distributed", "cluster")
    if pairs:
        path_map("\n".join(pairs))
        os.environ[PATH_MAP] = "\n".join([*filter(None, [os.environ.get(PATH_MAP, "")]), *pairs])
    path_map(os.environ.get(PATH_MAP, ""))
    address = address_of(scheduler, tls)
    folder = tempfile.mkdtemp(prefix="imgmatch-worker-")
    try:
        asyncio.run(_worker(address, tls, host, jobs or usable_cores(), (folder, stop, tell)))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _worker(
    address: str, tls: Path | None, host: str | None, jobs: int, around: tuple[str, threading.Event, Tell]
) -> None:
    from indexer.intake.cluster import quiet

    folder, stop, tell = around
    security = quiet.security(tls)
    own = host or ("127.0.0.1" if is_loopback(urlsplit(address).hostname or "") else None)
    joined = False
    while not stop.is_set():
        nanny = quiet.Nanny(
            address, nthreads=jobs, security=security, host=own, memory_limit=0, local_directory=folder,
            worker_class=quiet.QuietWorker, death_timeout=_JOIN_S,
        )  # fmt: skip
        try:
            await asyncio.wait_for(nanny, _JOIN_S + 10)
        except (OSError, ValueError, TimeoutError, RuntimeError) as error:
            with suppress(Exception):
                await asyncio.wait_for(nanny.close(), 10)
            if not joined:
                raise MachineError(unreached(address, error)) from error
        else:
            tell(f"imgmatch: working for {address} with {jobs} threads; end with Ctrl-C" if not joined else
                 f"imgmatch: {address} is back")  # fmt: skip
            joined = True
            ended = asyncio.ensure_future(nanny.finished())
            told = asyncio.ensure_future(_told(stop))
            await asyncio.wait({ended, told}, return_when=asyncio.FIRST_COMPLETED)
            with suppress(Exception):
                await asyncio.wait_for(nanny.close(), 10)
            ended.cancel()
            told.cancel()
            if not stop.is_set():
                tell(f"imgmatch: {address} does not answer any more; looking for it until it is back")
        with suppress(TimeoutError):
            await asyncio.wait_for(_told(stop), _AGAIN_S)


async def _told(stop: threading.Event) -> None:
    while not stop.is_set():
        await asyncio.sleep(_LOOK_S)
