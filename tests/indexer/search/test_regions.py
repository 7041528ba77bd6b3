"""Regions from outside: a case read thoroughly, searched with crops, collages and boxes."""

import csv
import io
import json

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.match.regions import overlap
from indexer.care.merge import merge
from indexer.case.case import Case
from indexer.intake.ingest import IngestConfig, ingest
from indexer.search.request import LeaveOut, SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, picture, run, run_json
from tests.indexer.vectors import inside

THOROUGH = IngestConfig(profile="thorough")


@pytest.fixture
def larger(tmp_path):
    """A folder of six pictures of 480 x 360, each of four unlike quarters."""
    folder = tmp_path / "larger"
    folder.mkdir()
    for seed in range(6):
        sheet = Image.new("RGB", (480, 360))
        for number, at in enumerate(((0, 0), (240, 0), (0, 180), (240, 180))):
            sheet.paste(picture(100 + 10 * seed + number, (240, 180)), at)
        (folder / f"{seed}.jpg").write_bytes(encode(sheet, "JPEG", quality=95))
    return folder


def write(path, image):
    path.write_bytes(encode(image, "PNG"))
    return path


def names(match):
    return [s.locator.at.rsplit("/", 1)[1] for s in match.sightings]


def test_a_crop_finds_its_picture_with_the_rectangle_in_it(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder, THOROUGH)
    query = write(tmp_path / "crop.png", Image.open(larger / "3.jpg").crop((240, 180, 480, 360)))
    (result,) = Searcher(case, embedder).search([query], SearchRequest(6))
    first = result.matches[0]
    assert names(first) == ["3.jpg"]
    assert first.candidates[0].similarity > 0.95
    assert overlap(first.candidates[0].region_px, (240, 180, 240, 180)) > 0.9
    assert "part of the item" in first.reasons or "part of the query and of the item" in first.reasons
    # However many of its regions met, an item stands in the list once.
    assert len({match.item_id for match in result.matches}) == len(result.matches) == 6
    assert all(len(match.candidates) <= 4 for match in result.matches)


def test_a_picture_in_a_collage_is_found_with_its_rectangle_in_the_query(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder)
    sheet = picture(7, (640, 480))
    sheet.paste(Image.open(larger / "2.jpg").resize((280, 210)), (330, 40))
    query = write(tmp_path / "collage.png", sheet)
    (result,) = Searcher(case, embedder).search([query], SearchRequest(2))
    assert names(result.matches[0]) == ["2.jpg"]
    assert overlap(result.matches[0].candidates[0].query_region_px, (330, 40, 280, 210)) > 0.8
    assert result.matches[0].candidates[0].region_px is None
    (without,) = Searcher(case, embedder).search([query], SearchRequest(2, regions=False))
    assert without.matches[0].score < result.matches[0].score


def test_thorough_adds_regions_to_what_was_read_fast_and_only_once(case, embedder, larger):
    ingest(case, [larger], embedder)
    whole = case.catalogue.counts()
    assert inside(case).vectors.profiles() == {}
    report = ingest(case, [larger], embedder, THOROUGH)
    assert (report.new_items, report.known, report.deepened) == (0, 6, 6)
    deep = case.catalogue.counts()
    assert deep["items"] == whole["items"] == 6
    assert deep["sightings"] == whole["sightings"]
    assert deep["vectors"] > 6 * 9
    assert inside(case).vectors.profiles() == {"thorough": 6}
    for config in (THOROUGH, IngestConfig(), IngestConfig(reread=True, profile="thorough")):
        again = ingest(case, [larger], embedder, config)
        assert again.new_items == again.deepened == 0
        assert case.catalogue.counts()["vectors"] == deep["vectors"]


def test_read_fast_then_thorough_is_as_read_thorough_at_once(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder)
    ingest(case, [larger], embedder, THOROUGH)
    query = write(tmp_path / "crop.png", Image.open(larger / "1.jpg").crop((20, 10, 250, 180)))
    (grown,) = Searcher(case, embedder).search([query], SearchRequest(6))
    with Case.create(tmp_path / "once", model=embedder.spec) as once:
        ingest(once, [larger], embedder, THOROUGH)
        (at_once,) = Searcher(once, embedder).search([query], SearchRequest(6))
    assert [(m.sha256, m.score) for m in grown.matches] == [(m.sha256, m.score) for m in at_once.matches]


def test_merging_and_deleting_keep_the_profile_right(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder, THOROUGH)
    with Case.create(tmp_path / "other", model=embedder.spec) as other:
        merge(other, case)
        assert inside(other).vectors.profiles() == {"thorough": 6}
        assert other.catalogue.counts()["vectors"] == case.catalogue.counts()["vectors"]
        assert ingest(other, [larger], embedder, THOROUGH).deepened == 0
    with inside(case).transaction() as writer:
        writer.delete_items([1])
    assert inside(case).vectors.profiles() == {"thorough": 5}
    assert case.catalogue.integrity() == []


def test_tiny_and_black_pictures_are_read_thoroughly_too(case, embedder, tmp_path):
    folder = tmp_path / "odd"
    folder.mkdir()
    write(folder / "dot.png", Image.new("RGB", (1, 1), (200, 10, 10)))
    write(folder / "black.png", Image.new("RGB", (400, 300)))
    write(folder / "strip.png", picture(1, (900, 2)))
    report = ingest(case, [folder], embedder, THOROUGH)
    assert (report.new_items, report.unusable) == (3, 0)
    assert case.catalogue.counts()["vectors"] == 3
    for query in folder.iterdir():
        (result,) = Searcher(case, embedder).search([query], SearchRequest(3))
        assert result.matches[0].reasons[0] == "the query itself"
    assert ingest(case, [folder], embedder, THOROUGH).unchanged == 3


def test_a_box_searches_that_part_only(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder)
    sheet = Image.new("RGB", (800, 300), (90, 90, 90))
    sheet.paste(Image.open(larger / "0.jpg").resize((400, 300)), (0, 0))
    sheet.paste(Image.open(larger / "5.jpg").resize((400, 300)), (400, 0))
    query = write(tmp_path / "two.png", sheet)
    for box, name in (((0, 0, 400, 300), "0.jpg"), ((400, 0, 400, 300), "5.jpg")):
        (result,) = Searcher(case, embedder).search([query], SearchRequest(1, LeaveOut(outside=box)))
        assert names(result.matches[0]) == [name]
        assert result.matches[0].candidates[0].query_region_px == box


@pytest.mark.parametrize("box", [(0, 0, 0, 5), (5, 5, 10, 0), (-1, 0, 10, 10), (700, 0, 200, 10), (0, 299, 5, 2)])
def test_a_box_that_is_not_in_the_query_is_refused(case, embedder, larger, tmp_path, box):
    ingest(case, [larger], embedder)
    query = write(tmp_path / "q.png", picture(1, (800, 300)))
    with pytest.raises(UsageError, match="not inside the picture of 800 x 300 px"):
        list(Searcher(case, embedder).search([query], SearchRequest(1, LeaveOut(outside=box))))


def test_a_box_of_one_pixel_is_searched(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder)
    query = write(tmp_path / "q.png", picture(1, (800, 300)))
    (result,) = Searcher(case, embedder).search([query], SearchRequest(1, LeaveOut(outside=(799, 299, 1, 1))))
    assert len(result.matches) == 1


def test_a_masked_query_leaves_covered_regions_out(case, embedder, larger, tmp_path):
    ingest(case, [larger], embedder)
    sheet = picture(7, (640, 480))
    sheet.paste(Image.open(larger / "2.jpg").resize((280, 210)), (330, 40))
    query = write(tmp_path / "collage.png", sheet)
    (result,) = Searcher(case, embedder).search([query], SearchRequest(6, LeaveOut(boxes=((330, 40, 280, 210),))))
    for match in result.matches:
        for candidate in match.candidates:
            if candidate.query_region_px is not None:
                assert overlap(candidate.query_region_px, (330, 40, 280, 210)) < 0.7


def test_an_unknown_profile_is_refused(case, embedder, larger):
    with pytest.raises(UsageError, match="no profile 'slow'; there are: fast, thorough"):
        ingest(case, [larger], embedder, IngestConfig(profile="slow"))


def test_the_command_line_prints_both_rectangles(tmp_path, larger):
    case = tmp_path / "case"
    assert run("init", case).returncode == 0
    assert run("ingest", case, larger, "--profile", "thorough").returncode == 0
    assert run_json("status", case)["profiles"] == {"thorough": 6}
    query = write(tmp_path / "crop.png", Image.open(larger / "4.jpg").crop((0, 180, 240, 360)))
    found = json.loads(run("search", case, query, "-k", 1, "--format", "json").stdout)["matches"][0]["candidates"][0]
    assert overlap(tuple(found["region_px"]), (0, 180, 240, 180)) > 0.9
    printed = run("search", case, query, "-k", 1, "--format", "csv", "--box", "0,0,240,180").stdout.decode()
    (row,) = csv.DictReader(io.StringIO(printed))
    assert np.array(row["query_region_px"].split(","), int).tolist() == [0, 0, 240, 180]
    assert "region_px" in run("search", case, query, "-k", 1).stdout.decode()
    refused = run("search", case, query, "--box", "0,0,0,9")
    assert refused.returncode == 1
    assert b"not inside the picture" in refused.stderr
    assert run("search", case, query, "--box", "a,b").returncode == 1
