"""An investigator searches with twelve photographs, decides, and hands on one sheet that a court can read."""

import io
import itertools
import json
import re
import shutil

import numpy as np
import pytest

from tests.conftest import encode, run, run_json, textured

NOTE = "the same tiles, the same crack left of the mirror"
QUERIES, LEADS = 12, 5
CHROMIUM = shutil.which("chromium")
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium")


@pytest.fixture(scope="module")
def handed_on(tmp_path_factory):
    """The sheet as it arrives elsewhere: alone in a folder, after the case and the pictures are gone from their places.
    Beside it what the search said.
    """
    made = tmp_path_factory.mktemp("handed-on")
    deep = made / "exhibit 7" / "phone of the suspect" / "DCIM" / "100APPLE"
    deep.mkdir(parents=True)
    (made / "queries").mkdir()
    rows = ["file;label;city"]
    for number in range(60):
        name = f"IMG_{number:04}.JPG"
        (deep / name).write_bytes(encode(textured(number), "JPEG"))
        rows.append(f"{name};Hôtel {number // 5:03};Gent")
        if number % 5 == 0:
            crop = textured(number).crop((30, 20, 300, 230))
            (made / "queries" / f"upload {number:02}.jpg").write_bytes(encode(crop, "JPEG", quality=70))
    (made / "labels.csv").write_text("\n".join(rows))
    case, queries = made / "case", made / "queries"
    about = ("--examiner", "Ada Examiner", "--purpose", "series 12", "--authority", "order 44/26")
    assert run("init", case, *about).returncode == 0
    assert run("ingest", case, deep, "--labels", made / "labels.csv").returncode == 0
    first = run_json("search", case, queries / "upload 00.jpg", "-k", LEADS)["matches"]
    right, wrong = first[0]["item_id"], first[-1]["item_id"]
    assert run("decide", case, queries / "upload 00.jpg", right, "confirmed", "--note", NOTE).returncode == 0
    assert run("decide", case, queries / "upload 00.jpg", wrong, "rejected", "--note", "other tiles").returncode == 0
    out = made / "found.jsonl"
    quick = ("--no-regions", "--verify-top", LEADS)
    done = run("search", case, queries, "-k", LEADS, *quick, "-o", out, "--report", made / "sheet.html", "--reveal")
    assert done.returncode == 0, done.stderr
    there = made / "mailed"
    there.mkdir()
    shutil.move(made / "sheet.html", there / "sheet.html")
    deep.rename(made / "gone")
    return there / "sheet.html", [json.loads(line) for line in out.read_text().splitlines()]


def words(text):
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text))


def test_it_is_one_file_that_asks_for_nothing_and_says_what_the_search_said(handed_on):
    page, found = handed_on
    text = page.read_text()
    assert not re.search(r"(src|href)=\"(?!#|data:image/jpeg;base64,)", text)
    assert "<script" not in text
    assert "url(" not in text
    said = words(text)
    assert len(found) == QUERIES
    for result in found:
        for match in result["matches"]:
            # JSON has six decimals, the page four of the whole number.
            assert any(f"{match['score'] + off:.4f}" in said for off in (-1e-6, 1e-6))
            assert match["sha256"] in said
            assert (match["sightings"][0]["path"] or "").rsplit("/", 1)[-1] in said
        background = result["background"]
        assert f"{background['pairs']:,} pairs of {background['pictures']:,} unrelated pictures" in said
        assert background["made_utc"][:10] in said


def test_the_summary_comes_first_and_goes_from_query_to_decision(handed_on):
    page, found = handed_on
    text = page.read_text()
    summary = text[text.index("<h2>Summary") : text.index('id="q1"')]
    summary = words(
        re.sub(r'<div class="head">.*?</div>', "", summary)
    )  # which a phone shows in place of the first row
    assert text.index("<h2>Summary") < text.index("<article")
    for result in found:
        best = next((f"{m['label']} {m['strength']} " for m in result["matches"] if m["level"] != "nothing"), "none ")
        assert f"{result['query'].rsplit('/', 1)[-1]} {best}" in summary
    verified = sum(result["matches"][0]["verification"]["verified"] for result in found)
    assert summary.count(" yes ") == verified > QUERIES / 2
    assert f"confirmed by Ada Examiner, {found[0]['matches'][0]['decided_utc'][:10]}: {NOTE}" in summary
    assert summary.count("not decided") == sum(result["leads"] > 0 for result in found) - 1
    assert "left out: 1 rejected by an examiner" in summary


def test_each_lead_has_the_decision_the_rate_and_the_drawing_of_why(handed_on):
    page, found = handed_on
    leads = re.findall(r"<article.*?</article>", page.read_text(), re.DOTALL)
    assert len(leads) == sum(len(result["matches"]) for result in found) >= QUERIES * (LEADS - 1)
    first = words(leads[0])
    assert "Confirmed by Ada Examiner" in first
    assert f"note: {NOTE}" in first
    assert f"{found[0]['background']['pictures']:,} pictures" in first
    for lead, match in zip(leads, [m for result in found for m in result["matches"]], strict=True):
        verified = match["verification"]["verified"]
        assert ("<line " in lead, 'class="outline"' in lead) == (verified, verified)
        assert match["label"] in words(lead)
    # Who was left out of them, by whom and why.
    assert re.search(r"no lead here: item \d+ rejected by Ada Examiner, [-0-9]+: other tiles", words(page.read_text()))


@pytest.fixture(scope="module")
def opened(handed_on):
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        page.asked, page.said = [], []
        page.on("request", lambda request: page.asked.append(request.url))
        page.on("console", lambda message: page.said.append(message.text))
        page.goto(handed_on[0].as_uri())
        yield page
        browser.close()


SEEN = """lead => ['clear', 'blurred'].map(
  name => [...lead.querySelectorAll('.' + name)].filter(e => getComputedStyle(e).display != 'none').length)"""


def coloured(picture):
    """Is a picture of a PDF more than grey?"""
    return bool(np.ptp(np.asarray(picture.image.convert("RGB").resize((8, 8)), int), axis=2).max() > 60)


def seen(lead):
    """How many clear and how many blurred pictures of a lead can be seen."""
    return tuple(lead.evaluate(SEEN))


@pytest.mark.slow
@needs_chromium
def test_a_query_and_its_match_are_hidden_until_both_are_asked_for_together(opened):
    leads = opened.locator("article.match")
    assert {seen(leads.nth(number)) for number in range(4)} == {(0, 2)}
    leads.nth(1).locator("label.toggle").click()
    assert [seen(leads.nth(number)) for number in range(3)] == [(0, 2), (2, 0), (0, 2)]
    opened.locator("label.everything").click()
    assert {seen(leads.nth(number)) for number in range(4)} == {(2, 0)}
    opened.locator("label.everything").click()
    leads.nth(1).locator("label.toggle").click()
    assert seen(leads.nth(1)) == (0, 2)
    # No picture is drawn by anything else than the file itself.
    assert all(url.startswith(("data:", "file:")) for url in opened.asked)
    assert opened.said == []


@pytest.mark.slow
@needs_chromium
def test_it_prints_on_twelve_pages_and_an_appendix_as_it_is_shown(opened):
    pypdf = pytest.importorskip("pypdf")

    def printed():
        made = pypdf.PdfReader(io.BytesIO(opened.pdf(prefer_css_page_size=True, print_background=False)))
        texts = [" ".join(page.extract_text().split()) for page in made.pages]
        colours = [any(map(coloured, itertools.islice(page.images, 2))) for page in made.pages[:3]]
        return texts, colours

    hidden, colours = printed()
    before = next(number for number, text in enumerate(hidden) if "Appendix A" in text)
    assert before <= 12
    assert sum(text.count("Score 0.") + text.count("Score -0.") for text in hidden[:before]) >= QUERIES * (LEADS - 1)
    assert "Summary" in hidden[0]
    assert NOTE in hidden[0]
    assert "by ____" in " ".join(hidden)
    assert not any(colours)
    opened.locator("label.everything").click()
    revealed, colours = printed()
    opened.locator("label.everything").click()
    assert revealed == hidden
    assert all(colours)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [1440, 720, 390])
def test_nothing_is_wider_than_the_screen(opened, width):
    opened.set_viewport_size({"width": width, "height": 844})
    assert opened.evaluate("document.documentElement.scrollWidth") <= width
