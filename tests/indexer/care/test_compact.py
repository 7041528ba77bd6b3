"""Deleting, compacting, merging: nothing lost, nothing doubled, searches right at once."""

import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.casestate import state
from imgmatch.errors import CaseError, UsageError
from imgmatch.types import ModelSpec
from indexer.care.delete import delete
from indexer.care.indexing import BuildConfig, build
from indexer.care.merge import merge
from indexer.case.case import AUDIT, Case
from indexer.case.compact import compact, join_small
from indexer.case.redaction import digest
from indexer.case.run import Batch
from indexer.index.open import CaseIndex
from indexer.index.status import inspect
from indexer.search.decisions import decide, rejected_items
from tests.conftest import ROOT
from tests.indexer.vectors import SPEC, add, clouds, digests, evidence, inside, label, looking


@pytest.fixture
def vectors():
    return clouds(0, 3000)


@pytest.fixture
def filled(tmp_path, vectors):
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, vectors)
        yield case


@pytest.mark.parametrize("kind", [None, "ivf", "hnsw"])
def test_a_deleted_item_is_never_found_again_by_an_open_index(filled, vectors, kind):
    if kind:
        build(filled, SPEC, BuildConfig(kind=kind))
    index = CaseIndex(filled.shelf(SPEC))
    assert index.search(vectors[:1], 1)[1].tolist() == [[1]]
    with Case.open(filled.path) as other:
        done = delete(other, items=[1], sha256=[digests(1).sha256])
    assert (done.items, done.vectors, done.sightings) == (2, 2, 2)
    ids = index.search(vectors[:2], 2998)[1]
    assert (ids > 0).all()
    assert not {1, 2} & set(ids.ravel().tolist())
    assert index.rows == 2998
    counts = filled.catalogue.counts()
    assert (counts["items"], counts["vectors"], counts["sightings"]) == (2998, 2998, 2998)
    assert filled.catalogue.integrity() == []


def test_deleting_a_source_keeps_what_was_seen_elsewhere_too(filled):
    add(filled, clouds(5, 10), start=5000, folder="/media/b")
    with filled.writing(), filled.run("ingest", "test") as run:
        run.commit(Batch(seen=[(digests(5000).sha256, evidence(1, "/media/c"))]), filled.shelf(SPEC))
    assert delete(filled, sources=["file:/media/b"]).items == 9
    assert inside(filled).items.id_of(digests(5000).sha256) is not None
    assert filled.catalogue.counts()["items"] == 3001
    with pytest.raises(UsageError, match="nothing was deleted"):
        delete(filled, sources=["file:/media/never"])


def test_what_is_not_there_deletes_nothing(filled):
    for wrong in ({"items": [1, 9999]}, {"items": [1], "sources": ["file:/no"]}):
        with pytest.raises(UsageError, match="nothing was deleted"):
            delete(filled, **wrong)
    assert filled.catalogue.counts()["items"] == 3000


def test_ids_of_deleted_rows_and_items_never_come_back(filled):
    delete(filled, items=[3000])
    compact(filled)
    add(filled, clouds(7, 1), start=9000)
    assert inside(filled).items.id_of(digests(9000).sha256) == 3001
    assert [row.first_vector_id for row in filled.catalogue.segments.committed(1)][-1] == 3001


def test_deleted_content_can_be_ingested_again(filled, vectors):
    delete(filled, items=[1])
    add(filled, vectors[:1])
    assert CaseIndex(filled.shelf(SPEC)).search(vectors[:1], 1)[1].tolist() == [[3001]]


@pytest.mark.parametrize("kind", [None, "ivf"])
def test_compacting_changes_no_answer(filled, vectors, kind):
    if kind:
        build(filled, SPEC, BuildConfig(kind=kind))
    add(filled, clouds(3, 40), start=3000, commit=7)
    index = CaseIndex(filled.shelf(SPEC))
    delete(filled, items=[*range(100, 200), 3005])
    before = index.search(vectors[::50], 10)
    content = state_of(filled)
    done = compact(filled)
    assert (done.segments_before, done.segments_after, done.rows_removed) == (9, 1, 101)
    assert len(list((filled.path / "segments").rglob("*.npy"))) == 1
    assert state_of(filled) == content
    after = index.search(vectors[::50], 10)
    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[0], after[0])
    assert filled.catalogue.segments.tombstones(1) == []
    assert compact(filled).rows_removed == 0
    if kind:
        status = inspect(filled.shelf(SPEC))
        assert (status.covered, status.dead) == (2900, 100)


def test_a_case_with_every_item_deleted_is_empty(filled, vectors):
    delete(filled, sources=["file:/media"])
    assert compact(filled).segments_after == 0
    assert CaseIndex(filled.shelf(SPEC)).search(vectors[:1], 3)[1].tolist() == [[-1, -1, -1]]


def test_a_damaged_segment_is_never_compacted(filled):
    delete(filled, items=[1])
    path = next(iter(sorted((filled.path / "segments").rglob("*.npy"))))
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(CaseError, match="--repair"):
        compact(filled)
    assert path.exists()


def test_merging_brings_everything_once(filled, tmp_path, vectors):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        # A thousand contents are in both, seen at other places there.
        add(other, np.concatenate([vectors[2000:], clouds(8, 500)]), start=2000, folder="/media/z")
        label(other, [(1, "t", {"label": "Hotel Z"})])
        done = merge(filled, other)
        assert (done.items, done.known, done.sightings, done.vectors) == (500, 1000, 1500, 500)
        again = merge(filled, other)
        assert (again.items, again.sightings, again.vectors) == (0, 0, 0)
        item = inside(filled).items.id_of(digests(2000).sha256)
        assert inside(filled).labels.of([item])[item] == {"label": ("Hotel Z",)}
        assert len(inside(filled).sightings.of([item])[item]) == 2
        assert filled.catalogue.integrity() == []
        new = clouds(8, 500)
        similarities, _ = CaseIndex(filled.shelf(SPEC)).search(new, 1)
        np.testing.assert_allclose(similarities[:, 0], 1, atol=2e-3)


def test_a_case_of_another_model_or_the_same_case_is_not_merged(filled, tmp_path):
    spec = ModelSpec(SPEC.name, "objects", 32, 32, "x", "1" * 64, "", "")
    with Case.create(tmp_path / "other", model=spec) as other:
        add(other, clouds(1, 5), spec=spec)
        with pytest.raises(CaseError, match="vectors of two models can't be merged"):
            merge(filled, other)
    with Case.open(filled.path) as same, pytest.raises(UsageError, match="is the same case"):
        merge(filled, same)


def state_of(case):
    found = state(case.path)
    return {name: found[name] for name in ("sightings", "issues", "vectors", "faults")}


WORK = {
    "build": "from indexer.care.indexing import BuildConfig, build; build(case, SPEC, BuildConfig(kind='ivf', jobs=1))",
    "compact": "from indexer.case.compact import compact; compact(case)",
    "merge": "import indexer.care.merge as m; m._BATCH = 100; m.merge(case, Case.open(sys.argv[2]))",
    "delete": "from indexer.care.delete import delete; [delete(case, items=[i]) for i in range(500, 700)]",
}


@pytest.mark.slow
@pytest.mark.parametrize("work", WORK)
def test_a_kill_at_any_moment_loses_and_doubles_nothing(tmp_path, vectors, work):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        add(other, clouds(8, 1500), start=2500, folder="/media/z")
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, vectors, commit=50)
        delete(case, items=range(1, 100))
    script = (
        "import sys; from indexer.case.case import Case; from tests.indexer.vectors import SPEC\n"
        f"case = Case.open(sys.argv[1]); print('go', flush=True); {WORK[work]}"
    )
    kept = state(tmp_path / "case")
    rng = np.random.default_rng(1)
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "case"), str(tmp_path / "other")],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        process.stdout.readline()
        time.sleep(rng.uniform(0, 0.6))
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        found = state(tmp_path / "case")
        assert found["faults"] == []
        assert len(set(found["vectors"])) == len(found["vectors"]) == found["counts"]["vectors"]
        if work in ("build", "compact"):
            assert found == kept
        elif work == "merge":
            assert set(kept["vectors"]) <= set(found["vectors"])
        with Case.open(tmp_path / "case") as case:
            survivor = vectors[1000:1001]
            assert CaseIndex(case.shelf(SPEC)).search(survivor, 1)[0][0, 0] > 0.99
    with Case.open(tmp_path / "case") as case, Case.open(tmp_path / "other") as other:
        merge(case, other)
        compact(case)
        build(case, SPEC, BuildConfig(kind="ivf", jobs=1))
        assert case.catalogue.integrity() == []
        assert len(list(case.path.glob("indexes/*/*"))) == 1
        expected = {s for s, _ in kept["vectors"]} | {digests(2500 + n).sha256 for n in range(1500)}
        found = {s for s, _ in state(case.path)["vectors"]}
        assert found <= expected
        if work != "delete":
            assert found == expected


def test_a_merge_brings_the_runs_and_the_head_of_the_log(filled, tmp_path):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        add(other, clouds(8, 5), start=7000, folder="/media/z")
        merge(filled, other)
        merge(filled, other)
        runs = [row for row in inside(filled).runs.all() if row[1] == "merged ingest"]
        assert len(runs) == 1
        # What read a sighting, and when, is what it was there.
        item = inside(filled).items.id_of(digests(7000).sha256)
        (sighting,) = (row for row in inside(filled).sightings.table() if row[1] == item)
        assert sighting[-1] == runs[0][0]
        assert runs[0][5:] == next(row for row in inside(other).runs.all() if row[1] == "ingest")[5:]
        entry = json.loads((filled.path / AUDIT).read_text().splitlines()[-1])
        last = (other.path / AUDIT).read_bytes().splitlines(keepends=True)[-1]
        head = (entry["subject"]["log_entries"], entry["subject"]["log_sha256"])
        assert head == (other.log.head().entry, digest(last))
        assert entry["subject"]["log_faults"] == 0
        assert inside(filled).runs.last("ingest")["counts"] == {"new_items": 3000}


def test_a_merge_brings_decisions_once_and_the_newest_of_a_pair_stands(filled, tmp_path):
    with Case.create(tmp_path / "other", model=SPEC) as other:
        add(other, clouds(0, 5))
        decide(other, "1", "2", "rejected", examiner="B")
        decide(other, "1", "3", "rejected", examiner="B")
        time.sleep(0.002)  # of two within a millisecond the one that was here first is the older
        decide(filled, "1", "2", "confirmed", examiner="A")
        assert merge(filled, other).decisions == 2
        assert merge(filled, other).decisions == 0
    first = digests(0).sha256
    third = inside(filled).items.id_of(digests(2).sha256)
    assert rejected_items(looking(filled), first) == {third}
    assert [row.examiner for row in inside(filled).decisions.all()] == ["B", "B", "A"]


def test_small_segments_are_joined_without_a_change(filled, vectors):
    build(filled, SPEC, BuildConfig(kind="ivf"))
    add(filled, clouds(3, 200), start=3000, commit=5)
    index = CaseIndex(filled.shelf(SPEC))
    before = index.search(vectors[::50], 10)
    content = state_of(filled)
    with filled.writing():
        assert join_small(filled) == 42
        assert join_small(filled) == 0
    assert len(list((filled.path / "segments").rglob("*.npy"))) == 1
    assert state_of(filled) == content
    after = index.search(vectors[::50], 10)
    np.testing.assert_array_equal(before[1], after[1])
    np.testing.assert_array_equal(before[0], after[0])


def test_a_damaged_segment_stays_and_stops_no_joining(filled):
    add(filled, clouds(3, 100), start=3000, commit=5)
    path = sorted((filled.path / "segments").rglob("*.npy"))[5]
    path.write_bytes(path.read_bytes()[:-1] + b"\0\0")
    with filled.writing():
        assert join_small(filled) == 0
    assert path.exists()
