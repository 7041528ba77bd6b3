# ruff: noqa: F811  (fixtures of another module)
"""People in a case: faces put together without a wrong join, and kept as an examiner says."""

import numpy as np
import pytest

pytest.importorskip("onnx")
from imgmatch.errors import UsageError
from imgmatch.models.faces import weights
from indexer.case.case import Case
from indexer.search.faces import grouping
from indexer.search.faces.grouping import alike_in_one
from indexer.search.faces.people import group_faces, join_people, list_people, name_person, show_person, split_person
from tests.indexer.search.test_faces import case, folder, reader  # noqa: F401  (fixtures)
from tests.indexer.vectors import inside

ALIKE = 0.8
"""Drawings of different people are more alike than their photographs."""


def grouped(rows, items, pinned):
    return grouping.grouped(rows, items, pinned, 0.5, 0.45)


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float16)


def clouds(people, each, spread, dim=64, seed=0):
    rng = np.random.default_rng(seed)
    middles = np.repeat(rng.normal(size=(people, dim)), each, axis=0)
    return unit(middles + spread * rng.normal(size=middles.shape)), np.repeat(np.arange(people), each)


def pairs(groups):
    return {(one, other) for group in groups for one in group for other in group if one < other}


def test_people_who_are_apart_are_found_whole():
    rows, who = clouds(40, 8, 0.5)
    found = grouped(rows, np.arange(len(rows)), {})
    same = {(a, b) for a in range(len(who)) for b in range(a + 1, len(who)) if who[a] == who[b]}
    assert pairs(found) <= same, "precision 1"
    assert len(pairs(found)) >= 0.95 * len(same)


def test_the_same_faces_give_the_same_groups_and_order_is_no_matter():
    rows, _ = clouds(15, 6, 0.8, seed=1)
    found = grouped(rows, np.arange(len(rows)), {})
    assert grouped(rows, np.arange(len(rows)), {}) == found
    mixed = np.random.default_rng(2).permutation(len(rows))
    again = grouped(rows[mixed], np.arange(len(rows)), {})
    assert {frozenset(int(mixed[place]) for place in group) for group in again} == {frozenset(g) for g in found}


def test_a_chain_of_faces_is_cut_where_its_ends_are_not_alike():
    angles = np.radians(np.arange(0, 180, 20))
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float16)
    found = grouped(rows, np.arange(len(rows)), {})
    assert len(found) > 1
    for group in found:
        ends = rows[[group[0], group[-1]]].astype(float)
        assert ends[0] @ ends[1] > 0


def test_two_faces_of_one_picture_are_two_people():
    """Twins too: the most alike of all faces stay apart where they are seen together."""
    rows = unit(np.array([[1, 0.01, 0], [1, 0, 0.01], [1, 0.02, 0.02], [1, 0, 0]]))
    found = grouped(rows, np.array([1, 1, 2, 3]), {})
    for group in found:
        assert not {0, 1} <= set(group)
    assert grouped(rows, np.array([1, 1, 1, 1]), {}) == []


def test_two_faces_of_one_picture_that_are_alike_are_told():
    rows = np.eye(4, dtype=np.float16)[[0, 0, 1, 2, 3]]
    assert alike_in_one(rows, np.array([7, 7, 8, 8, 9]), 0.5) == [7]
    assert alike_in_one(rows, np.array([1, 2, 3, 4, 5]), 0.5) == []
    assert alike_in_one(rows[:0], np.array([], np.int64), 0.5) == []


def test_what_an_examiner_put_together_or_apart_stays():
    rows = unit(np.array([[1, 0, 0], [0, 1, 0], [1, 0.1, 0], [1, 0.05, 0]]))
    items = np.arange(4)
    assert grouped(rows, items, {}) == [[0, 2, 3]]
    assert grouped(rows, items, {0: 7, 1: 7})[0][:2] == [0, 1], "however unlike"
    apart = grouped(rows, items, {0: 7, 2: 8})
    assert not any({0, 2} <= set(group) for group in apart)


# --- in a case


@pytest.fixture
def again(case, tmp_path):
    import shutil

    shutil.copytree(case.path, tmp_path / "case")
    with Case.open(tmp_path / "case") as opened:
        yield opened


needs_weights = pytest.mark.skipif(not weights.installed(), reason="not installed: pip install 'imgmatch[faces]'")


def who_is_where(case):
    """Each person's items, by the names of their files."""
    return {
        row["person_id"]: sorted(
            one["path"].rpartition("/")[2][:-4] for one in show_person(case, row["person_id"], "x")
        )
        for row in list_people(case, "x")
    }


@needs_weights
def test_people_are_found_and_the_examiners_word_stays(again):
    done = group_faces(again, "who is who", ALIKE)
    assert (done.people, done.faces, done.alone) == (3, 9, 1)
    found = who_is_where(again)
    assert sorted(found.values()) == [
        ["ann", "ann-ben", "ann-ben-cem"],
        ["ann-ben", "ann-ben-cem", "ben", "ben-cem"],
        ["ann-ben-cem", "ben-cem"],
    ]
    ann = next(person for person, seen in found.items() if "ann" in seen)
    ben = next(person for person, seen in found.items() if "ben" in seen)
    assert ben in next(one["with"] for one in show_person(again, ann, "x") if one["path"].endswith("ann-ben.jpg"))
    name_person(again, ann, "  Girl in\nred ", "seen in three")
    wrong = [one["face_id"] for one in show_person(again, ben, "x") if one["path"].endswith("/ben-cem.jpg")]
    new = split_person(again, ben, wrong, "another one")
    group_faces(again, "again", ALIKE)
    found = who_is_where(again)
    assert found[new] == ["ben-cem"]
    assert found[ben] == ["ann-ben", "ann-ben-cem", "ben"]
    assert inside(again).faces.person(ann) == "Girl in red"
    join_people(again, [ben, new], "the same after all")
    group_faces(again, "once more", ALIKE)
    assert who_is_where(again)[ben] == ["ann-ben", "ann-ben-cem", "ben", "ben-cem"]
    assert new not in who_is_where(again)
    assert inside(again).integrity() == []
    kept = [
        entry["action"] for entry in again.log.entries() if "person" in entry["action"] or "people" in entry["action"]
    ]
    assert {"list people", "show person", "name person", "split person", "join people"} <= set(kept)
    assert all(entry["arguments"]["reason"] for entry in again.log.entries() if entry["action"] == "group faces")


@needs_weights
def test_a_search_says_whose_face_it_is(again, folder, reader):
    from indexer.search.faces.asked import FaceRequest
    from indexer.search.faces.searcher import FaceSearcher

    group_faces(again, "who is who", ALIKE)
    found = FaceSearcher(again, reader).search([[str(folder / "queries" / "ann1.png")]], FaceRequest("x", k=3))
    assert len({match.person for match in found.matches}) == 1
    assert found.matches[0].person is not None


@needs_weights
def test_who_is_nobody_is_said_so(again):
    group_faces(again, "who is who", ALIKE)
    person = list_people(again, "x")[0]["person_id"]
    for wrong in (lambda: show_person(again, 99, "x"), lambda: name_person(again, 99, "A", "x")):
        with pytest.raises(UsageError, match="99: no such person"):
            wrong()
    with pytest.raises(UsageError, match="nobody to join"):
        join_people(again, [person, person], "x")
    for faces in ([], [12345], [one["face_id"] for one in show_person(again, person, "x")]):
        with pytest.raises(UsageError, match=f"person {person} has"):
            split_person(again, person, faces, "x")
    with pytest.raises(UsageError, match=r"between 0\.3 and 1"):
        group_faces(again, "x", 0.1)
