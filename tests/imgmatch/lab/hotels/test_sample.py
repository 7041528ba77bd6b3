"""The rooms that come with the package: what they are, and that their cameras and depth say where things are seen."""

import itertools

import cv2
import numpy as np
import pytest

from imgmatch.lab.hotels.geometry import correspondences
from imgmatch.lab.hotels.views import SAMPLE, places, views


def test_there_are_six_places_of_four_hotels_with_three_views_and_nobody_in_them():
    found = places()
    assert len(found) == 24
    assert {hotel: sum(key[0] == hotel for key in found) for hotel, _ in found} == dict.fromkeys(range(4), 6)
    for place in found.values():
        assert len(place) == 3
        for view in place:
            assert view.pixels().shape == (view.fields["height"], view.fields["width"], 3)
            assert view.pixels().std() > 10
            assert not view.fields["people"]


def test_the_sample_is_small_and_free():
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*")) < 2_500_000
    assert {licence for view in views(SAMPLE) for licence in view.fields["licences"]} == {"CC0-1.0", "own"}


def test_what_two_views_share_is_found_there_and_back():
    shares = []
    for place in places().values():
        for one, other in itertools.permutations(place, 2):
            points, share = correspondences(one, other)
            assert len(points) == pytest.approx(share * one.geometry()[0].size)
            shares.append(share)
            if share > 0.3:
                back, _ = correspondences(other, one)
                # Near a point found from there, the way back ends within two steps of the depth.
                nearest = np.linalg.norm(points[:, None, 2:] - back[None, :, :2], axis=2)
                close = nearest.min(axis=1) < 4
                away = np.linalg.norm(back[nearest.argmin(axis=1), 2:] - points[:, :2], axis=1)[close]
                assert close.mean() > 0.5
                assert np.median(away) < 16
    assert np.mean(np.array(shares) > 0.1) > 0.7
    same, whole = correspondences(place[0], place[0])
    assert whole == 1
    np.testing.assert_allclose(same[:, :2], same[:, 2:], atol=0.5)


def test_what_two_views_share_looks_alike():
    """At the same surfaces, more so than at places drawn anew."""
    better = total = 0
    for place in places().values():
        for one, other in itertools.permutations(place, 2):
            points, share = correspondences(one, other)
            if share < 0.3 or one.fields["visit"] != other.fields["visit"]:
                continue
            first, second = (
                cv2.cvtColor(cv2.GaussianBlur(view.pixels(), (0, 0), 3), cv2.COLOR_RGB2LAB)[..., 1:].astype(float)
                for view in (one, other)
            )
            at = points.astype(int)
            here, there = first[at[:, 1], at[:, 0]], second[at[:, 3], at[:, 2]]
            mixed = np.random.default_rng(0).permutation(there)
            better += np.abs(here - there).mean() < np.abs(here - mixed).mean()
            total += 1
    assert total > 20
    assert better > 0.95 * total
