"""What the guide shows: pictures of pages, and what commands say, all of the exercise case."""

from __future__ import annotations

import contextlib
import io
import os
import pty
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

ROOT = Path(__file__).parents[2]
SEED = 1
OUTPUT = {
    "ingest.txt": "ingest case hotels evidence --labels hotels.csv",
    "search.txt": "search case queries/advertisement.jpg -k 4",
    "by-label.txt": "search case queries/advertisement.jpg --by label -k 4",
}
"""What commands say, by the name that chapters include it by."""
_COLUMNS = 78
"""As many as a page of the guide is wide."""
_SIZE = (1280, 780)
_WAIT_MS = 300_000


def make(work: Path, images: Path, output: Path) -> None:
    """Make the exercise in ``work``, and with it every picture and every text that the chapters name."""
    output.mkdir()
    images.mkdir()
    told(work, "exercise", "exercise", "--seed", str(SEED))
    folder = work / "exercise"
    about = ("--purpose", "exercise", "--authority", "none needed", "--examiner", "A. N. Other")
    told(folder, "init", "case", *about)
    for name, words in OUTPUT.items():
        (output / name).write_text(_shown(told(folder, *words.split()), folder), encoding="utf-8")
    told(folder, "search", "case", "queries/advertisement.jpg", "-k", "3", "--report", "lead.html")
    told(folder, "overview", "case", "-o", "overview.html")
    photograph(folder, images)


def told(folder: Path, *words: str) -> str:
    """What a command says, to people and in errors, in a folder."""
    env = os.environ | {"COLUMNS": str(_COLUMNS), "PYTHONPATH": str(ROOT), "NO_COLOR": "1", "TERM": "dumb"}
    ours, theirs = pty.openpty()  # a table is as wide as the terminal that it goes to
    command = [sys.executable, "-m", "cli.main", *words]
    with subprocess.Popen(command, cwd=folder, env=env, stdout=theirs, stderr=subprocess.PIPE, text=True) as running:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # the end of a terminal
            while part := os.read(ours, 1 << 16):
                said += part
        os.close(ours)
        error = running.stderr.read() if running.stderr else ""
    if running.returncode:
        raise SystemExit(f"imgmatch {' '.join(words)}: {error}")
    return said.decode().replace("\r\n", "\n") + error


def _shown(text: str, folder: Path) -> str:
    """Without what is of this machine and this moment: its folder and how long it took."""

    text = text.replace(str(folder), "/exercise")
    text = re.sub(r", [0-9]+ ms", "", re.sub(r", in [0-9.]+ s: [0-9.]+ files/s", "", text))
    return "\n".join(line.rstrip() for line in text.rstrip().splitlines()) + "\n"


SCREENS: dict[str, Callable[[Any, Path], None]] = {}
"""How a page comes to stand as it is photographed, by the name of its picture; in this order."""


def _screen(work: Callable[[Any, Path], None]) -> Callable[[Any, Path], None]:
    SCREENS[work.__name__.strip("_").replace("_", "-")] = work
    return work


@_screen
def _begin(page: Any, folder: Path) -> None:
    page.fill("#name-form input", "A. N. Other") if page.locator("#naming[open]").count() else None
    page.click("#name-form button.main") if page.locator("#naming[open]").count() else None
    page.wait_for_timeout(500)


@_screen
def _results(page: Any, folder: Path) -> None:
    from imgmatch.lab.exercise import roles

    page.set_input_files("#file", [folder / roles(SEED).asked])
    page.wait_for_selector(".query", timeout=_WAIT_MS)
    page.click("#go")
    page.wait_for_selector("#summary:has-text('verified')", timeout=_WAIT_MS)
    page.wait_for_timeout(6000)  # until what is said of it has gone


@_screen
def _labels(page: Any, folder: Path) -> None:
    page.select_option("#by", "label")
    page.wait_for_selector(".labels", timeout=_WAIT_MS)
    page.wait_for_timeout(1500)


def _compared(page: Any, name: str) -> None:
    page.select_option("#by", "item") if page.locator("#by").is_visible() else None
    page.wait_for_selector("#results .cards", timeout=_WAIT_MS)
    page.click(f'#results .card:has-text("{name}") .facts')
    page.wait_for_selector("#geometry:not(:has-text('Comparing'))", timeout=_WAIT_MS)
    page.wait_for_timeout(1500)


@_screen
def _compare(page: Any, folder: Path) -> None:
    from imgmatch.lab.exercise import roles

    told_ = roles(SEED)
    other = next(letter for letter in told_.phones if f"phone-{letter}/" not in told_.asked)
    _compared(page, f"phone-{other}/")


@_screen
def _false_hit(page: Any, folder: Path) -> None:
    """Shown clearly: what hangs above the beds must be seen. It is a rendered room, and nobody is in it."""
    from imgmatch.lab.exercise import roles

    page.keyboard.press("Escape")
    _compared(page, roles(SEED).false_hit.rpartition("/")[2])
    page.click('[data-do="keep"]')
    page.wait_for_selector("#two img[data-shown]", timeout=_WAIT_MS)
    page.wait_for_timeout(2500)


def _unplaced(page: Any, folder: Path) -> None:
    """Without the folder of this machine that the exercise lies in."""
    script = """([place, instead]) => { const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) texts.currentNode.data = texts.currentNode.data.replaceAll(place, instead); }"""
    page.evaluate(script, [str(folder), "/exercise"])


@_screen
def _sheet(page: Any, folder: Path) -> None:
    page.goto((folder / "lead.html").as_uri())
    _unplaced(page, folder)


@_screen
def _overview(page: Any, folder: Path) -> None:
    page.goto((folder / "overview.html").as_uri())
    _unplaced(page, folder)


def photograph(folder: Path, images: Path) -> None:
    """Photograph every screen, small enough to be carried: WebP."""
    from playwright.sync_api import sync_playwright

    from benchmarks.pages import review

    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("the pictures of the guide need Chromium: apt-get install chromium")
    with sync_playwright() as playwright, review(folder / "case", "--examiner", "A. N. Other") as address:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        context = browser.new_context(viewport={"width": _SIZE[0], "height": _SIZE[1]}, color_scheme="light")
        context.set_default_timeout(_WAIT_MS)
        page = context.new_page()
        page.goto(address)
        page.wait_for_selector("#main")
        for name, work in SCREENS.items():
            work(page, folder)
            page.wait_for_timeout(500)
            Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(images / f"{name}.webp", quality=72, method=6)
        browser.close()
