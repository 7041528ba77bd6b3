"""What an ingest was allowed to read, everything else that reads the same evidence is allowed too."""

import json
import shutil
import zipfile
from dataclasses import replace

import pytest

from imgmatch.evidence import SourceOptions
from imgmatch.evidence.limits import AllLimits
from imgmatch.limits import WorkerLimits
from imgmatch.models import load_model
from imgmatch.workers.pictures import PicturePool
from indexer.care.check import check
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.review.desk import Desk
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, run, run_json, textured

LARGE = 257 << 20
"""Of a file: more than 256 MiB, which is the default."""


@pytest.fixture(scope="module")
def large(tmp_path_factory):
    """A case of a picture that takes more than the default limits, and the folder that it lies in."""
    root = tmp_path_factory.mktemp("large")
    folder = root / "card"
    folder.mkdir()
    with open(folder / "1.jpg", "wb") as file:
        file.write(encode(textured(1), "JPEG"))
        file.truncate(LARGE)  # a hole: it takes no space
    run("init", root / "case")
    said = run_json("ingest", root / "case", folder, "--limit", f"max_bytes={400 << 20}")
    assert (said["new_items"], said["unusable"]) == (1, 0)
    return root / "case", folder


def test_it_is_searched_verified_and_explained(large, tmp_path):
    case, folder = large
    shutil.copy(folder / "1.jpg", tmp_path / "q.jpg")  # the query is as large
    result = run_json("search", case, tmp_path / "q.jpg")
    assert result["issue"] is None
    assert [match["verification"]["verified"] for match in result["matches"]] == [True]
    run_json("explain", case, tmp_path / "q.jpg", 1, "--output", tmp_path / "why.png")


def test_its_sources_are_unchanged_and_its_segments_can_be_repaired(large, tmp_path):
    case, _ = large
    copy = tmp_path / "case"
    shutil.copytree(case, copy)
    (segment,) = (copy / "segments").rglob("*.npy")
    segment.write_bytes(segment.read_bytes()[:-1] + b"\xff")
    repaired = run("check", copy, "--repair", "--sources", "--format", "json")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    assert json.loads(repaired.stdout) == []
    assert b"1 segments rewritten, 1 vectors made again" in repaired.stderr


def test_a_report_shows_it(large, tmp_path):
    case, folder = large
    done = run("search", case, folder / "1.jpg", "--report", tmp_path / "report")
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "report" / "pictures" / "blurred").iterdir())) == 1


def test_a_reviewer_can_choose_it_and_see_it(large):
    with Case.open(large[0]) as case:
        desk = Desk(case, load_model(device="cpu", threads=1))
        chosen = desk.choose("1")
        assert chosen.size_bytes == LARGE
        assert desk.pictures.item(1)[:2] == desk.pictures.query(chosen)[:2] == b"\xff\xd8"


def test_the_widest_limits_of_all_runs_hold_also_in_a_case_that_takes_them_in(large, tmp_path, photographs):
    case, _ = large
    run("init", tmp_path / "other")
    run_json("ingest", tmp_path / "other", photographs, "--limit", "max_bytes=1000000", "--limit", "max_depth=9")
    with Case.open(tmp_path / "other") as other:
        assert other.limits.changed() == {"max_depth": 9}
    assert run("merge", tmp_path / "other", case).returncode == 0
    with Case.open(tmp_path / "other") as other:
        assert other.limits == AllLimits().widened({"max_depth": 9, "max_bytes": 400 << 20})
        assert other.limits.picture.max_bytes == 400 << 20


def test_what_was_unpacked_within_a_raised_limit_is_found_again(case, embedder, tmp_path):
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("deep.jpg", encode(textured(1), "JPEG") + bytes(200 << 20))  # packed to a thousandth
    options = SourceOptions()
    assert ingest(case, [archive], embedder).new_items == 0
    wider = replace(options, limits=replace(options.limits, max_ratio=100_000))
    assert ingest(case, [archive], embedder, IngestConfig(sources=wider)).new_items == 1
    query = tmp_path / "q.jpg"
    query.write_bytes(encode(textured(1), "JPEG"))
    (result,) = Searcher(case, embedder).search([query], SearchRequest(verify_top=1))
    assert result.matches[0].verification.verified
    assert [finding for finding in check(case, sources=True) if finding.part == "source"] == []


def test_what_was_decoded_within_raised_limits_of_workers_is_decoded_within_them_again(
    case, embedder, photographs, monkeypatch
):
    used = set()
    really = PicturePool.read_picture

    def noted(self, data, request):
        used.add(self._limits)
        return really(self, data, request)

    longer = WorkerLimits(decode_seconds=200)
    ingest(case, [photographs], embedder, IngestConfig(worker_limits=longer))
    monkeypatch.setattr(PicturePool, "read_picture", noted)
    (result,) = Searcher(case, embedder).search([photographs / "00.jpg"], SearchRequest(verify_top=3))
    assert result.matches[0].verification is not None
    assert used == {longer}
