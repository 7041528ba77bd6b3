import numpy as np
import pytest

from imgmatch.features import extract
from imgmatch.rooms import Room
from imgmatch.verify import query_features, verify


def _features(pixels):
    return extract(pixels, pixels.shape[1::-1])


def _verify(query, item):
    return verify(query_features(query, query.shape[1::-1]), _features(item))


@pytest.fixture(scope="module")
def picture():
    return Room.random(seed=3).views(2, seed=1, min_overlap=0.3)[0].pixels


def test_the_same_picture_and_its_mirror_image_are_verified_and_told_apart(picture):
    same, mirrored = _verify(picture, picture), _verify(np.ascontiguousarray(picture[:, ::-1]), picture)
    assert (same.verified, same.mirrored) == (True, False)
    assert (mirrored.verified, mirrored.mirrored) == (True, True)
    assert same == _verify(picture, picture)


@pytest.mark.parametrize("shape", [(1, 1, 3), (480, 640, 3)])
def test_without_texture_there_is_nothing_to_verify(picture, shape):
    for found in (_verify(np.zeros(shape, np.uint8), picture), _verify(picture, np.zeros(shape, np.uint8))):
        assert not found.verified
        assert found.reason.startswith("nothing to verify")
