"""The worker process: import, give up every right, then decode what comes in until the pipe ends."""

from __future__ import annotations

import base64
import dataclasses
import signal
import sys
from typing import IO, Any

from imgmatch.errors import EvidenceError
from imgmatch.picture.pdq import has_pdq
from imgmatch.workers import wire
from imgmatch.workers.confine import confine, die_with_parent
from imgmatch.workers.work import Request, read_picture


def main(source: IO[bytes], sink: IO[bytes]) -> None:
    """Serve requests from ``source`` on ``sink``. The first message says how to confine."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends the pipe
    start = wire.receive(source)
    if start is None:
        return
    dies = die_with_parent(start["parent"])
    _load_everything()
    program = base64.b64decode(start["filter"]) if start["filter"] else None
    held = confine(program, start["memory_bytes"], dies)
    wire.send(sink, dataclasses.asdict(held))
    while (header := wire.receive(source)) is not None:
        request, size = wire.parse_request(header)
        data = bytes(wire.receive_bytes(source, size))
        _alarm(header["seconds"])
        answer, parts = _answer(data, request)
        _alarm(0)
        del data
        wire.send(sink, answer, parts)


def _answer(data: bytes, request: Request) -> tuple[dict[str, Any], list[Any]]:
    try:
        return wire.reply(read_picture(data, request))
    except EvidenceError as error:
        if not isinstance(error.__cause__, MemoryError):
            return {"error": error.kind, "message": str(error)}, []
    except MemoryError:
        pass
    return {"error": "worker_memory", "message": ""}, []


def _alarm(seconds: int) -> None:
    """The parent ends a worker that takes too long. Should the parent be gone, the system does, a little later."""
    if hasattr(signal, "alarm"):
        signal.alarm(seconds)


def _load_everything() -> None:
    """Import what would be imported at first use: confined, nothing can be."""
    import cv2
    import pi_heif
    from PIL import AvifImagePlugin
    from PIL import Image as Pillow

    import imgmatch.picture.metadata  # noqa: F401

    Pillow.init()
    if has_pdq():
        import pdqhash  # noqa: F401
    # One thread each: pictures are decoded side by side.
    cv2.setNumThreads(1)
    pi_heif.options.DECODE_THREADS = 1
    AvifImagePlugin.DEFAULT_MAX_THREADS = 1


def run() -> None:
    """The entry of the process: serve standard input and output, unbuffered."""
    source, sink = open(0, "rb", buffering=0, closefd=False), open(1, "wb", buffering=0, closefd=False)  # noqa: SIM115
    try:
        main(source, sink)
    except (wire.WireError, BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
