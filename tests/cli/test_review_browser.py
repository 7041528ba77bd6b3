"""The review page in a real browser: what an examiner does, and what the browser is given to see."""

import io
import json
import shutil
import urllib.parse

import numpy as np
import pytest
from PIL import Image

from tests.cli.test_review import Live
from tests.conftest import run, run_json

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
WAIT_MS = 120_000
"""Long: nothing here is about time."""


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    """A case of rendered rooms, two views each, with labels; and another view of the first as query."""
    from imgmatch.lab.hotels.views import places

    folder = tmp_path_factory.mktemp("rooms")
    (folder / "photographs").mkdir()
    rows = ["file,label"]
    for number, views in enumerate(list(places().values())[:6]):
        for position, view in enumerate(views[:2]):
            name = f"photographs/room-{number}-{position}.jpg"
            Image.fromarray(view.pixels()).save(folder / name, quality=92)
            rows.append(f"{name},Room {number}")
        if number == 0:
            # The same photograph cropped: geometry must find it again.
            Image.fromarray(views[0].pixels()[20:316, 30:420]).save(folder / "query.jpg", quality=85)
    (folder / "labels.csv").write_text("\n".join(rows))
    assert run("init", folder / "case").returncode == 0
    assert run("ingest", folder / "case", folder / "photographs", "--labels", folder / "labels.csv").returncode == 0
    return folder


@pytest.fixture(scope="module")
def seen(rooms):
    """One browser with the page open, and everything that it asked for and complained of."""
    live = Live(rooms / "case")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": 1400, "height": 900})
        context.set_default_timeout(WAIT_MS)
        page = context.new_page()
        page.asked, page.said, page.live = [], [], live
        context.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.on("pageerror", lambda error: page.said.append(str(error)))
        page.goto(live.address)
        yield page
        browser.close()
    live.stop()


def expect(found):
    return sync_api.expect(found)


def entries(rooms, action):
    lines = (rooms / "case" / "audit.jsonl").read_text().splitlines()
    return [entry for entry in map(json.loads, lines) if entry["action"] == action]


def held(page, picture):
    """The bytes of a picture as the page was given them."""
    picture.scroll_into_view_if_needed()
    page.wait_for_function("e => blobs.has(e)", arg=picture.element_handle())
    return bytes(
        page.evaluate("async e => [...new Uint8Array(await blobs.get(e).arrayBuffer())]", picture.element_handle())
    )


SEEN = """e => {
  const canvas = Object.assign(document.createElement("canvas"), { width: 480, height: 360 });
  const pen = canvas.getContext("2d");
  pen.drawImage(e, 0, 0, 480, 360);
  const { data } = pen.getImageData(0, 0, 480, 360);
  let sum = 0;
  for (let at = 4; at < data.length; at += 4) sum += at % 1920 ? (data[at + 1] - data[at - 3]) ** 2 : 0;
  return sum / (480 * 360);
}"""
"""Energy of fine detail in what the browser shows."""


def detail(data):
    grey = np.asarray(Image.open(io.BytesIO(data)).convert("L").resize((480, 360)), np.float32)
    return float((np.diff(grey, axis=1) ** 2).mean() + (np.diff(grey, axis=0) ** 2).mean())


def test_an_examiners_way_through_the_page(seen, rooms, tmp_path):
    page = seen
    # Nobody is named in this case: the page asks first.
    page.fill("#name-form input", "R. Example")
    page.click("#name-form button.main")
    expect(page.locator("#who")).to_have_text("R. Example")

    page.set_input_files("#file", rooms / "query.jpg")
    expect(page.locator(".query")).to_have_count(1)
    canvas = page.locator("#canvas").bounding_box()
    page.check("input[name=tool][value=brush]", force=True)
    x, y = canvas["x"] + canvas["width"] * 0.8, canvas["y"] + canvas["height"] * 0.3
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + canvas["height"] * 0.4, steps=4)
    page.mouse.up()
    page.click("#go")
    expect(page.locator("#summary")).to_contain_text("of the query left out", timeout=WAIT_MS)
    expect(page.locator("#summary")).to_contain_text("geometry agrees", timeout=WAIT_MS)
    assert 0.01 < entries(rooms, "search")[-1]["masked"] < 0.3
    cards = page.locator("#results .card")
    expect(cards).to_have_count(12)
    expect(cards.first).to_contain_text("geometry")
    expect(cards.first).to_contain_text("room-0-0.jpg")

    # What is shown is blurred: by no style (there is none to take away), by its bytes.
    for picture in page.locator("#results img").all()[:3]:
        assert picture.evaluate("e => getComputedStyle(e).filter") == "none"
        assert Image.open(io.BytesIO(held(page, picture))).mode == "L"
    original = (rooms / "photographs" / "room-0-0.jpg").read_bytes()
    assert detail(held(page, cards.first.locator("img"))) < detail(original) / 20

    # Held, a picture is shown; let go, it is not; both is recorded.
    assert not entries(rooms, "reveal")
    first = cards.first.locator("img")
    page.keyboard.down("s")
    expect(first).to_have_attribute("data-shown", "1", timeout=WAIT_MS)
    expect(page.locator("img[data-shown='1']")).to_have_count(2, timeout=WAIT_MS)  # the query with it
    page.keyboard.up("s")
    expect(first).not_to_have_attribute("data-shown", "1")
    page.wait_for_function(f"([e, most]) => ({SEEN})(e) < most", arg=[first.element_handle(), detail(original) / 20])
    assert [entry["arguments"]["examiner"] for entry in entries(rooms, "reveal")] == 2 * ["R. Example"]

    # Side by side, with lines and heat.
    page.keyboard.press("Enter")
    expect(page.locator("#geometry")).to_contain_text("verified", timeout=WAIT_MS)
    assert page.locator("#lines line").count() > 5
    page.keyboard.press("h")
    expect(page.locator("img.heat:visible")).to_have_count(2)
    page.keyboard.press("l")
    expect(page.locator("#lines line")).to_have_count(0)
    page.fill("#decide input", "same sofa")
    page.keyboard.press("Escape")
    page.keyboard.press("c")
    expect(page.locator(".compare .tag.confirmed").first).to_be_visible()

    page.keyboard.press("j")
    expect(page.locator(".compare h1")).to_contain_text("Match 2")
    expect(page.locator("#geometry")).not_to_have_text("Comparing…", timeout=WAIT_MS)
    page.keyboard.press("Escape")
    # The verified answer may be drawn only now: what was selected is chosen again.
    expect(page.get_by_text("geometry agrees").first).to_be_visible(timeout=30_000)
    page.wait_for_timeout(500)
    for _ in range(30):
        on = page.locator("#results .card.on .rank")
        if on.count() and on.first.inner_text() == "2":
            break
        page.keyboard.press("j")
        page.wait_for_timeout(100)
    page.keyboard.press("r")
    expect(page.locator("#results .card.on .state")).to_have_text("rejected")
    kept = run_json("decide", rooms / "case", "--list")
    assert [(row["verdict"], row["examiner"], row["note"]) for row in kept] == [
        ("confirmed", "R. Example", "same sofa"),
        ("rejected", "R. Example", ""),
    ]
    page.select_option("#states", "rejected")
    expect(cards).to_have_count(1)
    page.select_option("#states", "open,seen,possible,confirmed")
    expect(cards).to_have_count(11)
    page.select_option("#by", "label")
    expect(page.locator(".labels h2").first).to_have_text("Room 0")

    # Coming back from another page, the search stands again; then it is handed over.
    page.click("nav >> text=Audit trail")
    page.click("#audit-verify")
    expect(page.locator("#audit-verdict")).to_contain_text("whole")
    page.click("nav >> text=Matches")
    expect(cards).to_have_count(11)
    page.click("nav >> text=Export")
    page.fill("input[name=folder]", str(tmp_path / "report"))
    page.click("#export-form button.main")
    expect(page.locator("#exported")).to_contain_text("Written", timeout=WAIT_MS)
    text = (tmp_path / "report" / "index.html").read_text()
    assert text.count('class="match"') == 11
    page.click("#export-form button.main")
    expect(page.locator("#exported")).to_contain_text("exists already")


def test_groups_as_stacks(seen):
    page = seen
    page.click("nav >> text=Groups")
    page.fill("input[name=least]", "0.5")
    page.click("#group-form button")
    stack = page.locator(".stack").first
    expect(stack).to_be_visible(timeout=WAIT_MS)
    stack.click()
    expect(page.locator("#spread .card").nth(1)).to_be_visible()
    page.keyboard.press("Escape")


def test_everything_can_be_reached_by_keyboard_and_has_a_name(seen):
    page = seen
    page.click("nav >> text=Matches")
    expect(page.locator("#results .card").first).to_be_visible(timeout=WAIT_MS)
    page.keyboard.press("?")
    expect(page.locator("#helping")).to_be_visible()
    page.keyboard.press("Escape")
    nameless = page.evaluate(
        "[...document.querySelectorAll('button, input, select, a')].filter(e => e.offsetParent && !(e.innerText ||"
        " e.getAttribute('aria-label') || e.labels?.length)).map(e => e.outerHTML)"
    )
    assert nameless == []


@pytest.mark.claim("H2")
def test_nothing_left_this_machine_and_nothing_went_wrong(seen):
    """Last in this file: what the whole visit asked for."""
    hosts = {urllib.parse.urlsplit(url).netloc for url in seen.asked if not url.startswith(("blob:", "data:"))}
    assert hosts == {f"{seen.live.host}:{seen.live.port}"}
    # The second export was refused on purpose; the browser notes such an answer by itself.
    assert [text for text in seen.said if "400 (Bad Request)" not in text] == []
