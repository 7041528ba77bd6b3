"""A real Milvus server keeps every promise of the index that files keep, and goes through what befalls a case."""

import pytest

from tests.indexer.index import test_index, test_milvus_case

pytestmark = pytest.mark.slow
globals().update(
    {
        name: test
        for module in (test_index, test_milvus_case)
        for name, test in vars(module).items()
        if name.startswith("test_") and "exact_search" not in name
    }
)


@pytest.fixture(scope="session")
def milvus_uri(milvus_server):
    return milvus_server.uri


@pytest.fixture
def kind(request, tmp_path):
    made = test_index.Kind("milvus", tmp_path, request)
    yield made
    made.close()


@pytest.fixture(scope="module")
def filled(request, tmp_path_factory):
    made = test_index.Kind("milvus", tmp_path_factory.mktemp("filled"), request)
    vectors = test_index.clouds(0, test_index.ROWS)
    yield vectors, made.index(vectors)
    made.close()
