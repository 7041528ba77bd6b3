"""How often anybody may ask, how many at once, and how many pictures are kept: nobody crowds out others."""

from __future__ import annotations

import asyncio
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from cli.serve.messages import MAX_UPLOAD_BYTES
from imgmatch.errors import ImgmatchError

_KEYS = 10_000
KEPT_S = 600.0
MOST_PICTURES = 64
MOST_BYTES_EACH = 256 << 20
"""Of one person's pictures together."""


class NotNowError(ImgmatchError):
    """A request that is not answered now: the HTTP ``status``, and in how many seconds it may be sent again."""

    def __init__(self, status: int, message: str, again_s: float) -> None:
        super().__init__(message)
        self.status, self.again_s = status, again_s


class Pace:
    """So many requests a minute for each key, ``burst`` of them at once (a token bucket); 0: as many as are wanted."""

    def __init__(self, a_minute: int, burst: int | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        self._a_second = a_minute / 60
        self._burst = max(1, a_minute // 6 if burst is None else burst)
        self._clock = clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait_s(self, key: str) -> float:
        """0 where a request may be answered now, which counts; else in how many seconds it may."""
        if not self._a_second:
            return 0.0
        with self._lock:
            now = self._clock()
            left, seen = self._left.pop(key, (float(self._burst), now))
            left = min(float(self._burst), left + (now - seen) * self._a_second)
            admitted = left >= 1
            self._left[key] = (left - admitted), now
            if len(self._left) > _KEYS:
                self._left.popitem(last=False)
        return 0.0 if admitted else (1 - left) / self._a_second


class Seats:
    """So many are worked on at once, and so many may wait for that; who comes then is told to come again."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._seats = asyncio.Semaphore(at_once)
        self._waiting, self._most = 0, waiting

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """A seat. Raises NotNowError where too many wait already."""
        if self._seats.locked() and self._waiting >= self._most:
            raise NotNowError(503, "the service is full; ask again in a second", 1.0)
        self._waiting += 1
        try:
            await self._seats.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._seats.release()


@dataclass(slots=True)
class _Kept:
    data: bytes
    used: float


class Uploads:
    """Pictures that people sent, in memory, for some minutes from when they were last used; each person's own alone."""

    def __init__(self, most_bytes: int, clock: Callable[[], float] = time.monotonic) -> None:
        """``most_bytes``: of all together."""
        self._most_bytes = most_bytes
        self._clock = clock
        self._kept: OrderedDict[tuple[str, str], _Kept] = OrderedDict()
        self._coming = 0
        self._lock = threading.Lock()

    def require_room(self, size_bytes: int) -> None:
        """Room for one that comes, until ``arrived``. Raises NotNowError where it is too large, or there is none."""
        if size_bytes > MAX_UPLOAD_BYTES:
            raise NotNowError(413, f"larger than {MAX_UPLOAD_BYTES >> 20} MiB; ingest it, or send a smaller copy", 0)
        with self._lock:
            self._drop_old()
            held = self._coming + sum(len(kept.data) for kept in self._kept.values())
            if held + size_bytes > self._most_bytes:
                raise NotNowError(503, "the service has no room for another picture now; send it again in a while", 5.0)
            self._coming += size_bytes

    def arrived(self, size_bytes: int) -> None:
        """It is here, or will not come."""
        with self._lock:
            self._coming -= size_bytes

    def add(self, person: str, data: bytes) -> str:
        """Keep a person's picture; returns its SHA-256. Where they have too many, those not used for longest go."""
        sha256 = hashlib.sha256(data).hexdigest()
        with self._lock:
            self._kept.pop((person, sha256), None)
            self._kept[person, sha256] = _Kept(data, self._clock())
            own = [key for key in self._kept if key[0] == person]
            size = sum(len(self._kept[key].data) for key in own)
            for key in own[:-1]:
                if len(own) <= MOST_PICTURES and size <= MOST_BYTES_EACH:
                    break
                size -= len(self._kept.pop(key).data)
                own = own[1:]
        return sha256

    def get(self, person: str, sha256: str) -> bytes | None:
        """A picture of this person, if it is still here."""
        with self._lock:
            self._drop_old()
            kept = self._kept.get((person, sha256))
            if kept is None:
                return None
            kept.used = self._clock()
            self._kept.move_to_end((person, sha256))
            return kept.data

    def _drop_old(self) -> None:
        before = self._clock() - KEPT_S
        while self._kept and next(iter(self._kept.values())).used < before:
            self._kept.popitem(last=False)
