"""What one model made in a case: who writes segments, and what of them need not be read again."""

import numpy as np
import pytest

from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from indexer.care.delete import delete
from indexer.care.merge import merge
from indexer.case.case import Case
from indexer.case.compact import compact
from indexer.index import shelf as shelf_module
from tests.conftest import ROOT
from tests.indexer.vectors import DIM, SPEC, add, clouds, inside

OTHER = ModelSpec("others", "objects", DIM, 32, "x", "1" * 64, "", "")


@pytest.fixture
def filled(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(0, 300), commit=100)
        yield case


def test_a_model_has_a_shelf_once_it_is_noted_and_reading_notes_none(filled):
    assert filled.find_shelf(OTHER) is None
    with pytest.raises(CaseError, match="holds no vectors by 'others' with these weights"):
        filled.shelf(OTHER)
    assert [shelf.spec for shelf in filled.shelves()] == [SPEC]
    assert filled.add_shelf(OTHER).model_id == filled.shelf(OTHER).model_id == filled.add_shelf(OTHER).model_id
    assert [shelf.spec for shelf in filled.shelves()] == [SPEC, OTHER]
    assert filled.shelf(OTHER).store().rows == 0


def test_two_models_vectors_stay_apart(filled):
    add(filled, clouds(1, 40), spec=OTHER)
    ours, others = filled.shelf(SPEC), filled.shelf(OTHER)
    assert (ours.count(), others.count(), ours.item_count(), others.item_count()) == (300, 40, 300, 40)
    assert not set(ours.store().ids().tolist()) & set(others.store().ids().tolist())
    np.testing.assert_array_equal(next(others.store().blocks())[1], clouds(1, 40).astype(np.float16))


def test_a_file_is_not_read_again_after_it_was_written(filled, tmp_path, monkeypatch):
    """However it came to be: added, merged in, rewritten, repaired."""
    with Case.create(tmp_path / "other", model=SPEC) as other:
        add(other, clouds(2, 50), start=1000)
        merge(filled, other)
    delete(filled, items=range(1, 50))
    shelf = filled.shelf(SPEC)
    group = shelf.segments()[-2:]
    ids = np.concatenate([shelf_module.ids_of(segment) for segment in group])
    assert shelf.replace(group, ids[1:], clouds(3, len(ids) - 1), lost=[int(ids[0])]) == 1
    hashed = []
    monkeypatch.setattr(shelf_module, "file_sha256", hashed.append)
    assert shelf.store().rows == 300
    compact(filled)
    assert shelf.store().rows == 300
    assert hashed == []


def test_what_is_written_in_a_transaction_that_fails_is_removed_by_the_next_writer(filled):
    shelf = filled.shelf(SPEC)
    with pytest.raises(CaseError), inside(filled).transaction() as writer:
        shelf.append(writer, clouds(3, 1), [(999, None, None, None, None)])  # there is no such item
    assert len(list((filled.path / "segments").rglob("*.npy"))) == 4
    assert shelf.store().rows == 300
    with filled.writing():
        assert len(list((filled.path / "segments").rglob("*.npy"))) == 3


def test_what_has_not_the_form_of_a_segment_is_not_adopted(filled, tmp_path):
    vectors = clouds(4, 3).astype(np.float16)
    np.save(tmp_path / "good.npy", vectors)
    np.save(tmp_path / "bad.npy", vectors * np.float16(2))
    owners = [(1, 0, 0, 4, 4), (2, 0, 0, 4, 4), (3, 0, 0, 4, 4)]
    shelf = filled.shelf(SPEC)
    for name, of in (("bad.npy", owners), ("good.npy", owners[:2])):
        with pytest.raises(CaseError), inside(filled).transaction() as writer:
            shelf.adopt(writer, tmp_path / name, of)
    np.save(tmp_path / "good.npy", vectors)
    with inside(filled).transaction() as writer:
        shelf.adopt(writer, tmp_path / "good.npy", owners)
    assert shelf.store().rows == 303
    np.testing.assert_array_equal(shelf.store().gather(np.array([303]))[0][0], vectors[2])


def test_nothing_else_writes_segments():
    writers = {
        path.name
        for path in (ROOT / "indexer").rglob("*.py")
        if "segments.write(" in path.read_text() or "SegmentRow(" in path.read_text()
    }
    assert writers == {"shelf.py", "segments.py"}  # the last is the catalogue's, which reads its rows
