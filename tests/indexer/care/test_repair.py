"""A damaged segment is made whole from the sources, by the same model, or said to be lost."""

import dataclasses

import numpy as np
import pytest

from benchmarks.casestate import state
from imgmatch.errors import CaseError
from indexer.care.check import check
from indexer.care.repair import repair
from indexer.index.open import CaseIndex
from indexer.intake.ingest import ingest
from tests.indexer.vectors import inside


@pytest.fixture
def damaged(case, embedder, photographs):
    ingest(case, [photographs], embedder)
    before = state(case.path)
    path = next((case.path / "segments").rglob("*.npy"))
    data = bytearray(path.read_bytes())
    data[-7] ^= 4
    path.write_bytes(bytes(data))
    return case, before


@pytest.mark.claim("L14")
def test_it_is_named_with_what_it_held_and_repaired_from_the_sources(damaged, embedder):
    case, before = damaged
    (finding,) = check(case)
    assert finding.part == "segment"
    assert "it held 11 items (items 1 to 11); run: imgmatch check" in finding.message
    done = repair(case, lambda name: embedder)
    assert (done.segments, done.vectors, done.lost) == (1, 11, [])
    assert list(check(case)) == []
    assert state(case.path) == before
    assert repair(case, lambda name: embedder).segments == 0


def test_what_no_source_gives_is_named_and_ingested_again_later(damaged, embedder, photographs):
    case, before = damaged
    data = (photographs / "00.jpg").read_bytes()
    (photographs / "00.jpg").unlink()
    done = repair(case, lambda name: embedder)
    assert done.vectors == 10
    assert done.lost == [inside(case).items.by_id([1])[1].sha256]
    assert case.catalogue.integrity() == []
    assert CaseIndex(case.shelf(embedder.spec)).rows == 10
    (photographs / "00.jpg").write_bytes(data)
    ingest(case, [photographs], embedder)
    assert set(state(case.path)["vectors"]) == set(before["vectors"])


def test_another_models_vectors_are_never_put_in(damaged, embedder):
    case, _ = damaged

    class Other:
        spec = dataclasses.replace(embedder.spec, weights_sha256="0" * 64)

        def embed(self, batch):
            return np.zeros((len(batch), self.spec.dim), np.float32)

    with pytest.raises(CaseError, match="other weights"):
        repair(case, lambda name: Other())
    assert len(list(check(case))) == 1
