"""How strong a lead is, in words: from what was measured of a pair, never from its likeness alone (docs/scores.md)."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from imgmatch.types import FalseMatchRate, Verification

POINTS = 12
"""From so many points on it is said that geometry agrees; different rooms with the same furniture have had 11."""
ALIKE = 0.55
"""Least score of what looks alike: the nearest of 1,250 unrelated pictures scores more in about one search of ten."""
COMMON = 1e-3
"""What unrelated pairs are known to reach more often than this (95 % confidence) does not look alike, it is usual."""
_HALF = 0.5
"""A rate above which nothing is claimed."""


class Level(enum.StrEnum):
    """Strongest first."""

    IDENTICAL = "identical"
    GEOMETRY = "geometry"
    ALIKE = "alike"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Strength:
    """How strong a lead is. ``points`` agree in its geometry; ``asked``: was geometry asked about it?"""

    level: Level
    points: int = 0
    asked: bool = True

    @property
    def convincing(self) -> bool:
        """Is it a lead at all?"""
        return self.level is not Level.NOTHING

    def __str__(self) -> str:
        """In words, those of docs/scores.md."""
        if self.level is Level.IDENTICAL:
            return "identical file"
        if self.level is Level.GEOMETRY:
            return f"geometry agrees, {self.points:,} points"
        if self.level is Level.ALIKE:
            if self.points:
                return f"looks alike, only {self.points:,} {'point agrees' if self.points == 1 else 'points agree'}"
            return "looks alike, not verified" if self.asked else "looks alike, geometry not asked"
        return "nothing convincing"


class Pair(Protocol):
    """What is looked at: of a match of a query, and of a link between two cases."""

    @property
    def score(self) -> float:
        """How alike they are."""

    @property
    def identical(self) -> bool:
        """Is it the same content (SHA-256)?"""

    @property
    def verification(self) -> Verification | None:
        """What geometry says, where it was asked."""

    @property
    def false_match(self) -> FalseMatchRate | None:
        """How often unrelated pictures score as high, where that is known."""


def strength(pair: Pair) -> Strength:
    """How strong a lead a pair is: one answer for the same figures, wherever it is shown."""
    found, rate = pair.verification, pair.false_match
    if pair.identical:
        return Strength(Level.IDENTICAL)
    if found is not None and found.verified:
        return Strength(Level.GEOMETRY if found.inliers >= POINTS else Level.ALIKE, found.inliers)
    void = found is not None and found.void
    common = rate is not None and (rate.lower > COMMON or rate.stated > _HALF)
    level = Level.NOTHING if void or common or pair.score < ALIKE else Level.ALIKE
    return Strength(level, asked=found is not None)


def leads(pairs: Iterable[Pair]) -> int:
    """How many of these are leads at all."""
    return sum(strength(pair).convincing for pair in pairs)


def answer(pairs: Sequence[Pair]) -> str:
    """What a list of matches comes to, in words: how many leads, or that nothing convincing was found."""
    count = leads(pairs)
    if not count:
        return "nothing convincing found"
    rest = f", {len(pairs) - count:,} more not convincing" if len(pairs) > count else ""
    return f"{count:,} lead{'s' * (count > 1)}{rest}"
