"""Dask's parts as they are used here: no page or measurements over HTTP, nothing loaded that settings name, no talk in
the log; and who may speak with whom.
"""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dask

from imgmatch.addresses import is_loopback
from imgmatch.errors import UsageError

_SETTINGS = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    "distributed.scheduler.preload": [],
    "distributed.worker.preload": [],
    "distributed.nanny.preload": [],
    "distributed.client.preload": [],
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.scheduler.worker-ttl": "60s",
    "distributed.worker.profile.enabled": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.comm.timeouts.connect": "20s",
}
dask.config.set(_SETTINGS)
logging.getLogger("distributed").setLevel(logging.CRITICAL + 1)
warnings.filterwarnings("ignore", module="distributed")

from distributed import Client, Nanny, Scheduler, Security, SpecCluster, Worker  # noqa: E402  (settings come first)

CERTIFICATES = ("ca.pem", "cert.pem", "key.pem")


class QuietScheduler(Scheduler):
    """A scheduler that listens for its clients and workers, and for nobody else."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Starts none."""


class QuietWorker(Worker):
    """The same of a worker."""

    def start_http_server(self, *_: Any, **__: Any) -> None:
        """Starts none."""


def checked(address: str, tls: Path | None) -> str:
    """The address of a scheduler as a user gives it. Raises UsageError where it is none, or would be open to others."""
    try:
        parts = urlsplit(address)
        host, port = parts.hostname, parts.port
    except ValueError:
        host = port = None
    if host is None or port is None or parts.scheme not in ("tcp", "tls") or parts.path.strip("/"):
        raise UsageError(
            f"{address!r} is no address of a scheduler; give tls://HOST:PORT, a scheduler file, or local:N"
        )
    if parts.scheme == "tcp" and not is_loopback(host):
        raise UsageError(
            f"{address}: whoever reaches a scheduler without TLS can run programs on its workers and here; "
            "give tls://HOST:PORT and --tls FOLDER"
        )
    if parts.scheme == "tls" and tls is None:
        raise UsageError(f"{address}: needs the certificates of the laboratory; give --tls FOLDER with {_named()}")
    return address


def security(tls: Path | None) -> Security:
    """Both sides show a certificate of the laboratory's own authority, which lie in a folder. None: no TLS. Raises
    UsageError where they are not there.
    """
    if tls is None:
        return Security(require_encryption=False)
    ca, certificate, key = (tls / name for name in CERTIFICATES)
    for file in (ca, certificate, key):
        if not os.access(file, os.R_OK):
            raise UsageError(f"{file}: can't be read; a folder for --tls holds {_named()}")
    if os.name == "posix" and key.stat().st_mode & 0o077:
        raise UsageError(f"{key}: others may read this key; make it yours alone: chmod 600 {key}")
    roles = {f"tls_{role}_{what}": str(file) for role in ("client", "scheduler", "worker")
             for what, file in (("cert", certificate), ("key", key))}  # fmt: skip
    made = Security(require_encryption=True, tls_ca_file=str(ca), **roles)
    try:
        made.get_connection_args("client")
    except OSError as error:
        raise UsageError(f"{tls}: the certificates in it can't be used ({error.strerror or error})") from error
    return made


def _named() -> str:
    return ", ".join(CERTIFICATES[:-1]) + f" and {CERTIFICATES[-1]}"


@contextmanager
def local_cluster(workers: int, threads: int) -> Iterator[tuple[str, Security]]:
    """A scheduler and workers on this machine, for this process alone: its certificate is in nobody else's hands."""
    secret = Security.temporary()
    folder = tempfile.mkdtemp(prefix="imgmatch-workers-")
    options = {
        "nthreads": threads, "security": secret, "protocol": "tls://", "host": "127.0.0.1", "memory_limit": 0,
        "local_directory": folder, "worker_class": QuietWorker,
    }  # fmt: skip
    scheduler = {"security": secret, "protocol": "tls://", "host": "127.0.0.1", "port": 0, "dashboard": False}
    cluster = SpecCluster(
        workers={number: {"cls": Nanny, "options": options} for number in range(workers)},
        scheduler={"cls": QuietScheduler, "options": scheduler},
        security=secret,
        silence_logs=logging.CRITICAL,
    )
    try:
        yield cluster.scheduler_address, secret
    finally:
        with suppress(Exception):
            cluster.close(timeout=10)
        shutil.rmtree(folder, ignore_errors=True)


__all__ = [
    "Client",
    "Nanny",
    "QuietScheduler",
    "QuietWorker",
    "Scheduler",
    "Security",
    "checked",
    "local_cluster",
    "security",
]
