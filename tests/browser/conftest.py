"""The page in a real Chromium, over the shipped models and one scripted model without attention.

Skipped with a reason where Playwright or Chromium is missing; `make test-browser` installs the one
and asks for the other.
"""

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.app import Loaded, create_app
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.settings import Settings
from tests.browser.visits import (
    ARGUMENTS,
    AXE,
    CHROMIUM,
    DESKTOP,
    MAX_CHARACTERS,
    PLAIN,
    ROOT,
    SCREENSHOTS,
    SHIPPED,
    Visit,
)
from tests.fakes import EchoModel, FakeVocabulary, make_manifest
from tests.serving import serve


def _load(settings, metrics) -> Loaded:
    limits, workers = SchedulerLimits(), settings.workers
    shipped = [
        Engine.load(path.parent, limits, metrics, workers)
        for path in sorted(settings.models.glob("*/manifest.json"))
    ]
    manifest = dataclasses.replace(make_manifest(PLAIN), architecture="rnn_seq2seq")
    plain = Engine(manifest, FakeVocabulary(), EchoModel(), limits, metrics.for_model(PLAIN))
    return Loaded((*shipped, plain), ())


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    """The address of a server with the page."""
    settings = Settings(models=ROOT / "models", max_characters=MAX_CHARACTERS, max_beam_size=4)
    with serve(create_app(settings, _load)) as address:
        loaded = httpx.get(f"{address}/v1/models").json()["models"]
        assert SHIPPED in [model["name"] for model in loaded]
        yield address


@pytest.fixture(scope="module")
def browser():
    """One Chromium for all tests, closed after them: Playwright's event loop disturbs others."""
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="Playwright is not installed: use make test-browser"
    )
    if CHROMIUM is None:
        pytest.skip("there is no chromium; Debian has one, or set CHROMIUM to its path")
    playwright.expect.set_options(timeout=20_000)
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser, url):
    """Opens the page; afterwards no request has left the host and the console is empty."""
    visits = []

    def opened(prepare=lambda _: None, **options) -> Visit:
        context = browser.new_context(**(DESKTOP | options))
        context.set_default_timeout(20_000)
        if AXE.exists():
            context.add_init_script(path=AXE)
        visit = Visit(context.new_page())
        visits.append(visit)
        visit.page.on("request", lambda request: visit.requests.append(request.url))
        visit.page.on("console", lambda message: visit.console.append(message.text))
        visit.page.on("pageerror", lambda error: visit.console.append(str(error)))
        prepare(visit.page)
        visit.page.goto(url)
        visit.page.locator("#model option").first.wait_for(state="attached")
        return visit

    yield opened
    for each in visits:
        each.page.context.close()
        assert [request for request in each.requests if not request.startswith(url)] == []
        assert each.console == []


@pytest.fixture
def page(visit):
    """The page in an ordinary window."""
    return visit().page


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """Where pictures for people go."""
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    return SCREENSHOTS
