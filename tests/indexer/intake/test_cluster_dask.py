"""Dask's own scheduler and workers: over TLS, killed, started again; and addresses that are wrong."""

import contextlib
import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
from contextlib import ExitStack

import psutil
import pytest

from benchmarks.machines import Lab, certificates, end, machines, missing
from imgmatch.errors import MachineError, UsageError
from indexer.case.case import Case
from indexer.intake.config import ClusterConfig
from indexer.intake.ingest import IngestConfig, ingest
from tests.conftest import ROOT, encode, picture, run
from tests.indexer.intake.test_cluster import Pair, last_entry, whole

pytest.importorskip("distributed", reason="distributed is not installed: pip install 'imgmatch[cluster]'")
pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'imgmatch[cluster]'")

from distributed import Security

from indexer.intake.cluster.connecting import Connection, connected
from indexer.intake.cluster.hosting import run_scheduler
from indexer.intake.cluster.quiet import local_cluster


@pytest.fixture(scope="module")
def tls(tmp_path_factory):
    return certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """More files than are done in a moment."""
    folder = tmp_path_factory.mktemp("many")
    for number in range(120):
        (folder / f"{number:03}.jpg").write_bytes(encode(picture(number, (320, 240)), "JPEG", quality=90))
    (folder / "wrong.jpg").write_bytes(b"nothing")
    return folder


@pytest.mark.claim("O4")
@pytest.mark.parametrize(("address", "says"), [
    ("tcp://10.1.2.3:8786", "without TLS can run programs"),
    ("tcp://[2001:db8::1]:8786", "without TLS can run programs"),
    ("tls://10.1.2.3:8786", "give --tls FOLDER"),
    ("tcp://127.0.0.1.example:8786", "without TLS can run programs"),
    ("tcp://localhost.example:8786", "without TLS can run programs"),
    ("tcp://0.0.0.0:8786", "without TLS can run programs"),
    ("http://127.0.0.1:8786", "no address of a scheduler"),
    ("tcp://127.0.0.1", "no address of a scheduler"),
    ("tcp://127.0.0.1:99999", "no address of a scheduler"),
    ("127.0.0.1:8786", "no scheduler and no file"),
    ("local:0", "from 1 to"),
    ("local:-3", "from 1 to"),
    ("local:", "from 1 to"),
    ("", "no scheduler and no file"),
])  # fmt: skip
def test_what_would_be_open_to_others_is_refused_in_one_line(address, says):
    with pytest.raises(UsageError, match=says) as error, connected(ClusterConfig(address)):
        pass
    assert "\n" not in str(error.value)


def test_files_and_folders_that_are_none_are_one_line(tmp_path, tls):
    for text in (b"", b"[]", b'{"address": 3}', b"\xff" * 20, b'{"id": "Scheduler-1"}'):
        (tmp_path / "scheduler.json").write_bytes(text)
        with pytest.raises(UsageError, match="scheduler"), connected(ClusterConfig(str(tmp_path / "scheduler.json"))):
            pass
    with pytest.raises(UsageError, match="can't be read"), connected(ClusterConfig("tls://127.0.0.1:1", tls=tmp_path)):
        pass
    for name in ("ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("no certificate")
    (tmp_path / "key.pem").chmod(0o644)
    with (
        pytest.raises(UsageError, match="others may read"),
        connected(ClusterConfig("tls://127.0.0.1:1", tls=tmp_path)),
    ):
        pass
    (tmp_path / "key.pem").chmod(0o600)
    with pytest.raises(UsageError, match="can't be used"), connected(ClusterConfig("tls://127.0.0.1:1", tls=tmp_path)):
        pass
    for options in ({"host": "0.0.0.0"}, {"host": "10.0.0.1"}, {"dashboard": "0.0.0.0:8787"}):
        given = {"host": "127.0.0.1", "dashboard": None, **options}
        with pytest.raises(UsageError, match="give"):
            run_scheduler(given["host"], 0, None, None, given["dashboard"], threading.Event(), print)


def test_nobody_there_is_one_line(monkeypatch):
    monkeypatch.setattr("indexer.intake.cluster.connecting._CONNECT_S", 0.5)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(MachineError, match="no scheduler answers there"), connected(ClusterConfig(address)):
        pass


def test_the_command_says_it_in_one_line_and_changes_nothing(tmp_path):
    assert run("init", tmp_path / "case").returncode == 0
    (tmp_path / "a.jpg").write_bytes(encode(picture(1), "JPEG"))
    done = run("ingest", tmp_path / "case", tmp_path / "a.jpg", "--workers", "tcp://192.0.2.1:8786")
    assert done.returncode in (1, 2)
    (line,) = done.stderr.decode().splitlines()
    assert "give tls://HOST:PORT and --tls FOLDER" in line


def listening(process):
    """Every port at which a process and its children listen."""
    tree = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    return [each.laddr for one in tree for each in one.net_connections("tcp") if each.status == psutil.CONN_LISTEN]


@pytest.mark.claim("O5")
def test_a_scheduler_takes_nobody_without_a_certificate_and_serves_nothing_else(tmp_path, tls, monkeypatch):
    with contextlib.closing(Lab(tmp_path, tls)) as lab:
        scheduler = lab.scheduler()
        host, port = lab.address.removeprefix("tls://").split(":")
        assert [(each.ip, each.port) for each in listening(scheduler)] == [("127.0.0.1", int(port))]
        monkeypatch.setattr("indexer.intake.cluster.connecting._CONNECT_S", 2.0)
        with connected(ClusterConfig(str(lab.file), tls=tls)) as connection:
            assert connection.workers() == {}
        for security in (Security.temporary(), Security(require_encryption=False)):
            with pytest.raises(MachineError) as error:
                Connection(lab.address if security.require_encryption else f"tcp://{host}:{port}", security)
            assert "\n" not in str(error.value)
        with socket.create_connection((host, int(port)), 5) as plain:  # no certificate at all
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with pytest.raises((ssl.SSLError, ConnectionError)):
                context.wrap_socket(plain).recv(1)
        scheduler.send_signal(signal.SIGTERM)
        assert scheduler.wait(30) == 0
        assert not lab.file.exists()


@pytest.mark.claim("O6")
def test_local_workers_are_in_nobody_elses_hands():
    with local_cluster(1, 1) as (address, _):
        assert address.startswith("tls://127.0.0.1:")
        with pytest.raises(MachineError):
            Connection(address, Security.temporary())


@pytest.mark.slow
def test_workers_that_are_killed_and_a_scheduler_that_is_started_again_lose_nothing(
    tmp_path, tls, many, embedder, monkeypatch
):
    monkeypatch.setattr("indexer.intake.cluster.jobs._FILES", 8)
    with contextlib.closing(Lab(tmp_path, tls)) as lab:
        scheduler = lab.scheduler()
        port = int(lab.address.rpartition(":")[2])
        workers = [lab.worker() for _ in range(2)]
        moments = iter((10, 30, 50))

        def trouble(report):
            if report.new_items < trouble.next:
                return
            trouble.next = next(moments, 10**9)
            if trouble.next == 30:  # one worker's process, which its command starts again
                psutil.Process(workers[0].pid).children()[-1].kill()
            elif trouble.next == 50:  # a whole machine
                end(workers[1])
                lab.worker()
            else:
                scheduler.kill()
                scheduler.wait()
                lab.file.unlink()
                lab.scheduler(port)

        trouble.next = next(moments)
        pair = Pair(tmp_path, embedder)
        cluster = ClusterConfig(lab.address, tls=tls, tell=pair.told.append)
        config = IngestConfig(commit_items=8)
        ingest(pair.one, [many], embedder, config)
        ingest(pair.many, [many], embedder, IngestConfig(commit_items=8, cluster=cluster), progress=trouble)
        assert trouble.next == 10**9
        assert whole(pair.many) == whole(pair.one)
        pair.both(lambda case: case.close())


@pytest.mark.slow
def test_three_machines_of_which_one_dies_make_the_case_that_one_makes(tmp_path, tls, many, embedder):
    if why := missing():
        pytest.skip(why)
    shutil.copytree(many, tmp_path / "mounted" / "there")
    pair = Pair(tmp_path, embedder)
    pair.both(lambda case: case.close())
    running = []
    with machines(3) as (first, second, third), ExitStack() as stack:

        def start(machine, *arguments):
            log = stack.enter_context((tmp_path / f"{len(running)}.log").open("wb"))
            command = machine.imgmatch(*arguments, "--tls", tls)
            running.append(subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log))
            stack.callback(end, running[-1])
            return running[-1]

        address = f"tls://{first.address}:8786"
        start(first, "scheduler", "--host", first.address, "--file", tmp_path / "scheduler.json")
        until = time.monotonic() + 60
        while not (tmp_path / "scheduler.json").exists():
            assert time.monotonic() < until, (tmp_path / "0.log").read_text()
            time.sleep(0.1)
        doomed = start(second, "worker", address, "-j", 1)
        start(third, "worker", address, "-j", 1, "--path-map", f"{many}={tmp_path / 'mounted' / 'there'}")
        while not all("working for" in (tmp_path / f"{number}.log").read_text() for number in (1, 2)):
            assert time.monotonic() < until + 60
            time.sleep(0.1)
        log = tmp_path / "log.jsonl"
        ours = start(first, "ingest", tmp_path / "many", many, "--workers", address, "--no-index",
                     "--log", log, "--every", 0.1, "-q")  # fmt: skip
        while not _some_are_in(log):
            assert ours.poll() is None, (tmp_path / "3.log").read_text()
            time.sleep(0.05)
        assert ours.poll() is None
        end(doomed)
        assert ours.wait(120) == 0, (tmp_path / "3.log").read_text()
    with Case.open(pair.one.path) as one, Case.open(pair.many.path) as together:
        ingest(one, [many], embedder, IngestConfig())
        assert whole(together) == whole(one)
        took_part = last_entry(together)["workers"]["took_part"]
        assert any(third.address in worker for worker in took_part)


def _some_are_in(log):
    lines = log.read_text().splitlines() if log.exists() else []
    return any(json.loads(line).get("read_bytes", 0) > 0 for line in lines if line.endswith("}"))
