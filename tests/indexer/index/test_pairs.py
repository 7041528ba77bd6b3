"""All pairs above a similarity, within a case and between two."""

import numpy as np
import pytest

from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.index import pairs
from indexer.index.open import open_base
from indexer.index.pairs import pairs_above
from tests.indexer.vectors import SPEC, add, clouds


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    vectors = clouds(0, 2500)
    vectors[2000:2400] = vectors[:400]
    vectors[100:200] = vectors[100]
    with Case.create(tmp_path_factory.mktemp("pairs") / "case", model=SPEC) as made:
        add(made, vectors[:2300])
        build(made, SPEC, BuildConfig(kind="ivf", jobs=1))
        add(made, vectors[2300:], start=2300)
        yield made


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    with Case.create(tmp_path_factory.mktemp("pairs") / "other", model=SPEC) as made:
        add(made, clouds(0, 2500)[:100])
        yield made


def matrix(store):
    return np.concatenate([rows.astype(np.float32) for _, rows in store.blocks()])


def collect(found):
    rows = {}
    for block in found:
        for first, second, similarity in zip(
            block.first.tolist(), block.second.tolist(), block.similarity.tolist(), strict=True
        ):
            assert (first, second) not in rows
            rows[first, second] = similarity
    return rows


@pytest.mark.parametrize("assisted", [False, True])
def test_every_pair_of_a_case_is_found_once(case, assisted, monkeypatch):
    monkeypatch.setattr(pairs, "_BLOCK", 300)
    monkeypatch.setattr(pairs, "_QUERIES", 170)
    store = case.shelf(SPEC).store()
    all_rows = matrix(store)
    cosines = np.triu(all_rows @ all_rows.T, 1)
    clear = {(a + 1, b + 1) for a, b in zip(*np.nonzero(cosines >= 0.9501), strict=True)}
    told = []
    base = open_base(case.shelf(SPEC)) if assisted else None
    found = collect(pairs_above(store, 0.95, base=base, progress=lambda *step: told.append(step)))
    assert len(clear) > 5000
    missed = clear - found.keys()
    assert len(missed) <= (0.005 * len(clear) if assisted else 0)
    for (first, second), similarity in found.items():
        assert first < second
        assert similarity == pytest.approx(cosines[first - 1, second - 1], abs=1e-4)
        assert similarity >= 0.95
    assert told[-1] == ("pairs", 2500, 2500)


@pytest.mark.parametrize("assisted", [False, True])
def test_links_between_two_cases(case, other, assisted):
    store, others = case.shelf(SPEC).store(), other.shelf(SPEC).store()
    cosines = matrix(store) @ matrix(others).T
    expected = {(a + 1, b + 1) for a, b in zip(*np.nonzero(cosines >= 0.99), strict=True)}
    base = open_base(case.shelf(SPEC)) if assisted else None
    found = collect(pairs_above(store, 0.99, other=others, base=base))
    assert set(found) == expected
    assert {(n, n) for n in range(1, 101)} <= expected


def test_an_index_is_not_asked_for_neighbours_below_the_floor(case, monkeypatch):
    """However many pairs are near enough: the nearest are found, with few questions."""
    asked = []
    nearest = pairs.kinds.nearest
    monkeypatch.setattr(
        pairs.kinds, "nearest", lambda *given: (asked.append(len(given[2]) * given[3]), nearest(*given))[1]
    )
    store, base = case.shelf(SPEC).store(), open_base(case.shelf(SPEC))
    every = collect(pairs_above(store, 0.01, base=base))
    without, asked[:] = sum(asked), []
    found = collect(pairs_above(store, 0.01, base=base, floor=lambda: 0.999))
    assert {pair for pair, alike in every.items() if alike >= 0.999} <= found.keys()
    assert sum(asked) < without / 4
