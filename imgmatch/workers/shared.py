"""Workers for what decodes pictures outside of an ingest: queries, candidates, pictures to be shown.

One pool for all of it, which comes up when it is needed and ends with the process.
"""

from __future__ import annotations

from imgmatch.cores import usable_cores
from imgmatch.picture.image import DEFAULT_LIMITS, Limits
from imgmatch.types import Image
from imgmatch.workers import decode
from imgmatch.workers.choice import isolated
from imgmatch.workers.decode import Decoded, Request
from imgmatch.workers.pictures import PicturePool

_MOST_WORKERS = 8
_pool = PicturePool(min(usable_cores(), _MOST_WORKERS))


def start() -> None:
    """Have a worker come up at once, beside whatever else is to be loaded."""
    if isolated():
        pool().start()


def read_picture(data: bytes, request: Request) -> Decoded:
    """As imgmatch.workers.decode.read_picture, in a worker: also raises EvidenceError of kind ``worker_died``,
    ``worker_timeout`` or ``worker_memory``. ImgmatchError where workers can't be started.
    """
    return pool().read_picture(data, request) if isolated() else decode.read_picture(data, request)


def read_image(data: bytes, min_side_px: int, limits: Limits = DEFAULT_LIMITS) -> Image:
    """As imgmatch.picture.image.decode, in a worker: raises as ``read_picture`` does."""
    return read_picture(data, Request(sides_px=(min_side_px,), limits=limits)).pictures[0]


def pool() -> PicturePool:
    """The workers; none is started before there is work, or ``start`` says so."""
    return _pool
