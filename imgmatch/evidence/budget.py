"""What one outermost file may cost: counted at every depth together, and compared with the limits."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import Enum

from imgmatch.errors import over
from imgmatch.limits import SourceLimits


class Cost(Enum):
    """What is counted: the limit of SourceLimits that bounds it, and what is said where there is too much."""

    MEMBERS = "max_members", "holds more than"
    MEMBER_BYTES = "max_total_bytes", "unpacks to more than"


@dataclass(slots=True)
class Budget:
    """What one outermost file has cost so far."""

    limits: SourceLimits
    _spent: Counter[Cost] = field(default_factory=Counter, init=False)

    def spend(self, cost: Cost, amount: int = 1) -> None:
        """Count a cost. Raises EvidenceError of kind ``limit`` when it is too much."""
        self._spent[cost] += amount
        name, says = cost.value
        limit = getattr(self.limits, name)
        if self._spent[cost] > limit:
            raise over(name, f"{says} {name} ({limit:,}); the rest is left")
