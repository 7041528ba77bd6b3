"""A review page in Chromium: what the tests in a browser share."""

import shutil
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.test_review import Live
from tests.conftest import ROOT, run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium")
WAIT_MS = 120_000
"""Long: nothing here is about time."""
NEEDS_CHROMIUM = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
AXE = (ROOT / "tests" / "vendor" / "axe.min.js").read_text()


sync_api.expect.set_options(timeout=WAIT_MS // 2)
expect = sync_api.expect


def hotel_rooms(folder: Path, count: int = 6) -> Path:
    """A case of rendered rooms, two views each, labelled, with GPS positions, a damaged file and a copy; and in the
    folder another cut of the first room (``query.jpg``), of the second, and one that was cut off.
    """
    from imgmatch.lab.hotels.views import places

    (folder / "photographs").mkdir()
    rows = ["file,label"]
    for number, views in enumerate(list(places().values())[:count]):
        for position, view in enumerate(views[:2]):
            name = f"photographs/room-{number}-{position}.jpg"
            about = Image.Exif()
            about.get_ifd(0x8825).update({1: "N", 2: (40 + number, 0, 0), 3: "W", 4: (3, 42, 0)})
            Image.fromarray(view.pixels()).save(folder / name, quality=92, exif=about)
            rows.append(f"{name},Room {number}")
        if number < 2:
            # The same photograph cropped: geometry must find it again.
            cut = Image.fromarray(views[0].pixels()[20:316, 30:420])
            cut.save(folder / ("query.jpg" if number == 0 else "query2.jpg"), quality=85)
    data = (folder / "query.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) * 6 // 10])
    (folder / "text.jpg").write_text("no picture at all")
    (folder / "photographs" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 nothing behind")
    Image.open(folder / "photographs" / "room-2-0.jpg").save(folder / "photographs" / "room-2-copy.jpg", quality=50)
    (folder / "labels.csv").write_text("\n".join(rows))
    assert run("init", folder / "case").returncode == 0
    assert run("ingest", folder / "case", folder / "photographs", "--labels", folder / "labels.csv").returncode == 0
    return folder


@contextmanager
def opened(case: Path, *options, size=(1440, 900), examiner="R. Example", **context):
    """A page on a case, an examiner named, with all that it asked for and complained of in ``asked`` and ``said``."""
    live = Live(case, *options)
    try:
        with sync_api.sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
            made = browser.new_context(viewport={"width": size[0], "height": size[1]}, **context)
            made.set_default_timeout(WAIT_MS)
            page = made.new_page()
            page.asked, page.said, page.live = [], [], live
            made.on("request", lambda request: page.asked.append(request.url))
            page.on("console", lambda message: page.said.append(message.text))
            page.on("pageerror", lambda error: page.said.append(str(error)))
            page.goto(live.address)
            if examiner:
                name(page, examiner)
            yield page
            browser.close()
    finally:
        live.stop()


def name(page, examiner):
    """Say who decides; the page asks where nobody is named."""
    if page.locator("#who").inner_text() != "Name the examiner":
        page.click("#who")
    page.fill("#name-form input", examiner)
    page.click("#name-form button.main")
    expect(page.locator("#who")).to_have_text(examiner)


def search(page, *files):
    """Upload pictures, search with the last, and wait for geometry."""
    page.set_input_files("#file", list(files))
    expect(page.locator(".query").first).to_be_visible()
    page.click("#go")
    expect(page.locator("#summary")).to_contain_text("convincing", timeout=WAIT_MS)
    expect(page.locator("#summary")).not_to_contain_text("not looked", timeout=WAIT_MS)


def serious(page):
    """What axe-core finds on the page as it stands, but for what is minor."""
    page.evaluate(AXE)
    found = page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    return [
        (one["id"], one["impact"], [node["html"][:160] for node in one["nodes"][:3]])
        for one in found["violations"]
        if one["impact"] in ("serious", "critical", "moderate")
    ]
