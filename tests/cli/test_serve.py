"""The search service from outside: a process that holds two cases, asked over HTTPS by raw requests and by clients."""

import functools
import http.client
import http.server
import io
import json
import os
import signal
import socket
import ssl
import stat
import subprocess
import sys
import threading
import time
import uuid
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

import imgmatch.models
from benchmarks.certificate import certificate
from cli.app import app
from cli.serve import people
from cli.serve.app import ROUTES
from cli.serve.messages import MAX_UPLOAD_BYTES
from imgmatch.errors import ImgmatchError
from tests.conftest import ROOT, encode, run, textured
from tests.test_recorded import SERVICE

pytest.importorskip("cryptography", reason="cryptography is not installed: pip install 'imgmatch[sign]'")
LOAD = functools.cache(imgmatch.models.load_model)
WHO = {"Ada": ["--all-cases"], "Bob": ["--case", "one"], "Eve": ["--all-cases", "--reveal"], "Flo": ["--all-cases"]}


class Live:
    """A service that runs, and how it is asked."""

    def __init__(self, folder, *options, port=0):
        self.folder = folder
        cert, key = folder / "service.pem", folder / "service.key"
        self.command = [
            *(sys.executable, "-m", "cli.main", "serve", str(folder / "one"), f"two={folder / 'second'}"),
            *("--people", str(folder / "people"), "--cert", str(cert), "--key", str(key), *options),
        ]
        self.context = ssl.create_default_context(cafile=cert)
        self.tokens = json.loads((folder / "tokens.json").read_text())
        self.start(port)

    def start(self, port):
        self.log = (self.folder / f"log-{uuid.uuid4().hex}").open("w+")
        self.process = subprocess.Popen(
            [*self.command, "--port", str(port)], cwd=ROOT, stdout=subprocess.PIPE, stderr=self.log, text=True
        )
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("https://127.0.0.1:"), self.said()
        self.port = int(self.address.rpartition(":")[2])

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def again(self):
        """Killed, and started again at the same place."""
        self.process.kill()
        self.process.wait()
        self.start(self.port)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait(30) == 0
        return self.said()

    def ask(self, method, path, body=None, who="Ada", **headers):
        """One request; status, headers, and the answer, parsed where it is JSON."""
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=120, context=self.context)
        own = {"authorization": f"Bearer {self.tokens.get(who, who)}"} if who else {}
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        connection.request(method, path, data, {**own, **headers})
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        headers = {name.lower(): value for name, value in answer.getheaders()}
        return answer.status, headers, json.loads(data) if headers["content-type"] == "application/json" else data

    def searched(self, picture, who="Ada", key=None, **asked):
        """A search: the picture is sent, then asked with."""
        data = picture.read_bytes()
        status, _, told = self.ask("POST", "/v1/pictures", data, who)
        assert status == 200, told
        asked = {"queries": [{"sha256": told["sha256"], "name": f"file:{picture}"}], "verify_top": 0, **asked}
        return self.ask("POST", "/v1/searches", asked, who, **({"idempotency-key": key} if key else {}))

    def environment(self, who="Ada"):
        return {**os.environ, "IMGMATCH_SERVICE_TOKEN": self.tokens[who]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two cases, the people, a certificate, and two queries."""
    folder = tmp_path_factory.mktemp("serve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("imgmatch.models.load_model", LOAD)
        for name, seeds in {"one": (1, 2, 3), "second": (5, 6, 7)}.items():
            (folder / f"in-{name}").mkdir()
            for seed in seeds:
                (folder / f"in-{name}" / f"{seed}.jpg").write_bytes(encode(textured(seed), "JPEG", quality=90))
            (folder / f"{name}.csv").write_text("file,label\n" + "".join(f"{s}.jpg,Hotel {s}\n" for s in seeds))
            invoke("init", folder / name, "--purpose", f"find {name}")
            invoke("ingest", folder / name, folder / f"in-{name}", "--labels", folder / f"{name}.csv")
    (folder / "q").mkdir()
    for seed in (2, 7):
        cut = textured(seed).crop((20, 20, 300, 230))
        (folder / "q" / f"q{seed}.jpg").write_bytes(encode(cut, "JPEG", quality=60))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no picture")
    tokens = {
        name: invoke("serve", "token", "add", folder / "people", name, *of).stdout.strip() for name, of in WHO.items()
    }
    (folder / "tokens.json").write_text(json.dumps(tokens))
    certificate(folder)
    certificate(folder, "other")
    return folder


@pytest.fixture(scope="module")
def live(folder):
    with ExitStack() as stack:
        service = Live(folder)
        stack.callback(service.process.kill)
        yield service


def invoke(*words):
    done = CliRunner().invoke(app, [str(word) for word in words])
    assert done.exit_code == 0, done.exception or done.output
    return done


@pytest.fixture
def client(live, monkeypatch):
    """The command as a person with a token of the service runs it, in this process."""
    monkeypatch.setattr("imgmatch.models.load_model", LOAD)
    monkeypatch.setenv("IMGMATCH_SERVICE_TOKEN", live.tokens["Ada"])

    def search(*words):
        return CliRunner().invoke(app, [str(word) for word in ("search", *words)])

    return search


def entries(folder, case):
    return [json.loads(line) for line in (folder / case / "audit.jsonl").read_text().splitlines()]


def of_request(folder, case, key):
    return [entry for entry in entries(folder, case) if str(entry.get("request", "")).split("/")[0] == key]


# --- who comes in


@pytest.mark.claim("S1")
def test_every_answer_but_health_asks_for_a_token_that_is_valid(live):
    assert live.ask("GET", "/health", who="")[::2] == (200, {"state": "up"})
    for route in ROUTES[1:]:
        path = route.path.format(case="one", item="1")
        for who in ("", "imt_" + "x" * 43):
            status, headers, told = live.ask(route.method, path, b"", who)
            assert (status, set(told)) in ((401, {"error"}), (429, {"error"}))
            assert headers["x-imgmatch-api"] == "1"
            assert headers["cache-control"].startswith("no-store")


@pytest.mark.claim("S2")
def test_wrong_tokens_slow_their_address_down_are_told_once_and_keep_nobody_out(folder, live):
    answers = [live.ask("GET", "/v1/cases", who=f"imt_{n:043}")[0] for n in range(14)]
    assert set(answers[10:]) == {429}
    assert set(answers) <= {401, 429}
    assert live.ask("GET", "/v1/cases")[0] == 200
    said = live.said()
    assert said.count("a request without a valid token") == 1
    assert not any(token in said for token in live.tokens.values())


@pytest.mark.claim("S3")
def test_each_person_has_the_cases_that_their_token_is_for(folder, live):
    names = [case["case"] for case in live.ask("GET", "/v1/cases")[2]["cases"]]
    assert names == ["one", "two"]
    assert [case["case"] for case in live.ask("GET", "/v1/cases", who="Bob")[2]["cases"]] == ["one"]
    before = len(entries(folder, "second"))
    for case in ("two", "three"):  # that it is there is not told
        status, _, told = live.searched(folder / "q" / "q7.jpg", "Bob", cases=["one", case])
        assert (status, told["error"]) == (403, f"{case}: there is no such case here, or you have no right to it")
        assert live.ask("GET", f"/v1/cases/{case}/items/1", who="Bob")[0] == 403
    assert len(entries(folder, "second")) == before
    status, _, told = live.searched(folder / "q" / "q7.jpg", "Bob")
    assert {match["case"] for match in told["results"][0]["matches"]} == {None}
    assert len(told["results"][0]["matches"]) == 3


@pytest.mark.claim("S4")
def test_who_is_revoked_is_out_with_the_next_request_and_an_operator_sees_it(folder, live):
    assert live.ask("GET", "/v1/cases", who="Flo")[0] == 200
    invoke("serve", "token", "revoke", folder / "people", "Flo")
    assert live.ask("GET", "/v1/cases", who="Flo")[0] in (401, 429)
    listed = json.loads(invoke("serve", "token", "list", folder / "people", "--format", "json").stdout)
    assert {one["name"]: one["state"] for one in listed} == {
        "Ada": "valid",
        "Bob": "valid",
        "Eve": "valid",
        "Flo": "revoked",
    }
    kept = (folder / "people").read_text()
    assert not any(token in kept for token in live.tokens.values())
    assert stat.S_IMODE((folder / "people").stat().st_mode) == 0o600


def test_a_token_ends_on_its_day_and_what_is_no_file_of_people_is_said(tmp_path):
    token = people.add(tmp_path / "p", "Ada", ["*"], until="2020-01-01")
    assert people.People(tmp_path / "p").of(token) is None
    token = people.add(tmp_path / "p", "Ada", ["*"], until="2999")
    assert people.People(tmp_path / "p").of(token).name == "Ada"
    (tmp_path / "p").chmod(0o666)
    with pytest.raises(ImgmatchError, match="others may write to it"):
        people.People(tmp_path / "p")
    for text in ("", "[]", '{"imgmatch_people": 1, "people": [{}]}', '{"imgmatch_people": 2, "people": []}'):
        (tmp_path / "q").write_text(text)
        (tmp_path / "q").chmod(0o600)
        with pytest.raises(ImgmatchError, match=r"no file of people|another version"):
            people.People(tmp_path / "q")
    with pytest.raises(ImgmatchError, match="is no name"):
        people.add(tmp_path / "r", "two\nlines", ["*"])
    (tmp_path / "p").chmod(0o600)
    with pytest.raises(ImgmatchError, match="has no token"):
        people.revoke(tmp_path / "p", "Nobody")


def test_two_who_make_tokens_at_once_lose_none(tmp_path):
    command = [sys.executable, "-c", "import sys; from pathlib import Path; from cli.serve import people\n"
               "for n in range(8): people.add(Path(sys.argv[1]), f'{sys.argv[2]} {n}', ['*'])"]  # fmt: skip
    both = [subprocess.Popen([*command, tmp_path / "people", who], cwd=ROOT) for who in ("Ada", "Bob")]
    assert [process.wait(60) for process in both] == [0, 0]
    assert len({one.name for one in people.read(tmp_path / "people")}) == 16


# --- what is recorded


@pytest.mark.claim("S5")
def test_the_entry_names_the_person_beside_the_account_and_the_request(folder, live):
    key = f"test-{uuid.uuid4().hex}"
    status, headers, told = live.searched(folder / "q" / "q2.jpg", key=key)
    assert (status, told["request"], headers["x-request-id"]) == (200, key, key)
    for case in ("one", "second"):
        (entry,) = of_request(folder, case, key)
        assert (entry["action"], entry["person"]) == ("search", "Ada")
        assert entry["subject"]["query_sha256"] == told["results"][0]["sha256"]
        plain = next(e for e in entries(folder, case) if e["action"] == "ingest")
        assert entry["actor"] == plain["actor"]
        assert run("audit", "verify", folder / case).returncode == 0
    shown = run("audit", "show", folder / "one", "--action", "search").stdout.decode()
    assert "Ada, by a service of" in shown


def test_what_each_route_leaves_in_the_log(folder, live):
    assert [f"{route.method} {route.path}" for route in ROUTES] == list(SERVICE)
    picture = (folder / "q" / "q2.jpg").read_bytes()
    sha256 = live.ask("POST", "/v1/pictures", picture)[2]["sha256"]
    search = {"queries": [{"sha256": sha256, "name": "x"}], "cases": ["one"], "verify_top": 0}
    for route, (path, leaves) in SERVICE.items():
        before = len(entries(folder, "one"))
        body = {"/v1/pictures": picture, "/v1/searches": search}.get(path)
        assert live.ask(route.split()[0], path, body)[0] == 200
        new = [entry["action"] for entry in entries(folder, "one")[before:]]
        assert new == (leaves if isinstance(leaves, list) else [])


def test_a_set_is_recorded_query_by_query_under_one_id(folder, live):
    pictures = [folder / "q" / "q2.jpg", folder / "q" / "q7.jpg"]
    queries = []
    for picture in pictures:
        sha256 = live.ask("POST", "/v1/pictures", picture.read_bytes())[2]["sha256"]
        queries.append({"sha256": sha256, "name": f"file:{picture}"})
    key = f"test-{uuid.uuid4().hex}"
    for _ in range(2):
        asked = {"queries": queries, "together": True, "verify_top": 0}
        status, _, told = live.ask("POST", "/v1/searches", asked, **{"idempotency-key": key})
        assert status == 200, told
        assert [one["subject"]["query_sha256"] for one in of_request(folder, "one", key)] == [
            q["sha256"] for q in queries
        ]
    assert [len(result["queries"]) for result in told["results"]] == [2]


@pytest.mark.slow
@pytest.mark.claim("S6")
def test_a_request_that_is_sent_again_is_recorded_once_whatever_was_killed_meanwhile(folder):
    live = Live(folder)
    try:
        keys = []
        for number in range(2):
            key = f"kill-{uuid.uuid4().hex}"
            keys.append(key)
            wanted = (folder / "q" / "q2.jpg", "Ada", key)
            killer = threading.Timer(0.05 + 0.4 * number, live.process.kill)
            killer.start()
            with suppress(OSError, http.client.HTTPException):
                live.searched(*wanted, verify_top=20)
            killer.join()
            live.again()
            for _ in range(2):
                status, _, told = live.searched(*wanted, verify_top=20)
                assert status == 200, told
        for case in ("one", "second"):
            assert [len(of_request(folder, case, key)) for key in keys] == [1, 1]
            assert run("audit", "verify", folder / case).returncode == 0
        status, _, told = live.searched(folder / "q" / "q7.jpg", key=keys[0])
        assert (status, "is that of something else" in told["error"]) == (400, True)
        assert "results" not in told
        status, _, _ = live.searched(folder / "q" / "q7.jpg", "Eve", key=keys[0])  # hers is another
        assert status == 200
    finally:
        live.process.kill()


@pytest.mark.slow
def test_a_client_goes_on_through_a_kill_and_a_restart(folder):
    live = Live(folder)
    command = [sys.executable, "-m", "cli.main", "search", live.address, folder / "q", "--ca", folder / "service.pem"]
    asking = subprocess.Popen(
        [*map(str, command), "--format", "jsonl"], cwd=ROOT, env=live.environment(), stdout=subprocess.PIPE, text=True
    )
    before = len([entry for entry in entries(folder, "one") if entry["action"] == "search"])
    try:
        first = asking.stdout.readline()
        live.again()
        rest = asking.communicate(timeout=120)[0]
        assert asking.returncode == 0
        assert [json.loads(line)["answer"] != "" for line in (first, rest)] == [True, True]
        assert len([entry for entry in entries(folder, "one") if entry["action"] == "search"]) == before + 2
    finally:
        live.process.kill()


# --- what is answered


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "3"], ["--format", "json", "--verify-top", "4"], ["--format", "csv"],
        ["--format", "jsonl", "--no-regions"], ["--together", "--format", "json"],
        ["--by", "label", "--format", "json"], ["--label", "Hotel 7", "--format", "json"],
        ["--box", "10,10,150,120", "--ignore-box", "20,20,40,40", "--format", "json"],
    ],
)  # fmt: skip
def test_a_client_shows_what_a_search_on_the_cases_shows(folder, live, client, options):
    if not any(word.startswith("--verify") for word in options):
        options = [*options, "--no-verify"]
    queries = folder / "q"
    there = client(live.address, queries, "--ca", folder / "service.pem", *options)
    here = client(folder / "one", folder / "second", *options, "--", queries)
    assert (there.exit_code, here.exit_code) == (0, 0), (there.exception, here.exception)

    def plain(text):
        """Without the time that it took and the lines of a table, and by one name of a case."""
        text = text.replace(str(folder / "one"), "one").replace(str(folder / "second"), "two")
        return [line.split() for line in text.splitlines() if " ms" not in line and "──" not in line]

    if "json" in options:
        assert untimed(json.loads(there.stdout), folder) == untimed(json.loads(here.stdout), folder)
    elif "jsonl" in options:
        lines = [[untimed(json.loads(line), folder) for line in done.stdout.splitlines()] for done in (there, here)]
        assert lines[0] == lines[1]
    else:
        assert plain(there.stdout) == plain(here.stdout)


def untimed(value, folder):
    if isinstance(value, list):
        return [untimed(one, folder) for one in value]
    if isinstance(value, dict):
        return {name: untimed(one, folder) for name, one in value.items() if name != "elapsed_ms"}
    if isinstance(value, float):
        return round(value, 5)  # one thread of the network there, all here
    return {str(folder / "one"): "one", str(folder / "second"): "two"}.get(value, value)


def test_one_of_its_cases_is_searched_by_its_name_and_status_lists_them(folder, live, client, monkeypatch):
    ca = ("--ca", folder / "service.pem")
    done = client(f"{live.address}/two", folder / "q" / "q7.jpg", *ca, "--format", "json", "--no-verify")
    assert {match["case"] for match in json.loads(done.stdout)["matches"]} == {None}
    assert json.loads(done.stdout)["matches"][0]["sightings"][0]["path"].endswith("in-second/7.jpg")
    listed = CliRunner().invoke(app, ["status", live.address, "--ca", str(ca[1]), "--format", "json"])
    assert [(one["case"], one["items"], one["purpose"]) for one in json.loads(listed.stdout)] == [
        ("one", 3, "find one"),
        ("two", 3, "find second"),
    ]


def test_exit_codes_and_broken_queries_are_those_of_a_case(folder, live, client):
    ca = ("--ca", folder / "service.pem", "--no-verify")
    broken = client(live.address, folder / "broken.jpg", *ca)
    assert "no query could be searched" in str(broken.exception)
    both = client(
        live.address, *ca, "--strict", "--format", "json", "--", folder / "broken.jpg", folder / "q" / "q2.jpg"
    )
    assert both.exit_code == 3
    assert [one["issue"] is None for one in json.loads(both.stdout)] == [False, True]
    unknown = client(live.address, *ca, "--label", "Hotel 70", folder / "q" / "q2.jpg")
    assert "no label 'Hotel 70'" in str(unknown.exception)


@pytest.mark.claim("S7")
def test_pictures_are_blurred_and_clear_ones_are_a_right_that_is_recorded(folder, live):
    path, before = "/v1/cases/one/items/1/picture", len(entries(folder, "one"))
    status, headers, blurred = live.ask("GET", path)
    assert (status, headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(blurred)).mode == "L"
    assert live.ask("GET", f"{path}?reveal=yes")[0] == 403
    assert live.ask("GET", f"{path}?reveal=perhaps", who="Eve")[0] == 400
    status, _, clear = live.ask("GET", f"{path}?reveal=yes&px=320", who="Eve")
    assert (status, Image.open(io.BytesIO(clear)).mode) == (200, "RGB")
    shown = [(entry["action"], entry["person"]) for entry in entries(folder, "one")[before:]]
    assert shown == [("picture", "Ada"), ("reveal", "Eve")]
    assert live.ask("GET", "/v1/cases/one/items/99/picture")[0] == 400
    status, _, told = live.ask("GET", "/v1/cases/one/items/1")
    assert (status, told["item_id"]) == (200, 1)
    assert entries(folder, "one")[-1]["action"] == "show"


def test_the_description_is_of_the_routes_and_of_what_they_say(live):
    told = live.ask("GET", "/v1/openapi.json")[2]
    assert {(path, method.upper()) for path, of in told["paths"].items() for method in of} == {
        (route.path, route.method) for route in ROUTES
    }
    asked = told["components"]["schemas"]["SearchAsked"]
    assert asked["required"] == ["queries"]
    assert asked["properties"]["k"] == {"type": "integer", "minimum": 1, "maximum": 10_000}
    assert "leads" in told["components"]["schemas"]["ResultTold"]["required"]
    text = json.dumps(told)
    assert all(f'"{name}"' in text for name in told["components"]["schemas"])


# --- who would take too much


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"no json", 400), (b"[]", 400), (b'{"queries": []}', 400), (b"[" * 100_000, 400),
        ({"queries": [{"sha256": "0" * 64, "name": "x"}]}, 409),
        ({"queries": [{"sha256": "0" * 64, "name": "x"}], "more": 1}, 400),
        ({"queries": [{"sha256": "0" * 64, "name": "x"}], "k": 10_001}, 400),
        ({"queries": [{"sha256": "0" * 64, "name": "x"}], "k": 1e3}, 400),
        ({"queries": [{"sha256": "0" * 64, "name": "x"}] * 51}, 400),
        ({"queries": [{"sha256": "../etc", "name": "x"}]}, 400),
        (b" " * (2 << 20), 400),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_in_a_line(folder, live, body, status):
    before = len(entries(folder, "one"))
    got, _, told = live.ask("POST", "/v1/searches", body)
    assert got == status, told
    assert "\n" not in told["error"]
    assert len(entries(folder, "one")) == before


@pytest.mark.claim("S8")
def test_uploads_are_bounded_before_they_are_read(live):
    status, _, told = live.ask("POST", "/v1/pictures", None, **{"content-length": str(MAX_UPLOAD_BYTES + 1)})
    assert (status, "larger than 64 MiB" in told["error"]) == (413, True)
    assert live.ask("PUT", "/v1/pictures", b"x")[0] == 405
    assert live.ask("GET", "/v1/../people")[0] == 404


@pytest.mark.slow
def test_too_many_requests_wait_and_a_client_waits_with_them(folder, monkeypatch):
    live = Live(folder, "--rate", "30")
    try:
        live.ask("GET", "/v1/cases", who="")
        answers = [live.ask("GET", "/v1/cases") for _ in range(12)]
        assert answers[0][0] == 200
        late = [(status, headers.get("retry-after")) for status, headers, _ in answers if status != 200]
        assert late
        assert set(late) <= {(429, "1"), (429, "2")}
        monkeypatch.setenv("IMGMATCH_SERVICE_TOKEN", live.tokens["Ada"])
        words = ["search", live.address, folder / "q" / "q2.jpg", "--ca", folder / "service.pem", "--no-verify"]
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code == 0
        assert "asks for patience" in done.stderr
        assert "told to stop" in live.stop()
    finally:
        live.process.kill()
    end = [entry for entry in entries(folder, "one") if entry["action"] == "serve_end"][-1]
    assert end["counts"] == {"refused": end["counts"]["refused"], "searches": 1}
    assert end["counts"]["refused"] > len(late)


# --- errors in one line


def one_line(done):
    assert isinstance(done.exception, ImgmatchError), done.output
    assert "\n" not in str(done.exception)
    assert done.stdout == ""
    return str(done.exception)


@pytest.mark.claim("S10")
def test_a_client_says_in_one_line_what_is_wrong(folder, live, client, monkeypatch):
    query, ca = folder / "q" / "q2.jpg", ("--ca", folder / "service.pem")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        gone = f"https://127.0.0.1:{free.getsockname()[1]}"
        started = time.monotonic()
        assert "can't be reached" in one_line(client(gone, query, *ca))
        assert time.monotonic() - started < 10
    assert "no such host" in one_line(client("https://nowhere.invalid:1", query, *ca))
    assert "its certificate is not one to trust" in one_line(client(live.address, query))
    assert "its certificate is not one to trust" in one_line(client(live.address, query, "--ca", folder / "other.pem"))
    assert "hostname" in one_line(client(live.address.replace("127.0.0.1", "localhost"), query, *ca)).lower()
    assert "holds no certificates" in one_line(client(live.address, query, "--ca", folder / "people"))
    assert "never sent over plain http" in one_line(client("http://example.org:1", query, *ca))
    assert "no such case for Ada; there are: one, two" in one_line(client(f"{live.address}/three", query, *ca))
    assert "a report is made where the case lies" in one_line(client(live.address, query, *ca, "--report", "x.html"))
    assert "takes no mask" in one_line(client(live.address, query, *ca, "--mask", query))
    assert "searches by imgmatch-rooms-int8" in one_line(client(live.address, query, *ca, "--model", "imgmatch-rooms"))
    assert "make no ranking" in one_line(client(live.address, folder / "one", *ca, "--", query))
    monkeypatch.setenv("IMGMATCH_SERVICE_TOKEN", "imt_wrong")
    assert "the token is missing, wrong, expired or revoked" in one_line(client(live.address, query, *ca))
    monkeypatch.delenv("IMGMATCH_SERVICE_TOKEN")
    assert "asks for your token" in one_line(client(live.address, query, *ca))
    (folder / "token").write_text(live.tokens["Ada"] + "\n")
    done = client(live.address, query, *ca, "--token-file", folder / "token", "--no-verify")
    assert done.exit_code == 0


@pytest.mark.parametrize(
    ("headers", "body", "said"),
    [
        ({}, b"<html>", "is no imgmatch service"),
        ({"x-imgmatch-api": "2"}, b"{}", "speaks version 2 of the service"),
        ({"x-imgmatch-api": "1"}, b'{"cases": "all"}', "its answer makes no sense"),
        ({"x-imgmatch-api": "1"}, b"[" * 1000, "its answer makes no sense"),
    ],
)
@pytest.mark.claim("S11")
def test_what_is_no_service_or_another_version_is_said(folder, client, headers, body, said):
    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            for name, value in {**headers, "content-length": len(body)}.items():
                self.send_header(name, str(value))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Other) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = client(f"http://127.0.0.1:{server.server_port}", folder / "q" / "q2.jpg")
        server.shutdown()
    assert said in one_line(done)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "speaks HTTPS: give --cert and --key"),
        (["--http", "--host", "0.0.0.0"], "plain HTTP is for this machine alone"),
        (["--http", "--host", "::"], "plain HTTP is for this machine alone"),
        (["--http", "--cert", "service.pem", "--key", "service.key"], "exclude each other"),
        (["--cert", "service.pem", "--key", "other.key"], "can't be used as certificate and key"),
        (["--cert", "people", "--key", "service.key"], "can't be used as certificate and key"),
        (["--http", "--host", "127.0.0.1", "--people", "nobody"], "make one with: imgmatch serve token add"),
    ],
)
@pytest.mark.claim("S9")
def test_a_service_that_could_be_read_on_the_way_does_not_start(folder, monkeypatch, options, said):
    monkeypatch.chdir(folder)
    before = len(entries(folder, "one"))
    known = [] if "--people" in options else ["--people", "people"]
    done = CliRunner().invoke(app, ["serve", "one", *known, *options])
    assert said in one_line(done)
    assert len(entries(folder, "one")) == before


def test_cases_of_one_name_need_others(folder, monkeypatch):
    monkeypatch.chdir(folder)
    done = CliRunner().invoke(
        app, ["serve", "one", str(Path("..") / folder.name / "one"), "--people", "people", "--http"]
    )
    assert "give NAME=PATH" in one_line(done)


def test_a_case_that_demands_a_reason_demands_it_of_each_search(folder, live, client):
    query, ca = folder / "q" / "q2.jpg", ("--ca", folder / "service.pem", "--no-verify")
    demand = CliRunner().invoke(
        app, ["terms", "set", str(folder / "second"), "--demand", "reason", "--reason", "asked"]
    )
    assert demand.exit_code == 0, demand.output
    before = len(entries(folder, "one"))
    assert "says that every search says why" in one_line(client(live.address, query, *ca))
    assert len(entries(folder, "one")) == before
    assert client(live.address, query, *ca, "--reason", "find the room").exit_code == 0
    assert client(f"{live.address}/one", query, *ca).exit_code == 0
    assert entries(folder, "second")[-1]["arguments"]["reason"] == "find the room"
    CliRunner().invoke(app, ["terms", "set", str(folder / "second"), "--demand", "none", "--reason", "asked"])
