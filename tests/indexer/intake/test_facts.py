"""Metadata and PDQ of items: kept at ingest, found again in searches, filters, lists and `show`."""

import sqlite3

import numpy as np
import pytest

from imgmatch.errors import UsageError
from indexer.care.delete import delete
from indexer.care.merge import merge
from indexer.case.case import CATALOGUE, Case
from indexer.catalogue import filters
from indexer.catalogue.filters import Filter
from indexer.index.binary import BinaryIndex
from indexer.intake.ingest import IngestConfig, ingest
from indexer.intake.known import import_list, listed, remove_list
from indexer.intake.known.formats import ListFormat, Malformed, PdqEntry, pdq_entries, recognise
from indexer.out.show import find_item, item_record
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, picture, run, run_json, scene
from tests.imgmatch.picture.test_metadata import exif
from tests.indexer.vectors import inside, looking

pytestmark = pytest.mark.filterwarnings("ignore")  # what Pillow says of broken EXIF


@pytest.fixture
def folder(tmp_path):
    """0 and 1 by one camera, 2 by another, 3 without metadata, 4 with broken EXIF."""
    made = tmp_path / "in"
    made.mkdir()
    for name, serial in (("0", "0123456"), ("1", "0123456"), ("2", "0999999")):
        (made / f"{name}.jpg").write_bytes(encode(picture(int(name)), "JPEG", exif=exif(serial).tobytes()))
    (made / "3.jpg").write_bytes(encode(picture(3), "JPEG"))
    block = bytearray(exif().tobytes())
    block[14:80] = b"\xff" * 66
    (made / "4.jpg").write_bytes(encode(picture(4), "JPEG", exif=bytes(block)))
    return made


def named(case, ids):
    return [inside(case).sightings.of([i])[i][0].locator.at.rsplit("/")[-1] for i in ids]


@pytest.fixture
def filled(case, embedder, folder):
    report = ingest(case, [folder], embedder)
    assert (report.new_items, report.unusable) == (5, 0)
    return case


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["camera_serial=0123456"], ["0.jpg", "1.jpg"]),
        (["camera_serial=0123456", "camera_serial=0999999"], ["0.jpg", "1.jpg", "2.jpg"]),
        (["camera_make=CANON", "camera_serial=0999*"], ["2.jpg"]),
        (["taken=2021-05*"], ["0.jpg", "1.jpg", "2.jpg"]),
        (["orientation=6"], ["0.jpg", "1.jpg", "2.jpg"]),
        (["latitude"], ["0.jpg", "1.jpg", "2.jpg"]),
        (["camera_serial=nobody's"], []),
    ],
)
def test_metadata_as_a_filter(filled, given, expected):
    wanted = Filter(metadata=tuple(map(filters.metadata, given)))
    assert named(filled, inside(filled).vectors.matching(1, wanted)) == expected


def test_a_field_that_is_none_is_named():
    with pytest.raises(UsageError, match="'serial' is no field of metadata; there are: camera_make"):
        filters.metadata("serial=1")


def test_the_same_camera_is_a_reason(filled, embedder, folder):
    (result,) = Searcher(filled, embedder).search([folder / "0.jpg"], SearchRequest(5))
    with_reason = {m.item_id for m in result.matches if any("same camera serial" in reason for reason in m.reasons)}
    assert named(filled, sorted(with_reason)) == ["0.jpg", "1.jpg"]
    assert result.matches[0].metadata["camera_serial"] == "0123456"
    (other,) = Searcher(filled, embedder).search([folder / "3.jpg"], SearchRequest(5))
    assert not any("camera" in reason for match in other.matches for reason in match.reasons)


def test_an_item_is_found_by_id_digest_and_place_and_shown_whole(filled, folder):
    item_id = find_item(looking(filled), str(folder / "2.jpg"))
    record = item_record(looking(filled), item_id)
    assert record["metadata"]["camera_serial"] == {"value": "0999999", "source": "EXIF BodySerialNumber"}
    assert [seen["path"] for seen in record["sightings"]] == [str(folder / "2.jpg")]
    for text in (str(item_id), record["sha256"], record["sha256"][:9].upper(), record["sightings"][0]["locator"]):
        assert find_item(looking(filled), text) == item_id
    for text in ("99999", "abcdef0123", str(folder / "none.jpg")):
        with pytest.raises(UsageError, match="no item of"):
            find_item(looking(filled), text)


def test_facts_go_with_an_item_and_come_with_a_merge(filled, embedder, folder, tmp_path):
    before = inside(filled).facts.metadata(range(1, 6)), inside(filled).facts.pdqs(range(1, 6))
    with Case.create(tmp_path / "other", model=embedder.spec) as other:
        merge(other, filled)
        assert (inside(other).facts.metadata(range(1, 6)), inside(other).facts.pdqs(range(1, 6))) == before
    delete(filled, items=[1])
    assert 1 not in inside(filled).facts.metadata([1]) | inside(filled).facts.pdqs([1])
    assert filled.catalogue.integrity() == []


def test_reading_again_makes_up_for_facts_that_an_older_version_did_not_keep(filled, embedder, folder):
    before = inside(filled).facts.metadata(range(1, 6)), inside(filled).facts.pdqs(range(1, 6))
    with sqlite3.connect(filled.path / CATALOGUE) as db:
        db.execute("DELETE FROM metadata")
        db.execute("DELETE FROM pdqs")
    assert ingest(filled, [folder], embedder).unchanged == 5
    assert inside(filled).facts.metadata([1]) == {}
    report = ingest(filled, [folder], embedder, IngestConfig(reread=True))
    assert (report.known, report.new_items, report.deepened) == (5, 0, 0)
    assert (inside(filled).facts.metadata(range(1, 6)), inside(filled).facts.pdqs(range(1, 6))) == before


def test_pdq_lists_of_threatexchange_are_known(tmp_path):
    path = tmp_path / "list"
    path.write_text(f"pdq {'ab' * 32}\npdq {'CD' * 32}\nmd5 {'ab' * 16}\n")
    assert recognise(path) is ListFormat.pdq
    first, second, bad = pdq_entries(path)
    assert (first, second) == (PdqEntry(b"\xab" * 32), PdqEntry(b"\xcd" * 32))
    assert isinstance(bad, Malformed)


def test_every_hash_within_a_distance_is_found_and_none_beyond():
    rng = np.random.default_rng(2)
    hashes = rng.integers(0, 256, (500, 32), dtype=np.uint8)
    queries = hashes[:100].copy()
    for number, query in enumerate(queries):
        for bit in rng.choice(256, number % 40, replace=False):
            query[bit // 8] ^= 1 << (bit % 8)
    found = list(BinaryIndex(hashes).near(queries, 31))
    assert found == [(number, number, number % 40) for number in range(100) if number % 40 <= 31]


@pytest.mark.parametrize(
    "text",
    [
        "{0},100,a.jpg\n{1},49\nbad,50,b\n",
        "hash,quality,category\n{0},100,x\n{1},49,\nbad,,\n",
        "name;pdq;quality\na;{0};100\nb;{1};49\nc;;\n",
    ],
)
def test_pdq_lists_are_known_by_their_content(tmp_path, text):
    path = tmp_path / "list"
    path.write_text(text.format("ab" * 32, "cd" * 32))
    assert recognise(path) is ListFormat.pdq
    first, second, bad = pdq_entries(path)
    category = "x" if "category" in text else None
    assert first == PdqEntry(b"\xab" * 32, 100, category)
    assert second == PdqEntry(b"\xcd" * 32, 49)
    assert isinstance(bad, Malformed)


def test_a_pdq_list_names_copies_that_no_digest_does(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(4):
        (folder / f"{seed}.jpg").write_bytes(encode(scene(seed), "JPEG", quality=80))
    (folder / "flat.png").write_bytes(encode(picture(1).resize((1, 1)).resize((300, 300)), "PNG"))
    ingest(case, [folder], embedder)
    hashes = inside(case).facts.pdqs(range(1, 6))
    assert hashes[5].quality < 50
    path = tmp_path / "list.txt"
    path.write_text(f"{hashes[1].hash.hex()}\n{hashes[5].hash.hex()}\n{'0' * 64}\n")
    with pytest.raises(UsageError, match="import it as known or alert"):
        import_list(case, path, "ignore", "near", pdq=True)
    done = import_list(case, path, "alert", "near", pdq=True)
    assert (done.hashes, done.items) == (3, 1)
    (folder / "copy.jpg").write_bytes(encode(scene(0).resize((500, 380)), "JPEG", quality=50))
    report = ingest(case, [folder], embedder)
    assert (report.new_items, report.alerts, [a.name for a in report.alerted]) == (1, 1, ["near"])
    found = [(f.item_id, f.hit.by, f.hit.distance <= 31) for f in listed(case, "alert")]
    assert found == [(1, "pdq", True), (6, "pdq", True)]
    (result,) = Searcher(case, embedder).search([folder / "0.jpg"], SearchRequest(1))
    assert "on alert list near (PDQ, 0 bits differ)" in result.matches[0].reasons
    assert sorted(inside(case).vectors.matching(1, Filter(lists=("near",)))) == [1, 6]
    assert sorted(inside(case).vectors.matching(1, Filter(exclude_lists=("near",)))) == [2, 3, 4, 5]
    assert remove_list(case, "near") == 3
    assert list(listed(case)) == []


def test_the_command_line_filters_and_shows(folder, tmp_path):
    case = tmp_path / "case"
    run("init", case)
    run_json("ingest", case, folder)
    found = run_json("search", case, folder / "0.jpg", "--meta", "camera_serial=0999999", "--no-verify")
    assert [m["metadata"]["camera_serial"] for m in found["matches"]] == ["0999999"]
    shown = run("show", case, folder / "0.jpg")
    assert shown.returncode == 0, shown.stderr
    assert "0123456" in shown.stdout.decode()
    assert run_json("show", case, "1")["metadata"]["taken"]["found"] == "2021:05:06 07:08:09"
    wrong = run("search", case, folder / "0.jpg", "--meta", "colour=red")
    assert (wrong.returncode, b"is no field of metadata" in wrong.stderr) == (1, True)
