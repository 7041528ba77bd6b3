"""A service of an encrypted case, by IPv6, that is full, or whose clock differs; and pictures that are read once."""

import datetime
import email.utils
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from pathlib import Path
from typing import ClassVar

import pytest
from typer.testing import CliRunner

from benchmarks.certificate import certificate
from cli.app import app
from cli.serve import people
from cli.serve.pace import KEPT_S, NotNowError, Seats
from cli.serve.readings import Readings
from imgmatch.models import DEFAULT_MODEL, load_model
from imgmatch.vault import age
from indexer.search.query import read_query
from tests.cli.test_serve import one_line
from tests.conftest import ROOT, encode, run, textured

pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'imgmatch[sign]'")
SECRET = "quite-singular-name"


@pytest.fixture
def started():
    """Services of a test, ended with it."""
    running = []

    def start(*words, **environment):
        process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", *map(str, words)],
            cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **environment},
        )  # fmt: skip
        running.append(process)
        return process, process.stdout.readline().strip()

    yield start
    for process in running:
        process.kill()
        process.communicate()


def asked(address, token, path):
    """What a service answers, as a number."""
    request = urllib.request.Request(address + path, headers={"Authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="looks at files as they lie")
def test_an_encrypted_case_is_served_to_people_and_opens_to_who_runs_it(tmp_path, started):
    pytest.importorskip("sqlcipher3", reason="sqlcipher3 is not installed: pip install 'imgmatch[vault]'")
    keys = {}
    for name in ("owner", "reviewer", "auditor"):
        secret, keys[name] = age.new_identity()
        (tmp_path / name).write_text(secret)
        (tmp_path / name).chmod(0o600)
    (tmp_path / "in").mkdir()
    for seed in range(3):
        (tmp_path / "in" / f"{SECRET}-{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
    case = tmp_path / "case"
    own = ("--identity", tmp_path / "owner")
    for words in (
        [*own, "init", case, "--encrypt", "--purpose", SECRET],
        [*own, "ingest", case, tmp_path / "in"],
        *(
            [*own, "access", case, "grant", name, "--role", name, "--recipient", keys[name]]
            for name in ("reviewer", "auditor")
        ),
    ):
        done = run(*words)
        assert done.returncode == 0, done.stderr
    token = people.add(tmp_path / "people", "Ada", ["*"], reveal=True)
    serve = ("serve", case, "--people", tmp_path / "people", "--http", "--host", "::1", "--port", "0")
    done = run("--identity", tmp_path / "auditor", *serve)  # who may not search
    said = done.stderr.decode()
    assert (done.returncode, said.count("\n"), "Traceback" in said) == (1, 1, False), said
    assert str(case) in said
    process, address = started("--identity", tmp_path / "reviewer", *serve)
    assert address.startswith("http://[::1]:"), process.stderr.read()
    query = tmp_path / "in" / f"{SECRET}-2.jpg"
    done = run("search", address, query, "--format", "json", env={**os.environ, "IMGMATCH_SERVICE_TOKEN": token})
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["matches"][0]["sightings"][0]["path"] == str(query)
    for path in case.rglob("*"):
        assert not path.is_file() or SECRET.encode() not in path.read_bytes()
    # The token has the right; the key that the service runs by has not, and nobody reaches further than that.
    item = "/v1/cases/case/items/1"
    assert [asked(address, token, path) for path in (item, f"{item}/picture", f"{item}/picture?reveal=yes")] == [
        200, 200, 403,
    ]  # fmt: skip
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    process, address = started(*map(str, own), *serve)
    assert asked(address, token, f"{item}/picture?reveal=yes") == 200
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 0
    shown = json.loads(run(*own, "audit", "show", case, "--format", "json").stdout)
    of_ada = [entry["action"] for entry in shown if entry.get("person") == "Ada"]
    assert of_ada == ["search", "show", "picture", "refused", "reveal"]


def test_an_answer_is_sent_as_soon_as_it_is_made():
    import asyncio
    import socket

    from cli.review.server import bound

    async def options():
        told = asyncio.get_running_loop().create_future()

        class Connection(asyncio.Protocol):
            def connection_made(self, transport):
                own = transport.get_extra_info("socket")
                told.set_result(own.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

        listening = bound("127.0.0.1", 0)
        server = await asyncio.get_running_loop().create_server(Connection, sock=listening)
        _, writer = await asyncio.open_connection(*listening.getsockname())
        found = await told
        writer.close()
        server.close()
        return found

    assert asyncio.run(options())


def test_who_comes_when_all_seats_are_taken_and_many_wait_is_told_to_come_again():
    import asyncio

    async def crowd():
        seats, free = Seats(2, 3), asyncio.Event()
        told = Counter()

        async def come():
            try:
                async with seats.one():
                    await free.wait()
                    told["served"] += 1
            except NotNowError as error:
                told[error.status, error.again_s] += 1

        all_of_them = [asyncio.create_task(come()) for _ in range(9)]
        await asyncio.sleep(0)
        free.set()
        await asyncio.gather(*all_of_them)
        return told

    assert asyncio.run(crowd()) == {"served": 5, (503, 1.0): 4}


class Answering(http.server.BaseHTTPRequestHandler):
    """Answers what it is told to, one after the other."""

    answers: ClassVar[list] = []

    def do_GET(self):
        status, headers, body = self.answers.pop(0)
        self.send_response_only(status)
        for name, value in {"x-imgmatch-api": "1", "content-length": len(body), **headers}.items():
            self.send_header(name, str(value))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def answering(monkeypatch):
    """A service that answers what a test says, and a client of it."""
    monkeypatch.setenv("IMGMATCH_SERVICE_TOKEN", "imt_" + "x" * 43)
    with http.server.HTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def status(*answers):
            Answering.answers = list(answers)
            return CliRunner().invoke(app, ["status", f"http://127.0.0.1:{server.server_port}"])

        yield status
        server.shutdown()


CASES = json.dumps({"imgmatch": "0.1.0", "api": 1, "person": "Ada", "cases": []}).encode()


def dated(minutes):
    then = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=minutes)
    return {"date": email.utils.format_datetime(then, usegmt=True)}


def test_a_full_service_is_asked_again_and_a_client_says_so(answering):
    full = 503, {"retry-after": "1"}, b'{"error": "the service is full; ask again in a second"}'
    done = answering(full, (200, {}, CASES))
    assert "says that it is full; tried again" in done.stderr
    assert "the service is full" in one_line(answering((503, {}, full[2])))  # where it does not say when


@pytest.mark.parametrize(("minutes", "said"), [(0, None), (7, "7 minutes ahead of"), (-130, "130 minutes behind")])
def test_a_clock_that_differs_is_measured(answering, minutes, said):
    refused = b'{"error": "the token is missing, wrong, expired or revoked; ask the operator for one"}'
    line = one_line(answering((401, dated(minutes), refused)))
    assert ("clock" in line) == (said is not None)
    assert said is None or said in line
    assert ("clock" in answering((200, dated(minutes), CASES)).stderr) == (said is not None)


@pytest.mark.parametrize(("days", "said"), [((1, 3), "not yet valid"), ((-9, -2), "has expired")])
def test_a_certificate_out_of_its_time_names_the_time_and_this_clock(tmp_path, started, days, said):
    cert, key = certificate(tmp_path, days=days)
    served = (
        "import http.server, ssl, sys\n"
        "server = http.server.HTTPServer(('127.0.0.1', 0), http.server.BaseHTTPRequestHandler)\n"
        "context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER); context.load_cert_chain(*sys.argv[1:3])\n"
        "server.socket = context.wrap_socket(server.socket, server_side=True)\n"
        "print(server.server_port, flush=True); server.serve_forever()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", served, cert, key], stdout=subprocess.PIPE, text=True)
    try:
        address = f"https://127.0.0.1:{process.stdout.readline().strip()}"
        environment = {"IMGMATCH_SERVICE_TOKEN": "imt_" + "x" * 43}
        done = CliRunner().invoke(app, ["status", address, "--ca", str(cert)], env=environment)
    finally:
        process.kill()
        process.communicate()
    line = one_line(done)
    assert said in line
    assert "this machine's clock says" in line
    assert f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d}" in line


def test_a_picture_that_is_searched_with_again_is_read_once(tmp_path):
    now, read = [0.0], []
    (tmp_path / "q.jpg").write_bytes(encode(textured(1), "JPEG"))
    embedder = load_model(DEFAULT_MODEL, device="cpu", threads=1)
    from imgmatch.evidence import walk

    (found,) = walk(tmp_path / "q.jpg")
    query = read_query(found, embedder)
    readings = Readings(most_bytes=2 * query.image.pixels.nbytes, clock=lambda: now[0])

    def made(name):
        read.append(name)
        return query

    for name in ("a", "b", "a", "c", "a", "b"):  # as "c" comes, "b" has not been used for longest
        assert readings.of(name, lambda name=name: made(name)) is query
    assert read == ["a", "b", "c", "b"]
    now[0] = KEPT_S + 1
    readings.of("b", lambda: made("b"))
    assert read == ["a", "b", "c", "b", "b"]
    broken = next(iter(walk(Path(__file__))))
    issue = read_query(broken, embedder)
    for _ in range(2):
        readings.of("issue", lambda: read.append("issue") or issue)
    assert read[-2:] == ["issue", "issue"]
