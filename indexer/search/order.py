"""Which of several finds stands before which, and which are left out as likely by chance: one rule for every list."""

from __future__ import annotations

from collections.abc import Sequence

from imgmatch.match.strength import Pair
from imgmatch.types import SIFT, Match

NOT_VERIFIED = 2
"""Where ``standing`` puts what is neither identical nor verified."""


def standing(found: Pair) -> tuple[int, int]:
    """To sort by, the lowest first: identical content, then what geometry verified, that with the most inliers
    foremost, then the rest. Equal ones keep their order, which is that of their scores. What only learned points verify
    is evidence, no rank: rooms of one design have many of them in common.
    """
    verification = found.verification
    verified = verification is not None and verification.verified and verification.features == SIFT
    inliers = verification.inliers if verification is not None and verified else 0
    return 0 if found.identical else 1 if verified else NOT_VERIFIED, -inliers


def by_parts(matches: Sequence[Match]) -> list[Match]:
    """Matches in the order of how well their parts meet; one of which that is not known keeps its place."""
    places = [place for place, match in enumerate(matches) if match.parts_score is not None]
    best = sorted((matches[place] for place in places), key=lambda match: -(match.parts_score or 0.0))
    ordered = list(matches)
    for place, match in zip(places, best, strict=True):
        ordered[place] = match
    return ordered


def void(found: Pair) -> bool:
    """Is what the two have in common known to be no evidence (a template's, or next to nothing to be seen)?"""
    return found.verification is not None and found.verification.void


def rare_enough(found: Pair, max_fmr: float | None) -> bool:
    """Is its false-match rate known and at most ``max_fmr``? Identical content is no matter of chance."""
    if max_fmr is None or found.identical:
        return True
    return found.false_match is not None and found.false_match.stated <= max_fmr
