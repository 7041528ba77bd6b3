"""What a search may return; no k is lost however narrow the filter is."""

import numpy as np
import pytest

from imgmatch.errors import UsageError
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case
from indexer.catalogue import filters
from indexer.catalogue.filters import Filter
from indexer.index.exact import ExactIndex
from indexer.index.open import CaseIndex
from tests.indexer.vectors import DIM, SPEC, add, clouds, inside, label


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    with Case.create(tmp_path_factory.mktemp("filters") / "case", model=SPEC) as made:
        add(made, clouds(0, 2000), folder="/media/a", modified="2023-05-06T00:00:00Z")
        add(made, clouds(1, 1000), start=2000, folder="/media/b", modified="2024-02-03T12:00:00Z")
        add(made, clouds(2, 10), start=3000, folder="/media/b2", modified="2024-03-01T00:00:00Z")
        label(made, [(1, "t", {"label": "Hotel A", "city": "Ghent"}), (2, "t", {"label": "Hotel B"})])
        yield made


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Filter(), range(1, 3011)),
        (Filter(sources=("file:/media/a",)), range(1, 2001)),
        (Filter(sources=("file:/media/b",)), range(2001, 3001)),
        (Filter(sources=("file:/media/b", "file:/media/b2/3001.jpg")), [*range(2001, 3001), 3002]),
        (Filter(exclude_sources=("file:/media/a", "file:/media/b")), range(3001, 3011)),
        (Filter(since="2024"), range(2001, 3011)),
        (Filter(until="2024-02"), range(1, 3001)),
        (Filter(until="2024-02-03"), range(1, 3001)),
        (Filter(until="2024-02-02"), range(1, 2001)),
        (Filter(since="2024", sources=("file:/media/a",)), []),
        (Filter(labels=(("label", "Hotel A"), ("label", "Hotel B"))), [1, 2]),
        (Filter(labels=(("city", "Ghent"),)), [1]),
        (Filter(sources=("file:/media/a",), exclude_labels=(("label", "Hotel A"),)), range(2, 2001)),
        (Filter(items=(5, 3000, 9999)), [5, 3000]),
        (Filter(items=(5, 6, 7), exclude_items=(6,)), [5, 7]),
    ],
)
def test_a_filter_lets_through_what_it_says(case, wanted, expected):
    assert list(inside(case).vectors.matching(1, wanted)) == list(expected)


@pytest.mark.parametrize("kind", ["exact", "ivf", "hnsw"])
@pytest.mark.parametrize("share", [0.9, 0.3, 0.01, 0.0])
def test_no_result_is_lost_however_narrow(case, kind, share):
    build(case, SPEC, BuildConfig(kind=kind, jobs=1))
    index = CaseIndex(case.shelf(SPEC))
    allowed = np.flatnonzero(np.random.default_rng(3).random(3011) < share)
    allowed = allowed[allowed > 0]
    queries = clouds(5, 40)
    ids = index.search(queries, 10, allowed)[1]
    expected = ExactIndex(DIM, list(case.shelf(SPEC).store().blocks())).search(queries, 10, allowed)[1]
    assert ((ids > 0).sum(axis=1) == min(10, len(allowed))).all()
    assert set(ids.ravel().tolist()) <= {-1, *allowed.tolist()}
    near = [len(set(a) & set(b)) / 10 for a, b in zip(ids.tolist(), expected.tolist(), strict=True)]
    assert np.mean(near) > 0.97 if share else (ids == -1).all()


def test_what_a_user_gives_is_understood(tmp_path):
    assert filters.label("Hotel A") == ("label", "Hotel A")
    assert filters.label("city=Ghent") == ("city", "Ghent")
    assert filters.source("/media/a") == "file:/media/a"
    assert filters.source("file:/media/a.zip|zip:x") == "file:/media/a.zip|zip:x"
    assert filters.date("2024-02-03T10:00Z") == "2024-02-03T10:00"
    with pytest.raises(UsageError, match="is no date; write it as 2024"):
        filters.date("yesterday")
