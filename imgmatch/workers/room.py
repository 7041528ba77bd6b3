"""Memory for content that is read whole, and for what is decoded here: so much at one time, in all threads together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager


class Room:
    """``size`` bytes, lent to threads in the order in which they ask, so that a large content is not passed for ever.

    Who holds a part asks for no other, and waits for nobody who may be asking.
    """

    def __init__(self, size: int) -> None:
        self._size = self._free = size
        self._changed = threading.Condition()
        self._asking: deque[object] = deque()

    @contextmanager
    def lent(self, size: int) -> Iterator[None]:
        """Waits until so many bytes are free; for more than there are, until all are."""
        wanted, mine = min(size, self._size), object()
        with self._changed:
            self._asking.append(mine)
            try:
                self._changed.wait_for(lambda: self._asking[0] is mine and self._free >= wanted)
                self._free -= wanted
            finally:  # also where a signal ends the wait
                self._asking.remove(mine)
                self._changed.notify_all()
        try:
            yield
        finally:
            with self._changed:
                self._free += wanted
                self._changed.notify_all()


ROOM = Room(256 << 20)
"""Of this process."""
PIXELS = Room(1 << 30)
"""For what is decoded in this process and not in a worker (``--no-isolation``)."""
