"""Pictures as they were read for a search, kept for a while: who narrows a search down asks with the same one again."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable

from cli.serve.pace import KEPT_S
from imgmatch.types import Issue
from indexer.search.query import Query

_MOST_BYTES = 256 << 20


class Readings:
    """Queries by whatever they were read for: each person's own, as long as their pictures are kept, and as many as
    there is room for.
    """

    def __init__(self, most_bytes: int = _MOST_BYTES, clock: Callable[[], float] = time.monotonic) -> None:
        self._most_bytes, self._clock = most_bytes, clock
        self._kept: OrderedDict[Hashable, tuple[Query, int, float]] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, key: Hashable, read: Callable[[], Query | Issue]) -> Query | Issue:
        """What was read for this, or what ``read`` gives now; an issue is not kept."""
        with self._lock:
            kept = self._kept.pop(key, None)
            if kept is not None and kept[2] > self._clock() - KEPT_S:
                self._kept[key] = (*kept[:2], self._clock())
                return kept[0]
        query = read()
        if isinstance(query, Query):
            size = query.image.pixels.nbytes + (0 if query.mask is None else query.mask.nbytes)
            with self._lock:
                self._kept[key] = query, size, self._clock()
                self._make_room()
        return query

    def _make_room(self) -> None:
        before = self._clock() - KEPT_S
        held = sum(size for _, size, _ in self._kept.values())
        while self._kept:
            key, (_, size, used) = next(iter(self._kept.items()))
            if held <= self._most_bytes and used > before:
                break
            held -= size
            del self._kept[key]
