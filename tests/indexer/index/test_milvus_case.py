"""A case on a Milvus server through what befalls it: merging, building, moving, kills, a server that is gone, TLS."""

import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading

import numpy as np
import pytest

from benchmarks.certificate import certificate
from benchmarks.lite import free_port, lite
from imgmatch.errors import CaseError, UsageError
from indexer.care.delete import delete
from indexer.care.indexing import BuildConfig, build
from indexer.care.merge import merge
from indexer.care.move import move
from indexer.case.case import Case
from indexer.case.compact import compact
from indexer.index.open import CaseIndex
from indexer.index.remote import follow, place
from indexer.index.status import describe
from tests.conftest import ROOT
from tests.indexer.vectors import SPEC, add, clouds

pytestmark = pytest.mark.slow


def search_as_files_would(case, vectors):
    """The rows found first are the queries themselves, with ids from 1."""
    ids = CaseIndex(case.shelf(SPEC)).search(vectors[::50], 1)[1][:, 0]
    np.testing.assert_array_equal(ids, np.arange(1, len(vectors) + 1, 50))


def test_what_is_merged_into_a_case_on_a_server_is_found_there(tmp_path, milvus_uri):
    vectors = clouds(0, 600)
    with (
        Case.create(tmp_path / "ours", model=SPEC, remote=place(milvus_uri, "merged")) as ours,
        Case.create(tmp_path / "theirs", model=SPEC) as theirs,
    ):
        add(ours, vectors[:300])
        add(theirs, vectors[300:], start=300, folder="/media/b")
        merge(ours, theirs)
        build(ours, SPEC)
        info = describe(ours.shelf(SPEC))
        assert (info["rows"], info["in_index"], info["build_due"]) == (600, 600, False)
        search_as_files_would(ours, vectors)


def test_deleted_rows_leave_the_server_too(tmp_path, milvus_uri):
    vectors = clouds(1, 400)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_uri, "deleted")) as case:
        add(case, vectors)
        follow(case.shelves())
        delete(case, items=range(1, 101))
        follow(case.shelves())
        compact(case)
        assert describe(case.shelf(SPEC))["in_index"] == 300
        assert CaseIndex(case.shelf(SPEC)).search(vectors[:100], 5)[1].min() > 100


@pytest.mark.parametrize("moment", ["early", "late"])
def test_a_move_that_is_killed_goes_on_where_it_stopped(tmp_path, milvus_uri, moment):
    vectors = clouds(2, 3000)
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, vectors)
    target = f"indexer.index.remote.place({milvus_uri!r}, 'moved_{moment}')"
    # The kill comes when the new place is being filled, or when it is in use and the old one is not yet let go.
    hook = (
        "collection.Collection.send = lambda *a: (send(*a), os.kill(os.getpid(), 9))"
        if moment == "early"
        else "mv._leave = lambda *a: os.kill(os.getpid(), 9)"
    )
    code = (
        "import os, indexer.index.milvus as collection, indexer.care.move as mv, indexer.index.remote\n"
        "from indexer.case.case import Case\n"
        f"send = collection.Collection.send\n{hook}\n"
        f"with Case.open({str(tmp_path / 'case')!r}) as case: mv.move(case, {target})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    with Case.open(tmp_path / "case") as case:
        search_as_files_would(case, vectors)
        moved = move(case, place(milvus_uri, f"moved_{moment}"))
        assert (moved.kind, moved.rows) == ("milvus", 3000)
        assert describe(case.shelf(SPEC))["in_index"] == 3000
        search_as_files_would(case, vectors)
        assert move(case, None).kind == "faiss"
        search_as_files_would(case, vectors)


def test_a_server_that_is_gone_can_be_left(tmp_path, milvus_uri):
    vectors = clouds(3, 300)
    other = tmp_path / "other"
    other.mkdir()
    with lite(other) as uri, Case.create(tmp_path / "case", model=SPEC, remote=place(uri, "gone")) as case:
        add(case, vectors)
        follow(case.shelves())
    with Case.open(tmp_path / "case") as case:
        with pytest.raises(CaseError, match="--abandon"):
            move(case, place(milvus_uri, "new_home"))
        moved = move(case, place(milvus_uri, "new_home"), abandon=True)
        assert (moved.uri, moved.rows) == (milvus_uri, 300)
        search_as_files_would(case, vectors)


def test_a_copy_of_a_case_moved_elsewhere_does_not_disturb_the_first(tmp_path, milvus_uri):
    vectors = clouds(4, 300)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_uri, "first")) as case:
        add(case, vectors[:200])
        follow(case.shelves())
    shutil.copytree(tmp_path / "case", tmp_path / "copy")
    with Case.open(tmp_path / "copy") as copy:
        move(copy, place(milvus_uri, "second"), abandon=True)
        add(copy, vectors[200:], start=200)
        search_as_files_would(copy, vectors)
    with Case.open(tmp_path / "case") as case:
        assert describe(case.shelf(SPEC))["in_index"] == 200
        search_as_files_would(case, vectors[:200])


@pytest.mark.claim("O3")
def test_rows_go_over_tls_to_a_server_whose_certificate_holds_and_to_no_other(tmp_path, milvus_uri):
    pytest.importorskip("cryptography", reason="cryptography is not installed: pip install cryptography")
    pem, key = certificate(tmp_path, hosts=["localhost"])
    with tls_proxy(pem, key, int(milvus_uri.rpartition(":")[2])) as port:
        code = (
            "import sys; from indexer.case.case import Case; from indexer.index.open import CaseIndex\n"
            "from indexer.index.remote import place; from tests.indexer.vectors import SPEC, add, clouds\n"
            f"remote = place('https://localhost:{port}', 'tls')\n"
            "with Case.create(sys.argv[1], model=SPEC, remote=remote) as case:\n"
            "    add(case, clouds(5, 100)); print(CaseIndex(case.shelf(SPEC)).search(clouds(5, 100)[:1], 1)[1][0, 0])\n"
        )

        def run(name, **more):
            command = [sys.executable, "-c", code, str(tmp_path / name)]
            environment = {**os.environ, **more, "IMGMATCH_MILVUS_TOKEN": "user:password"}
            return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=environment)

        trusted = run("trusted", GRPC_DEFAULT_SSL_ROOTS_FILE_PATH=str(pem))
        assert trusted.stdout.strip() == "1", trusted.stderr
        unknown = run("unknown")
        assert unknown.returncode == 1
        assert "can't be reached" in unknown.stderr


class tls_proxy:  # noqa: N801 - used as a function
    """Ends TLS on a port of this machine and passes what comes to a server without it."""

    def __init__(self, certificate, key, to_port):
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate, key)
        self._context.set_alpn_protocols(["h2"])
        self._to = to_port

    def __enter__(self):
        port = free_port()
        self._listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()
        return port

    def __exit__(self, *_):
        self._listener.close()

    def _accept(self):
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._pass, args=(raw,), daemon=True).start()

    def _pass(self, raw):
        try:
            with self._context.wrap_socket(raw, server_side=True) as inside, socket.socket() as outside:
                outside.connect(("127.0.0.1", self._to))
                inside.settimeout(0.01)
                outside.setblocking(False)
                while True:
                    for here, there in ((inside, outside), (outside, inside)):
                        try:
                            data = here.recv(65536)
                        except (TimeoutError, BlockingIOError, ssl.SSLWantReadError):
                            continue
                        if not data:
                            return
                        there.settimeout(10)
                        there.sendall(data)
                        there.settimeout(0.01)
        except OSError:
            return


def test_the_index_of_a_collection_is_made_again_of_another_kind(tmp_path, milvus_uri):
    vectors = clouds(14, 400)
    with Case.create(tmp_path / "case", model=SPEC, remote=place(milvus_uri, "kinds")) as case:
        add(case, vectors)
        follow(case.shelves())
        assert describe(case.shelf(SPEC))["index"] == "HNSW"
        for kind, name in (("ivf", "IVF_SQ8"), ("hnsw", "HNSW")):
            build(case, SPEC, BuildConfig(kind))
            assert describe(case.shelf(SPEC))["index"] == name
            search_as_files_would(case, vectors)
        with pytest.raises(UsageError, match="hnsw, ivf, diskann"):
            build(case, SPEC, BuildConfig("exact"))
        search_as_files_would(case, vectors)
