"""Pipes to a worker process."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import IO, Any

_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031


def widen(*streams: IO[Any]) -> None:
    """Linux: pipes that hold a prepared picture, so that neither side waits for the other in the middle of one."""
    if sys.platform != "linux":
        return
    import fcntl

    for stream in streams:
        with suppress(OSError):
            fcntl.fcntl(stream.fileno(), _F_SETPIPE_SZ, _PIPE_BYTES)
