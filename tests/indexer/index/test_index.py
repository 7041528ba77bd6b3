"""What every index promises, whoever keeps the vectors: each kind goes through the same tests, in a case."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from indexer.care.delete import delete
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.case.compact import compact
from indexer.index.exact import ExactIndex
from indexer.index.milvus import Collection
from indexer.index.open import CaseIndex
from indexer.index.remote import follow, place
from tests.indexer.vectors import DIM, SPEC, add, clouds

KINDS = ("exact", "ivf", "hnsw", "layered", pytest.param("milvus", marks=pytest.mark.slow))
ROWS = 1500


class Kind:
    """Makes cases whose index is of one kind."""

    def __init__(self, name, folder, request):
        self.name = name
        self._folder = folder
        self._uri = request.getfixturevalue("milvus_uri") if name == "milvus" else None
        self._open = []

    def case(self, vectors):
        """A case with these vectors, ids from 1, and its index."""
        remote = place(self._uri, "conformance") if self._uri else None
        case = Case.create(self._folder / str(len(self._open)), model=SPEC, remote=remote)
        self._open.append(case)
        covered = len(vectors) // 3 if self.name == "layered" else len(vectors)
        if len(vectors):
            add(case, vectors[:covered], commit=400)
            if self.name in ("ivf", "hnsw", "layered"):
                build(case, SPEC, BuildConfig(kind="hnsw" if self.name == "hnsw" else "ivf", jobs=1))
            if covered < len(vectors):
                add(case, vectors[covered:], start=covered)
        return case

    def index(self, vectors):
        return CaseIndex(self.case(vectors).shelf(SPEC))

    def close(self):
        for case in self._open:
            case.close()


@pytest.fixture(params=KINDS)
def kind(request, tmp_path):
    made = Kind(request.param, tmp_path, request)
    yield made
    made.close()


@pytest.fixture(scope="module", params=KINDS)
def filled(request, tmp_path_factory):
    """1,500 rows that no test changes: their vectors and their index."""
    made = Kind(request.param, tmp_path_factory.mktemp("filled"), request)
    vectors = clouds(0, ROWS)
    yield vectors, made.index(vectors)
    made.close()


def cosines(vectors, queries):
    """(Q, n) float32, of the rows as segments keep them."""
    return queries @ vectors.astype(np.float16).astype(np.float32).T


def found_of(ids, expected):
    """Share of what was expected that is there."""
    rows = zip(ids.tolist(), expected.tolist(), strict=True)
    return np.mean([len(set(a) & set(b)) / len(set(b)) for a, b in rows])


def test_the_nearest_come_first_with_their_exact_cosine(filled):
    vectors, index = filled
    queries = clouds(1, 30)
    similarities, ids = index.search(queries, 10)
    assert similarities.shape == ids.shape == (30, 10)
    assert similarities.dtype == np.float32
    assert ids.dtype == np.int64
    exact = cosines(vectors, queries)
    np.testing.assert_allclose(similarities, np.take_along_axis(exact, ids - 1, axis=1), atol=1e-5)
    assert (np.diff(similarities, axis=1) <= 0).all()
    assert all(len(set(row)) == 10 for row in ids.tolist())
    assert found_of(ids, np.argsort(-exact, axis=1, kind="stable")[:, :10] + 1) >= 0.97


def test_a_vector_finds_itself(filled):
    vectors, index = filled
    similarities, ids = index.search(vectors[::10], 1)
    np.testing.assert_array_equal(ids[:, 0], np.arange(1, ROWS + 1, 10))
    np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)


def test_rows_are_compared_as_the_segments_keep_them(filled):
    """Half precision is rounded once, when a row is written; nothing is rounded again, whoever is asked."""
    vectors, index = filled
    similarities, ids = index.search(vectors[:20], 1)
    rounded = vectors[:20].astype(np.float16).astype(np.float32)
    np.testing.assert_allclose(similarities[:, 0], (vectors[:20] * rounded).sum(axis=1), atol=1e-6)
    assert index.search(vectors[:20], 1)[1].tolist() == ids.tolist()


def test_equal_vectors_come_in_the_order_of_ids(kind):
    one = clouds(3, 1)
    index = kind.index(np.concatenate([clouds(4, 20), np.repeat(one, 60, axis=0)]))
    assert index.search(one, 60)[1][0].tolist() == list(range(21, 81))


def test_more_than_there_are_is_filled_up(kind):
    vectors = clouds(4, 3)
    similarities, ids = kind.index(vectors).search(vectors[:1], 5)
    assert sorted(ids[0, :3].tolist()) == [1, 2, 3]
    assert ids[0, 3:].tolist() == [-1, -1]
    assert np.isneginf(similarities[0, 3:]).all()


def test_every_row_can_be_asked_for(filled):
    vectors, index = filled
    ids = index.search(vectors[:2], ROWS)[1]
    assert [sorted(row) for row in ids.tolist()] == [list(range(1, ROWS + 1))] * 2


def test_an_empty_index_finds_nothing(kind):
    index = kind.index(clouds(0, 0))
    assert index.rows == 0
    for within in (None, np.array([1, 2])):
        similarities, ids = index.search(clouds(5, 2), 3, within)
        assert (ids == -1).all()
        assert np.isneginf(similarities).all()


def test_no_query_gives_no_rows(filled):
    assert filled[1].search(np.empty((0, DIM), np.float32), 3)[1].shape == (0, 3)


@pytest.mark.parametrize("share", [0.9, 0.3, 0.02, 0.004, 0.0])
def test_no_result_is_lost_by_a_filter_however_narrow(filled, share):
    vectors, index = filled
    # Ids that there are not, and that nobody holds any more, don't matter.
    allowed = np.flatnonzero(np.random.default_rng(3).random(ROWS + 200) < share)
    here = allowed[(allowed > 0) & (allowed <= ROWS)]
    queries = clouds(5, 20)
    similarities, ids = index.search(queries, 10, allowed)
    assert ((ids > 0).sum(axis=1) == min(10, len(here))).all()
    assert set(ids.ravel().tolist()) <= {-1, *here.tolist()}
    if share:
        exact = cosines(vectors, queries)[:, here - 1]
        expected = here[np.argsort(-exact, axis=1, kind="stable")[:, :10]]
        assert found_of(np.where(ids < 0, 0, ids), expected) >= 0.97
    assert (np.diff(similarities[:, : min(10, len(here))], axis=1) <= 0).all()


def test_the_same_search_gives_the_same_answer(filled):
    queries = clouds(6, 20)
    first, second = filled[1].search(queries, 20), filled[1].search(queries, 20)
    np.testing.assert_array_equal(first[1], second[1])
    np.testing.assert_array_equal(first[0], second[0])


def test_one_query_gets_the_answer_that_it_gets_among_many(filled):
    queries = clouds(7, 8)
    together = filled[1].search(queries, 10)[1]
    alone = np.concatenate([filled[1].search(query[np.newaxis], 10)[1] for query in queries])
    np.testing.assert_array_equal(together, alone)


def test_what_is_deleted_is_never_found_again_by_an_open_index(kind):
    vectors = clouds(0, 400)
    case = kind.case(vectors)
    index = CaseIndex(case.shelf(SPEC))
    assert index.search(vectors[:1], 1)[1].tolist() == [[1]]
    with Case.open(case.path) as other:
        delete(other, items=[1, 300])
    ids = index.search(vectors[[0, 299]], 398)[1]
    assert [sorted(row) for row in ids.tolist()] == [sorted({*range(1, 401)} - {1, 300})] * 2
    assert (index.search(vectors[:1], 5, np.array([1, 300]))[1] == -1).all()
    assert index.rows == 398


def test_what_is_added_is_found_by_an_open_index(kind):
    vectors = clouds(0, 300)
    case = kind.case(vectors)
    index = CaseIndex(case.shelf(SPEC))
    new = clouds(8, 30)
    with Case.open(case.path) as other:
        add(other, new, start=5000)
    similarities, ids = index.search(new, 1)
    assert ids[:, 0].tolist() == list(range(301, 331))
    np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)
    assert index.rows == 330


def test_deleted_content_that_comes_again_is_found_under_a_new_id(kind):
    vectors = clouds(0, 200)
    case = kind.case(vectors)
    delete(case, items=[1])
    add(case, vectors[:1])
    assert CaseIndex(case.shelf(SPEC)).search(vectors[:1], 1)[1].tolist() == [[201]]


def test_compacting_changes_no_answer(kind):
    vectors = clouds(0, 600)
    case = kind.case(vectors)
    index = CaseIndex(case.shelf(SPEC))
    delete(case, items=[*range(100, 200), 550])
    before = index.search(vectors[::20], 10)
    assert compact(case).rows_removed == 101
    after = index.search(vectors[::20], 10)
    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[0], after[0])


@pytest.mark.slow
def test_rows_that_the_server_lost_are_sent_again_by_the_next_search(tmp_path, milvus_uri):
    """As after a kill between commit and sending, and after a collection was restored from an older copy."""
    vectors = clouds(0, 60)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_uri, "lost")) as case:
        add(case, vectors)
        follow(case.shelves())
        collection = Collection(case.catalogue.indexes.remote(), SPEC)
        assert collection.count() == 60
        collection.remove([1, 30, 60])
        assert collection.count() == 57
        assert CaseIndex(case.shelf(SPEC)).search(vectors[[0, 29, 59]], 1)[1].tolist() == [[1], [30], [60]]
        assert collection.count() == 60
        add(case, clouds(8, 5), start=100)  # committed, not sent
        assert collection.count() == 60
        follow(case.shelves())
        assert collection.ids_between(1, 100).tolist() == list(range(1, 66))


@pytest.mark.slow
def test_cases_that_share_a_collection_do_not_meet(tmp_path, milvus_uri):
    """Two workstations send the same vector ids at once; each finds its own rows, whatever the other deletes."""
    parts = [clouds(seed, 80) for seed in (11, 12)]
    cases = [Case.create(tmp_path / str(number), model=SPEC, remote=place(milvus_uri, "shared")) for number in range(2)]
    for case, vectors in zip(cases, parts, strict=True):
        add(case, vectors)

    def send(path):
        with Case.open(path) as opened:
            return follow(opened.shelves())

    Collection(cases[0].catalogue.indexes.remote(), SPEC)  # Lite, unlike a server, can't make one for two at once
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(send, [case.path for case in cases])) == [80, 80]
    delete(cases[0], items=[5])
    for case, vectors, held in zip(cases, parts, (79, 80), strict=True):
        similarities, ids = CaseIndex(case.shelf(SPEC)).search(vectors[10:20], 1)
        assert ids[:, 0].tolist() == list(range(11, 21))
        np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)
        assert Collection(case.catalogue.indexes.remote(), SPEC).count() == held
        case.close()


def test_exact_search_goes_by_the_ids_that_it_is_given():
    vectors = clouds(2, 250).astype(np.float16)
    parts = [(1000, vectors[:100]), (1150, vectors[100:200]), (np.arange(1300, 1400, 2), vectors[200:])]
    index = ExactIndex(DIM, parts)
    assert index.rows == 250
    chosen = vectors[[0, 99, 100, 199, 200, 249]].astype(np.float32)
    assert index.search(chosen, 1)[1][:, 0].tolist() == [1000, 1099, 1150, 1249, 1300, 1398]
