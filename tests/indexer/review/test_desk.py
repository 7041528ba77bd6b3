"""The desk's searches: the stages of every search, over a query that is read once."""

import pytest

from indexer.care.delete import delete
from indexer.intake.ingest import ingest
from indexer.review import Desk
from indexer.search import decisions, searcher
from indexer.search.request import LeaveOut, SearchRequest
from indexer.search.searcher import Searcher
from tests.conftest import encode, textured

COUNT = 5


@pytest.fixture
def desk(case, embedder, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    for seed in range(COUNT):
        (folder / f"{seed}.png").write_bytes(encode(textured(seed), "PNG"))
    ingest(case, [folder], embedder)
    made = Desk(case, embedder, "E. Xaminer")
    yield made
    made.close()


def test_a_query_is_read_once_for_its_search_its_verification_and_every_comparison(desk, monkeypatch):
    read = []
    really = searcher.read_query
    monkeypatch.setattr(searcher, "read_query", lambda found, *rest: read.append(found) or really(found, *rest))
    picture = desk.upload("q.png", encode(textured(3).crop((20, 20, 300, 220)), "PNG"))
    kept = desk.search([picture.query_id], SearchRequest())
    desk.verify(kept.search_id)
    for match in kept.result.matches:
        desk.compare(kept.search_id, match.item_id)
    assert len(read) == 1


def test_a_query_that_is_not_kept_any_more_is_read_again(desk):
    pictures = [desk.upload(f"{seed}.png", encode(textured(seed + 10), "PNG")) for seed in range(4)]
    kept = [desk.search([picture.query_id], SearchRequest()) for picture in pictures]
    assert all(desk.verify(one.search_id).verified for one in kept)


def test_a_verified_search_says_what_the_command_line_says(desk, case, embedder, tmp_path):
    data = encode(textured(3).crop((20, 20, 300, 220)), "PNG")
    (tmp_path / "q.png").write_bytes(data)
    leave_out = LeaveOut(boxes=((0, 0, 60, 60),))
    kept = desk.search([desk.upload("q.png", data).query_id], SearchRequest(leave_out=leave_out))
    assert not any(match.verification for match in kept.result.matches)
    matches = desk.verify(kept.search_id).result.matches
    (result,) = Searcher(case, embedder, background=desk.background).search(
        [tmp_path / "q.png"], SearchRequest(COUNT, leave_out, verify_top=COUNT)
    )
    assert matches == result.matches
    assert matches[0].verification.verified


def test_an_item_that_was_deleted_meanwhile_is_left_out_of_what_is_verified_later(desk, case):
    kept = desk.search([desk.upload("q.png", encode(textured(3), "PNG")).query_id], SearchRequest())
    first = kept.result.matches[0].item_id
    delete(case, items=[first])
    matches = desk.verify(kept.search_id).result.matches
    assert [m.rank for m in matches] == list(range(1, COUNT))
    assert first not in {m.item_id for m in matches}


@pytest.mark.parametrize("name", ["sheet.html", "folder"])
def test_an_upload_is_shown_in_a_report_that_was_asked_to_hold_pictures_and_nowhere_else(desk, tmp_path, name):
    picture = desk.upload("holiday.png", encode(textured(3).crop((20, 20, 300, 220)), "PNG"))
    kept = desk.search([picture.query_id], SearchRequest())
    desk.verify(kept.search_id)
    item = kept.result.matches[0].item_id
    decisions.decide(desk.case, picture.sha256, str(item), "possible", "the same lamp", "E. Xaminer")
    for item_id in (match.item_id for match in kept.result.matches[1:3]):
        decisions.decide(desk.case, picture.sha256, str(item_id), "rejected", "another wall", "E. Xaminer")
    size = "0 0 280 200"  # of the upload alone
    pages = {
        reveal: desk.export(str(tmp_path / f"{reveal}-{name}"), [kept.search_id], 10, reveal, images=True).read_text()
        for reveal in (True, False)
    }
    assert pages[True].count(f'viewBox="{size}"') == COUNT - 2
    assert size not in pages[False]
    for page in pages.values():
        assert "holiday.png" in page
        assert page.count("<article") == COUNT - 2
        assert "Possible</strong> by E. Xaminer" in page
        assert "note: the same lamp" in page
        assert "left out of these leads: 2 rejected by an examiner" in page
        assert page.count("rejected by E. Xaminer") == 2
