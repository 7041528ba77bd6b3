"""Work that is looked after now and then while other work goes on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def repeating(work: Callable[[], bool], every_s: float, name: str) -> Iterator[None]:
    """While the block runs, a thread of this name does ``work`` every so many seconds, until it gives False. What it is
    at when the block ends is finished first.
    """
    over = threading.Event()

    def go() -> None:
        while not over.wait(every_s) and work():
            pass

    thread = threading.Thread(target=go, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
