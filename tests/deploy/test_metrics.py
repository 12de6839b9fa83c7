"""A scrape of the service as Prometheus sees it: sound, and no larger for what callers invent."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from tests.deploy.reading import app_with_a_fake, run, tool
from tests.serving import every_route

BODY = {"text": "hello", "source": "en", "target": "ko"}
LIBRE = {"q": "hello", "source": "en", "target": "ko"}
DEEPL = {"text": ["hello"], "source_lang": "EN", "target_lang": "KO"}

Request = tuple[str, str, dict[str, Any]]
"""Method, path, and what else httpx takes."""


@pytest.fixture
def app() -> FastAPI:
    """Over a scripted model."""
    return app_with_a_fake()


@pytest.fixture
async def client(app) -> AsyncIterator[httpx.AsyncClient]:
    """Once it is ready."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            yield client


async def _scrape(client: httpx.AsyncClient) -> str:
    return (await client.get("/metrics")).text


def _series(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


def _odd_routes(app: FastAPI, number: int) -> list[Request]:
    """Every route, with odd words wherever it takes any."""
    word = f"odd{number}"
    return [
        (method, re.sub("{[^}]*}", word, path), {"params": {word: word}, "json": {word: number}})
        for path, method in every_route(app)
    ]


def _odd_bodies(number: int) -> list[Request]:
    """What each protocol lets callers name: texts, models, languages, glossaries, files, fields."""
    word, language = f"odd{number}", f"x{number}"
    file = {"file": (f"{word}.{word}", word.encode(), f"text/{word}")}
    terms = {"source": "en", "target": "ko", "entries": {word: word}}
    deepl_terms = {"source_lang": "en", "target_lang": "ko", "entries_format": "tsv"}
    entries = {"entries": f"{word}\t{word}"}
    return [
        ("POST", "/v1/translate", {"json": BODY | {"text": word}}),
        ("POST", "/v1/translate", {"json": BODY | {"glossary_id": word}}),
        ("POST", "/v1/translate/file", {"data": {"target": language}, "files": file}),
        ("POST", "/v1/glossaries", {"json": {"name": word, "dictionaries": [terms]}}),
        ("POST", "/translate", {"json": LIBRE | {"q": word, "api_key": word}}),
        ("POST", "/translate", {"json": LIBRE | {"source": language}}),
        ("POST", "/translate", {"data": LIBRE | {"target": language}}),
        ("POST", "/translate", {"json": LIBRE | {"format": word}}),
        ("POST", "/detect", {"json": {"q": word}}),
        ("POST", "/suggest", {"json": LIBRE | {"s": word}}),
        ("POST", "/translate_file", {"data": LIBRE | {"target": language}, "files": file}),
        ("POST", "/v2/translate", {"json": DEEPL | {"text": [word], "auth_key": word}}),
        ("POST", "/v2/translate", {"json": DEEPL | {"target_lang": language}}),
        ("POST", "/v2/translate", {"data": DEEPL | {"glossary_id": word}}),
        ("POST", "/v2/translate", {"json": DEEPL | {"model_type": word}}),
        ("POST", "/v2/document", {"data": {"target_lang": language}, "files": file}),
        ("POST", "/v2/glossaries", {"json": {"name": word} | deepl_terms | entries}),
        ("POST", "/v2/glossaries", {"json": {"name": word} | deepl_terms | {"target_lang": word}}),
        (
            "POST",
            "/v3/glossaries",
            {"json": {"name": word, "dictionaries": [deepl_terms | entries]}},
        ),
        ("GET", f"/v2/languages?type={word}", {}),
        ("GET", f"/v2/models/fake/versions/{word}", {}),
        ("POST", "/v1/models/fake/load", {"json": {"version": word}}),
    ]


async def test_what_callers_invent_makes_no_series(app, client):
    """Fails when a label is what a caller sent: a thousand odd paths, methods, models, languages
    and request ids, in the words of every protocol and on every route, and not one more."""

    async def odd(number: int, others: list[Request]) -> None:
        word = f"odd{number}"
        await client.get(f"/{word}/{number}?{word}", headers={"X-Request-Id": word})
        await client.request(f"M{number}", f"/{word}")
        await client.post("/v1/translate", json=BODY | {"model": word})
        await client.post("/v1/translate", json=BODY | {"source": f"x{number}"})
        await client.post("/v1/translate", json=BODY | {word: number})
        for method, path, content in others:
            await client.request(method, path, headers={"X-Request-Id": word}, **content)

    # One of each kind makes the series that there are for all of them.
    await client.post("/v1/translate", json=BODY)
    await _scrape(client)
    routes, bodies = _odd_routes(app, 0), _odd_bodies(0)
    await odd(0, routes + bodies)
    before = _series(await _scrape(client))
    for number in range(1, 1000):
        route = _odd_routes(app, number)[number % len(routes)]
        body = _odd_bodies(number)[number % len(bodies)]
        await odd(number, [route, body])
    after = await _scrape(client)
    assert _series(after) == before
    assert "odd" not in after


async def test_requests_are_counted_by_the_whole_path_of_their_route(app, client):
    """Fails when a route is known by a part of its path, as those of a router inside another one
    are: two of them can be one series then."""
    for method, path, content in _odd_routes(app, 0):
        await client.request(method, path, **content)
    counted = re.findall(r'http_requests_total{method="(.*)",route="(.*)",', await _scrape(client))
    routes = {(method, path) for path, method in every_route(app) if path != "/openapi.json"}
    assert routes <= {(method, path) for method, path in counted}


async def test_promtool_finds_nothing_wrong_with_a_scrape_under_load(client):
    """Fails when what changes meanwhile is not sound: requests run, and others have ended well and
    badly."""
    promtool = tool("promtool")
    await client.post("/v1/translate", json=BODY)
    await client.post("/v1/translate", json=BODY | {"target": "xx"})
    texts = [f"hello number {number}" for number in range(200)]
    load = [
        asyncio.create_task(client.post("/v1/translate", json=BODY | {"text": text}))
        for text in texts
    ]
    await asyncio.wait(load, return_when=asyncio.FIRST_COMPLETED)
    scrape = await _scrape(client)
    assert 'seq2serve_stage_duration_seconds_count{model="' in scrape
    assert any(not each.done() for each in load)
    answers = await asyncio.gather(*load)
    assert {answer.status_code for answer in answers} == {200}
    assert not run(promtool, "check", "metrics", stdin=scrape)
