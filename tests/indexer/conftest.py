import os

# Small work on many threads mostly waits for them; set before FAISS is loaded.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from imgmatch.models import load_model
from indexer.case import Case


@pytest.fixture(scope="session")
def embedder():
    return load_model(device="cpu", threads=1)


@pytest.fixture
def case(tmp_path, embedder):
    with Case.create(tmp_path / "case", model=embedder.spec) as made:
        yield made
