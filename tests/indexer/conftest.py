import os
from contextlib import nullcontext

# Small work on many threads mostly waits for them; set before FAISS is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from benchmarks.lite import lite
from benchmarks.server import QUICK, missing, server
from imgmatch.limits import DEFAULT_WORKER_LIMITS
from imgmatch.models import load_model
from imgmatch.workers import pictures
from imgmatch.workers.pictures import PicturePool
from indexer.case.case import Case
from tests.remembered import remembering


@pytest.fixture(scope="session")
def embedder():
    with remembering():
        return load_model(device="cpu", threads=1)


@pytest.fixture(autouse=True)
def shared_workers(monkeypatch):
    """Every ingest in this process decodes in the workers of its searches: new ones take longer than most tests."""

    def pool(jobs, limits):
        return nullcontext(pictures.pool(limits)) if limits == DEFAULT_WORKER_LIMITS else PicturePool(jobs, limits)

    monkeypatch.setattr("indexer.intake.ingest.PicturePool", pool)


@pytest.fixture
def case(tmp_path, embedder):
    with Case.create(tmp_path / "case", model=embedder.spec) as made:
        yield made


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory):
    """A Milvus Lite server on this machine only, for the whole session; skipped where the packages are missing."""
    pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'imgmatch[milvus]'")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install milvus-lite")
    with lite(tmp_path_factory.mktemp("milvus")) as uri:
        yield uri


@pytest.fixture(scope="module")
def milvus_server(tmp_path_factory):
    """A real Milvus server in a network namespace of its own, for a module; skipped where there can be none."""
    pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'imgmatch[milvus]'")
    if why := missing():
        pytest.skip(why)
    folder = tmp_path_factory.mktemp("milvus-server")
    with server(folder, folder, QUICK) as made:
        yield made
