"""A search service under load: people who search a large case at once, over HTTPS, on this machine alone.

python -m benchmarks.serve [--items 1000000] [--clients 20] [--seconds 60] [--pause-s 1] [--kills 3] [--anchors FILE]
                           [--case FOLDER] [--scratch FOLDER] [--json FILE]

The case holds mixtures of real embeddings under the default model's name, one item and one sighting a vector, and the
index that its size asks for; ``--case`` keeps it between runs. The service is a process of its own, as a laboratory
runs it. Each client has a token and a connection of its own, sends a photograph, then searches with it, without
verification, and asks again, under the same id, where it was cut off or told to come later. What is timed is all of
that, as whoever waits for it.

- ``alone``: one client, one search after the other.
- ``people``: all clients; each looks for ``--pause-s`` on average (exponential) at what was found, then searches again.
- ``again``: the same, back to back, each client with a photograph that it has searched with before.
- ``rush``: all clients, back to back, every search with another photograph: more than any two cores can give.
- ``killed``: as people, and the service is killed and started again so many times.

Load and service share the cores. Every pattern ends after ``--seconds`` and after ``--most`` searches. Nothing but
127.0.0.1 is spoken to. The service sets no pace (``--rate 0``): one client alone asks more often than a person may.
At the end the log of the case must hold each answered search once.
"""

from __future__ import annotations

import argparse
import http.client
import io
import json
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from benchmarks import report
from benchmarks.certificate import certificate
from benchmarks.index_fuzz import fill
from benchmarks.mixtures import anchors, mixture
from benchmarks.photographs import rooms
from imgmatch.models import DEFAULT_MODEL, model_spec
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import Case

_PATIENCE_S = 60.0
_SIDE_PX = 1600
"""The longer side of a query, as of a photograph that was sent by a phone."""
Pictures = Iterator[bytes]


def make(folder: Path, items: int, cache: Path | None, photographs: int) -> None:
    """The case."""
    spec, start = model_spec(DEFAULT_MODEL), 0
    with Case.create(folder, model=spec, about={"purpose": "measure the service"}) as case:
        for block in mixture(anchors(cache, photographs, spec.dim), items, 1):
            fill(case, block, start, spec)
            start += len(block)
        build(case, spec, BuildConfig())


def photographs(count: int) -> list[bytes]:
    """So many different photographs, as JPEG files."""
    found: list[bytes] = []
    paths = rooms()
    rng = np.random.default_rng(5)
    while len(found) < count:
        with Image.open(paths[len(found) % len(paths)]) as opened:
            picture = opened.convert("RGB")
        share = rng.uniform(0.7, 1)
        left, top = (int(side * (1 - share) * rng.uniform()) for side in picture.size)
        cut = picture.crop((left, top, left + int(picture.width * share), top + int(picture.height * share)))
        cut.thumbnail((_SIDE_PX, _SIDE_PX))
        file = io.BytesIO()
        cut.save(file, "JPEG", quality=85)
        found.append(file.getvalue())
    return found


class Served:
    """The service, as a process that can be killed."""

    def __init__(self, folder: Path, case: Path) -> None:
        self._folder, cert, key = folder, folder / "service.pem", folder / "service.key"
        self.command = [sys.executable, "-m", "cli.main", "serve", f"measured={case}", "--people", folder / "people"]
        self.command += ["--cert", cert, "--key", key, "--rate", "0", "--port"]
        self.start(0)

    def start(self, port: int) -> None:
        """Start it, and wait until it can be asked."""
        with (self._folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [*map(str, self.command), str(port)], stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline().rpartition(":")[2])

    def kill(self) -> None:
        """Kill it, and start it again at the same place."""
        self.process.kill()
        self.process.wait()
        self.start(self.port)

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.wait(60)

    def processor_s(self) -> float:
        """What it has used, with its workers."""
        own = psutil.Process(self.process.pid)
        total = 0.0
        for each in (own, *own.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(each.cpu_times()[:2])
        return total

    def resident_mb(self) -> int:
        """Memory of the service, without its workers."""
        return round(psutil.Process(self.process.pid).memory_info().rss / 1e6)


class Client:
    """Somebody's connection."""

    def __init__(self, port: int, token: str, ca: Path) -> None:
        self._headers = {"authorization": f"Bearer {token}"}
        context = ssl.create_default_context(cafile=ca)
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=120, context=context)

    def search(self, data: bytes, key: str) -> int:
        """Send a photograph and search with it; how many matches were told."""
        sha256 = self._asked("/v1/pictures", data, {})["sha256"]
        asked = {"queries": [{"sha256": sha256, "name": "file:query.jpg"}], "k": 10, "verify_top": 0}
        headers = {"idempotency-key": key}
        try:
            told = self._asked("/v1/searches", json.dumps(asked).encode(), headers)
        except _MissingError:  # the service was started again since
            self._asked("/v1/pictures", data, {})
            told = self._asked("/v1/searches", json.dumps(asked).encode(), headers)
        (result,) = told["results"]
        return len(result["matches"])

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def _asked(self, path: str, body: bytes, headers: dict[str, str]) -> Any:
        until = time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._connection.request("POST", path, body, {**self._headers, **headers})
                answer = self._connection.getresponse()
                told = json.loads(answer.read())
            except (OSError, http.client.HTTPException):
                self._connection.close()
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)
                continue
            if answer.status == 200:
                return told
            if answer.status == 409:
                raise _MissingError
            if answer.status not in (429, 503) or time.monotonic() > until:
                raise RuntimeError(told["error"])
            time.sleep(float(answer.headers["retry-after"]))


class _MissingError(Exception):
    """A picture is to be sent again."""


def tokens_of(file: Path, names: list[str]) -> list[str]:
    """A token for each of these people, for every case."""
    code = (
        "import sys; from pathlib import Path; from cli.serve import people\n"
        "for name in sys.argv[2:]: print(people.add(Path(sys.argv[1]), name, [people.ALL]))"
    )
    return subprocess.check_output([sys.executable, "-c", code, str(file), *names], text=True).split()


class Load:
    """Clients that search, until their time is over or there have been enough."""

    def __init__(self, service: Served, tokens: list[str], ca: Path) -> None:
        self._service, self._tokens, self._ca = service, tokens, ca
        self.answered: list[str] = []

    def measure(
        self, clients: int, pictures: Callable[[int], Pictures], pause_s: float, arguments: Any
    ) -> dict[str, Any]:
        """Figures of one pattern. ``pictures``: what each client searches with, by its number."""
        times: list[float] = []
        failed: Counter[str] = Counter()
        until = time.monotonic() + arguments.seconds
        lock = threading.Lock()

        def run(number: int) -> None:
            rng = np.random.default_rng(number)
            client = Client(self._service.port, self._tokens[number], self._ca)
            for data in pictures(number):
                pause = rng.exponential(pause_s) if pause_s else 0.0
                if time.monotonic() + pause > until:
                    break
                time.sleep(pause)
                began, key = time.monotonic(), uuid.uuid4().hex
                try:
                    found = client.search(data, key)
                except (OSError, http.client.HTTPException, RuntimeError) as error:
                    found = 0
                    with lock:
                        failed[f"{type(error).__name__}: {error}"] += 1
                with lock:
                    if found == 10:
                        times.append(time.monotonic() - began)
                        self.answered.append(key)
                    elif found:
                        failed[f"{found} matches"] += 1
                    if len(times) >= arguments.most:
                        break
            client.close()

        began, used, own = time.monotonic(), self._service.processor_s(), time.process_time()
        threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        took, used = time.monotonic() - began, self._service.processor_s() - used
        told = np.array(times or [np.nan]) * 1000
        return {
            "clients": clients,
            "searches": len(times),
            "not_answered": dict(failed),
            "median_ms": round(float(np.median(told)), 1),
            "p99_ms": round(float(np.quantile(told, 0.99)), 1),
            "most_ms": round(float(told.max()), 1),
            "searches_per_s": round(len(times) / took, 2),
            "processor_ms_a_search": round(used / max(1, len(times)) * 1000, 1),
            "processors_had": round(used / took, 2),
            "processor_ms_of_clients": round((time.process_time() - own) / max(1, len(times)) * 1000, 1),
            "load_average": report.load(),
        }


def patterns(load: Load, service: Served, arguments: Any) -> dict[str, Any]:
    """Every pattern, one after the other."""
    own = photographs(arguments.photographs)
    used = 0

    def others(number: int) -> Pictures:
        """A photograph that nobody has searched with, as long as there are any."""
        nonlocal used
        while True:
            used += 1
            yield own[used % len(own)]

    def same(number: int) -> Pictures:
        while True:
            yield own[number]

    load.measure(1, same, 0, argparse.Namespace(seconds=5, most=10))  # what is only loaded when it is first needed
    plan: dict[str, tuple[int, Callable[[int], Pictures], float]] = {
        "alone": (1, others, 0.0),
        "people": (arguments.clients, others, arguments.pause_s),
        "again": (arguments.clients, same, 0.0),
        "rush": (arguments.clients, others, 0.0),
        "killed": (arguments.clients, others, arguments.pause_s),
    }
    found: dict[str, Any] = {}
    for name in arguments.patterns.split(","):
        clients, pictures, pause_s = plan[name]
        killer = None
        if name == "killed":
            killer = threading.Thread(target=_kill, args=(service, arguments))
            killer.start()
        found[name] = load.measure(clients, pictures, pause_s, arguments)
        if killer is not None:
            killer.join()
            found[name] |= {"kills": arguments.kills}
            for figure in ("processor_ms_a_search", "processors_had"):  # of several processes
                del found[name][figure]
        print(f"  {name}: {found[name]}", flush=True)
    return found


def _kill(service: Served, arguments: Any) -> None:
    for _ in range(arguments.kills):
        time.sleep(arguments.seconds / (arguments.kills + 1))
        service.kill()


def recorded(case: Path, keys: list[str]) -> dict[str, int]:
    """How many answered searches the log holds never, and more than once."""
    lines = (case / "audit.jsonl").read_text(encoding="utf-8").splitlines()
    met = Counter(entry.get("request") for entry in map(json.loads, lines) if entry["action"] == "search")
    return {
        "answered": len(keys),
        "not_recorded": sum(not met[key] for key in keys),
        "recorded_twice": sum(met[key] > 1 for key in keys),
    }


def main() -> None:
    """Measure and report."""
    parser = report.parser("A search service under load")
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=60.0, help="of each pattern")
    parser.add_argument("--most", type=int, default=5000, help="searches of each pattern")
    parser.add_argument("--pause-s", type=float, default=1.0, help="between the searches of one person, on average")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--patterns", default="alone,people,again,rush,killed")
    parser.add_argument("--photographs", type=int, default=1500, help="different queries, and the anchors of vectors")
    parser.add_argument("--note", default="", help="what else is to be known of this run: kept with the figures")
    parser.add_argument("--anchors", type=Path, help="keep the real embeddings in this file between runs")
    parser.add_argument("--case", type=Path, help="keep the case there between runs")
    parser.add_argument("--scratch", type=Path, help="folder for the case, 2 GB for a million")
    arguments: argparse.Namespace = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=arguments.scratch) as scratch:
        folder = Path(scratch)
        case = arguments.case or folder / "case"
        if not case.exists():
            make(case, arguments.items, arguments.anchors, arguments.photographs)
        names = [f"Person {number}" for number in range(arguments.clients)]
        tokens = tokens_of(folder / "people", names)
        ca, _ = certificate(folder)
        began = time.monotonic()
        with closing(Served(folder, case)) as service:
            opened = round(time.monotonic() - began, 1)
            load = Load(service, tokens, ca)
            found = patterns(load, service, arguments)
            memory = service.resident_mb()
        log = recorded(case, load.answered)
    columns = ("clients", "searches", "median_ms", "p99_ms", "searches_per_s", "processor_ms_a_search", "load_average")
    rows = [[name, *(figures.get(column, "") for column in columns)] for name, figures in found.items()]
    report.table(f"{arguments.items:,} items, {arguments.clients} clients", ["pattern", *columns], rows)
    print(f"  {log}")
    given = {
        name: getattr(arguments, name) for name in ("note", "items", "clients", "seconds", "pause_s", "photographs")
    }
    report.finish("serve", {**given, "open_s": opened, "resident_mb": memory, **found, **log}, arguments.json)
    lost = log["not_recorded"] or log["recorded_twice"] or any(figures["not_answered"] for figures in found.values())
    sys.exit(1 if lost else 0)


if __name__ == "__main__":
    main()
