"""Attacks on the review page: another account's program, another page in the same browser, a browser profile that has
everything but the secret, and connections that say nothing. Does each of them get nothing, and the examiner everything?

python -m benchmarks.attack_page [--json FILE]

The other account's program is a process of account 65534, which needs root to be started; without root, that attack is
left out and says so. The attacks in a browser need playwright and Chromium.
"""

from __future__ import annotations

import http.client
import http.server
import io
import json
import os
import resource
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from benchmarks import report

_NOBODY = 65534
_CONNECTIONS = 1200
_PROGRAM = """
import http.client, socket, sys
host, port = sys.argv[1], int(sys.argv[2])
try:
    asked = http.client.HTTPConnection(host, port, timeout=5)
    asked.request("GET", "/static/app.js", headers={"Sec-Fetch-Site": "same-origin"})
    print(asked.getresponse().status)
except (OSError, http.client.HTTPException) as error:
    print("closed")
"""
_ELSEWHERE = """<!doctype html><title>elsewhere</title><body><script>
const at = "ADDRESS", got = [];
const tried = async (what, work) => {
  try { got.push([what, await work()]); } catch (error) { got.push([what, "refused"]); }
};
const drawn = (tag, path) => new Promise((done) => {
  const made = document.createElement(tag);
  Object.assign(made, { onload: () => done("loaded"), onerror: () => done("refused"), src: at + path });
  document.body.append(made);
});
(async () => {
  await tried("picture", () => drawn("img", "/items/1/picture"));
  await tried("script", () => drawn("script", "/static/app.js"));
  await tried("fetch", async () => (await fetch(at + "/pages/matches", { credentials: "include" })).status);
  const blind = (path, body) => fetch(at + path, { method: "POST", mode: "no-cors", credentials: "include", body });
  for (const [path, body] of [["/examiner", '{"name":"Mallory"}'], ["/session", '{"code":""}']]) {
    await tried(path, async () => (await blind(path, body)).type === "opaque" ? "refused" : "sent");
  }
  const frame = document.createElement("iframe"); frame.src = at + "/"; document.body.append(frame);
  await tried("window", async () => {
    const seen = open(at + "/");
    await new Promise((done) => setTimeout(done, 1000));
    return seen?.document.title || "refused";
  });
  const kept = "imgmatch-review";
  await tried("storage", async () => sessionStorage.getItem(kept) || localStorage.getItem(kept) || "refused");
  document.title = JSON.stringify(got);
})();
</script>"""


class Page:
    """A review that runs, entered as its page does; its process and what it said."""

    def __init__(self, case: Path) -> None:
        command = [sys.executable, "-m", "cli.main", "review", str(case), "--no-browser", "--examiner", "R. Example"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.address = self.process.stdout.readline().strip()
        parts = urllib.parse.urlsplit(self.address)
        self.host, self.port = str(parts.hostname), int(parts.port or 0)
        self.origin, self._code = f"http://{parts.netloc}", parts.fragment.removeprefix("code=")
        self.secret = ""

    def enter(self) -> None:
        """Give the code for the secret."""
        _, data = self.ask("POST", "/session", {"code": self._code})
        self.secret = json.loads(data)["secret"]

    def ask(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, bytes]:
        """One request, with what the page sends; status and bytes, 0 where it was closed."""
        own = {
            "Sec-Fetch-Site": "same-origin",
            "Origin": self.origin,
            "Authorization": f"Bearer {self.secret}",
            **(headers or {}),
        }
        connection = http.client.HTTPConnection(self.host, self.port, timeout=120)
        try:
            data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
            connection.request(method, path, data, {name: value for name, value in own.items() if value})
            answer = connection.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException):
            return 0, b""
        finally:
            connection.close()

    def end(self) -> str:
        """What it said to standard error."""
        self.process.terminate()
        return self.process.communicate(timeout=60)[1]


@contextmanager
def _server(host: str, page: str) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A web server as another account runs it, and the headers that it was sent."""
    seen: list[dict[str, str]] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(dict(self.headers.items()))
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(page.encode())

        def log_message(self, format: str, *args: Any) -> None:
            return

    with http.server.ThreadingHTTPServer((host, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://{host}:{server.server_address[1]}/", seen
        server.shutdown()


def _picture(seed: int) -> bytes:
    blocks = np.random.default_rng(seed).integers(0, 256, (24, 32, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(blocks).resize((320, 240)).save(buffer, "PNG")
    return buffer.getvalue()


def _row(attack: str, held: bool, said: str) -> dict[str, Any]:
    return {"attack": attack, "ended": "held" if held else "crossed", "said": said[:300]}


def other_account(page: Page) -> list[dict[str, Any]]:
    """A program of another account connects."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not sys.platform.startswith("linux"):
        return []
    command = ["/usr/bin/env", "python3", "-c", _PROGRAM, page.host, str(page.port)]
    done = subprocess.run(
        command, user=_NOBODY, group=_NOBODY, capture_output=True, text=True, env={"PATH": "/usr/bin:/bin"}, cwd="/"
    )
    return [_row("page: a program of another account", done.stdout.strip() == "closed", done.stdout + done.stderr)]


def bare_requests(page: Page) -> list[dict[str, Any]]:
    """Requests with everything but the secret, and with the secret where only a cookie has it."""
    rows = []
    for method, path in (("GET", "/pages/matches"), ("GET", "/items/1/picture"), ("POST", "/items/1/clear")):
        without: dict[str, dict[str, str]] = {
            "no secret": {"Authorization": ""},
            "the secret as a cookie": {
                "Authorization": "",
                "Cookie": f"session={page.secret}; imgmatch-review={page.secret}",
            },
            "no Sec-Fetch-Site": {"Sec-Fetch-Site": ""},
            "another page's Sec-Fetch-Site": {"Sec-Fetch-Site": "same-site"},
            "another Host": {"Host": "evil.example"},
            "another Origin": {"Origin": "http://127.0.0.1:1"},
        }
        found = {
            what: page.ask(method, path, b"{}" if method == "POST" else None, headers)[0]
            for what, headers in without.items()
        }
        rows.append(_row(f"page: {method} {path} bare", set(found.values()) <= {401, 403, 421}, json.dumps(found)))
    return rows


def half_open(page: Page) -> list[dict[str, Any]]:
    """Some 1,200 connections that say nothing, or half a line, stay open; the examiner asks beside them."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, _CONNECTIONS + 500), hard))
    open_ones: list[socket.socket] = []
    statuses, slowest = [], 0.0
    try:
        for number in range(_CONNECTIONS):
            made = socket.socket()
            made.settimeout(2)
            try:
                made.connect((page.host, page.port))
                if number % 2:
                    made.send(b"GET / HTTP/1.1\r\nHost:")
            except OSError:
                pass
            open_ones.append(made)
            if number % 100 == 99:
                began = time.monotonic()
                statuses.append(page.ask("GET", "/items/1/picture")[0])
                slowest = max(slowest, time.monotonic() - began)
        held = set(statuses) == {200} and slowest < 5
    finally:
        for made in open_ones:
            made.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return [_row(f"page: {_CONNECTIONS:,} half-open connections", held, f"{statuses}, slowest {slowest:.2f} s")]


def uploads(page: Page) -> list[dict[str, Any]]:
    """Eight uploads of 50 MiB side by side, where 256 MiB may be held."""
    buffer = io.BytesIO()
    Image.new("RGB", (4180, 4180)).save(buffer, "BMP")
    large = buffer.getvalue()
    found: list[int] = []
    made = [large[:-1] + bytes([number]) for number in range(8)]
    asked = [
        threading.Thread(target=lambda data=data: found.append(page.ask("POST", "/queries?name=x", data)[0]))
        for data in made
    ]
    for one in asked:
        one.start()
    for one in asked:
        one.join()
    return [
        _row(
            "page: eight uploads of 50 MiB at once",
            found.count(200) <= 5 and set(found) <= {200, 400},
            str(sorted(found)),
        )
    ]


def browsers(page: Page) -> list[dict[str, Any]]:
    """Other pages in the examiner's browser, and another profile with the same address and cookies."""
    chromium = shutil.which("chromium")
    if chromium is None:
        return []
    from playwright.sync_api import sync_playwright

    rows = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context()
        tab = context.new_page()
        tab.goto(page.address)
        tab.wait_for_selector("#who")
        page.secret = tab.evaluate("sessionStorage.getItem('imgmatch-review')")
        for host in ("127.0.0.1", page.host):
            with _server(host, _ELSEWHERE.replace("ADDRESS", page.origin)) as (url, seen):
                other = context.new_page()
                other.goto(url)
                other.wait_for_function("() => document.title.startsWith('[')", timeout=60_000)
                got = json.loads(other.title())
                sent = json.dumps(seen)
                held = all(value == "refused" for _, value in got) and page.secret not in sent and "Cookie" not in sent
                where = "the same address" if host == page.host else "127.0.0.1"
                rows.append(_row(f"page: another server's page on {where}", held, json.dumps(got)))
                other.close()
        with tempfile.TemporaryDirectory() as folder:
            second = browser.new_context(storage_state=context.storage_state(path=f"{folder}/state.json"))
            tried = second.new_page()
            tried.goto(page.origin)
            tried.wait_for_selector("[role=alert]")
            text = tried.inner_text("body")
            tried.goto(page.address)  # its code is used up
            tried.wait_for_selector("[role=alert]")
            rows.append(_row("page: a second profile with the same cookies and address", "not let in" in text, text))
        rows.append(
            _row("page: cookies of the page", not context.cookies(page.origin), str(context.cookies(page.origin)))
        )
        tab.reload()
        tab.wait_for_selector("#who")
        browser.close()
    return rows


_Attack = Callable[[Page], list[dict[str, Any]]]
_ATTACKS: tuple[_Attack, ...] = (browsers, bare_requests, other_account, half_open, uploads)


def run(attacks: Sequence[_Attack] = _ATTACKS, case: Path | None = None) -> list[dict[str, Any]]:
    """Attacks on a page over a case, or a small one of its own: what each is, whether it ``held``, what was seen."""
    with tempfile.TemporaryDirectory() as scratch:
        page = Page(case or _small(Path(scratch)))
        rows: list[dict[str, Any]] = []
        try:
            for attack in attacks:
                if attack is not browsers and not page.secret:
                    page.enter()  # no browser did
                rows += attack(page)
            alive, shown = page.ask("GET", "/pages/matches")
        finally:
            said = page.end()
        goes_on = alive == 200 and b"Mallory" not in shown and said.count("\n") < 20 and "Traceback" not in said
        rows.append(_row("page: goes on, and says little", goes_on, said))
        return rows


def _small(folder: Path) -> Path:
    (folder / "in").mkdir()
    for number in range(3):
        (folder / "in" / f"{number}.png").write_bytes(_picture(number))
    for command in (["init", folder / "case"], ["ingest", folder / "case", folder / "in"]):
        subprocess.run([sys.executable, "-m", "cli.main", *map(str, command)], check=True, capture_output=True)
    return folder / "case"


def main() -> None:
    """Measure and report."""
    arguments = report.parser("Attacks on the review page").parse_args()
    rows = run()
    report.table("Review page", ["attack", "ended"], [[row["attack"], row["ended"]] for row in rows])
    held = sum(row["ended"] == "held" for row in rows)
    report.finish("attack_page", {"attacks": len(rows), "held": held, "rows": rows}, arguments.json)


if __name__ == "__main__":
    main()
