"""A case on a Milvus server as a user runs it. Milvus Lite stands in for the server."""

import pytest

from benchmarks.lite import free_port, lite
from tests.conftest import encode, picture, run, run_json

pytestmark = pytest.mark.slow


def test_a_case_on_a_server_from_init_to_a_server_that_is_gone(tmp_path):
    pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'imgmatch[milvus]'")
    pytest.importorskip("milvus_lite", reason="milvus-lite is not installed: pip install milvus-lite")
    photographs = tmp_path / "in"
    photographs.mkdir()
    for seed in range(3):
        (photographs / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    case = tmp_path / "case"
    with lite(tmp_path) as uri:
        assert run("init", case, "--index", "milvus", "--uri", uri).returncode == 0
        assert run("ingest", case, photographs).returncode == 0
        assert run("check", case).returncode == 0
        assert run_json("status", case)["index"].startswith(f"milvus at {uri}")
        assert run("index", case, "move", "--to", "faiss").returncode == 0
        assert run_json("status", case)["index"] == "faiss"
        assert run("index", case, "move", "--to", "milvus", "--uri", uri).returncode == 0
    gone = run("search", case, photographs / "0.jpg")
    assert gone.returncode == 1
    assert gone.stderr.decode().count("\n") == 1
    assert "can't be reached" in gone.stderr.decode()


def test_a_server_that_is_not_there_makes_no_case(tmp_path):
    pytest.importorskip("pymilvus", reason="pymilvus is not installed: pip install 'imgmatch[milvus]'")
    done = run("init", tmp_path / "case", "--index", "milvus", "--uri", f"http://127.0.0.1:{free_port()}")
    assert done.returncode == 1
    assert done.stderr.decode().count("\n") == 1
    assert not (tmp_path / "case").exists()
