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
