# ruff: noqa: F811  (fixtures of another module)
"""What a score of two faces means, and what examiners decide of it."""

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.errors import UsageError
from imgmatch.models.faces import weights
from indexer.case.case import Case
from indexer.out.faces import show_faces
from indexer.search.decisions import want_second_reader
from indexer.search.faces.asked import FaceRequest
from indexer.search.faces.background import calibrate_faces
from indexer.search.faces.decisions import decide_faces, list_decisions
from indexer.search.faces.scores import Rates, measured, rates_of
from indexer.search.faces.searcher import FaceSearcher
from tests.conftest import encode
from tests.indexer.search.test_faces import case, folder, reader  # noqa: F401  (fixtures)
from tests.portraits import portrait


def background(people=120, dim=32, seed=0):
    """Faces of different people, those of low quality more alike."""
    rng = np.random.default_rng(seed)
    rows, quality = rng.normal(size=(people, dim)), np.where(np.arange(people) % 2, 0.9, 0.2)
    rows[::2] += 1.0
    vectors = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return vectors, [str(n) for n in range(people)], quality.tolist()


def test_a_rate_falls_with_the_score_and_is_worse_for_poor_faces():
    _, rates = measured(*background())
    good = [rates.of(score, 0.9, 1).stated for score in (0.0, 0.2, 0.4, 0.6)]
    assert good == sorted(good, reverse=True)
    assert rates.of(0.4, 0.2, 1).stated > rates.of(0.4, 0.9, 1).stated, "told apart by quality"
    rate = rates.of(0.2, 0.9, 1)
    assert rate.lower < rate.rate < rate.upper


def test_false_matches_to_expect_grow_with_the_faces_that_were_compared():
    _, rates = measured(*background())
    few, many = rates.of(0.3, 0.9, 100), rates.of(0.3, 0.9, 100_000)
    assert many.expected == pytest.approx(1000 * few.expected)
    beyond = rates.of(0.99, 0.9, 100_000)
    assert (beyond.rate, beyond.expected) == (None, None), "nothing is said beyond the highest score that was seen"
    assert beyond.expected_upper > 1


def test_pictures_of_one_person_are_no_false_matches_and_few_people_are_too_few():
    vectors, people, quality = background()
    same = np.concatenate([vectors, vectors])
    _, rates = measured(same, [*people, *people], [*quality, *quality])
    assert rates.of(0.999, 0.9, 1).rate is None
    with pytest.raises(UsageError, match="faces of 10 people are too few"):
        measured(same[:40], people[:10] * 4, quality[:40])


def test_rates_come_back_as_they_are_stored():
    from indexer.catalogue import CalibrationRow

    record, rates = measured(*background())
    again = rates_of(CalibrationRow("/b", 120, record, "now"))
    assert again == rates
    assert not rates_of(None)
    with pytest.raises(UsageError, match="no background of faces"):
        Rates({}).check(0.01, "case")
    with pytest.raises(UsageError, match="can't show rates below"):
        again.check(1e-9, "case")


needs_weights = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")


@pytest.fixture
def again(case, tmp_path):
    import shutil

    shutil.copytree(case.path, tmp_path / "case")
    with Case.open(tmp_path / "case") as opened:
        yield opened


@needs_weights
def test_a_search_states_rates_from_the_laboratorys_faces(again, folder, reader, tmp_path):
    for person in range(20, 74):
        (tmp_path / "people" / str(person)).mkdir(parents=True)
        (tmp_path / "people" / str(person) / "a.png").write_bytes(encode(portrait(person, 0, 96), "PNG"))
    query = [[str(folder / "queries" / "ann1.png")]]
    with pytest.raises(UsageError, match="no background of faces"):
        FaceSearcher(again, reader).search(query, FaceRequest("x", max_fmr=0.1))
    done = calibrate_faces(again, reader, tmp_path / "people", "to know")
    assert done.people == done.faces == 54
    found = FaceSearcher(again, reader).search(query, FaceRequest("x", k=20)).matches
    assert found[0].false_match.stated < found[-1].false_match.stated
    assert found[0].record()["by_chance"].startswith(("about 1 in", "fewer than"))
    kept = FaceSearcher(again, reader).search(query, FaceRequest("x", k=20, max_fmr=0.05)).matches
    assert 0 < len(kept) < len(found)
    assert all(match.false_match.stated <= 0.05 for match in kept)
    (said,) = [entry for entry in again.log.entries() if entry["action"] == "calibrate faces"]
    assert said["arguments"]["reason"] == "to know"


@needs_weights
def test_a_decision_wants_both_faces_looked_at_and_two_examiners_where_the_case_says_so(
    again,
    folder,
    reader,
    tmp_path,
):
    query, item = str(folder / "queries" / "ann1.png"), "item:1#1"
    with pytest.raises(UsageError, match=r"ann1.png: look at both faces before you decide: .* --reveal 1"):
        decide_faces(again, reader, query, item, "confirmed", "x", examiner="Ada")
    show_faces(again, reader, query, "x", tmp_path / "1.png", (1,))
    show_faces(again, reader, "item:1", "x", tmp_path / "2.png", ())
    with pytest.raises(UsageError, match=r"item:1#1: look at both faces"):
        decide_faces(again, reader, query, item, "confirmed", "x", examiner="Ada")
    show_faces(again, reader, "item:1", "x", tmp_path / "3.png", (1,))
    want_second_reader(again, True, by_name=True)
    told = decide_faces(again, reader, query, item, "confirmed", "x", examiner="Ada")
    assert (told["stands"], told["waits_for_a_second_examiner"]) == ("possible", True)
    told = decide_faces(again, reader, item, query, "confirmed", "x", examiner="Ben")
    assert (told["stands"], told["waits_for_a_second_examiner"]) == ("confirmed", False)
    assert [row["examiner"] for row in list_decisions(again, "x")] == ["Ada", "Ben"]
    found = FaceSearcher(again, reader).search([[query]], FaceRequest("x", k=20)).matches
    assert next(match for match in found if match.item_id == 1).decision.verdict == "confirmed"
    with pytest.raises(UsageError, match="say who decides"):
        decide_faces(again, reader, query, item, "rejected", "x")
    want_second_reader(again, False)
    for examiner in ("Ada", "Ben"):
        decide_faces(again, reader, query, item, "rejected", "x", examiner=examiner)
    found = FaceSearcher(again, reader).search([[query]], FaceRequest("x", k=20)).matches
    assert 1 not in {match.item_id for match in found}
    found = FaceSearcher(again, reader).search([[query]], FaceRequest("x", k=20, with_rejected=True)).matches
    assert 1 in {match.item_id for match in found}
    for wrong, why in ((("item:1#1", "item:1#1", "confirmed"), "one face"), ((query, item, "sure"), "no verdict")):
        with pytest.raises(UsageError, match=why):
            decide_faces(again, reader, *wrong, "x", examiner="Ada")
