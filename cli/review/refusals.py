"""Who was not let in, told once a kind: a flood of requests floods neither terminal nor log."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

_KINDS = 12


class Refusals:
    """Counts by kind; ``tell`` is called from a thread of its own with each kind that is new."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def add(self, why: str) -> None:
        """One more."""
        with self._lock:
            why = why if why in self.counts or len(self.counts) < _KINDS else "others"
            self.counts[why] += 1
            new = self.counts[why] == 1
        if new:
            threading.Thread(target=self._tell, args=(why,), daemon=True).start()
