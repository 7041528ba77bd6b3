"""An ingest over several machines makes the case that one machine makes, whatever becomes of the workers."""

import dataclasses
import hashlib
import io
import json
import os
import re
import shutil
import sqlite3
import threading
import time
import types
import zipfile

import pytest

from imgmatch.errors import MachineError, SourceDiskError
from imgmatch.evidence import SourceOptions
from imgmatch.types import Issue
from indexer.case.case import Case
from indexer.intake.cluster import parcels, session, station
from indexer.intake.cluster.kit import kit
from indexer.intake.config import ClusterConfig
from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.known import import_list
from tests.conftest import encode, picture, snapshot
from tests.indexer.intake.crews import FakeConnection, Unlucky, by

assert by


def zipped(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """Pictures, copies of them, what is none, what is broken, links, and archives at two depths."""
    folder = tmp_path_factory.mktemp("sources")
    jpegs = [encode(picture(seed), "JPEG", quality=90) for seed in range(40)]
    (folder / "deeper").mkdir()
    for number, data in enumerate(jpegs[:12]):
        (folder / f"{number:02}.jpg").write_bytes(data)
    (folder / "deeper" / "copy.jpg").write_bytes(jpegs[3])
    (folder / "deeper" / "broken.jpg").write_bytes(jpegs[4][: len(jpegs[4]) // 2])
    (folder / "deeper" / "notes.txt").write_text("nothing to see")
    (folder / "empty.jpg").write_bytes(b"")
    (folder / "wrong.zip").write_bytes(b"PK\x03\x04 and nothing more")
    inner = zipped({f"{n}.jpg": jpegs[n] for n in (20, 21, 3)})
    (folder / "a.zip").write_bytes(
        zipped({**{f"in/{n}.jpg": jpegs[n] for n in range(5, 19)}, "again.zip": inner, "text.txt": b"text"})
    )
    (folder / "z.jpg").write_bytes(jpegs[30])
    os.symlink(folder / "00.jpg", folder / "link.jpg")
    os.symlink("/", folder / "out")
    os.symlink(folder / "gone", folder / "dangling")
    (folder / os.fsdecode(b"n\xe4me.jpg")).write_bytes(jpegs[31])
    return folder


def whole(case):
    """Everything in a case but times of runs and what each case has of its own."""
    made = {str(path.name): hashlib.sha256(path.read_bytes()).hexdigest() for path in case.path.glob("segments/*/*")}
    own = {"meta", "runs", "audit_head", "audit_out", "verified"}
    with sqlite3.connect(case.path / "catalogue.sqlite") as db:
        db.text_factory = lambda text: text.decode("utf-8", "surrogateescape")
        tables = [name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        for table in sorted(set(tables) - own):
            columns = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
            kept = [name for name in columns if name == "modified_utc" or not name.endswith("_utc")]
            made[table] = db.execute(f"SELECT {', '.join(kept)} FROM {table}").fetchall()
    return made


class Pair:
    """A case made by one machine, and one made by workers; everything is done to both."""

    def __init__(self, folder, embedder):
        self.embedder = embedder
        self.one = Case.create(folder / "one", model=embedder.spec)
        self.many = Case.create(folder / "many", model=embedder.spec)
        self.told = []

    def ingest(self, paths, **options):
        cluster = ClusterConfig("somewhere", tell=self.told.append)
        alone = ingest(self.one, paths, self.embedder, IngestConfig(**options))
        together = ingest(self.many, paths, self.embedder, IngestConfig(**options, cluster=cluster))
        same = {name: value for name, value in alone.counts().items() if name != "access_times"}
        assert {name: value for name, value in together.counts().items() if name in same} == same
        assert whole(self.many) == whole(self.one)
        return together

    def both(self, do):
        do(self.one)
        do(self.many)


@pytest.fixture
def pair(tmp_path, embedder):
    made = Pair(tmp_path, embedder)
    yield made
    made.both(lambda case: case.close())


def test_workers_make_the_case_that_one_machine_makes(pair, by, sources, monkeypatch):
    monkeypatch.setattr("indexer.intake.cluster.jobs._FILES", 5)
    before = snapshot(sources)
    connection = by(FakeConnection(2))
    report = pair.ingest([sources], commit_items=7)
    assert report.new_items == 24
    assert report.known >= 8
    assert {worker for what, worker, _ in connection.asked if what == "step"} == set(connection.stations)
    assert snapshot(sources) == before
    # Again: nothing has changed, and only what is in archives is asked about.
    again = pair.ingest([sources])
    assert (again.new_items, again.read_bytes) == (0, 0)
    pair.ingest([sources], reread=True)
    assert pair.told == []


@pytest.mark.parametrize("options", [
    {"only_pictures": True},
    {"sources": SourceOptions(exclude=("in/1*", "deeper"))},
    {"sources": SourceOptions(inside=False)},
    {"isolation": False},
])  # fmt: skip
def test_options_mean_the_same_to_workers(pair, by, sources, options):
    by(FakeConnection(1, threads=2))
    pair.ingest([sources / "a.zip", sources / "deeper", sources / "wrong.zip"], **options)


def test_regions_are_added_to_what_was_read_fast(pair, by, sources):
    by(FakeConnection(1))
    pair.ingest([sources / "00.jpg", sources / "01.jpg"])
    pair.ingest([sources / "00.jpg", sources / "02.jpg", sources / "deeper" / "copy.jpg"], profile="thorough")


def test_many_paths_are_one_queue_and_a_path_that_is_missing_ends_it_alike(pair, by, sources):
    connection = by(FakeConnection(2))
    pair.ingest([sources / f"{number:02}.jpg" for number in range(12)])
    assert sum(what == "step" for what, *_ in connection.asked) == 1
    for case in (pair.one, pair.many):
        cluster = ClusterConfig("somewhere") if case is pair.many else None
        with pytest.raises(Exception, match="no such file"):
            ingest(case, [sources / "z.jpg", sources / "none"], pair.embedder, IngestConfig(cluster=cluster))
    assert whole(pair.many) == whole(pair.one)


def test_lists_and_erasures_are_asked_before_anything_is_decoded(pair, by, sources, tmp_path, monkeypatch):
    by(FakeConnection(2))
    listed = tmp_path / "ignored.txt"
    picture_of, archive = (sources / "01.jpg").read_bytes(), (sources / "a.zip").read_bytes()
    listed.write_text("\n".join(hashlib.sha256(data).hexdigest() for data in (picture_of, archive)))
    alert = tmp_path / "alert.txt"
    alert.write_text(hashlib.sha256((sources / "02.jpg").read_bytes()).hexdigest())
    pair.both(lambda case: import_list(case, listed, "ignore", name="ignored"))
    pair.both(lambda case: import_list(case, alert, "alert", name="alert"))
    decoded = []
    new = station.Decoding.new
    monkeypatch.setattr(
        station.Decoding, "new", lambda self, found, *rest: decoded.append(found) or new(self, found, *rest)
    )
    report = pair.ingest([sources])
    assert report.ignored == 2
    assert report.alerts == 1
    names = [found.locator.at for found in decoded]
    assert not [name for name in names if name.endswith("01.jpg")]
    assert not [found for found in decoded if found.locator.parent is not None]
    pair.ingest([sources])


@pytest.mark.claim("O7")
@pytest.mark.parametrize("seed", range(4))
def test_whatever_becomes_of_workers_and_scheduler_nothing_is_lost_or_doubled(pair, by, sources, seed, monkeypatch):
    monkeypatch.setattr(session, "_PICTURES", 4)
    monkeypatch.setattr(station, "EMBED_BATCH", 2)
    monkeypatch.setattr("indexer.intake.cluster.jobs._FILES", 3)
    monkeypatch.setattr("indexer.intake.cluster.spread._LOST", 1000)
    connection = by(Unlucky(seed, workers=3))
    pair.ingest([sources], commit_items=5)
    assert len(connection.faults) >= 3


def test_a_step_that_is_asked_for_again_gives_the_same(sources, embedder, by, tmp_path, monkeypatch):
    """At every place: a worker that begins anew gives what is left, and no more."""
    monkeypatch.setattr(session, "_PICTURES", 1)
    by(connection := FakeConnection(1))
    with Case.create(tmp_path / "case", model=embedder.spec) as case:
        ingest(case, [sources / "a.zip"], embedder, IngestConfig(cluster=ClusterConfig("somewhere")))
    tickets = [given[0] for what, _, given in connection.asked if what == "step"]
    setup = next(given[0] for what, _, given in connection.asked if what == "greet")
    monkeypatch.setattr(station, "_stations", {})
    assert station.greet(setup, 1).fault == ""
    everything = []
    first = tickets[0]
    ticket = first
    while not (step := session.step(ticket)).done:
        everything += step.events
        ticket = dataclasses.replace(ticket, serial=ticket.serial + 1, events=ticket.events + len(step.events))
    everything += step.events
    assert len(everything) > 20
    for had in range(1, len(everything), 5):
        rest, ticket = [], dataclasses.replace(first, job=99, events=had, serial=had)
        while not (step := session.step(ticket)).done:
            rest += step.events
            ticket = dataclasses.replace(ticket, serial=ticket.serial + 1, events=ticket.events + len(step.events))
        assert [_plain(event) for event in [*rest, *step.events]] == [_plain(event) for event in everything[had:]]
    station.leave(setup.run)


def _plain(event):
    if isinstance(event, parcels.Found) and event.read is not None and event.read.outcome is not None:
        vector = getattr(event.read.outcome, "vector", None)
        return event.entry, event.read.digests, None if vector is None else vector.tobytes()
    return event


def test_a_file_over_which_every_worker_dies_is_an_issue_and_no_other_is_lost(pair, by, sources, embedder):
    class Deadly(FakeConnection):
        def coming(self, what, worker, future):
            ticket = self.asked[-1][2][0]
            deadly = what == "step" and any(file.evidence.locator.at.endswith("05.jpg") for file in ticket.files)
            if (deadly and ticket.files[0].evidence.locator.at.endswith("05.jpg")) or (
                deadly and len(ticket.files) > 1
            ):
                self.kill(worker)
                self.start()
            else:
                future.come()

    by(Deadly(2))
    config = IngestConfig(cluster=ClusterConfig("somewhere"))
    report = ingest(pair.many, [sources / f"{number:02}.jpg" for number in range(12)], embedder, config)
    assert (report.new_items, report.unusable) == (11, 1)
    assert report.issue_kinds == {"worker_died": 1}


def test_a_slow_worker_is_helped(pair, by, sources, monkeypatch):
    class Slow(FakeConnection):
        def coming(self, what, worker, future):
            if what != "step" or worker != min(self.stations):
                future.come()

    monkeypatch.setattr("indexer.intake.cluster.spread.SLOW_S", 0.2)
    monkeypatch.setattr("indexer.intake.cluster.jobs._FILES", 3)
    connection = by(Slow(2))
    pair.ingest([sources])
    assert {worker for what, worker, _ in connection.asked if what == "step"} == set(connection.stations)


def test_a_worker_without_the_sources_is_named_and_its_files_go_to_another(pair, by, sources, tmp_path):
    connection = by(FakeConnection(2))
    first, second = connection.stations
    connection.environment[first] = {station.PATH_MAP: f"{sources}={tmp_path / 'nothing'}"}
    copied = tmp_path / "mounted" / "elsewhere"
    shutil.copytree(sources, copied, symlinks=True)
    connection.environment[second] = {station.PATH_MAP: f"{sources.parent}={copied.parent}\n{sources}={copied}"}
    pair.ingest([sources])
    assert pair.told == [
        f"imgmatch: worker {first} ({station.platform.node()}) does not see {sources}: its files go to others"
    ]
    (named,) = last_entry(pair.many)["workers"]["named"]
    assert str(sources) in named


def test_where_no_worker_sees_the_sources_that_is_said(pair, by, sources, embedder):
    connection = by(FakeConnection(2))
    for worker in connection.stations:
        connection.environment[worker] = {station.PATH_MAP: f"{sources}=/nowhere/at/all"}
    with pytest.raises(MachineError, match=rf"no worker sees {sources}: .*--path-map"):
        ingest(pair.many, [sources], embedder, IngestConfig(cluster=ClusterConfig("somewhere")))


def test_a_file_that_workers_do_not_see_as_it_is_here_is_read_here(pair, by, sources, tmp_path):
    connection = by(FakeConnection(2))
    other = tmp_path / "mounted"
    shutil.copytree(sources, other, symlinks=True)
    (other / "03.jpg").write_bytes(b"something else")
    (other / "a.zip").unlink()
    for worker in connection.stations:
        connection.environment[worker] = {station.PATH_MAP: f"{sources}={other}"}
    pair.ingest([sources])
    assert {line.rpartition("does not see ")[2].partition(" as")[0] for line in pair.told} == {
        str(sources / "03.jpg"),
        str(sources / "a.zip"),
    }


def test_what_changes_or_goes_meanwhile_is_read_here_or_said_to_be_gone(pair, by, sources, tmp_path):
    folder = tmp_path / "sources"
    shutil.copytree(sources, folder, symlinks=True)

    class Late(FakeConnection):
        def coming(self, what, worker, future):
            if what == "step":
                (folder / "05.jpg").write_bytes((folder / "30.jpg").read_bytes())
                (folder / "07.jpg").unlink(missing_ok=True)
            future.come()

    (folder / "30.jpg").write_bytes(encode(picture(99), "PNG"))
    by(Late(2))
    config = IngestConfig(cluster=ClusterConfig("somewhere", tell=pair.told.append))
    report = ingest(pair.many, [folder], pair.embedder, config)
    assert report.issue_kinds["unreadable"] == 1
    alone = ingest(pair.one, [folder], pair.embedder, IngestConfig())
    assert "unreadable" not in alone.issue_kinds
    assert [row[1:] for row in whole(pair.many)["items"]] == [row[1:] for row in whole(pair.one)["items"]]
    assert len(pair.told) >= 2


def test_a_file_that_a_worker_may_not_read_is_read_by_who_may(pair, by, sources, monkeypatch):
    by(FakeConnection(2))
    real = os.access
    monkeypatch.setattr(station.os, "access", lambda path, how: not str(path).endswith("04.jpg") and real(path, how))
    pair.ingest([sources])
    assert all("04.jpg" in told for told in pair.told)


@pytest.mark.parametrize(("hours", "says"), [(6, "6.0 hours ahead of"), (-0.5, "30 minutes behind")])
def test_a_worker_whose_clock_is_off_is_named_and_the_case_is_the_same(pair, by, sources, monkeypatch, hours, says):
    by(FakeConnection(2))
    off = types.SimpleNamespace(monotonic=time.monotonic, time=lambda: time.time() + 3600 * hours)
    monkeypatch.setattr(station, "time", off)
    pair.ingest([sources])
    assert len(pair.told) == 2, pair.told
    assert all(f"has a clock that is {says} this machine's" in told for told in pair.told)


@pytest.mark.parametrize(("change", "says"), [
    ({"version": "0.0.9"}, "imgmatch is .* there and 0.0.9 here"),
    ({"kit": tuple((name, "1.0" if name == "numpy" else now) for name, now in kit())}, "numpy is .* and 1.0 here"),
    ({"vectors": "0" * 64}, "computes other vectors"),
    ({"model": "other weights"}, "the weights of .* install the same"),
])  # fmt: skip
def test_a_worker_that_is_otherwise_is_refused_by_name(pair, by, sources, embedder, monkeypatch, change, says):
    connection = by(FakeConnection(2))
    if change.get("model"):
        change = {"model": dataclasses.replace(embedder.spec, weights_sha256="0" * 64)}
    real, first = station.Station.__init__, min(connection.stations)

    def otherwise(self, setup, *rest):
        another = station._stations is connection.stations[first]
        real(self, dataclasses.replace(setup, **change) if another else setup, *rest)

    monkeypatch.setattr(station.Station, "__init__", otherwise)
    pair.ingest([sources / "00.jpg", sources / "01.jpg"])
    (told,) = pair.told
    assert told.startswith(f"imgmatch: worker {first} (")
    assert re.search(says, told)
    connection.kill(max(connection.stations))
    with pytest.raises(MachineError, match=r"no worker of .* can take part"):
        ingest(pair.many, [sources / "02.jpg"], embedder, IngestConfig(cluster=ClusterConfig("somewhere")))


def test_a_machine_at_fault_is_left_out_and_the_run_goes_on_without_it(pair, by, sources, monkeypatch):
    connection = by(FakeConnection(2))
    first, real = min(connection.stations), station.Station.find

    def find(self, file):
        if station._stations is connection.stations.get(first):
            raise OSError(28, "No space left on device")
        return real(self, file)

    monkeypatch.setattr(station.Station, "find", find)
    pair.ingest([sources])
    assert len(pair.told) == 1
    assert "no space left" in pair.told[0]


def test_what_one_machines_disk_does_not_give_is_asked_of_another(pair, by, sources, monkeypatch):
    connection = by(FakeConnection(2))
    first, real = min(connection.stations), session.unfold

    def unfold(file, *rest):
        if station._stations is connection.stations.get(first) and file.locator.at.endswith("04.jpg"):
            yield Issue.walked(file.locator, SourceDiskError("its disk can't read it"))
            return
        yield from real(file, *rest)

    monkeypatch.setattr(session, "unfold", unfold)
    assert pair.ingest([sources]).unread == 0


def test_nobody_there_is_said_after_a_while(pair, by, sources, embedder, monkeypatch):
    by(FakeConnection(0))
    monkeypatch.setattr("indexer.intake.cluster.crew.ALONE_S", 0.3)
    with pytest.raises(MachineError, match="has no worker; start some"):
        ingest(pair.many, [sources], embedder, IngestConfig(cluster=ClusterConfig("somewhere")))


def test_a_run_that_is_stopped_goes_on_later(pair, by, sources, embedder):
    by(FakeConnection(2))
    stop = threading.Event()
    config = IngestConfig(commit_items=3, cluster=ClusterConfig("somewhere"))
    report = ingest(
        pair.many, [sources], embedder, config, stop=stop, progress=lambda report: report.new_items >= 3 and stop.set()
    )
    assert report.interrupted
    assert 0 < report.new_items < 20
    ingest(pair.many, [sources], embedder, config)
    ingest(pair.one, [sources], embedder, IngestConfig())
    both = [[row[1:] for row in whole(case)["items"]] for case in (pair.one, pair.many)]
    assert both[0] == both[1]


def last_entry(case):
    lines = (case.path / "audit.jsonl").read_text().splitlines()
    return json.loads(lines[-1])
