from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from imgmatch.lab.hotels.views import places
from imgmatch.match.features import extract, mirrored, pairs
from imgmatch.match.verify import query_features, verify
from tests.conftest import textured


def _features(pixels):
    return extract(pixels, pixels.shape[1::-1])


def _verify(query, item):
    return verify(query_features(query, query.shape[1::-1]), _features(item))


@pytest.fixture(scope="module")
def picture():
    return places()[0, "r00"][0].pixels()


def test_the_same_picture_and_its_mirror_image_are_verified_and_told_apart(picture):
    same, flipped = _verify(picture, picture), _verify(np.ascontiguousarray(picture[:, ::-1]), picture)
    assert (same.verified, same.mirrored) == (True, False)
    assert (flipped.verified, flipped.mirrored) == (True, True)
    assert same == _verify(picture, picture)


def test_points_depend_on_their_picture_alone(picture):
    pictures = [picture, *(np.asarray(textured(seed)) for seed in range(3))]
    alone = [_features(pixels) for pixels in pictures]
    with ThreadPoolExecutor(4) as pool:
        again = list(pool.map(_features, pictures * 3))
    for one, other in zip(alone * 3, again, strict=True):
        for name in ("points", "sizes", "angles", "descriptors", "grey"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


@pytest.mark.parametrize("shape", [(1, 1, 3), (480, 640, 3)])
def test_without_texture_there_is_nothing_to_verify(picture, shape):
    for found in (_verify(np.zeros(shape, np.uint8), picture), _verify(picture, np.zeros(shape, np.uint8))):
        assert not found.verified
        assert found.reason.startswith("nothing to verify")


def test_mirrored_features_are_those_of_the_mirrored_picture():
    pixels = np.asarray(textured(5))
    made = mirrored(extract(pixels, (320, 240)))
    found = extract(np.ascontiguousarray(pixels[:, ::-1]), (320, 240))
    assert len(made) == len(found)
    similarity = made.descriptors @ found.descriptors.T
    nearest = similarity.argmax(axis=1)
    same = np.abs(made.points - found.points[nearest]).max(axis=1) < 0.5
    assert same.mean() > 0.9
    assert np.median(similarity.max(axis=1)) > 0.999
    turns = np.abs((made.angles - found.angles[nearest] + 180) % 360 - 180)
    assert np.median(turns[same]) < 0.5
    assert np.abs(made.grey.astype(int) - found.grey).max() <= 1


def test_a_symmetric_picture_is_not_called_mirrored():
    half = np.asarray(textured(6))[:, :160]
    pixels = np.concatenate([half, half[:, ::-1]], axis=1)
    found = verify(query_features(pixels, (320, 240)), extract(pixels, (320, 240)))
    assert found.verified
    assert not found.mirrored


def test_pairs_are_one_to_one_even_of_equal_points():
    tile = np.asarray(textured(7, (100, 80)))
    one, other = np.tile(tile, (2, 2, 1)), np.tile(tile, (1, 3, 1))
    rows, columns = pairs(extract(one, (200, 160)), extract(other, (300, 80)))
    assert len(set(rows.tolist())) == len(rows) == len(set(columns.tolist()))
