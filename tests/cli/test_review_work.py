"""What an examiner does on the review page, with a mouse or a finger alone, and what the page does not let happen."""

import json

import pytest

from tests.cli.browser import NEEDS_CHROMIUM, expect, hotel_rooms, name, opened, search
from tests.conftest import run, run_json

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return hotel_rooms(tmp_path_factory.mktemp("work"))


def decided(rooms):
    return [
        (row["verdict"], row["stands"], row["examiner"], row["note"])
        for row in run_json("decide", rooms / "case", "--list")
    ]


def actions(rooms):
    return [json.loads(line)["action"] for line in (rooms / "case" / "audit.jsonl").read_text().splitlines()]


def test_every_file_of_an_upload_is_taken_or_refused_with_why(rooms):
    (rooms / "empty.jpg").touch()
    files = [rooms / name for name in ("text.jpg", "query.jpg", "empty.jpg", "cut.jpg", "query.jpg")]
    with opened(rooms / "case") as page:
        page.set_input_files("#file", files)
        told = page.locator("#outcomes li")
        expect(told).to_have_count(5)
        expect(told.nth(4)).to_contain_text("taken")
        words = told.all_inner_texts()
        assert [text.split(" ")[1].rstrip(":;,") for text in words] == ["refused", "taken", "refused", "taken", "taken"]
        assert "taken before" in words[4]
        assert "partly read" in words[3]
        assert all(len(text.split(":", 1)[1]) > 5 for text in (words[0], words[2]))
        expect(page.locator(".query")).to_have_count(2)
        expect(page.locator(".query .bad")).to_contain_text("partly read")


def test_decisions_need_a_look_and_can_be_taken_back(rooms):
    with opened(rooms / "case") as page:
        search(page, rooms / "query.jpg")
        page.keyboard.press("c")
        expect(page.locator("#failed")).to_contain_text("look at it and the query first")
        assert decided(rooms) == []
        # With a mouse alone: shown, marked, decided on with a note, taken back.
        for number in range(2):
            card = page.locator("#results .card").nth(number)
            card.locator(".look").hover()
            page.mouse.down()
            expect(card.locator("img")).to_have_attribute("data-shown", "1")
            page.mouse.up()
            expect(card.locator("img")).not_to_have_attribute("data-shown", "1")
            card.locator(".marking").check()
        page.locator("#results .marking").nth(2).check()
        page.fill("#grading input", "the same lamp")
        page.click('#grading [data-grade="possible"]')
        expect(page.locator("#done")).to_contain_text("2 items called possible")
        expect(page.locator("#failed")).to_contain_text("1 not decided on")
        assert decided(rooms) == [("possible", "possible", "R. Example", "the same lamp")] * 2
        page.click("#undo-last")
        expect(page.locator("#done")).to_contain_text("2 decisions taken back")
        assert {row[1] for row in decided(rooms)} == {""}
        # What one examiner saw is not what another one did.
        name(page, "S. Other")
        page.keyboard.press("r")
        expect(page.locator("#failed")).to_contain_text("look at it and the query first")
        page.click("nav >> text=Decisions")
        expect(page.locator(".pair-row")).to_have_count(2)
        expect(page.locator(".history li").first).to_contain_text("took back")
        page.select_option("#made-state", "confirmed")
        expect(page.locator("#made")).to_contain_text("No decision of this kind")
        assert page.said == ["Failed to load resource: the server responded with a status of 400 (Bad Request)"] * 2


def test_two_examiners_must_agree_where_that_is_wanted(rooms):
    assert run("decide", rooms / "case", "--second-reader", "--by-name").returncode == 0
    with opened(rooms / "case") as page:
        search(page, rooms / "query2.jpg")
        for examiner, tag, stands in (
            ("A. First", "confirmed once", "possible"),
            ("B. Second", "confirmed", "confirmed"),
        ):
            name(page, examiner)
            page.locator("#results .card").first.click()
            expect(page.locator("#geometry")).to_contain_text("verified")
            page.click('#decide [data-grade="confirmed"]')
            expect(page.locator(".compare h1 .tag")).to_have_text(tag)
            assert decided(rooms)[-1][1] == stands
            page.click('[data-do="back"]')
            expect(page.locator("#results .card .state").first).to_have_text(tag)
    assert run("decide", rooms / "case", "--one-reader").returncode == 0


def test_searches_and_comparisons_have_addresses_and_back_works(rooms):
    with opened(rooms / "case") as page:
        search(page, rooms / "query.jpg", rooms / "query2.jpg")
        page.locator(".with-it").first.check()
        page.locator(".with-it").nth(1).check()
        expect(page.locator("#go")).to_have_text("Search with 2 together")
        page.click("#go")
        expect(page.locator("#searched")).to_contain_text("1 more together")
        expect(page.locator("#summary")).not_to_contain_text("not looked")
        best = page.locator("#results .name")
        assert {best.nth(0).inner_text(), best.nth(1).inner_text()} == {
            "photographs/room-0-0.jpg",
            "photographs/room-1-0.jpg",
        }
        page.locator("#results .card").nth(1).click()
        expect(page.locator(".compare h1")).to_contain_text("Match 2")
        page.keyboard.press("j")
        expect(page.locator(".compare h1")).to_contain_text("Match 3")
        address = page.url
        assert "#/searches/2/items/" in address
        page.go_back()
        expect(page.locator("#results .card.on .rank")).to_have_text("3")
        page.select_option("#states", "rejected")
        expect(page.locator("#results")).to_contain_text("No match")
        page.go_back()
        expect(page.locator("#results .card").nth(3)).to_be_visible()
        page.go_back()
        expect(page.locator("#asked")).to_contain_text("Search 1")
        page.go_forward()
        expect(page.locator("#asked")).to_contain_text("Search 2")
        page.evaluate("a => { location.href = a; }", address)
        expect(page.locator(".compare h1")).to_contain_text("Match 3")
        page.reload()
        expect(page.locator(".compare h1")).to_contain_text("Match 3")
        page.click("nav >> text=Audit trail")
        expect(page.locator(".log")).to_contain_text("compared")
        page.go_back()
        expect(page.locator(".compare h1")).to_contain_text("Match 3")
        # A label that is none is said with what is nearest.
        page.click('[data-do="back"]')
        page.fill("input[name=label]", "room 3")
        page.click("#go")
        expect(page.locator("#failed")).to_contain_text("Room 3")
        page.fill("input[name=label]", "")
        page.locator(".with-it").nth(1).uncheck()
        page.click("#search summary")
        page.fill("textarea[name=exclude_label]", "Room 0\nRoom 1")
        page.click("#go")
        expect(page.locator("#asked")).to_contain_text("not label label=Room 0; label=Room 1")
        assert [text for text in page.said if "400 (Bad Request)" not in text] == []


def test_a_mouse_alone_zooms_draws_and_ends_without_an_error(rooms):
    with opened(rooms / "case") as page:
        search(page, rooms / "query.jpg")
        page.click("#keep-query")
        expect(page.locator("#query-picture")).to_have_attribute("data-shown", "1")
        box = page.locator("#canvas").bounding_box()
        page.mouse.move(box["x"] + 20, box["y"] + 20)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, steps=3)
        page.mouse.up()
        assert page.input_value("#box-text").count(",") == 3
        expect(page.locator("#query-picture")).to_have_attribute("data-shown", "1")
        page.click("#clear")
        page.locator("#results .card").first.click()
        expect(page.locator("#geometry")).to_contain_text("verified")
        expect(page.locator("#query-picture")).not_to_have_attribute("data-shown", "1")
        page.click('[data-do="keep"]')
        item = page.locator('#two img[data-side="item"]')
        expect(item).to_have_attribute("data-shown", "1")
        lines = page.locator("#lines line").count()
        frame = page.locator("#two figure .frame").nth(1).bounding_box()
        expect(page.locator("#two img[data-shown='1']")).to_have_count(2)
        reveals = actions(rooms).count("reveal")
        page.mouse.move(frame["x"] + 30, frame["y"] + 30)
        for _ in range(5):
            page.mouse.wheel(0, -400)
        page.wait_for_function("() => Number(document.querySelector('#two img[data-side=item]').dataset.zoom) > 8")
        assert page.locator("#lines line").count() < lines
        for _ in range(300):
            if actions(rooms).count("reveal") > reveals:
                break
            page.wait_for_timeout(100)
        assert actions(rooms).count("reveal") > reveals  # looked at closer, it is asked for larger, and recorded
        page.click('[data-do="fit"]')
        expect(page.locator("#lines line")).to_have_count(lines)
        page.click('[data-do="full"]')
        page.wait_for_function("() => document.fullscreenElement !== null")
        page.click('[data-do="full"]')
        page.wait_for_function("() => document.fullscreenElement === null")
        page.bring_to_front()  # a window that was the whole screen may be behind for a moment
        page.keyboard.press("Escape")
        expect(page.locator('[data-do="full"]')).to_be_hidden()  # the comparison is closed: keys go to the list again
        page.keyboard.press("End")
        expect(page.locator("#results .card").last).to_be_focused()
        page.on("dialog", lambda dialog: dialog.accept())
        page.keyboard.press("g")
        page.click("#end")
        expect(page.locator(".single")).to_contain_text("has ended")
        for key in ("End", "j", "c", "Enter", "Escape", "s", "g", "?"):
            page.keyboard.press(key)
        page.set_viewport_size({"width": 800, "height": 600})
        page.wait_for_timeout(9500)  # every message would have gone by then
        assert page.said == []


def test_groups_map_and_issues(rooms):
    with opened(rooms / "case") as page:
        page.click("nav >> text=Groups")
        page.click("#group-form button")
        page.locator(".stack").first.click()
        page.click('#spread [data-grade="confirmed"]')
        expect(page.locator("#failed")).to_contain_text("look at it")
        page.locator('#spread [data-do="hold-group"]').hover()
        page.mouse.down()
        expect(page.locator("#spread img").last).to_have_attribute("data-shown", "1")
        page.mouse.up()
        page.fill("#spread input[name=note]", "copies")
        page.click('#spread [data-grade="confirmed"]')
        expect(page.locator("#done")).to_contain_text("confirmed by R. Example")
        assert decided(rooms)[-1][::3] == ("confirmed", "copies")
        page.keyboard.press("Escape")
        page.click("nav >> text=Map")
        expect(page.locator("#places button")).to_have_count(6)
        before = page.locator("#world").get_attribute("viewBox")
        page.locator("#world").hover()
        page.mouse.wheel(0, -600)
        page.wait_for_function("v => document.querySelector('#world').getAttribute('viewBox') !== v", arg=before)
        page.locator("#places button").first.click()
        expect(page.locator("#there a").first).to_be_visible()
        page.locator("#there a").first.click()
        expect(page.locator(".compare")).to_contain_text("latitude, longitude by its GPS")
        page.go_back()
        page.click("nav >> text=Issues")
        expect(page.locator("#issues")).to_contain_text("broken.jpg")
        page.click("#issues [data-kind=unreadable]")
        expect(page.locator("#issues tbody tr")).to_have_count(1)
        hosts = {url.split("/")[2] for url in page.asked if url.startswith("http")}
        assert hosts == {f"{page.live.host}:{page.live.port}"}
