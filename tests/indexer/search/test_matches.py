"""Calibrated searches, decisions, sets of queries, labels, groups and links over cases of vectors."""

import numpy as np
import pytest

from imgmatch.errors import CaseError, UsageError
from imgmatch.locator import Locator
from imgmatch.picture.facts import Facts
from imgmatch.picture.pdq import Pdq
from imgmatch.types import Match, Sighting
from indexer.case.case import Case
from indexer.search import background as background_module
from indexer.search import decisions
from indexer.search import groups as groups_module
from indexer.search.background import background, check_limit, set_background
from indexer.search.closer import LinkRequest, find_links
from indexer.search.groups import groups, links, rated
from indexer.search.order import rare_enough
from indexer.search.request import SearchResult
from indexer.search.sets import by_label
from tests.indexer.vectors import SPEC, add, digests, inside, label, looking


def units(seed, rows):
    made = np.random.default_rng(seed).normal(size=(rows, SPEC.dim))
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def filled(tmp_path):
    with Case.create(tmp_path / "filled", model=SPEC, about={"examiner": "E. Xaminer"}) as made:
        add(made, units(0, 200))
        yield made


def all_copies(pairs):
    return [True] * len(pairs)


def match(item_id, score, labels=()):
    seen = (Sighting(Locator.file(f"/media/a/{item_id}.jpg"), None),)
    return Match(1, item_id, digests(item_id).sha256, score, seen, {"label": tuple(labels)} if labels else {})


def test_a_match_says_its_rate_and_what_to_expect_in_the_gallery(filled):
    made = background(filled, SPEC)
    judged = made.judge("f" * 64, units(9, 1)[0], [match(900, 0.95), match(901, 0.3), match(902, -0.2)], 1_000)
    first, second, third = (m.false_match for m in judged)
    assert first.rate is None
    assert first.expected_upper == pytest.approx(1_000 * made.calibration.bound)
    assert second.lower <= second.rate <= second.upper
    assert second.expected == pytest.approx(1_000 * second.rate)
    assert third.rate > 0.5
    two = made.judge("f" * 64, units(9, 1)[0], [match(900, 0.95), match(902, -0.2)], 1_000)
    assert [m.item_id for m in two if rare_enough(m, 0.1)] == [900]
    with pytest.raises(UsageError, match="lower than this background can show"):
        check_limit(filled, made, 1e-12)
    with pytest.raises(UsageError, match=r"fewer than 50 unrelated pictures.*leave out --max-fmr"):
        check_limit(filled, None, 0.1)


def test_a_few_copies_of_a_query_in_the_background_change_next_to_nothing_and_many_alike_do(filled):
    query = units(9, 1)
    before = set_background(filled, SPEC).normalise("f" * 64, query[0], 0.97)
    add(filled, np.repeat(query, 5, axis=0), start=900)
    assert set_background(filled, SPEC).normalise("f" * 64, query[0], 0.97) == pytest.approx(before, abs=0.1)
    add(filled, np.repeat(query, 15, axis=0), start=950)
    assert set_background(filled, SPEC).normalise("f" * 64, query[0], 0.97) < 0.1


def test_it_is_stored_and_made_again_when_the_case_grew_by_a_tenth(filled, monkeypatch):
    first = background(filled, SPEC)
    calls = []
    monkeypatch.setattr(background_module, "calibrate", lambda scores: calls.append(1) or first.calibration)
    assert background(filled, SPEC).calibration == first.calibration
    add(filled, units(1, 10), start=500)
    background(filled, SPEC)
    assert calls == []
    add(filled, units(2, 20), start=600)
    background(filled, SPEC)
    assert calls == [1]


def test_the_same_items_in_another_order_give_the_same_background(filled, tmp_path):
    vectors = units(0, 200)
    with Case.create(tmp_path / "again", model=SPEC) as again:
        for number in reversed(range(200)):
            add(again, vectors[number : number + 1], start=number)
        assert background(again, SPEC).calibration == background(filled, SPEC).calibration


def test_copies_same_labels_and_confirmed_pairs_are_left_out(filled, tmp_path):
    before = background(filled, SPEC).calibration.left_out
    label(filled, [(1, "a", {"label": "Hotel A"}), (2, "b", {"label": "Hotel A"})])
    decisions.decide(filled, "3", "4", "confirmed")
    vectors = units(0, 200)
    add(filled, vectors[:1] + np.float32(0.001), start=900)
    assert before == 0
    # A picture that can't be looked at is no copy, however alike it is.
    assert set_background(filled, SPEC).calibration.left_out == 4
    with filled.change("ingest") as change:
        for number in (0, 900):
            change.writer.facts.add(digests(number).sha256, Facts({}, Pdq(bytes(range(32)), 100)))
    assert set_background(filled, SPEC).calibration.left_out == 6


def test_a_reference_case_and_one_that_is_too_small_or_gone(filled, tmp_path):
    with Case.create(tmp_path / "small", model=SPEC) as small:
        add(small, units(5, 1), start=5_000)
        assert background(small, SPEC) is None
        with pytest.raises(UsageError, match="too few unrelated pictures"):
            set_background(small, SPEC)
        set_background(small, SPEC, filled.path)
        made = background(small, SPEC)
        assert made.source == str(filled.path)
        assert made.calibration.pictures == 200
        filled.close()
        filled.path.rename(tmp_path / "elsewhere")
        with pytest.raises(CaseError, match="no such folder"):
            background(small, SPEC)


def test_decisions_are_a_history_that_can_only_grow(filled):
    row = decisions.decide(filled, "1", digests(5).sha256, "rejected", "other lamp")
    assert (row.examiner, row.note, row.query_sha256) == ("E. Xaminer", "other lamp", digests(0).sha256)
    (rejected,) = decisions.rejected_items(looking(filled), digests(0).sha256)
    assert inside(filled).items.by_id([rejected])[rejected].sha256 == digests(5).sha256
    assert decisions.rejected_items(looking(filled), digests(5).sha256) == {1}
    decisions.decide(filled, "1", digests(5).sha256, "confirmed", examiner="Second")
    assert decisions.rejected_items(looking(filled), digests(0).sha256) == set()
    assert [d.verdict for d in inside(filled).decisions.all()] == ["rejected", "confirmed"]
    for sql in ("DELETE FROM decisions", "UPDATE decisions SET verdict = 'rejected'"):
        with pytest.raises(CaseError, match="only added"):
            inside(filled).rows(sql)


def test_confirmed_pairs_become_labels(filled):
    for pair in (("1", "2"), ("2", "3"), ("7", "8"), ("10", "11")):
        decisions.decide(filled, *pair, "confirmed")
    decisions.decide(filled, "10", "11", "rejected")
    label(filled, [(8, "x", {"label": "Hotel B"})])
    rows = {row["sha256"]: row["label"] for row in decisions.labels(filled)}
    assert len(rows) == 5
    assert rows[digests(6).sha256] == rows[digests(7).sha256] == "Hotel B"
    assert len({rows[digests(n).sha256] for n in range(3)}) == 1
    assert rows[digests(0).sha256].startswith("confirmed-")


@pytest.mark.parametrize(
    ("arguments", "fault"),
    [
        (("1", "2", "maybe"), "no verdict"),
        (("1", "1", "confirmed"), "same content"),
        (("1", "99999", "confirmed"), "not in"),
        (("nowhere.jpg", "1", "confirmed"), "not in"),
        (("1", "a" * 64, "confirmed"), "not in"),
    ],
)
def test_decisions_that_make_no_sense(filled, arguments, fault):
    with pytest.raises(UsageError, match=fault):
        decisions.decide(filled, *arguments)
    assert list(inside(filled).decisions.all()) == []


def test_labels_are_ranked_with_the_pictures_that_speak_for_them():
    found = [match(1, 0.9, ["A"]), match(2, 0.8, ["B", "C"]), match(3, 0.7, ["A"]), match(4, 0.6)]
    result = SearchResult(Locator.file("/q.jpg"), "0" * 64, "m", 1.0, tuple(found))
    ranked = by_label(result).labels
    assert [(entry.rank, entry.label, entry.pictures) for entry in ranked] == [(1, "A", 2), (2, "B", 1), (3, "C", 1)]
    assert [m.item_id for m in ranked[0].matches] == [1, 3]
    assert by_label(result, "city").labels == ()


def test_groups_have_the_best_copy_first_and_what_a_closer_look_says(tmp_path):
    vectors = units(3, 60)
    vectors[10:13] = vectors[5]
    vectors[30] = vectors[31]
    with Case.create(tmp_path / "copies", model=SPEC) as case:
        add(case, vectors)
        found = list(
            groups(looking(case), SPEC, all_copies, compare=lambda best, other: [f"looked at {other.item_id}"])
        )
        assert [[m.item.item_id for m in group.members] for group in found] == [[6, 11, 12, 13], [31, 32]]
        assert found[0].members[0].differs == ()
        assert found[0].members[1].differs == ("looked at 11",)
        with pytest.raises(UsageError, match="least similarity"):
            list(groups(looking(case), SPEC, all_copies, least=0))


def test_links_between_cases_say_their_rates(filled, tmp_path):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        theirs = units(7, 50)
        theirs[4] = units(0, 200)[100]
        add(other, theirs, start=10_000)
        made = background(filled, SPEC)
        (found,) = rated(
            looking(filled), looking(other), SPEC, links(looking(filled), looking(other), SPEC, least=0.95), made
        )
        assert (found.item.item_id, found.other.item_id) == (101, 5)
        assert found.false_match.rate is None
        assert found.false_match.expected_upper == pytest.approx(200 * 50 * made.calibration.bound)
        many = list(links(looking(filled), looking(other), SPEC, least=0.3))
        few = list(links(looking(filled), looking(other), SPEC, least=0.3, background=made, max_fmr=0.001))
        assert len(few) < len(many)
        assert all(link.false_match.stated <= 0.001 for link in few)


def test_of_many_links_the_nearest_alone_are_read(filled, tmp_path, monkeypatch):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        add(other, units(7, 150), start=10_000)
        every = sorted(
            links(looking(filled), looking(other), SPEC, least=0.01),
            key=lambda link: (-link.similarity, link.item.item_id, link.other.item_id),
        )
        assert len(every) > 5000
        monkeypatch.setattr(groups_module, "_SLICE", 100)
        read, made = [], groups_module._links
        monkeypatch.setattr(groups_module, "_links", lambda *given: (read.extend(given[2]), made(*given))[1])
        asked = LinkRequest(0.01, top=20)
        found, count = find_links(filled, other, SPEC, asked, opened_from=other.path)
    pairs = [[(link.item.item_id, link.other.item_id) for link in some] for some in (found, every)]
    assert (pairs[0], count) == (pairs[1][:20], len(every))
    assert len(read) <= 500


def test_cases_of_one_picture_and_of_none(tmp_path):
    with Case.create(tmp_path / "one", model=SPEC) as case:
        assert background(case, SPEC) is None
        assert list(groups(looking(case), SPEC, all_copies)) == []
        add(case, units(0, 1))
        assert background(case, SPEC) is None
        assert list(groups(looking(case), SPEC, all_copies)) == []
