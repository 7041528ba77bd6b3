"""Textures and what a phone makes of the light."""

import numpy as np
import pytest

from imgmatch.lab.hotels import pictures
from imgmatch.lab.hotels.finishes import TILING, pixels
from imgmatch.lab.hotels.phone import developed
from imgmatch.lab.hotels.scene import Finish

SINGLE = ["day", "night", "screen", "sign", "stain", *(f"painting:{style}" for style in pictures.STYLES)]


@pytest.mark.parametrize("kind", [*TILING, *SINGLE])
def test_a_texture_is_drawn_from_its_seed(kind):
    first, again, other = (pixels(Finish(kind, (180, 150, 120), seed)) for seed in (3, 3, 4))
    assert first.dtype == np.uint8
    assert first.ndim == 3
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_plain_finish_has_no_texture():
    assert pixels(Finish()) is None
    with pytest.raises(ValueError, match="sandpaper"):
        pixels(Finish("sandpaper"))


@pytest.mark.parametrize("kind", TILING)
def test_a_texture_repeats_without_a_seam(kind):
    for seed in range(6):
        tile = pixels(Finish(kind, (170, 140, 110), seed)).astype(float)
        for axis in (0, 1):
            steps = np.abs(np.diff(tile, axis=axis)).mean(axis=tuple(i for i in range(3) if i != axis))
            seam = np.abs(np.take(tile, 0, axis) - np.take(tile, -1, axis)).mean()
            # The step over the seam is one of the steps within.
            assert seam <= steps.max() * 1.25 + 2, (kind, seed, axis)


def test_a_phone_exposes_dark_and_bright_rooms_alike():
    rng = np.random.default_rng(0)
    room = rng.uniform(0.2, 1.0, (96, 128, 3)).astype(np.float32)
    means = []
    for level in (0.01, 1.0, 30.0):
        picture = developed(room * level, np.random.default_rng(1))
        assert picture.dtype == np.uint8
        assert picture.shape == room.shape
        assert np.array_equal(picture, developed(room * level, np.random.default_rng(1)))
        means.append(picture.mean())
    assert min(means) > 60
    assert max(means) - min(means) < 40
    assert developed(np.zeros((8, 8, 3), np.float32), rng).max() < 60
