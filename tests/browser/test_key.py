"""The page of a service that asks for keys, and the page that describes the API."""

import pytest

from service.access.keys import new_key
from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine
from tests.serving import serve

expect = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
).expect


def test_the_page_asks_for_a_key_and_keeps_it(browser, tmp_path):
    """A wrong one is asked for again; the right one is not asked for twice, and nowhere to see."""
    secret, line = new_key("web")
    (tmp_path / "keys").write_text(line, "utf-8")
    settings = Settings(keys=tmp_path / "keys")
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    with serve(app) as url:
        page = browser.new_page()
        page.goto(url)
        for given, reason in (("s2s_wrong", "needed"), (secret, "not valid")):
            expect(page.get_by_role("dialog")).to_contain_text(reason)
            page.get_by_role("textbox", name="API key").fill(given)
            page.get_by_role("button", name="Use").click()
        page.get_by_label("Text", exact=True).fill("hello")
        expect(page.locator("#translation")).to_have_text("hello")
        page.reload()
        page.get_by_label("Text", exact=True).fill("again")
        expect(page.locator("#translation")).to_have_text("again")
        assert secret not in page.content()
        page.close()


def test_the_description_of_the_api_is_shown(visit):
    """Under its strict policy, from this host alone, with fields and an example."""
    page = visit().page
    page.goto(page.url.rstrip("/") + "/docs")
    route = page.locator("details", has_text="/v1/translate").first
    route.locator("summary").click()
    expect(route.get_by_role("table").first).to_contain_text("X-Request-Timeout")
    expect(route.locator("pre")).to_contain_text("curl -s -X POST")
