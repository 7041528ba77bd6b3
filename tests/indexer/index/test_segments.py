import numpy as np
import pytest

from imgmatch.errors import CaseError
from indexer.catalogue import SegmentRow
from indexer.index import segments

NAME = "m/000001.npy"


@pytest.fixture
def written(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(50, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    sha256 = segments.write(tmp_path, NAME, vectors)
    return tmp_path, vectors, SegmentRow(1, NAME, 1, 50, sha256, 16)


def test_vectors_come_back_as_float16(written):
    folder, vectors, row = written
    np.testing.assert_array_equal(segments.read(folder, row), vectors.astype(np.float16))
    assert segments.check(folder, row) is None


def test_every_changed_byte_is_found(written):
    folder, _, row = written
    path = folder / NAME
    good = path.read_bytes()
    for at in range(0, len(good), 37):
        bad = bytearray(good)
        bad[at] ^= 1
        path.write_bytes(bytes(bad))
        assert str(path) in (segments.check(folder, row) or "")


@pytest.mark.parametrize("length", [0, 5, 100, 1000])
def test_a_truncated_segment_is_named(written, length):
    folder, _, row = written
    path = folder / NAME
    path.write_bytes(path.read_bytes()[:length])
    with pytest.raises(CaseError, match=r"000001\.npy"):
        segments.read(folder, row)
    assert str(path) in (segments.check(folder, row) or "")


def test_a_missing_segment_is_named(written):
    folder, _, row = written
    (folder / NAME).unlink()
    with pytest.raises(CaseError, match=r"000001\.npy: segment file is missing"):
        segments.read(folder, row)


def test_a_segment_that_holds_objects_is_never_unpickled(written):
    folder, _, row = written
    np.save(folder / NAME, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(CaseError, match="damaged segment"):
        segments.read(folder, row)


@pytest.mark.parametrize(("value", "fault"), [(np.nan, "not finite"), (0.5, "not of unit length")])
def test_values_that_are_no_unit_vectors_are_found(tmp_path, value, fault):
    vectors = np.eye(4, 8, dtype=np.float32)
    vectors[2, 2] = value
    row = SegmentRow(1, NAME, 1, 4, segments.write(tmp_path, NAME, vectors), 8)
    assert fault in (segments.check(tmp_path, row) or "")


def test_files_that_nothing_names_are_removed(written):
    folder, vectors, row = written
    segments.write(folder, "m/000002.npy", vectors)
    sealed = f"m/{'0f' * 16}"
    segments.write(folder, sealed, vectors)
    assert segments.remove_unnamed(folder, [row]) == ["m/000002.npy", sealed]
    assert [path.name for path in (folder / "m").iterdir()] == ["000001.npy"]


def test_what_is_no_segment_by_its_name_stays(written):
    folder, _, row = written
    (folder / "m" / "kept by somebody").mkdir()
    (folder / "m" / "notes.txt").write_text("somebody's")
    assert segments.remove_unnamed(folder, [row]) == []
    assert (folder / "m" / "notes.txt").exists()
