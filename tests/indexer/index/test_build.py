"""Base and tail of a case: builds, generations, and files that are not as they should be."""

import hashlib
import json
import threading
import time

import numpy as np
import pytest

from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from indexer.care.indexing import BuildConfig, build, build_if_due, building_beside
from indexer.case.case import Case
from indexer.index import manifest, policy
from indexer.index.build import BuildStopped, building
from indexer.index.exact import ExactIndex
from indexer.index.manifest import IndexFileError
from indexer.index.open import CaseIndex, open_base
from indexer.index.status import inspect
from tests.indexer.vectors import DIM, SPEC, add, clouds


@pytest.fixture
def filled(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, clouds(0, 3000))
        yield case


def exact(case):
    return ExactIndex(DIM, list(case.shelf(SPEC).store().blocks()))


def same(case, index, queries, k=10):
    """Nothing that exact search finds is missing, and every similarity is exact."""
    expected, expected_ids = exact(case).search(queries, k)
    similarities, ids = index.search(queries, k)
    np.testing.assert_allclose(similarities, expected, atol=1e-5)
    return np.mean([len(set(a) & set(b)) / k for a, b in zip(ids.tolist(), expected_ids.tolist(), strict=True)])


@pytest.mark.parametrize("kind", ["ivf", "hnsw"])
def test_a_build_is_put_to_use_and_says_what_it_reaches(filled, kind):
    made = build(filled, SPEC, BuildConfig(kind=kind))
    assert made.rows == 3000
    assert made.recall >= 0.99
    status = inspect(filled.shelf(SPEC))
    assert (status.live, status.covered, status.dead, status.fault) == (3000, 3000, 0, None)
    index = CaseIndex(filled.shelf(SPEC))
    assert index.tail_rows == 0
    queries = clouds(1, 50)
    found = index.search(queries, 10)[1]
    true = exact(filled).search(queries, 10)[1]
    assert np.mean([len(set(a) & set(b)) / 10 for a, b in zip(found.tolist(), true.tolist(), strict=True)]) > 0.97


def test_rows_since_the_build_are_found_by_the_same_open_index(filled):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    index = CaseIndex(filled.shelf(SPEC))
    new = clouds(2, 200)
    with Case.open(filled.path) as other:
        add(other, new, start=3000)
    similarities, ids = index.search(new, 1)
    assert ids[:, 0].tolist() == list(range(3001, 3201))
    np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)
    assert index.tail_rows == 200
    assert index.rows == 3200


def test_a_new_generation_replaces_the_old_one_while_it_is_open(filled):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    index = CaseIndex(filled.shelf(SPEC))
    add(filled, clouds(2, 200), start=3000)
    build(filled, SPEC, BuildConfig(kind="hnsw"))
    assert index.tail_rows == 0
    assert [path.name for path in (filled.path / "indexes" / SPEC.name).iterdir()] == [
        filled.catalogue.indexes.generation(1).name.split("/")[1]
    ]


def test_only_one_build_runs_at_a_time(filled):
    with building(filled.path), pytest.raises(CaseError, match="another build of an index is running"):
        build(filled, SPEC, BuildConfig(kind="ivf"))


def test_a_small_case_needs_no_index_and_drops_the_one_it_had(filled):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    assert build(filled, SPEC) is None
    assert filled.catalogue.indexes.generation(1) is None
    assert list((filled.path / "indexes").glob("*/*")) == []
    assert build_if_due(filled, SPEC) is None


def index_file(case):
    return case.path / "indexes" / case.catalogue.indexes.generation(1).name / "index.faiss"


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(bytes(data))


@pytest.mark.parametrize("damage", [cut, flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")])
@pytest.mark.parametrize("name", ["index.faiss", "manifest.json"])
def test_a_bad_index_file_is_named_and_every_row_still_found(filled, damage, name):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    damage(index_file(filled).with_name(name))
    said = []
    index = CaseIndex(filled.shelf(SPEC), said.append)
    assert index.tail_rows == 3000
    assert same(filled, index, clouds(1, 20)) == 1
    assert len(said) == 1
    assert name in said[0]
    assert "imgmatch index build CASE" in said[0]
    assert name in inspect(filled.shelf(SPEC)).fault
    build(filled, SPEC, BuildConfig(kind="ivf"))
    assert inspect(filled.shelf(SPEC)).fault is None


def test_another_models_index_is_refused(filled):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    other = ModelSpec(SPEC.name, "objects", DIM, 32, "x", "1" * 64, "", "")
    generation = filled.catalogue.indexes.generation(1)
    with pytest.raises(IndexFileError, match="another model"):
        manifest.read(filled.shelf(SPEC).index_folder(generation.name), generation.manifest_sha256, other)


def test_another_cases_manifest_is_refused(filled):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    path = index_file(filled).with_name("manifest.json")
    fields = json.loads(path.read_text())
    path.write_text(json.dumps({**fields, "rows": 2999}))
    with pytest.raises(IndexFileError, match="altered or of another case"):
        open_base(filled.shelf(SPEC))


def test_a_manifest_that_no_program_writes_is_refused_in_one_line(tmp_path):
    text = b"[" * 200_000
    (tmp_path / "manifest.json").write_bytes(text)
    with pytest.raises(IndexFileError, match="not a manifest"):
        manifest.read(tmp_path, hashlib.sha256(text).hexdigest(), SPEC)


def test_a_build_that_is_stopped_changes_nothing(filled):
    stop = threading.Event()
    stop.set()
    with pytest.raises(BuildStopped):
        build(filled, SPEC, BuildConfig(kind="ivf"), stop=stop)
    assert filled.catalogue.indexes.generation(1) is None
    assert list((filled.path / "indexes").glob("*/*")) == []


def test_an_altered_segment_is_never_searched(filled):
    CaseIndex(filled.shelf(SPEC))
    flip(next((filled.path / "segments").rglob("*.npy")))
    with pytest.raises(CaseError, match=r"\.npy: damaged segment file.*it held \d+ items.*--repair"):
        CaseIndex(filled.shelf(SPEC))


def test_a_build_that_falls_due_runs_beside_an_ingest(filled, monkeypatch):
    monkeypatch.setattr(policy, "EXACT_BELOW", 2000)
    with building_beside(filled, SPEC, BuildConfig(kind="ivf", jobs=1), every_s=0.05):
        deadline = time.monotonic() + 60
        while filled.catalogue.indexes.generation(1) is None and time.monotonic() < deadline:
            time.sleep(0.05)
        add(filled, clouds(2, 200), start=3000)
    assert inspect(filled.shelf(SPEC)).covered >= 3000
    assert same(filled, CaseIndex(filled.shelf(SPEC)), clouds(1, 20)) > 0.9


def test_a_build_beside_is_left_when_it_is_told_to_stop(filled, monkeypatch):
    monkeypatch.setattr(policy, "EXACT_BELOW", 2000)
    stop = threading.Event()
    stop.set()
    with building_beside(filled, SPEC, BuildConfig(kind="ivf", jobs=1), stop=stop, every_s=0.01):
        time.sleep(0.2)
    assert filled.catalogue.indexes.generation(1) is None
