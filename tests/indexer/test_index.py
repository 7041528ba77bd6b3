"""What every VectorIndex promises; each kind runs through the same tests."""

import numpy as np
import pytest

from indexer.index import ExactIndex

KINDS = {"exact": ExactIndex}
DIM = 32


@pytest.fixture(params=KINDS)
def build(request):
    return KINDS[request.param]


def unit(rng, rows):
    vectors = rng.normal(size=(rows, DIM)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def blocks(vectors, size=100, first=1, gap=0):
    made = []
    for start in range(0, len(vectors), size):
        part = vectors[start : start + size].astype(np.float16)
        made.append((first, part))
        first += len(part) + gap
    return made


def test_the_nearest_vectors_come_first_with_their_cosine(build):
    rng = np.random.default_rng(0)
    vectors, queries = unit(rng, 1000), unit(rng, 20)
    similarities, ids = build(DIM, blocks(vectors)).search(queries, 10)
    exact = queries @ vectors.astype(np.float16).astype(np.float32).T
    np.testing.assert_array_equal(ids, np.argsort(-exact, axis=1, kind="stable")[:, :10] + 1)
    np.testing.assert_allclose(similarities, -np.sort(-exact, axis=1)[:, :10], atol=1e-5)


def test_a_vector_finds_itself(build):
    vectors = unit(np.random.default_rng(1), 300)
    similarities, ids = build(DIM, blocks(vectors)).search(vectors, 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(1, 301))
    np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)


def test_ids_are_those_of_the_segments(build):
    vectors = unit(np.random.default_rng(2), 250)
    index = build(DIM, blocks(vectors, size=100, first=1000, gap=50))
    assert index.rows == 250
    assert index.search(vectors[[0, 99, 100, 249]], 1)[1][:, 0].tolist() == [1000, 1099, 1150, 1349]


def test_equal_vectors_come_in_the_order_of_ids(build):
    one = unit(np.random.default_rng(3), 1)
    index = build(DIM, blocks(np.repeat(one, 40, axis=0), size=7))
    assert index.search(one, 40)[1][0].tolist() == list(range(1, 41))


def test_more_than_there_are_is_filled_up(build):
    vectors = unit(np.random.default_rng(4), 3)
    similarities, ids = build(DIM, blocks(vectors)).search(vectors[:1], 5)
    assert ids[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(similarities[0, 3:]).all()


def test_an_empty_index_finds_nothing(build):
    index = build(DIM, [])
    assert index.rows == 0
    similarities, ids = index.search(unit(np.random.default_rng(5), 2), 3)
    assert (ids == -1).all()
    assert np.isneginf(similarities).all()


def test_no_query_gives_no_rows(build):
    index = build(DIM, blocks(unit(np.random.default_rng(6), 10)))
    assert index.search(np.empty((0, DIM), np.float32), 3)[1].shape == (0, 3)
