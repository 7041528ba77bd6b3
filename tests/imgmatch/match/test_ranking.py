"""Rankings put together: over queries and over labels."""

import pytest

from imgmatch.errors import UsageError
from imgmatch.match.ranking import AGGREGATIONS, fuse, rank_labels

LISTS = [{1: 0.9, 2: 0.5, 3: 0.4}, {2: 0.7, 3: 0.6}]


@pytest.mark.parametrize(
    ("method", "order"),
    [("max", [1, 2, 3]), ("mean of top 2", [1, 2, 3]), ("reciprocal ranks", [2, 3, 1])],
)
def test_fusion(method, order):
    assert [item for item, _ in fuse(LISTS, method)] == order


def test_scores_of_a_fusion():
    assert dict(fuse(LISTS, "max")) == {1: 0.9, 2: 0.7, 3: 0.6}
    # An item that a query did not find counts there as its last.
    assert dict(fuse(LISTS, "mean of top 2"))[1] == pytest.approx((0.9 + 0.6) / 2)


def test_equal_scores_are_in_the_order_of_items():
    assert [item for item, _ in fuse([{5: 0.5, 2: 0.5, 9: 0.5}], "max")] == [2, 5, 9]


def test_nothing_found_is_an_empty_ranking():
    assert fuse([{}, {}], "max") == []
    assert rank_labels({}, "max") == []


def test_labels():
    scores = {"one good": [0.8], "two fair": [0.7, 0.7]}
    assert next(iter(rank_labels(scores, "max")))[0] == "one good"
    assert next(iter(rank_labels(scores, "mean of top 2")))[0] == "two fair"


@pytest.mark.parametrize("call", [lambda: fuse(LISTS, "min"), lambda: rank_labels({"a": [1.0]}, "min")])
def test_an_unknown_method_is_named_with_those_that_exist(call):
    with pytest.raises(UsageError, match=r"'min'.*" + next(iter(AGGREGATIONS))):
        call()
