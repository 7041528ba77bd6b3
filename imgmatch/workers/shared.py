"""The workers in which this process decodes whatever an ingest does not: queries, candidates, pictures to be shown.

One pool for all of it, which comes up when it is needed and ends with the process.
"""

from __future__ import annotations

import atexit
import os
import threading

from imgmatch.cores import usable_cores
from imgmatch.picture.image import DEFAULT_LIMITS, Limits
from imgmatch.types import Image
from imgmatch.workers import work
from imgmatch.workers.choice import isolated
from imgmatch.workers.pool import Pool
from imgmatch.workers.work import Decoded, Request

_MOST_WORKERS = 8

_lock = threading.Lock()
_pool: Pool | None = None


def start() -> None:
    """Have a worker come up at once, beside whatever else is to be loaded."""
    if isolated():
        pool().start()


def read_picture(data: bytes, request: Request) -> Decoded:
    """As imgmatch.workers.work.read_picture, in a worker: also raises EvidenceError of kind ``worker_died``,
    ``worker_timeout`` or ``worker_memory``. ImgmatchError where workers can't be started.
    """
    return pool().read_picture(data, request) if isolated() else work.read_picture(data, request)


def read_image(data: bytes, min_side_px: int, limits: Limits = DEFAULT_LIMITS) -> Image:
    """As imgmatch.picture.image.decode, in a worker: raises as ``read_picture`` does."""
    return read_picture(data, Request(sides_px=(min_side_px,), limits=limits)).pictures[0]


def pool() -> Pool:
    """The workers; none is started before there is work, or ``start`` says so."""
    global _pool
    with _lock:
        if _pool is None:
            _pool = Pool(min(usable_cores(), _MOST_WORKERS))
        return _pool


def _forget() -> None:
    global _pool, _lock
    _pool, _lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):  # the workers of a program are not those of its copy
    os.register_at_fork(after_in_child=_forget)


@atexit.register
def _end() -> None:
    if _pool is not None:
        _pool.close()
