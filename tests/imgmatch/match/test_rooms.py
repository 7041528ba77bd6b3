"""Same room or same hotel: words only where a rate that was measured is low."""

import pytest

from imgmatch.match.rooms import room_or_hotel
from imgmatch.types import LEARNED, SIFT, Match, Verification

MODEL = "imgmatch-rooms-int8"


def verification(inliers, *, verified=True, mirrored=False, features=SIFT):
    return Verification(verified, "homography", mirrored, 3 * inliers, inliers, None, None, 0.5, "", features=features)


@pytest.mark.parametrize(
    ("score", "found", "said"),
    [
        (0.3, verification(30), "same room likely"),
        (0.7, verification(30), "same room likely"),
        (0.7, verification(29), "same hotel likely, room not shown"),
        (0.7, verification(40, mirrored=True), "same hotel likely, room not shown"),
        (0.7, verification(40, verified=False), "same hotel likely, room not shown"),
        (0.7, None, "same hotel likely, room not shown"),
        (0.3, verification(29), "room not shown: geometry agrees in 1 of 30 pairs of different rooms of one hotel"),
        (0.3, verification(40, mirrored=True), "room not shown: geometry agrees in 1 of 30"),
        (0.7, verification(150, features=LEARNED), "room not shown: geometry agrees in 1 of 30"),
        (0.7, verification(29, verified=False), "room not shown: 1 in 1,000 pairs of rooms of different hotels"),
        (0.6, verification(29, verified=False), ""),
        (0.3, None, ""),
    ],
)
def test_words_follow_from_points_and_score(score, found, said):
    words = room_or_hotel(Match(1, 1, "00", score, verification=found), MODEL)
    assert said in words
    assert bool(words) == bool(said)


def test_nothing_is_said_of_the_same_file_or_by_a_model_that_was_not_measured():
    match = Match(1, 1, "00", 0.9, verification=verification(99))
    assert room_or_hotel(match, MODEL)
    assert not room_or_hotel(match, "sscd")
    assert not room_or_hotel(Match(1, 1, "00", 1.0, identical=True), MODEL)
