import os

# Small work on many threads mostly waits for them; set before FAISS is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from imgmatch.models import load_model
from indexer.case import Case
from tests.indexer.lite import lite


@pytest.fixture(scope="session")
def embedder():
    return load_model(device="cpu", threads=1)


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
