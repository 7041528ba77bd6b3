"""The table of a match's fields, and the pages that say what it holds."""

import dataclasses
import re

from imgmatch.locator import Locator
from imgmatch.types import Candidate, FalseMatchRate, Match, Sighting, Verification
from indexer.out.exchange.tables import TABLES
from indexer.search.fields import CSV, EXPORTED, FIELDS, JSON, REPORT, TABLE, cells, further, values
from tests.conftest import ROOT

OWN = Sighting(Locator.file("/q.jpg"), None, own=True)
THERE = Sighting(Locator.file("/media/there.jpg"), "2024-05-01T12:00:00Z")
VERIFIED = Verification(True, "homography", False, 60, 31, None, 1.25, 0.5, "31 points", lines=((1, 2, 3, 4),))
BARE = Match(1, 7, "ab" * 32, 0.123456789, (OWN,), candidates=(Candidate(1, 7, 0.123456789),))
FULL = dataclasses.replace(
    BARE,
    sightings=(OWN, THERE),
    labels={"label": ("A", "B"), "city": ("Ghent",)},
    candidates=(Candidate(1, 7, 0.5, (1, 2, 3, 4), (5, 6, 7, 8)),),
    verification=VERIFIED,
    reasons=("one", "two"),
    false_match=FalseMatchRate(0.001, 0.0005, 0.002, 0.1, 0.2),
    query=Locator.file("/q.jpg"),
    metadata={"camera_make": "C", "gps": [51.05, 3.7]},
)


def test_the_docs_say_of_every_field_what_it_is_and_where_it_is_shown():
    page = (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| (\w+) \| (yes)? ?\| (yes)? ?\| ([\w ]*?) ?\| (yes)? ?\| ", page, re.MULTILINE)
    said = {name: (kind, json, csv, table, exported) for name, kind, json, csv, table, exported in rows}
    assert said == {
        name: (
            field.kind,
            "yes" * (name in JSON),
            "yes" * (name in CSV),
            TABLE.get(name, ""),
            "yes" * (name in EXPORTED),
        )
        for name, field in FIELDS.items()
    }
    assert ", ".join(CSV) in page.replace("\n", " ")


def test_the_exported_table_is_the_one_of_its_page():
    (row,) = re.findall(r"^\| `matches` \| (.*) \|$", (ROOT / "docs" / "exchange.md").read_text(), re.MULTILINE)
    columns = TABLES["matches"].columns
    assert re.findall(r"`(\w+)`", row) == list(columns)
    assert {name: columns[name] for name in EXPORTED} == {name: FIELDS[name].kind for name in EXPORTED}


def test_no_field_of_a_match_is_shown_nowhere():
    shown = {name for name in FIELDS if name in {*JSON, *CSV, *EXPORTED, *TABLE}}
    assert shown == set(FIELDS)
    under_other_names = {"query": "found_by", "identical": "reasons", "partial": "reasons"}
    for field in dataclasses.fields(Match):
        assert under_other_names.get(field.name, field.name) in JSON


def test_every_place_can_show_a_match_with_all_and_one_with_next_to_nothing():
    for match in (FULL, BARE):
        assert list(values(match, JSON)) == list(JSON)
        assert list(cells(match, CSV)) == list(CSV)
        assert list(values(match, EXPORTED)) == list(EXPORTED)
        assert list(cells(match, list(TABLE))) == list(TABLE)
    assert cells(FULL, ["score", "path", "sightings", "region_px", "found_at", "reasons", "by_chance"]) == {
        "score": "0.1235", "path": "/media/there.jpg", "sightings": 2, "region_px": "5,6,7,8",
        "found_at": "/media/there.jpg (+1 more)", "reasons": "one; two", "by_chance": "about 1 in 1,000",
    }  # fmt: skip
    assert cells(BARE, ["region_px", "found_at", "by_chance", "expected"]) == {
        "region_px": "", "found_at": "/q.jpg", "by_chance": "", "expected": ""
    }  # fmt: skip
    assert values(FULL, ["score", "verified", "inliers", "false_match_rate", "found_by"]) == {
        "score": 0.123457, "verified": True, "inliers": 31, "false_match_rate": 0.001, "found_by": "/q.jpg"
    }  # fmt: skip
    assert "lines" not in values(FULL, ["verification"])["verification"]
    assert values(BARE, ["verification", "verified", "inliers", "false_match"]) == {
        "verification": None, "verified": None, "inliers": None, "false_match": None
    }  # fmt: skip


def test_a_report_says_further_things_in_words_where_there_are_any():
    assert further(BARE) == []
    assert further(FULL) == [
        ("verification", "31 points agree of 60 pairs; 50% of the item covered"),
        (
            "false match",
            "about one in 1,000 unrelated pairs of pictures score this high; 0.1 such false matches expected here",
        ),
        ("query", "/q.jpg"),
        ("metadata", "camera make: C; gps: 51.05; 3.7"),
    ]
    assert [heading for heading, _ in further(FULL)] == list(REPORT)
