"""The HTML report: what it shows, what it hides, and that it is whole or not there."""

import errno
import json
import os
import re
import zipfile
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from imgmatch.errors import UsageError
from imgmatch.evidence.formats import zips
from indexer.case.case import AUDIT
from indexer.intake.ingest import ingest
from indexer.out.report import ReportConfig, write_report
from indexer.out.report.html import plain
from indexer.out.report.pictures import blur
from indexer.search.request import SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, picture, run


class Elements(HTMLParser):
    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))


@pytest.fixture
def searched(case, embedder, photographs):
    (photographs / "<script>.jpg").write_bytes(encode(picture(50), "JPEG"))
    (photographs / "note.txt").write_text("words")
    ingest(case, [photographs], embedder)
    queries = [photographs / "<script>.jpg", photographs / "03.jpg"]
    return case, list(Searcher(case, embedder).search(queries, SearchRequest(4))), embedder.spec


def entries(case):
    return [json.loads(line) for line in (case.path / AUDIT).read_text().splitlines()]


def test_it_says_what_was_searched_and_what_was_found(searched, tmp_path):
    case, results, spec = searched
    text = write_report(case, results, spec, tmp_path / "r").read_text()
    assert spec.weights_sha256 in text
    for result in results:
        for match in result.matches:
            assert match.sha256 in text
            assert f'<span class="score">{match.score:.4f}</span>' in text
    assert "identical content (SHA-256)" in text
    assert "not_a_picture" in text
    made = next(entry for entry in entries(case) if entry["action"] == "report")
    assert made["arguments"]["reveal"] is False
    # The head named in the report is the entry that recorded it: the line that the next one continues from.
    assert entries(case)[made["entry"]]["before"] in text
    assert case.log.verify().faults == []


def test_a_hostile_file_name_stays_text_and_nothing_is_fetched(searched, tmp_path):
    case, results, spec = searched
    page = write_report(case, results, spec, tmp_path / "r")
    text = page.read_text()
    assert "&lt;script&gt;.jpg" in text
    found = Elements(text).found
    assert "script" not in {tag for tag, _ in found}
    assert not [name for _, attributes in found for name in attributes if name.startswith("on")]
    sources = {attributes["href"] for tag, attributes in found if tag == "image"}
    assert sources
    assert all((page.parent / source).is_file() for source in sources)
    assert not re.search(r"https?://", text)


def test_pictures_are_blurred_and_grey_in_their_bytes(searched, tmp_path):
    case, results, spec = searched
    write_report(case, results, spec, tmp_path / "r")
    files = list((tmp_path / "r").rglob("*.jpg"))
    assert {path.parent.name for path in files} == {"blurred"}
    for path in files:
        assert Image.open(path).mode == "L"


def test_blur_leaves_nothing_of_fine_detail():
    board = np.kron(np.indices((60, 80)).sum(0) % 2, np.ones((10, 10))).astype(np.uint8) * 255
    pixels = np.asarray(blur(Image.fromarray(np.dstack([board] * 3))))
    assert pixels[20:-20, 20:-20].std() < 3


def test_reveal_adds_one_switch_a_lead_and_is_recorded(searched, tmp_path):
    case, results, spec = searched
    page = write_report(case, results, spec, tmp_path / "r", ReportConfig(reveal=True))
    found = Elements(page.read_text()).found
    switches = [attributes for tag, attributes in found if tag == "input"]
    # One for a query and its match together, and one for all; the page opens with none shown, on a reload too.
    assert len(switches) == 1 + sum(len(result.matches) for result in results)
    assert not any("checked" in switch for switch in switches)
    assert {(switch["type"], switch["autocomplete"]) for switch in switches} == {("checkbox", "off")}
    shown = [attributes.get("class") for tag, attributes in found if tag == "use"]
    assert shown.count("clear") == shown.count("blurred") == 2 * sum(len(result.matches) for result in results)
    assert len(shown) == shown.count("clear") + shown.count("blurred")
    assert any(entry["action"] == "report" and entry["arguments"]["reveal"] for entry in entries(case))


def test_an_archive_is_gone_through_once_not_once_a_picture(case, embedder, photographs, tmp_path, monkeypatch):
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for path in sorted(photographs.glob("*.jpg")):
            archive.write(path, path.name)
    ingest(case, [tmp_path / "all.zip"], embedder)
    results = list(Searcher(case, embedder).search([photographs / "03.jpg"], SearchRequest(10)))
    assert len(results[0].matches) == 10
    walks = []
    real = zips.Zip.members
    monkeypatch.setattr(zips.Zip, "members", lambda self: walks.append(1) or real(self))
    write_report(case, results, embedder.spec, tmp_path / "r", ReportConfig(jobs=1))
    assert len(walks) == 1
    assert len(list((tmp_path / "r").rglob("*.jpg"))) == 10


def test_without_images_there_are_none(searched, tmp_path):
    case, results, spec = searched
    page = write_report(case, results, spec, tmp_path / "r", ReportConfig(images=False))
    assert os.listdir(page.parent) == ["index.html"]
    found = [tag for tag, _ in Elements(page.read_text()).found]
    assert not {"img", "image", "input"} & set(found)
    assert found.count("svg") == 1, "the receipt's alone"


def test_a_source_that_is_gone_or_changed_is_said_not_shown(searched, tmp_path, photographs):
    case, results, spec = searched
    for path in photographs.glob("*.jpg"):
        path.write_bytes(encode(picture(99), "JPEG"))
    page = write_report(case, results, spec, tmp_path / "r")
    assert "the source is not at hand, or has changed" in page.read_text()
    gone = {match.sha256 for result in results for match in result.matches}
    assert not gone & {path.stem for path in page.parent.rglob("*.jpg")} - _still_there(photographs)


def _still_there(folder: Path) -> set[str]:
    import hashlib

    return {hashlib.sha256(path.read_bytes()).hexdigest() for path in folder.rglob("*") if path.is_file()}


def test_an_empty_case_and_no_query_give_a_report_too(case, embedder, tmp_path):
    assert "0 unique pictures" in write_report(case, [], embedder.spec, tmp_path / "r").read_text()


def test_nothing_is_overwritten(searched, tmp_path):
    case, results, spec = searched
    (tmp_path / "r").mkdir()
    (tmp_path / "r" / "kept").touch()
    with pytest.raises(UsageError, match="exists already"):
        write_report(case, results, spec, tmp_path / "r")
    assert os.listdir(tmp_path / "r") == ["kept"]


def test_a_full_disk_leaves_nothing_behind(searched, tmp_path, monkeypatch):
    case, results, spec = searched
    before = sorted(os.listdir(tmp_path))

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("indexer.out.report.pictures.jpeg", full)
    with pytest.raises(UsageError, match="No space left on device"):
        write_report(case, results, spec, tmp_path / "r")
    assert sorted(os.listdir(tmp_path)) == before


def test_direction_changing_characters_are_written_out():
    assert plain("a\u202egpj.exe") == "a\\u202egpj.exe"


def test_from_the_command_line(case, embedder, photographs, tmp_path):
    ingest(case, [photographs], embedder)
    done = run("search", case.path, photographs / "01.jpg", "--report", tmp_path / "a", "--no-images")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a" / "index.html").is_file()
    done = run("export", case.path, photographs / "01.jpg", "--format", "html", "-o", tmp_path / "b", "-k", 2)
    assert done.returncode == 0, done.stderr
    assert len(list((tmp_path / "b").rglob("*.jpg"))) == 2
    done = run("export", case.path, "-o", tmp_path / "no" / "where")
    assert done.returncode == 1
    assert done.stderr.count(b"\n") == 1
    assert b"there is no folder" in done.stderr
