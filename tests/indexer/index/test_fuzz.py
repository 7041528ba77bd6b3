"""Some hundred mutations of what lies in a case: an error that names the file, or the right answer; never a crash."""

import shutil

import numpy as np
import pytest

from benchmarks.index_fuzz import TARGETS, Fuzz


@pytest.fixture(scope="module")
def fuzz(tmp_path_factory):
    return Fuzz(tmp_path_factory.mktemp("fuzz"), seed=5)


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_no_mutation_gives_a_wrong_answer(fuzz, target):
    outcomes = [fuzz.once(target) for _ in range(60)]
    assert {kind for kind, _ in outcomes} <= {"refused", "rebuilt", "right"}, [o for o in outcomes if o[0] == "wrong"]
    if target != "catalogue":
        assert [o for o in outcomes if o[0] != "right"]


def test_the_case_that_is_fuzzed_answers_right_as_it_is(fuzz):
    copy = fuzz.copy()
    try:
        assert fuzz.outcome(copy, "segment")[0] == "right"
    finally:
        shutil.rmtree(copy)
    assert np.isfinite(fuzz.expected[0]).all()
