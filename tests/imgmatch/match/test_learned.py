"""The rule for learned points: enough right pairs are to be expected of one scene, spread, not a bar, not letters."""

import numpy as np
import pytest

from imgmatch.match.features import extract
from imgmatch.match.learned import EXPECTED, verify_learned
from imgmatch.models.xfeat.matcher import LearnedPoints
from imgmatch.types import LEARNED
from tests.conftest import textured

SIZE = (320, 240)


class Paired:
    """Stands in for the networks: the n-th points pair, each so likely."""

    def __init__(self, likely):
        self.likely = np.asarray(likely, np.float32)

    def pair(self, a, b, least):
        rows = np.arange(len(self.likely))
        return rows, rows, self.likely


def views(count, turn=0.1, seed=1):
    """Points of a scene in two photographs taken a step and a tenth of a radian apart."""
    rng = np.random.default_rng(seed)
    scene = rng.uniform((-1.2, -0.8, 3), (0.9, 0.8, 6), (count, 3))
    rotation = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    other = scene @ rotation.T + (-0.3, 0.05, 0.1)
    return [np.clip(p[:, :2] / p[:, 2:] * 260 + (160, 120), 0, np.array(SIZE) - 1) for p in (scene, other)]


def points(at, size_px=SIZE):
    return LearnedPoints(np.asarray(at, np.float32), np.zeros((len(at), 64), np.float32), SIZE, size_px)


def found(one, other, likely, size_px=SIZE):
    grain = np.random.default_rng(9).normal(0, 12, (SIZE[1], SIZE[0], 3))
    seen = extract((np.asarray(textured(3, SIZE)) * 0.8 + 25 + grain).clip(0, 255).astype(np.uint8), size_px)
    return verify_learned(Paired(likely), points(one), points(other, size_px), seen)


def test_two_views_of_a_scene_are_verified_in_full_size_pixels():
    one, other = views(60)
    said = found(one, other, np.full(60, 0.6), size_px=(1280, 960))
    assert said.verified
    assert (said.kind, said.features, said.mirrored) == ("epipolar", LEARNED, False)
    assert said.reason == f"verified: {said.inliers} points of XFeat agree as two views of one scene"
    lines = np.array(said.lines)
    assert len(lines) == said.inliers > 40
    matrix = np.array(said.transform)
    ends = np.column_stack([lines, np.ones(len(lines))])
    epipolar = np.column_stack([lines[:, :2], np.ones(len(lines))]) @ matrix.T
    off = np.abs((epipolar[:, :2] * ends[:, 2:4]).sum(1) + epipolar[:, 2]) / np.hypot(*epipolar[:, :2].T)
    assert np.median(off) < 4, "in pixels of the item, four times as large as it was read"
    assert found(one, other, np.full(60, 0.6), size_px=(1280, 960)) == said


@pytest.mark.parametrize("likely", [0.1, 0.3])
def test_as_many_points_that_are_unlikely_to_be_right_are_not(likely):
    one, other = views(60)
    said = found(one, other, np.full(60, likely))
    assert not said.verified
    assert 60 * likely < EXPECTED
    assert "are likely to be right" in said.reason


def test_pairs_without_a_geometry_are_not_verified():
    rng = np.random.default_rng(2)
    one, other = rng.uniform(0, SIZE, (120, 2)), rng.uniform(0, SIZE, (120, 2))
    assert not found(one, other, np.full(120, 0.5)).verified
    assert not found(one[:5], other[:5], np.full(5, 1.0)).verified
    assert not found(one[:0], other[:0], []).verified


def test_one_spot_counts_once():
    one, other = views(12)
    assert not found(np.repeat(one, 10, axis=0), np.repeat(other, 10, axis=0), np.full(120, 1.0)).verified


def test_a_bar_that_many_frames_bear_is_not_evidence():
    """What lies at the same place of both frames: a date, a logo, a frame."""
    one, _ = views(60)
    said = found(one, one + np.random.default_rng(4).normal(0, 0.4, one.shape), np.full(60, 0.9))
    assert not said.verified
    assert "same place of both frames" in said.reason


def test_points_in_a_line_are_not_evidence():
    across = np.linspace(5, 315, 60)
    one = np.column_stack([across, np.full(60, 100.0)])
    other = np.column_stack([across * 0.9, np.full(60, 140.0)])
    assert not found(one, other, np.full(60, 0.9)).verified
