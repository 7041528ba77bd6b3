"""Alterations: pure, seeded, of the right shape, and true to what their names say."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.lab import alterations
from imgmatch.lab.alterations import ALTERATIONS, alter, rng_for


def photograph(seed: int, height: int = 180, width: int = 240) -> np.ndarray:
    """Smooth blobs with edges and detail: enough content to recognise after an alteration."""
    rng = np.random.default_rng(seed)
    coarse = cv2.resize(rng.integers(0, 256, (6, 8, 3)).astype(np.uint8), (width, height))
    for _ in range(25):
        x, y = int(rng.integers(width)), int(rng.integers(height))
        ink = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.circle(coarse, (x, y), int(rng.integers(4, 24)), ink, -1)
    return coarse


@pytest.fixture(scope="module")
def picture() -> np.ndarray:
    return photograph(0)


@pytest.fixture(scope="module")
def others() -> list[np.ndarray]:
    return [photograph(seed, 150 + 10 * seed, 200) for seed in range(1, 5)]


def likeness(first: np.ndarray, second: np.ndarray) -> float:
    """Correlation of two pictures of one size in grey."""
    a, b = (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(float).ravel() for p in (first, second))
    return float(np.corrcoef(a, b)[0, 1])


def best_match(needle: np.ndarray, hay: np.ndarray) -> float:
    """The highest correlation of ``needle`` at any place in ``hay``."""
    return float(cv2.matchTemplate(hay, needle, cv2.TM_CCOEFF_NORMED).max())


@pytest.mark.parametrize("name", ALTERATIONS)
class TestEvery:
    def test_shape_and_type(self, name, picture, others):
        out = alter(name, picture, 1, others)
        assert out.dtype == np.uint8
        assert out.ndim == 3
        assert out.shape[2] == 3
        assert min(out.shape) >= 3

    def test_same_seed_same_bytes(self, name, picture, others):
        assert alter(name, picture, 5, others).tobytes() == alter(name, picture, 5, others).tobytes()

    def test_input_is_left_alone(self, name, picture, others):
        before = picture.copy(), [other.copy() for other in others]
        alter(name, picture, 2, others)
        np.testing.assert_array_equal(picture, before[0])
        for other, kept in zip(others, before[1], strict=True):
            np.testing.assert_array_equal(other, kept)

    def test_changes_the_picture(self, name, picture, others):
        out = alter(name, picture, 3, others)
        assert out.shape != picture.shape or np.abs(out.astype(int) - picture).mean() > 1

    @pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (2, 3), (9, 7)])
    def test_tiny_pictures(self, name, shape, others):
        out = alter(name, np.full((*shape, 3), 90, np.uint8), 4, others)
        assert out.dtype == np.uint8
        assert out.size > 0


@pytest.mark.parametrize(
    ("name", "least"),
    [
        ("jpeg_20", 0.95),
        ("grey", 0.99),
        ("darken", 0.95),
        ("blur", 0.8),
        ("motion_blur", 0.6),
        ("sharpen", 0.9),
        ("noise", 0.8),
        ("posterise", 0.85),
        ("watermark", 0.8),
        ("person", 0.4),
        ("text_overlay", 0.4),
        ("emoji_overlay", 0.4),
        ("colour", 0.5),
        ("filter", 0.85),
    ],
)
def test_content_stays_in_place(name, least, picture):
    for seed in range(3):
        assert likeness(alter(name, picture, seed), picture) > least


def test_content_is_found_again_after_geometry(picture, others):
    assert likeness(alter("mirror", picture, 0)[:, ::-1], picture) > 0.999
    assert likeness(alter("flip_vertical", picture, 0)[::-1], picture) > 0.999
    assert likeness(np.rot90(alter("rotate_90", picture, 0), -1), picture) > 0.999
    small = alter("resize_quarter", picture, 0)
    assert small.shape == (45, 60, 3)
    assert likeness(cv2.resize(small, (240, 180)), picture) > 0.8
    for name, share in (("crop_half", 0.5), ("crop_quarter", 0.25), ("crop_tenth", 0.1)):
        crop = alter(name, picture, 7)
        assert crop.shape[0] * crop.shape[1] == pytest.approx(share * 180 * 240, rel=0.03)
        assert best_match(crop, picture) > 0.999
    assert best_match(picture, alter("screenshot", picture, 3)) > 0.999


@pytest.mark.parametrize("layout", ["2x2", "1x3"])
def test_collage_holds_the_whole_picture_in_a_fifth(layout, picture, others):
    red = np.zeros_like(picture)
    red[:] = (255, 0, 1)
    sheet = alterations.collage(red, np.random.default_rng(3), others, area=0.2, layout=layout)
    assert (sheet == (255, 0, 1)).all(axis=2).mean() == pytest.approx(0.2, abs=0.025)
    shown = alterations.collage(picture, np.random.default_rng(3), others, area=0.2, layout=layout)
    rows, cols = np.nonzero((sheet == (255, 0, 1)).all(axis=2))
    tile = shown[rows.min() : rows.max() + 1, cols.min() : cols.max() + 1]
    assert likeness(cv2.resize(tile, (240, 180)), picture) > 0.8


def test_paste_takes_its_share(picture, others):
    red = np.full_like(picture, (255, 0, 1))
    out = alterations.paste_into(red, np.random.default_rng(0), others[0], area=0.3)
    assert (out == (255, 0, 1)).all(axis=2).mean() == pytest.approx(0.3, abs=0.02)
    assert out.shape == others[0].shape


def test_person_covers_exactly_its_mask(picture):
    for seed in range(8):
        mask = alterations.person_mask(180, 240, np.random.default_rng(seed), 0.9)
        out = alterations.person(picture, np.random.default_rng(seed), 0.9)
        assert mask.dtype == bool
        assert mask.shape == (180, 240)
        assert 0.02 < mask.mean() < 0.7
        np.testing.assert_array_equal(out[~mask], picture[~mask])
        assert (out[mask] != picture[mask]).any(axis=1).mean() > 0.95
        flat = alterations.person(picture, np.random.default_rng(seed), 0.9, flat=(127, 127, 127))
        assert (flat[mask] == 127).all()
        np.testing.assert_array_equal(flat[~mask], picture[~mask])


def test_larger_person_covers_more():
    def share(height_share: float) -> float:
        rngs = (np.random.default_rng(seed) for seed in range(12))
        return float(np.mean([alterations.person_mask(120, 160, rng, height_share).mean() for rng in rngs]))

    assert share(0.4) < share(0.8) < share(1.4)


def test_mask_of_a_named_alteration(picture):
    out = alter("person", picture, 11)
    mask = alterations.person_mask(180, 240, rng_for("person", 11), 0.85)
    np.testing.assert_array_equal(out[~mask], picture[~mask])
    assert (out[mask] != picture[mask]).any()


def test_rotation_keeps_or_cuts_the_corners(picture):
    white = np.full_like(picture, 255)
    rng = np.random.default_rng(0)
    grown = alterations.rotate(white, rng, 30, "fill", (9, 9, 9))
    assert grown.shape[0] > 180
    assert (grown[0, 0] == 9).all()
    cut = alterations.rotate(white, rng, 30, "crop", (9, 9, 9))
    assert cut.shape[0] < 180
    assert cut[2:-2, 2:-2].min() == 255


def test_neutral_parameters_change_nothing(picture):
    rng = np.random.default_rng(0)
    np.testing.assert_array_equal(alterations.colour(picture, rng), picture)
    np.testing.assert_array_equal(alterations.crop_area(picture, rng, 1.0), picture)
    np.testing.assert_array_equal(alterations.rotate(picture, rng, 360), picture)


def test_other_seed_other_picture(picture):
    for name in ("crop_half", "person", "colour", "chain_four", "noise"):
        assert alter(name, picture, 1).tobytes() != alter(name, picture, 2).tobytes()


def test_chain_applies_its_steps_in_order(picture):
    steps = alterations.chain(alterations.fixed(alterations.mirror), alterations.fixed(alterations.grey))
    expected = alterations.grey(np.ascontiguousarray(picture[:, ::-1]), np.random.default_rng(0))
    np.testing.assert_array_equal(steps(picture, np.random.default_rng(0)), expected)


def test_errors_say_what_to_do(picture):
    with pytest.raises(UsageError, match=r"no alteration 'swirl': choose one of jpeg_20, .*chain_four"):
        alter("swirl", picture, 0)
    with pytest.raises(UsageError, match="needs at least one other photograph"):
        alter("collage_inset", picture, 0)
    with pytest.raises(UsageError, match="needs at least one other photograph"):
        alter("paste_inset", picture, 0)
    with pytest.raises(UsageError, match=r"shape \(180, 240\).*pass \(H, W, 3\) uint8"):
        alter("grey", picture[..., 0], 0)
    with pytest.raises(UsageError, match="float64"):
        alter("grey", picture.astype(float), 0)
    with pytest.raises(UsageError, match="no photo filter 'x'"):
        alterations.photo_filter(picture, np.random.default_rng(0), "x")
