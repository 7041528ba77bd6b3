"""Pictures that kill or hold up their decoder, met outside of ingest: as a query, a candidate, or to be shown."""

import dataclasses
import json
import subprocess
import sys

import pytest

from imgmatch.errors import UsageError
from imgmatch.limits import WorkerLimits
from imgmatch.workers import choice, pictures
from imgmatch.workers.process import Process
from indexer.care import repair
from indexer.case.case import AUDIT
from indexer.intake.ingest import ingest
from indexer.out.report import write_report
from indexer.review.queries import Queries
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import ROOT, encode, run, textured
from tests.indexer.intake.fragile import ENDLESS, FATAL, PICTURES

linux = pytest.mark.skipif(sys.platform != "linux", reason="says which signal ended a worker, as Linux does")
pytestmark = linux


@pytest.fixture
def fragile(filled, monkeypatch):
    """After an ingest, workers of this process have faulty decoders, and two seconds a picture."""
    monkeypatch.setattr(pictures, "PICTURES", PICTURES)
    with pictures.PicturePool(2, WorkerLimits(decode_seconds=2)) as made:
        monkeypatch.setattr(pictures, "pool", lambda limits: made)
        yield


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(3):
        (folder / f"{seed}.png").write_bytes(encode(textured(seed), "PNG"))
    (folder / "fatal.png").write_bytes(encode(textured(3), "PNG") + FATAL)
    return folder


@pytest.fixture
def filled(case, embedder, folder):
    ingest(case, [folder], embedder)
    return case


def test_a_batch_of_queries_goes_on_after_one_that_kills_and_one_that_hangs(fragile, filled, embedder, folder):
    (folder / "endless.png").write_bytes(encode(textured(4), "PNG") + ENDLESS)
    queries = [folder / name for name in ("fatal.png", "0.png", "endless.png", "1.png")]
    results = list(Searcher(filled, embedder).search(queries, SearchRequest(1)))
    assert [r.issue and r.issue.error for r in results] == ["worker_died", None, "worker_timeout", None]
    assert "killed by signal 11" in results[0].issue.message
    assert [r.matches[0].sightings[0].locator.at for r in results if not r.issue] == [str(queries[1]), str(queries[3])]


def test_a_candidate_that_kills_its_worker_is_not_verified_and_the_others_are(fragile, filled, embedder, folder):
    started = []
    real = Process.start
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Process, "start", lambda worker: started.append(worker) or real(worker))
        results = list(
            Searcher(filled, embedder).search([folder / "0.png", folder / "1.png"], SearchRequest(4, verify_top=4))
        )
    for result, name in zip(results, ("0.png", "1.png"), strict=True):
        said = {m.sightings[0].locator.at.rsplit("/", 1)[1]: m.verification for m in result.matches}
        assert len(said) == 4
        assert said[name].verified
        assert said["fatal.png"].reason.startswith("can't be verified: the process that decoded it was lost")
        assert not any("can't be verified" in v.reason for at, v in said.items() if at != "fatal.png")
    assert len(started) <= 3  # it kills one, not one a query


def test_a_report_leaves_out_the_picture_that_kills_its_worker(fragile, filled, embedder, folder, tmp_path):
    results = list(Searcher(filled, embedder).search([folder / "0.png"], SearchRequest(4)))
    page = write_report(filled, results, embedder.spec, tmp_path / "report")
    assert len(list(page.parent.glob("pictures/blurred/*.jpg"))) == 3


def test_an_upload_that_kills_its_worker_is_one_error(fragile, filled, folder):
    with filled.use("review_start", ends="review_end") as use:
        queries = Queries(use)
        with pytest.raises(UsageError, match=r"^fatal\.png: the process that decoded it was lost") as caught:
            queries.upload("fatal.png", (folder / "fatal.png").read_bytes())
        assert "\n" not in str(caught.value)
        assert queries.upload("0.png", (folder / "0.png").read_bytes()).size_px == (320, 240)


def test_repair_goes_on_after_a_picture_that_kills_its_worker(fragile, filled, embedder):
    (segment,) = filled.catalogue.segments.committed()
    (filled.path / "segments" / segment.name).write_bytes(b"damaged")
    done = repair.repair(filled, lambda name: embedder)
    assert (done.vectors, len(done.lost)) == (3, 1)


def test_results_are_the_same_without_workers_and_the_log_says_so(filled, embedder, folder, tmp_path, monkeypatch):
    (folder / "large.jpg").write_bytes(encode(textured(1, (2400, 1800)), "JPEG", quality=80))

    def found():
        results = list(Searcher(filled, embedder).search([folder], SearchRequest(4, verify_top=4)))
        return [dataclasses.replace(result, elapsed_ms=0) for result in results]

    isolated = found()
    monkeypatch.setattr(choice, "_isolated", False)
    monkeypatch.setattr(pictures, "pool", lambda: pytest.fail("no worker is asked"))
    assert found() == isolated
    entries = [json.loads(line) for line in (filled.path / AUDIT).read_text().splitlines()]
    said = [entry["arguments"].get("isolation") for entry in entries if entry["action"] == "search"]
    assert said == [None] * 5 + [False] * 5


@pytest.mark.slow
def test_from_outside_a_query_that_kills_its_worker_is_one_line(filled, folder):
    script = (
        "from imgmatch.workers import kinds; from tests.indexer.intake.fragile import PICTURES;"
        "kinds.PICTURES = PICTURES; from cli.main import main; main()"
    )

    def search(*queries):
        command = [sys.executable, "-c", script, "search", filled.path, *queries, "--format", "jsonl"]
        return subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120)

    alone = search(folder / "fatal.png")
    lost = f"imgmatch: {folder / 'fatal.png'}: the process that decoded it was lost (killed by signal 11); given up"
    lines = [line for line in alone.stderr.decode().splitlines() if "false-match rates" not in line]
    assert alone.returncode == 1
    assert lines == [f"{lost}: no query could be searched; give pictures"]

    both = search(folder / "fatal.png", folder / "1.png")
    assert both.returncode == 0
    assert f"{lost}; not searched" in both.stderr.decode()
    assert [json.loads(line)["issue"] is None for line in both.stdout.splitlines()] == [False, True]

    assert run("search", filled.path, folder / "fatal.png", "--no-isolation").returncode == 0
