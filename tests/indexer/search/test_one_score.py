"""One pair has one score, one rate and one strength: in a search of any length, in a closer look, whatever the profile
that the case was read with.
"""

import dataclasses
from itertools import pairwise

import pytest

from indexer.intake.config import IngestConfig
from indexer.intake.ingest import ingest
from indexer.search.background import background
from indexer.search.comparison import explain
from indexer.search.request import LeaveOut, SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, textured

ASKED = SearchRequest(k=70, verify_top=10)


@pytest.fixture
def filled(case, embedder, tmp_path):
    (tmp_path / "in").mkdir()
    for seed in range(60):
        (tmp_path / "in" / f"{seed:02}.jpg").write_bytes(encode(textured(seed, (160, 120)), "JPEG"))
    ingest(case, [tmp_path / "in"], embedder)
    return case


@pytest.fixture
def sheet(tmp_path):
    """A page with a picture of the case in it, as a chat shows one."""
    page = textured(300, (320, 240))
    page.paste(textured(7, (160, 120)), (120, 60))
    path = tmp_path / "sheet.png"
    path.write_bytes(encode(page, "PNG"))
    return path


def search(case, embedder, query, request=ASKED):
    (found,) = Searcher(case, embedder, background=background(case, embedder.spec)).search([query], request)
    return found.matches


def figures(match):
    """What is said of a pair in numbers, and the parts that made them."""
    rate = match.false_match
    said = None if rate is None else (rate.rate, rate.lower, rate.upper)
    met = match.candidates[0]
    return match.score, said, met.query_region_px, met.region_px


def test_rates_never_fall_with_the_score_and_are_those_of_any_other_list(filled, embedder, sheet):
    whole = {m.item_id: m for m in search(filled, embedder, sheet)}
    ordered = sorted((m for m in whole.values() if m.false_match is not None), key=lambda m: -m.score)
    assert len(ordered) > 50
    for one, other in pairwise(ordered):
        assert one.false_match.stated <= other.false_match.stated
        assert one.false_match.upper <= other.false_match.upper
        assert one.false_match.lower <= other.false_match.lower
    for request in (dataclasses.replace(ASKED, k=5), dataclasses.replace(ASKED, verify_top=0)):
        for match in search(filled, embedder, sheet, request):
            if match.false_match is not None and whole[match.item_id].false_match is not None:
                assert figures(match) == figures(whole[match.item_id])


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        dataclasses.replace(ASKED, regions=False),
        dataclasses.replace(ASKED, leave_out=LeaveOut(outside=(110, 50, 180, 140))),
        dataclasses.replace(ASKED, leave_out=LeaveOut(boxes=((0, 0, 100, 240),))),
    ],
)
def test_a_closer_look_says_what_the_search_says(filled, embedder, sheet, tmp_path, asked):
    found = search(filled, embedder, sheet, asked)
    for match in (found[0], found[3]):
        told = explain(filled, embedder, sheet, match.item_id, tmp_path / f"{match.item_id}.png", asked)
        assert figures(told.match) == figures(match)
        assert told.match.verification == match.verification


def test_a_case_read_thoroughly_says_the_same_of_the_same_parts(filled, embedder, sheet, tmp_path):
    copy = tmp_path / "copy.png"
    copy.write_bytes(encode(textured(5, (160, 120)).resize((100, 75)), "PNG"))
    before = {query: search(filled, embedder, query) for query in (copy, sheet)}
    ingest(filled, [tmp_path / "in"], embedder, IngestConfig(profile="thorough"))
    for query, matches in before.items():
        after = {m.item_id: m for m in search(filled, embedder, query)}
        assert figures(after[matches[0].item_id]) == figures(matches[0])
        same = [m for m in matches if figures(after[m.item_id])[2:] == figures(m)[2:]]
        assert len(same) > 10
        assert [figures(after[m.item_id]) for m in same] == [figures(m) for m in same]
        # What parts add is a better score, never a worse one.
        assert all(after[m.item_id].score >= m.score for m in matches)
