"""The review page from outside: raw requests against a live server, as another program or page would send them."""

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.models import DEFAULT_MODEL, model_spec
from imgmatch.vault.lines import LogFile
from indexer.case import newest
from indexer.case.case import Case
from tests.conftest import ROOT, encode, picture, run, run_json
from tests.test_recorded import ROUTES

pytest.importorskip("starlette", reason="starlette is not installed: pip install 'imgmatch[review]'")
pytest.importorskip("uvicorn", reason="uvicorn is not installed: pip install 'imgmatch[review]'")
PAGES = ("/", "/decisions", "/groups", "/faces", "/map", "/issues", "/audit", "/export")


class Live:
    """A running review and what its address says."""

    def __init__(self, case, *options, browser="--no-browser", env=None, cwd=ROOT):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "cli.main", "review", str(case), browser, *options],
            cwd=cwd,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.address = self.process.stdout.readline().strip()
        parts = urllib.parse.urlsplit(self.address)
        self.host, self.port, self.code = parts.hostname, parts.port, parts.fragment.removeprefix("code=")
        self.origin = f"http://{self.host}:{self.port}"
        self.secret = ""

    def ask(self, method, path, body=None, headers=None, *, host=None):
        """One request as the page sends it, but for ``headers`` (an empty one is left out): status, headers, bytes."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        connection.putrequest(method, path, skip_host=True)
        if host != "":
            connection.putheader("Host", host or f"{self.host}:{self.port}")
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        for name, value in {**self.own(method), "Content-Length": len(data), **(headers or {})}.items():
            if value != "":
                connection.putheader(name, str(value))
        connection.endheaders(data)
        answer = connection.getresponse()
        found = answer.status, dict(answer.getheaders()), answer.read()
        connection.close()
        return found

    def own(self, method="POST"):
        """What the page itself sends."""
        bearer = f"Bearer {self.secret}" if self.secret else ""
        fetched = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty"}
        return {**fetched, "Authorization": bearer, "Origin": self.origin if method == "POST" else ""}

    def enter(self):
        """Exchange the code for the page's secret."""
        status, headers, data = self.ask("POST", "/session", {"code": self.code})
        assert status == 200
        assert "set-cookie" not in headers
        self.secret = json.loads(data)["secret"]
        return self

    def post(self, path, body):
        status, _, data = self.ask("POST", path, body)
        return status, data

    def stop(self, how=signal.SIGINT):
        self.process.send_signal(how)
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A case of ten pictures, one of them with a hostile name."""
    folder = tmp_path_factory.mktemp("review")
    (folder / "photographs").mkdir()
    for seed in range(9):
        (folder / "photographs" / f"{seed:02}.jpg").write_bytes(encode(picture(seed, (480, 360)), "JPEG", quality=90))
    (folder / "photographs" / "<script>alert(1)<\u202escript>.jpg").write_bytes(encode(checks(), "JPEG", quality=95))
    assert run("init", folder / "case", "--examiner", "R. Example").returncode == 0
    assert run("ingest", folder / "case", folder / "photographs").returncode == 0
    return folder


def checks():
    """A picture of fine detail."""
    board = np.kron(np.indices((36, 48)).sum(0) % 2, np.ones((10, 10))).astype(np.uint8) * 255
    return Image.fromarray(np.dstack([board, board // 2, 255 - board]))


@pytest.fixture(scope="module")
def live(made):
    found = Live(made / "case").enter()
    yield found
    found.stop()


def entries(made, action):
    lines = (made / "case" / "audit.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["action"] == action]


def detail(data):
    """Energy of fine detail: mean square of the difference between neighbours."""
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((480, 360)), np.float32)
    return float((np.diff(grey, axis=1) ** 2).mean() + (np.diff(grey, axis=0) ** 2).mean())


NAVIGATES = {"Sec-Fetch-Site": "none", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.claim("B2")
def test_only_the_right_address_and_a_fresh_code_let_in(made):
    live = Live(made / "case")
    try:
        assert live.host.startswith("127.")
        assert live.host != "127.0.0.1" or sys.platform == "darwin"
        assert live.ask("POST", "/session", {"code": "wrong"})[0] == 400
        for host in ("evil.example", f"localhost:{live.port}", f"{live.host}.evil.example:{live.port}", ""):
            assert live.ask("POST", "/session", {"code": live.code}, host=host)[0] in (400, 421)
        code = live.code
        live.enter()
        assert live.ask("GET", "/pages/matches")[0] == 200
        # Used once, it is dead, also for those who know it.
        live.secret = ""
        assert live.ask("POST", "/session", {"code": code})[0] == 400
        assert live.ask("GET", "/pages/matches")[0] == 401
        assert live.ask("GET", "/pages/matches", headers={"Authorization": "Bearer guess"})[0] == 401
        assert live.ask("GET", "/pages/matches", headers={"Cookie": f"imgmatch-review-{live.port}=guess"})[0] == 401
    finally:
        code, said = live.stop()
    assert code == 0
    assert "Traceback" not in said
    assert said.count("refused: a request without the page's secret") == 1
    ended = entries(made, "review_end")[-1]["arguments"]["refused"]
    assert ended["a request without the page's secret"] == 3
    assert {entry["arguments"]["why"] for entry in entries(made, "review_refused")} >= set(ended)
    with Case.open(made / "case") as case:
        assert case.log.verify().faults == []


@pytest.mark.claim("B1")
def test_nothing_listens_but_on_loopback(live):
    import psutil

    listening = [c.laddr.ip for c in psutil.Process(live.process.pid).net_connections() if c.status == "LISTEN"]
    assert listening == [live.host]


@pytest.mark.claim("B5")
@pytest.mark.parametrize(
    "change",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": ""},
        {"Origin": "http://127.0.0.1:1"},
        {"Authorization": ""},
        {"Authorization": "Bearer guess"},
        {"Authorization": "Basic Og=="},
        {"Sec-Fetch-Site": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_post_of_another_page_is_refused_and_does_nothing(live, made, change):
    before = len(entries(made, "review_examiner"))
    status, _, _ = live.ask("POST", "/examiner", {"name": "Mallory"}, change)
    assert status in (401, 403)
    assert len(entries(made, "review_examiner")) == before


def routes():
    """Every route of the page, with numbers that exist."""
    return [(route.partition(" ")[0], asked if isinstance(asked, str) else asked[0]) for route, asked, _ in ROUTES]


OPEN = {*PAGES, "/static/app.js", "/session"}


@pytest.mark.claim("B3")
@pytest.mark.parametrize(("method", "path"), routes(), ids=[route for route, _, _ in ROUTES])
def test_no_route_gives_or_does_anything_without_the_secret(live, made, method, path):
    """Not to a program that says what a browser does, nor to another page that has everything else."""
    lines = len((made / "case" / "audit.jsonl").read_text().splitlines())
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer guess"}, {"Cookie": f"session={live.secret}"}):
        headers = {"Authorization": "", **headers}
        for more in ({}, {"Sec-Fetch-Site": ""}, {"Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}):
            status, _, data = live.ask(method, path, {"code": "guess"}, {**headers, **more})
            if status == 200:
                assert method == "GET"
                assert path in OPEN
                assert not more
                assert data == (ROOT / "cli" / "review" / "static" / path.rpartition("/")[2]).read_bytes()
            assert status in (200, 400, 401, 403)
    assert {"review_refused"} >= {
        json.loads(line)["action"] for line in (made / "case" / "audit.jsonl").read_text().splitlines()[lines:]
    }


def test_the_page_speaks_the_language_that_is_asked_for(made):
    live = Live(made / "case", "--language", "de", env={"IMGMATCH_LANGUAGE": "fr"}).enter()
    try:
        empty = live.ask("GET", "/", headers={**NAVIGATES, "Authorization": ""})[2].decode()
        assert '<html lang="de">' in empty
        words = json.loads(empty.partition('id="words">')[2].partition("</script>")[0])
        assert words["{0} of {1} taken"] == "{0} von {1} übernommen"
        page = json.loads(live.ask("GET", "/pages/matches")[2])
        assert page["title"].startswith("Treffer ")
        assert "Bilder laden" in page["html"]
        assert "noch keine prüfende Person geprüft" in page["html"]
        assert "Upload pictures" not in page["html"]
        assert "Eintrag" in json.loads(live.ask("GET", "/pages/audit")[2])["html"]
    finally:
        live.stop()


@pytest.mark.claim("B4")
def test_the_empty_page_is_given_to_a_tab_alone_and_holds_nothing_of_the_case(live):
    empty = (ROOT / "cli" / "review" / "static" / "page.html").read_bytes()
    empty = empty.replace(b"{language}", b"en").replace(b"{words}", b"{}")
    for path in PAGES:
        assert live.ask("GET", path, headers={**NAVIGATES, "Authorization": ""})[::2] == (200, empty)
        for change in (
            {"Sec-Fetch-Dest": "iframe"},
            {"Sec-Fetch-Mode": "no-cors"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": ""},
        ):
            assert live.ask("GET", path, headers={**NAVIGATES, **change})[0] == 403
    # A file that leads to the page is another site; it does to its first place only.
    assert live.ask("GET", "/", headers={**NAVIGATES, "Sec-Fetch-Site": "cross-site"})[0] == 200
    assert live.ask("GET", "/audit", headers={**NAVIGATES, "Sec-Fetch-Site": "cross-site"})[0] == 403


@pytest.mark.claim("B6")
def test_a_picture_embedded_by_another_page_is_refused(live):
    for site in ("cross-site", "same-site", ""):
        assert live.ask("GET", "/items/1/picture", headers={"Sec-Fetch-Site": site})[0] == 403
    for method in ("PUT", "OPTIONS", "TRACE"):
        status, headers, _ = live.ask(method, "/examiner", {})
        assert status == 405
        assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.claim("B15")
def test_every_answer_says_how_it_is_to_be_treated(live):
    for path in ("/", "/pages/matches", "/items/1/picture", "/static/app.js", "/nowhere", "/searches/99"):
        _, headers, _ = live.ask("GET", path)
        assert headers["cache-control"].startswith("no-store")
        policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
        assert policy["default-src"] == policy["worker-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["img-src"] == "'self' blob:"
        assert policy["frame-ancestors"] == "'none'"
        assert headers["x-frame-options"] == "DENY"
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-resource-policy"] == headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-embedder-policy"] == "require-corp"
        assert not {"server", "set-cookie"} & set(headers)


@pytest.mark.claim("B16")
def test_pictures_are_blurred_in_their_bytes_until_one_is_asked_for(live, made):
    item = _hostile_item(live)
    _, _, blurred = live.ask("GET", f"/items/{item}/picture")
    before = len(entries(made, "reveal"))
    status, clear = live.post(f"/items/{item}/clear", {"px": 480, "grey": False})
    assert status == 200
    assert Image.open(io.BytesIO(blurred)).mode == "L"
    assert Image.open(io.BytesIO(clear)).mode == "RGB"
    assert detail(blurred) < detail(clear) / 100
    shown = entries(made, "reveal")
    assert len(shown) == before + 1
    assert (shown[-1]["subject"]["item_id"], shown[-1]["arguments"]["examiner"]) == (item, "R. Example")
    _, grey = live.post(f"/items/{item}/clear", {"px": 480, "grey": True})
    assert Image.open(io.BytesIO(grey)).mode == "L"
    # Asking again without a word gives the blurred one again.
    assert live.ask("GET", f"/items/{item}/picture")[2] == blurred


def _hostile_item(live):
    query = json.loads(live.ask("POST", "/queries?name=x", encode(checks(), "JPEG", quality=95))[2])
    found = json.loads(live.post("/searches", {"query": query["query"], "regions": False})[1])
    return json.loads(live.ask("GET", f"/searches/{found['search']}")[2])["items"][0]


@pytest.mark.claim("H1")
def test_a_hostile_name_stays_text(live):
    item = _hostile_item(live)
    page = live.ask("GET", f"/items/{item}")[2].decode()
    assert "&lt;script&gt;alert(1)" in page
    assert "\u202e" not in page
    assert "<script" not in page


def test_search_decide_and_read_the_decision_from_the_case(live, made):
    data = (made / "photographs" / "03.jpg").read_bytes()
    query = json.loads(live.ask("POST", "/queries?name=03.jpg", data)[2])["query"]
    found = json.loads(live.post("/searches", {"query": query, "regions": True})[1])
    first = json.loads(live.ask("GET", f"/searches/{found['search']}?states=open,confirmed,rejected")[2])
    assert first["total"] == found["found"] == 10
    other = first["items"][1]
    note = "same bed"
    asked = {"search": found["search"], "item": other, "verdict": "rejected", "note": note}
    assert live.post("/decisions", asked)[0] == 400  # nobody has looked at the two
    assert live.ask("GET", f"/searches/{found['search']}/items/{other}/geometry")[0] == 200
    assert live.post("/decisions", asked)[0] == 200
    kept = run_json("decide", made / "case", "--list")[-1]
    assert (kept["verdict"], kept["examiner"], kept["note"]) == ("rejected", "R. Example", note)
    after = json.loads(live.ask("GET", f"/searches/{found['search']}")[2])
    assert after["total"] == 9
    assert other not in after["items"]
    rejected = json.loads(live.ask("GET", f"/searches/{found['search']}?states=rejected")[2])
    assert rejected["items"] == [other]
    # A search of the page can show again what was rejected; the command line leaves it out.
    again = json.loads(live.post("/searches", {"query": query, "regions": False})[1])
    assert again["found"] == 10
    high = json.loads(live.ask("GET", f"/searches/{found['search']}?least=0.999")[2])
    assert high["total"] == 1


@pytest.mark.claim("B17")
def test_a_decision_needs_both_pictures_looked_at(live, made):
    """By whoever decides, in this sitting: the server holds it, whatever a script sends."""
    data = encode(picture(4, (480, 360)), "JPEG", quality=70)
    query = json.loads(live.ask("POST", "/queries?name=look.jpg", data)[2])["query"]
    found = json.loads(live.post("/searches", {"query": query})[1])
    first, second, *_ = json.loads(live.ask("GET", f"/searches/{found['search']}")[2])["items"]
    asked = {"search": found["search"], "items": [first, second], "verdict": "possible", "note": "n"}

    def refused():
        status, answer = live.post("/decisions", asked)
        return [one["item"] for one in json.loads(answer)["refused"]] if status == 200 else status

    before = len(entries(made, "decide"))
    assert refused() == 400
    live.ask("GET", f"/searches/{found['search']}/items/{first}")  # opened, and nothing seen of it yet
    live.ask("GET", f"/items/{first}/picture")
    live.post(f"/queries/{query}/clear", {"px": 320})
    assert refused() == 400
    assert len(entries(made, "decide")) == before
    live.post(f"/items/{first}/clear", {"px": 320})
    assert refused() == [second]
    live.ask("GET", f"/searches/{found['search']}/items/{second}/geometry")
    assert refused() == []
    assert len(entries(made, "decide")) == before + 3
    live.post("/examiner", {"name": "N. Ewcomer"})
    assert refused() == 400
    live.post("/examiner", {"name": "r.  example"})
    assert refused() == []
    live.post("/examiner", {"name": "R. Example"})
    status, answer = live.post("/decisions/undo", {"search": found["search"], "item": first})
    assert (status, json.loads(answer)["stands"]) == (200, "possible")
    for body in ({}, {"search": found["search"], "items": []}, {"search": found["search"], "items": ["1"]}):
        assert live.post("/decisions", {"verdict": "possible", **body})[0] == 400
    assert live.post("/decisions", {**asked, "verdict": "withdrawn"})[0] == 400
    assert live.post("/decisions/undo", {"query_sha256": "0" * 64, "item_sha256": "nothing"})[0] == 400


def test_the_verified_order_is_that_of_the_command_line(live, made):
    path = made / "photographs" / "05.jpg"
    query = json.loads(live.ask("POST", "/queries?name=05.jpg", path.read_bytes())[2])["query"]
    found = json.loads(live.post("/searches", {"query": query, "regions": True})[1])
    assert not found["verified"]
    assert json.loads(live.post(f"/searches/{found['search']}/verify", {})[1])["verified"]
    shown = json.loads(live.ask("GET", f"/searches/{found['search']}")[2])["items"]
    told = run_json("search", made / "case", path, "-k", 10)
    assert shown == [match["item_id"] for match in told["matches"]]


def test_marks_and_filters_reach_the_search(live):
    query = json.loads(live.ask("POST", "/queries?name=a", encode(picture(4, (480, 360)), "JPEG"))[2])["query"]
    asked = {
        "query": query,
        "ignore": [[0, 0, 240, 180]],
        "strokes": [{"width": 40, "points": [[300, 200], [400, 300]]}],
    }
    found = json.loads(live.post("/searches", asked)[1])
    said = json.loads(live.ask("GET", f"/searches/{found['search']}")[2])["said"]
    share = int(re.search(r"(\d+)% of the query left out", said)[1])
    assert 26 <= share <= 33  # a quarter, and a stroke of about 150 x 40 pixels
    assert json.loads(live.post("/searches", {"query": query, "since": "2999"})[1])["found"] == 0


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/searches", {"query": 10**9}),
        ("/searches", {"query": 1, "box": [0, 0, -1, 5]}),
        ("/searches", {"query": 1, "strokes": [{"width": 0, "points": [[1, 1]]}]}),
        ("/searches", {"query": 1, "strokes": [{"width": 3, "points": []}]}),
        ("/searches", {"query": 1, "since": "yesterday"}),
        ("/searches", []),
        ("/searches", b"\xff{"),
        ("/queries/item", {"item": "99999"}),
        ("/queries/item", {"item": "../../etc/passwd"}),
        ("/decisions", {"search": 10**6, "item": 1, "verdict": "confirmed"}),
        ("/examiner", {"name": "a\u202eb"}),
        ("/groups/start", {"least": "nan"}),
        ("/export", {"folder": "relative", "searches": [], "k": 5}),
        ("/items/999999/clear", {"px": 400}),
        ("/queries?name=x.jpg", b"no picture"),
    ],
)
def test_bad_requests_are_answered_in_one_line(live, path, body):
    live.ask("POST", "/queries?name=some", encode(picture(1, (480, 360)), "JPEG"))
    status, data = live.post(path, body)
    assert status == 400
    assert "\n" not in json.loads(data)["error"]
    assert "Traceback" not in data.decode()


def test_groups_are_found_beside_the_work(live):
    live.post("/groups/start", {"least": "0.99"})
    found = {"running": True}
    while found["running"]:
        found = json.loads(live.ask("GET", "/groups/found")[2])
    assert "0 groups" in found["html"]


def test_an_export_is_written_once_and_never_over_anything(live, made):
    folder = made / "report"
    asked = {"folder": str(folder), "searches": [], "k": 5, "images": True, "reveal": False}
    assert live.post("/export", asked)[0] == 200
    kept = (folder / "index.html").read_bytes()
    status, data = live.post("/export", asked)
    assert status == 400
    assert "exists already" in json.loads(data)["error"]
    assert (folder / "index.html").read_bytes() == kept


def test_the_log_is_paged_from_its_end(live, made):
    path = made / "case" / "audit.jsonl"
    log = LogFile(path)
    first, begin = newest.page(log, 3)
    second, _ = newest.page(log, 2, begin)
    numbers = [entry["entry"] for entry in first + second]
    assert numbers == list(range(numbers[0], numbers[0] - 5, -1))
    last = len(path.read_text().splitlines())
    assert newest.page(log, last + 5)[1] == 0
    assert json.loads(live.post("/audit/verify", {})[1]) == {"faults": []}


def test_a_session_without_use_ends_and_so_does_the_page(made):
    live = Live(made / "case", "--idle-minutes", "0.02").enter()
    code = live.process.wait(timeout=60)
    assert code == 0
    assert "idle" in live.process.stderr.read()


def test_the_page_can_end_itself(made):
    live = Live(made / "case").enter()
    assert live.post("/end", {})[0] == 200
    assert live.process.wait(timeout=60) == 0
    assert entries(made, "review_end")[-1]["arguments"]["why"] == "ended on the page"


def test_a_port_in_use_is_said_in_one_line(made, live):
    done = run("review", made / "case", "--no-browser", "--host", live.host, "--port", str(live.port))
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"can't be used" in done.stderr
    for host in ("192.0.2.1", "0.0.0.0", "localhost", "127.0.0.999"):
        done = run("review", made / "case", "--no-browser", "--host", host)
        assert (done.returncode, done.stderr.count(b"\n")) == (1, 1)


@pytest.mark.claim("B13")
def test_no_upload_reaches_the_disk(live, made, tmp_path):
    """The process has no file open but those of the case, and no temporary one."""
    import psutil

    live.ask("POST", "/queries?name=large.png", encode(picture(77, (1200, 900)), "PNG"))
    names = [file.path for file in psutil.Process(live.process.pid).open_files()]
    assert not [name for name in names if name.startswith(("/tmp/tmp", "/var/tmp"))]


def test_what_the_page_records_stands_in_the_fields_for_it(made, live):
    data = encode(picture(77), "JPEG")
    assert live.ask("POST", "/queries?name=new.jpg", data)[0] == 200
    always = {"entry", "time_utc", "actor", "version", "action", "before", "arguments", "subject", "counts"}
    lines = (made / "case" / "audit.jsonl").read_text().splitlines()
    found = [entry for entry in map(json.loads, lines) if entry["action"] in {"reveal", "verify", "groups", "show"}]
    found += [entry for entry in map(json.loads, lines) if entry["action"].startswith("review_")]
    assert {"review_start", "review_session", "review_query"} <= {entry["action"] for entry in found}
    for entry in found:
        assert set(entry) - {"salts"} == {*always, "model", "weights_sha256"}
        assert entry["arguments"] or entry["subject"]
        assert (entry["model"] is None) == (entry["weights_sha256"] is None)


@pytest.mark.claim("B10")
def test_connections_that_say_nothing_do_not_keep_the_examiner_out(made):
    """A thousand connections open side by side, half of them with half a line of a request."""
    from benchmarks import attack_page

    rows = attack_page.run([attack_page.half_open, attack_page.other_account], made / "case")
    assert [row for row in rows if row["ended"] != "held"] == []


@pytest.mark.claim("B11")
def test_a_head_that_takes_long_is_not_waited_for(made):
    with socket.socket() as slow:
        live = Live(made / "case").enter()
        try:
            slow.connect((live.host, live.port))
            slow.settimeout(30)
            began = time.monotonic()
            slow.send(b"GET / HTTP/1.1\r\n")
            assert slow.recv(100) == b""
            assert 5 < time.monotonic() - began < 20
        except ConnectionError:
            assert 5 < time.monotonic() - began < 20
        finally:
            live.stop()


@pytest.mark.claim("B12")
def test_uploads_side_by_side_keep_to_the_total(tmp_path):
    from indexer.review.queries import MAX_TOTAL_BYTES, MAX_UPLOAD_BYTES, Queries

    with ExitStack() as opened, ExitStack() as kept:
        case = opened.enter_context(Case.create(tmp_path / "case", model=model_spec(DEFAULT_MODEL)))
        use = opened.enter_context(case.use("review_start", ends="review_end"))
        queries = Queries(use)
        for number in range(MAX_TOTAL_BYTES // MAX_UPLOAD_BYTES):
            kept.enter_context(queries.room(str(number), MAX_UPLOAD_BYTES))
        with pytest.raises(UsageError, match="too large"), queries.room("one more", 1):
            pass
        kept.close()
        with queries.room("again", MAX_UPLOAD_BYTES):
            pass
        with pytest.raises(UsageError, match="too large"), queries.room("large", MAX_UPLOAD_BYTES + 1):
            pass


@pytest.mark.claim("B9")
def test_the_address_stands_in_no_list_of_programs(made, tmp_path):
    """The browser is started with a file that this account alone can read, and that is gone once it was used."""
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > {told}.new && mv {told}.new {told}\n')
    browser.chmod(0o755)
    home = tmp_path / "home"
    home.mkdir()
    live = Live(made / "case", browser="--browser", env={"BROWSER": f"{browser} %s", "HOME": str(home)})
    try:
        for _ in range(200):
            if told.exists():
                break
            time.sleep(0.05)
        (argument,) = told.read_text().splitlines()
        assert live.code not in argument
        file = Path(urllib.parse.unquote(urllib.parse.urlsplit(argument).path))
        assert file.stat().st_mode & 0o077 == 0
        assert live.address in file.read_text()
        live.enter()
        assert not file.exists()
        assert list(home.iterdir()) == []
    finally:
        live.stop()


@pytest.mark.claim("B14")
def test_a_door_ends_by_idleness_by_its_longest_time_and_where_nobody_came():
    from cli.review.door import CODE_S, Door

    now = [0.0]
    door = Door(1000, 5000, lambda: now[0])
    code = door.code(100)
    assert not door.over
    now[0] = 101
    assert door.exchange(code) is None
    assert "nobody" in door.over
    now[0] = 0
    door = Door(1000, 5000, lambda: now[0])
    code = door.code(CODE_S)
    assert not door.admits("guess")
    secret = door.exchange(code)
    assert door.exchange(code) is None
    for now[0] in range(0, 5001, 900):
        assert door.admits(secret)
    assert door.admits(secret, counts=False)
    now[0] = 5001
    assert not door.admits(secret)
    assert door.over == "open for too long"
    now[0] = 0
    door = Door(1000, 5000, lambda: now[0])
    secret = door.exchange(door.code())
    now[0] = 900
    assert door.admits(secret, counts=False)
    now[0] = 1001
    assert not door.admits(secret)
    assert door.over == "idle for too long"
