"""The guide: each command that it names is there, each picture is made, and no page asks anybody for anything."""

import contextlib
import os
import re
import shlex
import shutil

import pytest
import typer.main
from PIL import Image

from cli.app import app
from tests.conftest import ROOT
from tools.guide.build import outside
from tools.guide.screens import OUTPUT, SCREENS

CHAPTERS = sorted((ROOT / "docs" / "guide").glob("*.md"))
TEXT = "\n".join(chapter.read_text() for chapter in CHAPTERS)
BLOCKS = re.findall(r"^```[a-z]*\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
WHOLE = [line for block in BLOCKS for line in block.splitlines() if line.startswith("imgmatch ")]
NAMED = re.findall(r"`(imgmatch [a-z][^`]*)`", re.sub(r"^```.*?^```", "", TEXT, flags=re.MULTILINE | re.DOTALL))


def found(words):
    """A command and what is given to it, for words behind ``imgmatch``."""
    command = typer.main.get_command(app)
    words = list(words)
    while words and words[0] in getattr(command, "commands", {}):
        command = command.commands[words.pop(0)]
    return command, words


@pytest.mark.parametrize("line", WHOLE)
def test_each_command_of_a_block_is_understood(line):
    command, given = found(shlex.split(line)[1:])
    context = command.make_context(line, given)
    assert context.command.name in line


@pytest.mark.parametrize("words", NAMED)
def test_each_command_in_a_sentence_is_there_with_its_options(words):
    command, given = found(shlex.split(words)[1:])
    assert command.name != "imgmatch"
    options = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in given if word.startswith("--")} <= options


def test_there_is_something_to_understand():
    assert len(CHAPTERS) == 6
    assert len(WHOLE) > 20
    assert len(NAMED) > 5
    with pytest.raises(Exception, match="No such option"):
        found(["search"])[0].make_context("search", ["case", "q.jpg", "--nonsense"])


def test_each_picture_and_text_is_made_and_each_that_is_made_is_named():
    assert set(re.findall(r"\]\(images/(.*?)\.webp\)", TEXT)) == set(SCREENS)
    assert set(re.findall(r'--8<-- "(.*?)"', TEXT)) == set(OUTPUT)
    assert all(alt.strip() for alt in re.findall(r"!\[(.*?)\]", TEXT))


def test_links_between_chapters_lead_somewhere():
    for target in re.findall(r"\]\(([a-z-]+\.md)\)", TEXT):
        assert (ROOT / "docs" / "guide" / target).is_file()


def test_sentences_are_short():
    prose = re.sub(r"^```.*?^```|^\|.*?$|^#.*?$|^### Sources.*?(?=^## )", "", TEXT, flags=re.MULTILINE | re.DOTALL)
    lengths = [len(sentence.split()) for sentence in re.split(r"(?<=[.:!?])\s|\n\s*\n|\n- |\n\d\. ", prose)]
    assert sum(lengths) / len(lengths) < 12
    assert sum(length > 30 for length in lengths) <= 3


@pytest.mark.parametrize(
    ("page", "asks"),
    [
        ('<link rel="stylesheet" href="https://fonts.example/css">', True),
        ('<script src="//cdn.example/a.js"></script>', True),
        ("<style>a { background: url(https://x.example/y.png) }</style>", True),
        ('<img alt="" src=http://x.example/y.png>', True),
        ('<a href="https://x.example">a source</a><link rel="canonical" href="https://x.example">', False),
        ('<img alt="" src="images/a.webp"><script src="assets/b.js"></script>', False),
    ],
)
def test_what_asks_others_is_noticed(tmp_path, page, asks):
    (tmp_path / "a.html").write_text(page)
    assert bool(outside(tmp_path)) == asks


@pytest.mark.slow
def test_it_builds_searches_and_asks_nobody(tmp_path):
    pytest.importorskip("mkdocs", reason="MkDocs is not installed: pip install 'imgmatch[guide]'")
    from tools.guide.build import build

    chapters, output, site = tmp_path / "chapters", tmp_path / "output", tmp_path / "site"
    shutil.copytree(ROOT / "docs" / "guide", chapters)
    (chapters / "images").mkdir()
    output.mkdir()
    for name in SCREENS:
        Image.new("RGB", (8, 6)).save(chapters / "images" / f"{name}.webp")
    for name in OUTPUT:
        (output / name).write_text(f"what is said in {name}\n")
    build(site, chapters, output)
    os.environ.pop("IMGMATCH_GUIDE_OUTPUT", None)
    assert {page.name for page in site.glob("*.html")} >= {chapter.with_suffix(".html").name for chapter in CHAPTERS}
    assert "what is said in search.txt" in (site / "search.html").read_text()
    assert "secondary traumatic stress" in (site / "search" / "search_index.js").read_text()
    sync_api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("chromium is not installed: apt-get install chromium")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page()
        asked = []
        page.on("request", lambda request: asked.append(request.url))
        page.goto((site / "index.html").as_uri())
        found = page.locator(".md-search-result__link").first
        for _ in range(60):  # what is typed before the script listens is not searched
            page.fill(".md-search__input", "")
            page.locator(".md-search__input").press_sequentially("certificate")  # it listens to keys
            with contextlib.suppress(sync_api.TimeoutError):
                found.wait_for(timeout=2_000)
                break
        assert found.is_visible()
        assert "Care" in page.inner_text(".md-search-result__list")
        page.fill(".md-search__input", "")
        page.locator(".md-search__input").press_sequentially("undo")  # which stands in brackets
        sync_api.expect(page.locator(".md-search-result__list")).to_contain_text("Explain a match", timeout=30_000)
        browser.close()
    assert asked
    assert not [url for url in asked if not url.startswith(("file:", "blob:", "data:"))]
