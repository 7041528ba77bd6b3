"""The review page and others of the same machine, in a real browser: other servers' pages, profiles, tabs."""

import shutil

import pytest

from benchmarks import attack_page
from tests.cli.test_review import Live
from tests.conftest import encode, picture, run

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: pip install playwright")
CHROMIUM = shutil.which("chromium")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed: apt-get install chromium"),
]
expect = sync_api.expect


@pytest.fixture(scope="module")
def case(tmp_path_factory):
    folder = tmp_path_factory.mktemp("others")
    (folder / "q.jpg").write_bytes(encode(picture(1), "JPEG"))
    assert run("init", folder / "case").returncode == 0
    assert run("ingest", folder / "case", folder / "q.jpg").returncode == 0
    return folder / "case"


@pytest.mark.claim("B7")
def test_other_pages_and_another_profile_get_nothing(case):
    """Another server of this machine, on the usual and on the very address; and a profile with the same cookies."""
    rows = attack_page.run([attack_page.browsers], case)
    assert len(rows) == 5
    assert [row for row in rows if row["ended"] != "held"] == []


@pytest.mark.claim("B8")
def test_a_reload_and_a_second_tab_go_on_and_a_typed_address_does_not(case):
    live = Live(case, "--examiner", "R. Example")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        context = browser.new_context()
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.goto(live.address)
        expect(page.locator("#who")).to_be_visible()
        assert page.url == f"{live.origin}/"  # the code is in no history
        page.reload()
        expect(page.locator("#who")).to_be_visible()
        page.click("nav >> text=Groups")
        expect(page.locator("#group-form")).to_be_visible()
        page.go_back()
        expect(page.locator("#search")).to_be_visible()
        with context.expect_page() as opened:
            page.click("nav >> text=Audit trail", modifiers=["ControlOrMeta"])
        expect(opened.value.locator("#audit-verify")).to_be_visible()
        typed = context.new_page()
        typed.goto(f"{live.origin}/audit")
        expect(typed.locator("[role=alert]")).to_contain_text("not let in")
        assert context.cookies() == []
        live.stop()
        page.click("nav >> text=Groups", no_wait_after=True)
        expect(opened.value.locator("[role=alert]")).to_contain_text("ended", timeout=90_000)
        assert opened.value.locator("#audit-verify").count() == 0
        browser.close()
