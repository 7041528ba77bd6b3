"""A real Milvus server keeps every promise of the index that files keep, and goes through what befalls a case."""

import os
import random
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from benchmarks.certificate import certificate
from benchmarks.index_fuzz import fill
from benchmarks.server import QUICK, server
from imgmatch.errors import CaseError
from imgmatch.types import ModelSpec
from indexer.case.case import Case
from indexer.index.milvus import TOKEN, Collection
from indexer.index.open import CaseIndex
from indexer.index.remote import faults, follow, place
from indexer.index.status import describe
from tests.conftest import ROOT, encode, picture, run, run_json
from tests.indexer.index import test_index, test_milvus_case
from tests.indexer.vectors import SPEC, add, clouds

pytestmark = pytest.mark.slow
globals().update(
    {
        name: test
        for module in (test_index, test_milvus_case)
        for name, test in vars(module).items()
        if name.startswith("test_") and "exact_search" not in name
    }
)
OWNER = "root:Milvus"


@pytest.fixture(scope="module")
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


@pytest.fixture(scope="module")
def guarded(milvus_server, tmp_path_factory):
    """A second server, which asks for a token, and which tests may kill."""
    settings = {**QUICK, "common.security.authorizationEnabled": "true"}
    with server(tmp_path_factory.mktemp("guarded"), milvus_server.folder, settings) as made:
        yield made


@pytest.fixture
def token(monkeypatch):
    monkeypatch.setenv(TOKEN, OWNER)


def whole(case, vectors):
    """The server holds these rows, each once, and every one is found."""
    info = describe(case.shelf(SPEC))
    assert (info["rows"], info["in_index"]) == (len(vectors), len(vectors))
    assert list(faults(case.shelf(SPEC), case.catalogue.indexes.remote())) == []
    test_milvus_case.search_as_files_would(case, vectors)


@pytest.mark.parametrize("token", ["root:wrong", "nobody:Milvus", "a-key"])
def test_a_wrong_token_is_named(guarded, monkeypatch, token):
    monkeypatch.setenv(TOKEN, token)
    with pytest.raises(CaseError, match=f"refuses the token; set {TOKEN}"):
        Collection(place(guarded.uri, "refused"), SPEC)


def test_a_case_on_a_server_that_asks_for_a_token(tmp_path, guarded):
    photographs = tmp_path / "in"
    photographs.mkdir()
    for seed in range(6):
        (photographs / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    case = tmp_path / "case"
    right = {**os.environ, TOKEN: OWNER}

    def refused(*arguments):
        done = run(*arguments, env={name: value for name, value in os.environ.items() if name != TOKEN})
        said = done.stderr.decode()
        assert (done.returncode, said.count("\n")) == (1, 1)
        assert f"refuses the token; set {TOKEN}" in said

    def works(*arguments):
        done = run(*arguments, env=right)
        assert done.returncode == 0, done.stderr.decode()

    make = ("init", case, "--index", "milvus", "--uri", guarded.uri)
    refused(*make)
    assert not case.exists()
    works(*make)
    works("ingest", case, photographs)
    refused("search", case, photographs / "0.jpg")
    assert run_json("delete", case, "--source", photographs / "0.jpg", "--reason", "test", env=right)["items"] == 1
    works("index", "compact", case)
    works("check", case)
    found = run_json("search", case, photographs / "3.jpg", "-k", 1, env=right)
    assert found["matches"][0]["sightings"][0]["path"].endswith("3.jpg")
    for there in (("faiss",), ("milvus", "--uri", guarded.uri)):
        works("index", "move", case, "--to", *there)
        works("check", case)


def test_a_server_that_is_killed_comes_back_with_every_row(tmp_path, guarded, token):
    vectors = clouds(20, 450)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(guarded.uri, "killed")) as case:
        add(case, vectors[:300])
        follow(case.shelves())
        index = CaseIndex(case.shelf(SPEC))
        assert index.search(vectors[:1], 1)[1].tolist() == [[1]]
        guarded.kill()
        add(case, vectors[300:], start=300)
        with pytest.raises(CaseError, match="can't be reached"):
            follow(case.shelves())
        guarded.start()
        assert index.search(vectors[[0, 449]], 1)[1].tolist() == [[1], [450]]
        whole(case, vectors)


def test_rows_that_are_there_twice_become_one(tmp_path, milvus_server):
    vectors = clouds(21, 300)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_server.uri, "twice")) as case:
        add(case, vectors)
        follow(case.shelves())
        collection = Collection(case.catalogue.indexes.remote(), SPEC)
        rows = [
            {
                "key": collection._key(i),
                "namespace": collection.remote.namespace,
                "vector_id": i,
                "vector": vectors[i - 1],
            }
            for i in (7, 250)
        ]
        collection._client.insert(collection.name, rows, partition_name=collection._part)
        assert collection.count() == 302
        follow(case.shelves())
        whole(case, vectors)


def test_new_rows_are_inserted_and_what_may_be_there_is_replaced(tmp_path, milvus_server, monkeypatch):
    asked = []
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_server.uri, "inserted")) as case:
        collection = Collection(case.catalogue.indexes.remote(), SPEC)
        for name in ("insert", "upsert"):
            put = getattr(type(collection._client), name)
            monkeypatch.setattr(
                type(collection._client), name, lambda *a, name=name, put=put, **k: asked.append(name) or put(*a, **k)
            )
        vectors = clouds(22, 200)
        add(case, vectors)
        follow(case.shelves())
        assert asked == ["insert"]
        collection.send(np.arange(150, 260), vectors[:110])  # as after a kill
        assert asked == ["insert", "upsert"]
        assert collection.count() == 259


WORKSTATION = (
    "import sys; from indexer.case.case import Case; from indexer.index.remote import follow_commit\n"
    "from tests.indexer.vectors import add, clouds\n"
    "with Case.open(sys.argv[1]) as case:\n"
    "    done, vectors = case.catalogue.counts()['vectors'], clouds(int(sys.argv[2]), 300)\n"
    "    while done < 300:\n"
    "        add(case, vectors[done:done + 30], start=done); follow_commit(case.shelves()); done += 30\n"
    "        print(done, flush=True)\n"
)


def workstation(case, seed):
    command = [sys.executable, "-c", WORKSTATION, str(case), str(seed)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE)


def test_two_workstations_write_while_the_server_and_they_are_killed(tmp_path, guarded, token):
    seeds = (31, 32)
    cases = [tmp_path / str(seed) for seed in seeds]
    for path in cases:
        Case.create(path, model=SPEC, remote=place(guarded.uri, "writers")).close()
    moments = random.Random(5)
    for _ in range(2):
        both = [workstation(path, seed) for path, seed in zip(cases, seeds, strict=True)]
        both[0].stdout.readline()
        time.sleep(moments.uniform(0.05, 0.3))
        both[0].send_signal(signal.SIGKILL)
        both[0].wait()
        both[1].wait(timeout=120)
    restarted = workstation(cases[0], seeds[0])
    restarted.stdout.readline()
    guarded.kill()
    guarded.start()
    assert restarted.wait(timeout=180) == 0
    for path, seed in zip(cases, seeds, strict=True):
        with Case.open(path) as case:
            follow(case.shelves())
            whole(case, clouds(seed, 300))


WIDE = ModelSpec("wide", "objects", 512, 32, "x", "0" * 64, "", "")


@pytest.fixture
def small_disk(tmp_path):
    """A disk of its own that can be filled; skipped where none can be mounted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=700m", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here: run as root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill_up(file):
    with file.open("wb") as stream:
        while True:
            stream.write(bytes(1 << 20))


def test_a_server_whose_disk_is_full_says_so_and_has_every_row_once_there_is_room(tmp_path, small_disk, milvus_server):
    vectors = np.random.default_rng(1).standard_normal((40_000, WIDE.dim), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    filler = small_disk / "filler"
    with (
        server(small_disk, milvus_server.folder, QUICK) as full,
        Case.create(tmp_path / "case", model=WIDE, remote=place(full.uri, "full")) as case,
    ):
        fill(case, vectors[:500], 0, WIDE)
        follow(case.shelves())
        with pytest.raises(OSError, match="No space left"):
            _fill_up(filler)
        fill(case, vectors[500:], 500, WIDE)
        with pytest.raises(CaseError, match="the server is full; make room on it, then run: imgmatch index build CASE"):
            follow(case.shelves())
        filler.unlink()
        full.kill()
        full.start()
        until = time.monotonic() + 120
        while True:
            try:
                follow(case.shelves())
                break
            except CaseError:  # it reads again what it was sent
                assert time.monotonic() < until
        assert describe(case.shelf(WIDE))["in_index"] == len(vectors)
        assert list(faults(case.shelf(WIDE), case.catalogue.indexes.remote())) == []


@pytest.mark.claim("O8")
def test_tls_of_the_server_itself_with_a_right_a_wrong_and_no_certificate(milvus_server, tmp_path):
    """Nothing between: the server shows its certificate, asks for a token, and speaks no plain http."""
    pytest.importorskip("cryptography", reason="cryptography is not installed: pip install cryptography")
    (tmp_path / "other").mkdir()
    pem, key = certificate(tmp_path, hosts=["localhost"])
    strange, _ = certificate(tmp_path / "other", hosts=["localhost"])
    settings = {
        **QUICK,
        "common.security.authorizationEnabled": "true",
        "common.security.tlsMode": 1,
        "tls.serverPemPath": str(pem),
        "tls.serverKeyPath": str(key),
        "tls.caPemPath": str(pem),
    }
    photograph = tmp_path / "in.jpg"
    photograph.write_bytes(encode(picture(0), "JPEG"))
    plain = {name: value for name, value in os.environ.items() if "SSL_ROOTS" not in name and name != TOKEN}
    with server(tmp_path / "server", milvus_server.folder, settings) as made:
        port = made.uri.rpartition(":")[2]
        where, trusted = f"https://localhost:{port}", {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(pem)}

        def made_at(uri, **more):
            case = tmp_path / f"case{len(list(tmp_path.glob('case*')))}"
            done = run("init", case, "--index", "milvus", "--uri", uri, env={**plain, **more})
            assert (done.returncode == 0) == case.exists()
            return case, done.stderr.decode()

        for name, authority in {"none": {}, "wrong": {"GRPC_DEFAULT_SSL_ROOTS_FILE_PATH": str(strange)}}.items():
            case, said = made_at(where, **authority, **{TOKEN: OWNER})
            assert not case.exists(), name
            assert said.count("\n") == 1, said
            assert "can't be reached" in said
        case, said = made_at(made.uri, **trusted, **{TOKEN: OWNER})
        assert not case.exists(), "plain http"
        assert said.count("\n") == 1, said
        case, said = made_at(where, **trusted, **{TOKEN: "root:wrong"})
        assert not case.exists()
        assert "refuses the token" in said
        case, said = made_at(where, **trusted, **{TOKEN: OWNER})
        assert case.exists(), said
        right = {**plain, **trusted, TOKEN: OWNER}
        assert run("ingest", case, photograph, env=right).returncode == 0
        assert run_json("search", case, photograph, env=right)["matches"]
