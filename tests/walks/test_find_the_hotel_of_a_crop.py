"""An investigator has a part of a photograph of a room and a table of hotels, and wants to know which hotel it is, on
the review page.
"""

import json

import pytest

from tests.cli.browser import NEEDS_CHROMIUM, expect, hotel_rooms, opened
from tests.conftest import run_json

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return hotel_rooms(tmp_path_factory.mktemp("hotel"))


def test_find_the_hotel_of_a_crop(rooms, tmp_path):
    with opened(rooms / "case", examiner="") as page:
        # Who decides is asked first.
        page.fill("#name-form input", "I. Vestigator")
        page.click("#name-form button.main")
        page.set_input_files("#file", rooms / "query.jpg")
        expect(page.locator("#outcomes")).to_contain_text("query.jpg taken")
        page.click("#go")
        expect(page.locator("#summary")).to_contain_text("verified: geometry agrees")
        # By hotel: the first is the right one, and says why.
        page.select_option("#by", "label")
        first = page.locator(".labels > li").first
        expect(first.locator("h2")).to_have_text("Room 0")
        expect(first).to_contain_text("geometry agrees")
        first.locator(".card").first.click()
        expect(page.locator("#geometry")).to_contain_text("points agree")
        assert page.locator("#lines line").count() > 5
        # Both are looked at, clearly, and it is confirmed with a note.
        page.click('[data-do="keep"]')
        for side in ("query", "item"):
            expect(page.locator(f'#two img[data-side="{side}"]')).to_have_attribute("data-shown", "1")
        page.fill("#decide input", "same headboard, same picture on the wall")
        page.click('#decide [data-grade="confirmed"]')
        expect(page.locator(".compare h1 .tag")).to_have_text("confirmed")
        # Back leads to the hotels again, and the decision is there.
        page.go_back()
        expect(page.locator(".labels .state").first).to_have_text("confirmed")
        page.click("nav >> text=Decisions")
        expect(page.locator(".pair-row")).to_contain_text("same headboard")
        # What is handed on says so, and what is verified.
        page.click("nav >> text=Export")
        expect(page.locator("#export-form")).to_contain_text("verified: geometry agrees")
        page.fill("input[name=folder]", str(tmp_path / "lead"))
        page.click("#export-form button.main")
        expect(page.locator("#exported")).to_contain_text("Written")
        page.click("nav >> text=Audit trail")
        expect(page.locator(".log")).to_contain_text("I. Vestigator")
        expect(page.locator(".log")).to_contain_text("confirmed item")
        assert page.said == []
    (row,) = run_json("decide", rooms / "case", "--list")
    assert (row["stands"], row["examiner"]) == ("confirmed", "I. Vestigator")
    log = [json.loads(line)["action"] for line in (rooms / "case" / "audit.jsonl").read_text().splitlines()]
    assert log.index("reveal") < log.index("decide")
