"""Workers without a network: what is asked of one is done in this process, unless it is lost, late or unable."""

import random
from contextlib import contextmanager
from unittest.mock import patch

import pytest

from imgmatch.workers import pictures
from indexer.intake.cluster import spread, station
from indexer.intake.cluster.connecting import UnreadError


class FakeFuture:
    def __init__(self, work):
        self.status, self._work, self._calls, self.made = "pending", work, [], None

    def add_done_callback(self, call):
        self._calls.append(call)
        if self.status != "pending":
            call(self)

    def come(self, *, lost=False):
        """Do it now."""
        if self.status != "pending":
            return
        if lost:
            self.status = "cancelled"
        else:
            try:
                self.made, self.status = self._work(), "finished"
            except Exception as error:  # noqa: BLE001  (as it would come back)
                self.made, self.status = error, "error"
        for call in self._calls:
            call(self)

    def release(self):
        self.status = "cancelled" if self.status == "pending" else self.status


class FakeConnection:
    """Workers by their addresses, each with stations of its own. ``on_ask`` may change or lose what is asked."""

    address = "tls://nowhere:1"

    def __init__(self, workers=2, threads=1):
        self.generation = 0
        self.stations = {}
        self.threads = threads
        self.environment = {}
        self.late = []
        self.asked = []
        self.numbers = 0
        for _ in range(workers):
            self.start()

    def start(self):
        self.numbers += 1
        self.stations[f"tls://worker:{self.numbers}"] = {}
        return f"tls://worker:{self.numbers}"

    def kill(self, address):
        del self.stations[address]

    def workers(self):
        return dict.fromkeys(self.stations, self.threads)

    def ask(self, work, *given, worker, priority=0):
        stations = self.stations.get(worker)

        def do():
            with (
                patch.object(station, "_stations", stations),
                patch.dict("os.environ", self.environment.get(worker, {})),
            ):
                return work(*given)

        future = FakeFuture(do)
        self.asked.append((work.__name__, worker, given))
        if stations is None:
            return future  # for ever
        self.coming(work.__name__, worker, future)
        return future

    def coming(self, what, worker, future):
        future.come()

    def tell(self, work, *given, worker):
        self.ask(work, *given, worker=worker)

    def result(self, future):
        return future.made

    def raised(self, future):
        return future.made

    def why(self, future):
        return str(future.made)

    def close(self):
        pass


class Unlucky(FakeConnection):
    """At random: a worker dies over a step, before or after it was done; forgets what it had; the scheduler is started
    again; what was made can't be had; somebody comes late."""

    def __init__(self, seed, **options):
        super().__init__(**options)
        self.rng = random.Random(seed)
        self.faults = []

    def coming(self, what, worker, future):
        fault = self.rng.choice(["none"] * 6 + ["killed", "killed after", "forgets", "restart", "unread", "late"])
        if what != "step" or fault == "none":
            return future.come()
        self.faults.append(fault)
        if fault == "killed":
            self.kill(worker)
            self.start()
        elif fault == "killed after":
            future.come()
            future.status = "cancelled"
            self.kill(worker)
            self.start()
        elif fault == "forgets":
            self.stations[worker].clear()
            future.come()
        elif fault == "restart":
            self.generation += 1
            future.come(lost=True)
        elif fault == "unread":
            future.come()
            future.made = UnreadError("lost on the way")
        elif fault == "late":
            self.start()
            future.come()
        return None

    def result(self, future):
        if isinstance(future.made, UnreadError):
            raise future.made
        return future.made


@pytest.fixture
def by(monkeypatch, embedder):
    """Has every ingest with a cluster use a certain connection."""
    monkeypatch.setattr("indexer.intake.cluster.station._pool", lambda limits, threads: pictures.pool(limits))
    monkeypatch.setattr("indexer.intake.cluster.station._loaded", lambda model, device: embedder)
    monkeypatch.setattr("indexer.intake.cluster.crew._LOOK_S", 0.0)

    def use(connection):
        @contextmanager
        def connected(config):
            yield connection

        monkeypatch.setattr(spread, "connected", connected)
        return connection

    return use
