"""Rates that a background states: exact where they can be computed by hand, held on unseen data, never too bold."""

from itertools import pairwise

import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.match.calibration import MIN_PICTURES, Calibration, calibrate, false_match_text, normalised, usual
from imgmatch.match.interval import clopper_pearson


def units(seed, rows, dim=24):
    made = np.random.default_rng(seed).normal(size=(rows, dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


def scores_of(vectors):
    return normalised(vectors @ vectors.T, np.zeros((len(vectors),) * 2, bool))


@pytest.mark.parametrize("most", [5, 300, 10_000, 1_000_000])
def test_intervals_are_those_of_a_reference(most):
    special = pytest.importorskip("scipy.special")
    generator = np.random.default_rng(0)
    trials = most * generator.uniform(0.3, 1, 40)
    counts = trials * 10 ** generator.uniform(-np.log10(most) - 1, 0, 40)
    lower, upper = clopper_pearson(counts, trials)
    np.testing.assert_allclose(lower, special.betaincinv(counts, trials - counts + 1, 0.025), rtol=1e-6)
    np.testing.assert_allclose(upper, special.betaincinv(counts + 1, trials - counts, 0.975), rtol=1e-6)


def test_clopper_pearson_as_in_the_tables():
    lower, upper = clopper_pearson(np.array([5.0, 0.0]), np.array([20.0, 100.0]))
    assert lower == pytest.approx([0.0866, 0.0], abs=1e-4)
    # One-sided without a success: the "rule of three".
    assert upper == pytest.approx([0.4910, 0.02951], abs=1e-4)


def test_normalised_subtracts_what_is_usual_whatever_a_few_of_the_same_room_add():
    vectors = units(0, 60)
    similarities = vectors @ vectors.T
    related = np.zeros((60, 60), bool)
    related[3, 4] = related[4, 3] = True
    found = normalised(similarities, related)
    assert np.isnan(found[3, 4])
    assert np.isnan(np.diag(found)).all()
    others = np.sort(np.delete(similarities[3], 3))[::-1]
    assert found[3, 9] == pytest.approx(similarities[3, 9] - others[9], abs=1e-6)
    # Five more pictures of the same room, as near as copies: what is usual moves by a few places.
    asked, known = units(1, 1), units(2, 400)
    with_more = np.concatenate([np.repeat(asked, 5, axis=0), known])
    assert abs(usual(asked @ with_more.T) - usual(asked @ known.T)) < 0.1


def test_the_rate_holds_on_unseen_pictures():
    queries, gallery = units(2, 1500), units(3, 1500)
    similarities = queries @ gallery.T
    held = 0
    for seed in range(100, 110):
        known = units(seed, 300)
        made = calibrate(scores_of(known))
        scores = similarities - usual(queries @ known.T)[:, np.newaxis]
        place = int(np.argmin(np.abs(np.array(made.rates) - 1e-3)))
        held += made.lower[place] < (scores >= made.thresholds[place]).mean() < made.upper[place]
    assert held >= 8


def test_a_small_background_says_less():
    assert calibrate(scores_of(units(1, 80))).bound > 10 * calibrate(scores_of(units(1, 800))).bound


def test_rates_fall_with_the_score_and_nothing_is_said_beyond_what_was_seen():
    made = calibrate(scores_of(units(4, 300)))
    rates = [made.rate(score) for score in np.linspace(-1, made.thresholds[-1], 50)]
    assert all(a.rate >= b.rate and a.upper >= b.upper for a, b in pairwise(rates))
    assert all(rate.lower <= rate.rate <= rate.upper for rate in rates)
    beyond = made.rate(made.thresholds[-1] + 0.01)
    assert beyond.rate is None
    assert beyond.stated == made.bound
    # A reader who compares two figures reads them right: nothing seen is never said to be commoner than something seen.
    assert all(rate.rate >= made.bound for rate in rates)
    assert all(a.lower >= b.lower for a, b in pairwise(rates))
    assert false_match_text(beyond) == f"fewer than 1 in {1 / made.bound:,.0f}, none seen"
    assert false_match_text(rates[-1]).startswith("about 1 in ")
    # Not bolder than pairs that share no picture, of which there are half as many as pictures, up to all of them.
    assert 3 / made.pairs <= made.bound <= 3 / (300 / 2) * 1.01
    assert Calibration.of(made.record()) == made


def test_pictures_that_depend_on_each_other_widen_the_interval():
    """The same few pictures many times over are not as many as they look."""
    centres = units(5, 30)
    rng = np.random.default_rng(6)
    many = centres[np.arange(600) % 30] + 0.15 * rng.normal(size=(600, 24))
    many = (many / np.linalg.norm(many, axis=1, keepdims=True)).astype(np.float32)
    similarities = many @ many.T
    clumped = calibrate(np.where(np.eye(600, dtype=bool), np.nan, similarities))
    independent = clopper_pearson(np.array(clumped.rates) * clumped.pairs, np.full(len(clumped.rates), clumped.pairs))
    place = int(np.argmin(np.abs(np.array(clumped.rates) - 0.03)))
    plain = independent[1][place] - independent[0][place]
    # More than the root of two, which counting each pair both ways makes.
    assert clumped.upper[place] - clumped.lower[place] > 1.5 * plain


def test_too_few_pictures_and_only_related_ones_are_named():
    with pytest.raises(UsageError, match=f"{MIN_PICTURES} needed"):
        scores_of(units(0, MIN_PICTURES - 1))
    with pytest.raises(UsageError, match="no two pictures"):
        calibrate(np.full((60, 60), np.nan, np.float32))


def test_pictures_all_alike_do_not_break_it():
    same = np.ones((60, 60), np.float32) * 0.5
    made = calibrate(normalised(same, np.zeros((60, 60), bool)))
    assert made.rate(0.0).rate == 1.0
    assert made.rate(1.0).rate is None
