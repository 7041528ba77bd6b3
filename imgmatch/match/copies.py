"""When are two pictures that are alike copies of one? One rule for what joins groups and for what is no pair of
unrelated pictures: a likeness alone makes no copy, as unlike pictures of one template are as alike as copies are.
"""

from __future__ import annotations

from imgmatch.match.features import Features, mirrored
from imgmatch.match.verify import QueryFeatures, verify
from imgmatch.picture.pdq import DISTANCE, LEAST_QUALITY, Pdq, distance

COPY_SIMILARITY = 0.9
"""From this cosine on pairs of pictures are looked at; none is taken for copies for that alone."""
UNSEEN_DISTANCE = DISTANCE // 2
"""Hashes of copies where no picture can be looked at: pages of one letterhead differ in 20 bits and more."""


def bits_apart(one: Pdq | None, other: Pdq | None) -> int | None:
    """In how many bits the PDQ hashes of two pictures differ; None where they tell nothing (flat, or not made)."""
    if one is None or other is None or min(one.quality, other.quality) < LEAST_QUALITY:
        return None
    return distance(one.hash, other.hash)


def near(bits: int | None) -> bool:
    """Are hashes so near as those of copies? Of a photograph that decides; drawn pages of one template are as near."""
    return bits is not None and bits <= DISTANCE


def verified(one: Features, other: Features) -> bool:
    """Does geometry verify two pictures as the same, whatever they share with a template set aside?"""
    return verify(QueryFeatures(one, mirrored(one)), other).verified
