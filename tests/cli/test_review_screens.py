"""Every screen of the review page, at three sizes, light and dark: axe-core finds nothing, nothing overflows, what is
needed is in sight.
"""

import pytest

from benchmarks.pages import SIZES, screens
from tests.cli.browser import NEEDS_CHROMIUM, expect, hotel_rooms, opened, search, serious

pytestmark = NEEDS_CHROMIUM


@pytest.fixture(scope="module")
def rooms(tmp_path_factory):
    return hotel_rooms(tmp_path_factory.mktemp("screens"))


@pytest.mark.parametrize(("size", "scheme"), [("wide", "light"), ("phone", "dark")])
def test_no_screen_has_a_barrier_or_overflows(rooms, size, scheme):
    width, height, _ = SIZES[size]
    seen = []
    with opened(rooms / "case", size=(width, height), color_scheme=scheme) as page:
        for screen in screens(page, rooms / "query.jpg"):
            seen.append(screen)
            assert serious(page) == [], (screen, size, scheme)
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (screen, size)
        other = {"light": "dark", "dark": "light"}[scheme]
        for path in ("", "decisions", "map", "audit"):
            page.emulate_media(color_scheme=other)
            page.click(f'nav a[href="/{path}"]')
            page.wait_for_timeout(500)
            assert serious(page) == [], (path, size, other)
        assert page.said == []
    assert len(seen) == 15


@pytest.mark.parametrize("size", SIZES)
def test_what_is_needed_is_in_sight(rooms, size):
    width, height, _ = SIZES[size]
    with opened(rooms / "case", size=(width, height), has_touch=size == "phone") as page:
        expect(page.locator("#go")).to_be_in_viewport()
        search(page, rooms / "query.jpg")
        expect(page.locator("#go")).to_be_in_viewport() if size == "wide" else None
        card = page.locator("#results .card").first
        expect(card).to_be_in_viewport()
        # One tap, or click, opens it; both pictures are in sight.
        (card.tap if size == "phone" else card.click)()
        expect(page.locator("#geometry")).to_contain_text("verified")
        for side in ("query", "item"):
            expect(page.locator(f'#two img[data-side="{side}"]')).to_be_in_viewport(ratio=0.9)
        page.go_back()
        expect(card).to_be_in_viewport()
        assert page.said == []
