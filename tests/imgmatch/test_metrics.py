import numpy as np
import pytest

from imgmatch.metrics import (
    average_precision,
    first_ranks,
    mean_average_precision,
    micro_average_precision,
    recall_at_k,
    recall_at_precision,
)

SCORES = np.array([[0.9, 0.8, 0.7, 0.1], [0.2, 0.9, 0.3, 0.4]])
RELEVANT = np.array([[False, True, False, True], [True, False, False, False]])


def test_ranks_and_recall():
    assert first_ranks(SCORES, RELEVANT).tolist() == [2, 4]
    assert recall_at_k(SCORES, RELEVANT, 1) == 0
    assert recall_at_k(SCORES, RELEVANT, 2) == 0.5
    assert recall_at_k(SCORES, RELEVANT, 4) == 1


def test_average_precision_by_hand():
    assert average_precision(SCORES[0], RELEVANT[0]) == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert mean_average_precision(SCORES, RELEVANT) == pytest.approx((0.5 + 0.25) / 2)


def test_ties_count_as_the_worst_case():
    same = np.full((1, 5), 0.5)
    relevant = np.array([[True, False, False, False, False]])
    assert first_ranks(same, relevant).tolist() == [5]
    assert average_precision(same[0], relevant[0]) == pytest.approx(1 / 5)
    assert micro_average_precision(same[0], relevant[0], 1) == pytest.approx(1 / 5)
    assert recall_at_precision(same[0], relevant[0], 1, 0.9) == 0
    assert recall_at_precision(same[0], relevant[0], 1, 0.2) == 1


def test_an_entry_taken_out_does_not_count():
    scores = np.array([[-np.inf, 0.5, 0.4]])
    relevant = np.array([[False, True, False]])
    assert first_ranks(scores, relevant).tolist() == [1]
    assert average_precision(np.array([-np.inf, 0.5]), np.array([True, True])) == 1


def test_pairs_that_were_not_predicted_lower_micro_average_precision():
    scores = np.array([0.9, 0.8, 0.7])
    correct = np.array([True, False, True])
    assert micro_average_precision(scores, correct, 4) == pytest.approx((1 + 2 / 3) / 4)
    assert recall_at_precision(scores, correct, 4, 0.9) == 0.25
    assert recall_at_precision(scores, correct, 4, 0.6) == 0.5


def test_no_relevant_entry_is_an_error():
    with pytest.raises(ValueError, match="query 0 has no relevant entry"):
        first_ranks(SCORES[:1], np.zeros((1, 4), bool))
    with pytest.raises(ValueError, match="no relevant"):
        average_precision(SCORES[0], np.zeros(4, bool))
