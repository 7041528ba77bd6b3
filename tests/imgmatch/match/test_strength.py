"""How strong a lead is, in words: by what was measured of the pair."""

import dataclasses

import pytest

from imgmatch.match.strength import Level, answer, leads, strength
from imgmatch.types import FalseMatchRate, Match, Verification

SEEN = Verification(True, "homography", False, 60, 41, None, 1.0, 0.5, "41 points")
NOT_SEEN = Verification(False, "none", False, 20, 0, None, None, 0.0, "no geometry")
TEMPLATE = dataclasses.replace(NOT_SEEN, inliers=90, void=True)
FEW = dataclasses.replace(SEEN, inliers=9)
RARE, COMMON, UNSEEN = (
    FalseMatchRate(0.002, 0.0005, 0.01),
    FalseMatchRate(0.02, 0.01, 0.03),
    FalseMatchRate(None, 0.0, 0.1),
)


def match(score, verification=None, rate=None, *, identical=False):
    return Match(1, 7, "ab" * 32, score, verification=verification, false_match=rate, identical=identical)


@pytest.mark.parametrize(
    ("pair", "level", "words"),
    [
        (match(1.0, TEMPLATE, COMMON, identical=True), Level.IDENTICAL, "identical file"),
        (match(0.1, SEEN, COMMON), Level.GEOMETRY, "geometry agrees, 41 points"),
        (match(0.9, FEW), Level.ALIKE, "looks alike, only 9 points agree"),
        (match(0.7, NOT_SEEN, RARE), Level.ALIKE, "looks alike, not verified"),
        (match(0.7, NOT_SEEN, UNSEEN), Level.ALIKE, "looks alike, not verified"),
        (match(0.7), Level.ALIKE, "looks alike, geometry not asked"),
        # A likeness alone is none where it is usual, or where only a template is shared.
        (match(0.99, NOT_SEEN, COMMON), Level.NOTHING, "nothing convincing"),
        (match(0.99, TEMPLATE, RARE), Level.NOTHING, "nothing convincing"),
        (match(0.3, NOT_SEEN, UNSEEN), Level.NOTHING, "nothing convincing"),
    ],
)
def test_what_was_measured_decides(pair, level, words):
    assert (strength(pair).level, str(strength(pair))) == (level, words)


def test_a_list_says_how_many_are_leads_at_all():
    none = [match(0.3), match(0.2)]
    some = [match(0.9, SEEN), match(0.8), *none]
    assert (leads(none), answer(none)) == (0, "nothing convincing found")
    assert (leads(some), answer(some)) == (2, "2 leads, 2 more not convincing")
    assert answer([match(0.9, SEEN)]) == "1 lead"
    assert answer([]) == "nothing convincing found"
