import numpy as np
import pytest

from imgmatch.lab.metrics import (
    average_precision,
    average_precision_of_ranks,
    background_similarity,
    first_ranks,
    mean_average_precision,
    micro_average_precision,
    precision_recall,
    recall_at_k,
    recall_at_precision,
    worst_case_ranks,
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


def test_ranks_of_several_right_answers_put_wrong_ones_first_on_a_tie():
    right = np.array([0.5, 0.9, -np.inf, 0.7])
    wrong = np.array([0.7, 0.6, 0.5, 0.1, -np.inf])
    # Sorted: R.9 w.7 R.7 w.6 w.5 R.5 w.1; the entry that can't be found has no rank.
    assert worst_case_ranks(right, wrong).tolist() == [1, 3, 6]
    assert worst_case_ranks(np.array([-np.inf]), wrong).size == 0
    assert worst_case_ranks(np.array([0.3]), np.empty(0)).tolist() == [1]


def test_ranks_agree_with_average_precision_over_scores():
    rng = np.random.default_rng(4)
    for _ in range(20):
        scores = rng.integers(0, 8, 30) / 8
        relevant = rng.random(30) < 0.3
        relevant[0] = True
        ranks = worst_case_ranks(scores[relevant], scores[~relevant])
        expected = average_precision(scores, relevant)
        assert average_precision_of_ranks(ranks, int(relevant.sum())) == pytest.approx(expected)


def test_trapezoid_average_precision_as_published_for_oxford_and_holidays():
    # compute_ap of those programs, with ranks from 0: 1 and 3 of two right answers.
    published = ((0 / 1 + 1 / 2) / 2 + (1 / 3 + 2 / 4) / 2) / 2
    assert average_precision_of_ranks(np.array([2, 4]), 2, trapezoid=True) == pytest.approx(published)
    assert average_precision_of_ranks(np.array([1, 2]), 2, trapezoid=True) == 1
    assert average_precision_of_ranks(np.array([1]), 4, trapezoid=True) == 0.25
    assert average_precision_of_ranks(np.array([], int), 4, trapezoid=True) == 0
    with pytest.raises(ValueError, match="at least one"):
        average_precision_of_ranks(np.array([1]), 0)


def test_background_similarity_is_the_mean_of_the_nearest():
    scores = np.array([[0.1, 0.9, 0.5, 0.7], [0.0, 0.0, 0.3, 0.0]])
    assert background_similarity(scores, 3) == pytest.approx([0.7, 0.1])
    assert background_similarity(scores, 1) == pytest.approx([0.9, 0.3])
    with pytest.raises(ValueError, match="at least 5"):
        background_similarity(scores, 5)


def test_precision_and_recall_have_one_point_for_each_threshold():
    scores = np.array([0.5, 0.9, 0.5, 0.2])
    correct = np.array([True, True, False, False])
    precision, recall = precision_recall(scores, correct, 4)
    assert precision == pytest.approx([1, 2 / 3, 2 / 4])
    assert recall == pytest.approx([0.25, 0.5, 0.5])
