"""CASE/UCO out, held against the ontology itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from imgmatch.errors import UsageError
from imgmatch.locator import Locator
from imgmatch.types import Candidate, Digests, Evidence, FalseMatchRate, Image, Issue, Match, Sighting
from indexer.case.case import Case
from indexer.case.run import Batch, NewItem
from indexer.out.exchange.caseuco import export_caseuco
from indexer.search import decisions
from indexer.search.request import SearchResult
from tests.indexer.vectors import SPEC, clouds, label

QUERY = Locator.file("/media/query.jpg")


@pytest.fixture
def graph(tmp_path):
    """A case with every kind of thing in it, written: the file, and what was counted."""
    places = ["/media/a.jpg", "/media/<b> \udcff.jpg", "/media/c|1.jpg"]
    with Case.create(tmp_path / "case", model=SPEC, about={"examiner": "Ada"}) as case:
        items = [
            NewItem(
                Digests(f"{number:064x}", f"{number:032x}", f"{number:040x}", 9),
                Image(np.empty((0, 0, 3), np.uint8), (8, 6), 1, "JPEG", "cut off" if number else None),
                vector,
                [
                    Evidence(Locator.file(place), 9, "2024-01-01T00:00:00.123456Z", 1, 1, open),
                    Evidence(Locator("deleted", f"x{number}.jpg", Locator.file("/media/d.dd")), 9, None, 1, 1, open),
                ],
            )
            for number, (place, vector) in enumerate(zip(places, clouds(1, 3), strict=True))
        ]
        with case.writing(), case.run("ingest", "test") as run:
            run.commit(Batch(items=items), case.add_shelf(SPEC))
        label(case, [(1, "t", {"label": 'Hotel "X"'})])
        decisions.decide(case, "1", "2", "confirmed", note="same lamp")
        seen = (Sighting(Locator.file(places[1]), None),)
        rate = FalseMatchRate(None, 0.0, 1e-5)
        match = Match(1, 2, f"{1:064x}", 0.9, seen, {}, (Candidate(1, 2, 0.9),), reasons=("x",), false_match=rate)
        results = [
            SearchResult(QUERY, "f" * 64, "clouds", 1.0, (match,)),
            SearchResult(Locator.file(places[0]), f"{0:064x}", "clouds", 1.0, (match,)),
            SearchResult(QUERY, None, "clouds", 1.0, issue=Issue(QUERY, "decode", "empty", "no bytes")),
        ]
        counts = export_caseuco(case, tmp_path / "out.jsonld", results)
    return tmp_path / "out.jsonld", counts


def test_everything_is_in_the_graph_and_points_to_something_in_it(graph):
    path, counts = graph
    assert counts == {"pictures": 6, "actions": 4, "matches": 2, "decisions": 1}
    nodes = json.loads(path.read_text())["@graph"]
    kinds = [node["@type"] for node in nodes]
    assert kinds.count("observable:RasterPicture") == 6
    assert kinds.count("investigation:InvestigativeAction") == 4
    assert kinds.count("observable:ObservableRelationship") == 3
    ids = {node["@id"] for node in nodes}
    for node in nodes:
        for name in (
            "core:source",
            "core:target",
            "core:object",
            "action:result",
            "action:object",
            "action:instrument",
        ):
            found = node.get(name, [])
            assert {one["@id"] for one in ([found] if isinstance(found, dict) else found)} <= ids
    (record,) = [node for node in nodes if node["@type"] == "investigation:ProvenanceRecord"]
    assert len(record["core:object"]) == 6


def test_an_empty_case_is_one_error_and_no_file(tmp_path):
    with Case.create(tmp_path / "case", model=SPEC) as case, pytest.raises(UsageError, match="holds no pictures yet"):
        export_caseuco(case, tmp_path / "out.jsonld")
    assert not (tmp_path / "out.jsonld").exists()


def validate(path):
    tool = shutil.which("case_validate", path=str(Path(sys.executable).parent)) or shutil.which("case_validate")
    if tool is None:
        pytest.skip("case_validate is not installed: pip install case-utils")
    return subprocess.run([tool, path], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_the_ontology_has_no_complaint_not_even_an_advice(graph):
    done = validate(graph[0])
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Conforms: True" in done.stdout


@pytest.mark.slow
def test_the_validator_would_have_seen_a_misspelt_property(graph):
    path, _ = graph
    path.write_text(path.read_text().replace("observable:pictureHeight", "observable:pictureHight"))
    assert validate(path).returncode != 0
