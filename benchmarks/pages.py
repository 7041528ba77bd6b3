"""Photograph every screen of the review page, at three sizes, light and dark: to be looked at.

    python -m benchmarks.pages CASE QUERY OUT [--only NAME]

Sizes: 1440 x 900, the same at 200 % zoom, and a telephone of 390 x 844. Needs playwright and Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

SIZES = {"wide": (1440, 900, 1.0), "zoomed": (720, 450, 2.0), "phone": (390, 844, 2.0)}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
_WAIT_MS = 120_000


@contextmanager
def review(case: Path, *options: str) -> Iterator[str]:
    """A running review; its address."""
    command = [sys.executable, "-m", "cli.main", "review", str(case), "--no-browser", *options]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip()
    finally:
        process.terminate()
        process.wait(60)


def _named(page: Any) -> None:
    if page.locator("#who").inner_text() == "Name the examiner":
        page.fill("#name-form input", "R. Example")
        page.click("#name-form button.main")
        page.wait_for_selector("#naming", state="hidden")


def _searched(page: Any, query: Path) -> None:
    page.set_input_files("#file", [query])
    page.wait_for_selector(".query")
    page.click("#go")
    page.wait_for_selector("#summary:has-text('verified')", timeout=_WAIT_MS)


def _compared(page: Any) -> None:
    page.keyboard.press("Enter")
    page.wait_for_selector("#geometry:not(:has-text('Comparing'))", timeout=_WAIT_MS)
    page.wait_for_timeout(400)


def _shown(page: Any) -> None:
    page.click('[data-do="keep"]')
    page.wait_for_selector("#two img[data-shown]", timeout=_WAIT_MS)
    page.wait_for_timeout(400)


def _marked(page: Any) -> None:
    page.keyboard.press("Escape")
    page.wait_for_selector("#results .card")
    page.click("#mark-all")


def _by_label(page: Any) -> None:
    page.click("#unmark")
    page.select_option("#by", "label")
    page.wait_for_selector(".labels")


def _item(page: Any) -> None:
    page.evaluate("go('#/items/3')")
    page.wait_for_selector("#comparing h1")


def _help(page: Any) -> None:
    page.evaluate("history.back()")
    page.click("#help")


def _to(name: str, wait: str) -> Callable[[Any], None]:
    def go(page: Any) -> None:
        page.keyboard.press("Escape")
        page.click(f'nav a[href="/{name}"]')
        page.wait_for_selector(wait, timeout=_WAIT_MS)

    return go


def _groups(page: Any) -> None:
    _to("groups", "#group-form")(page)
    page.fill("input[name=least]", "0.8")
    page.click("#group-form button")
    page.wait_for_selector(".stack", timeout=_WAIT_MS)


def _spread(page: Any) -> None:
    page.click(".stack")
    page.wait_for_selector("#spread .card")


def _there(page: Any) -> None:
    _to("map", "#places button")(page)
    page.click("#places button")
    page.wait_for_selector("#there .card")


def screens(page: Any, query: Path) -> Iterator[str]:
    """Lead the page from screen to screen; each name is given when it stands."""
    yield from _walk(
        page,
        [
            ("begin", lambda page: None),
            ("results", lambda page: _searched(page, query)),
            ("compare", _compared),
            ("shown", _shown),
            ("marked", _marked),
            ("labels", _by_label),
            ("item", _item),
            ("help", _help),
            ("decisions", _to("decisions", "#made .pairs")),
            ("groups", _groups),
            ("group", _spread),
            ("map", _there),
            ("issues", _to("issues", "#issues > *")),
            ("audit", _to("audit", ".log")),
            ("export", _to("export", "#export-form")),
        ],
    )


def _walk(page: Any, steps: list[tuple[str, Callable[[Any], None]]]) -> Iterator[str]:
    for name, work in steps:
        work(page)
        page.wait_for_timeout(300)
        yield name


def main() -> None:
    """Photograph them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", type=Path)
    parser.add_argument("query", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--only", choices=SIZES)
    given = parser.parse_args()
    from playwright.sync_api import sync_playwright

    given.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for size, (width, height, scale) in SIZES.items():
            for scheme in SCHEMES:
                if given.only in (None, size):
                    with review(given.case) as address:
                        context = browser.new_context(
                            viewport={"width": width, "height": height}, device_scale_factor=scale, color_scheme=scheme
                        )
                        page: Any = context.new_page()
                        page.on("pageerror", lambda error: sys.stdout.write(f"{error}\n"))
                        page.goto(address)
                        page.wait_for_selector("#main")
                        _named(page)
                        for name in screens(page, given.query):
                            page.screenshot(path=given.out / f"{name}-{size}-{scheme}.png")
                        context.close()
        browser.close()


if __name__ == "__main__":
    main()
