"""Pictures, decoded in workers.

An ingest has a pool of its own; queries, candidates and pictures to be shown share one, which comes up when it is
needed and ends with the program; those of a case whose ingest was allowed more, one within its limits.
"""

from __future__ import annotations

import dataclasses
import functools

from imgmatch.cores import usable_cores
from imgmatch.errors import EvidenceError
from imgmatch.limits import DEFAULT_WORKER_LIMITS, WorkerLimits
from imgmatch.picture.image import pixels_of
from imgmatch.workers import decode, wire
from imgmatch.workers.choice import isolated
from imgmatch.workers.decode import Decoded, Request
from imgmatch.workers.kinds import PICTURES
from imgmatch.workers.pool import Pool
from imgmatch.workers.process import GoneError
from imgmatch.workers.room import PIXELS

WORKER_ISSUES = frozenset({"worker_died", "worker_timeout", "worker_memory"})
"""Kinds of issues of files that a worker was lost over."""
_PATIENCE_SECONDS = 0.05
_BYTES_A_PIXEL = 24
"""What decoding takes at its most (docs/limits.md)."""
_CPU_LATER_SECONDS = 5
_MOST_SHARED = 8


class PicturePool(Pool):
    """Up to ``workers`` processes, and ``read_picture`` in one of them. What a file does to its worker costs that file.

    Raises ImgmatchError when workers can't be started at all.
    """

    def __init__(self, workers: int, limits: WorkerLimits = DEFAULT_WORKER_LIMITS) -> None:
        super().__init__(PICTURES, limits.worker_memory_bytes, most=workers, keep=workers, patience_s=_PATIENCE_SECONDS)
        self._limits = limits

    def read_picture(self, data: bytes, request: Request) -> Decoded:
        """As imgmatch.workers.decode.read_picture; also raises EvidenceError of kind ``worker_died``,
        ``worker_timeout`` or ``worker_memory``.
        """
        seconds = self._limits.decode_seconds
        with self.lent() as worker:
            try:
                with worker.within(seconds):
                    worker.ask(dataclasses.asdict(request), data, cpu_seconds=seconds + _CPU_LATER_SECONDS)
                    told, size = worker.hear(decode.Reply | wire.End)
                    if told["error"] == "memory":
                        text = f"decoding took more than worker_memory_bytes ({self._limits.worker_memory_bytes:,})"
                        raise EvidenceError("worker_memory", f"{text}; given up", what="worker_memory_bytes")
                    try:
                        decoded = decode.reply_of(told, size, worker.take, request)
                    except wire.WireError as error:
                        raise worker.nonsense() from error
            except GoneError as lost:
                if lost.hung:
                    text = f"decoding took longer than decode_seconds ({seconds}); given up"
                    raise EvidenceError("worker_timeout", text, what="decode_seconds") from lost
                text = f"the process that decoded it was lost ({lost}); given up"
                raise EvidenceError("worker_died", text) from lost
            worker.done()
        if isinstance(decoded, EvidenceError):
            try:
                raise decoded
            finally:
                del decoded  # else it holds this frame, which holds it: the file's bytes stay until someone collects
        return decoded


def start() -> None:
    """Have a worker come up at once, beside whatever else is to be loaded."""
    if isolated():
        pool(DEFAULT_WORKER_LIMITS).start()


def read_picture(data: bytes, request: Request, limits: WorkerLimits = DEFAULT_WORKER_LIMITS) -> Decoded:
    """As imgmatch.workers.decode.read_picture, in a worker: also raises EvidenceError of kind ``worker_died``,
    ``worker_timeout`` or ``worker_memory``. ImgmatchError where workers can't be started.
    """
    if isolated():
        return pool(limits).read_picture(data, request)
    with PIXELS.lent(_BYTES_A_PIXEL * pixels_of(data)):
        return decode.read_picture(data, request)


@functools.cache
def pool(limits: WorkerLimits) -> PicturePool:
    """The workers within some limits; none is started before there is work, or ``start`` says so."""
    return PicturePool(min(usable_cores(), _MOST_SHARED), limits)
