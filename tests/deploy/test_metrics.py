"""A scrape of the service as Prometheus sees it: sound, and no larger for what callers invent."""

import asyncio

import httpx

from tests.deploy.reading import app_with_a_fake, run, tool

BODY = {"text": "hello", "source": "en", "target": "ko"}
FIELDS = {"q": "hello", "text": ["hello"], "source": "en", "target_lang": "KO"}
OTHER_PATHS = (
    "/translate",
    "/detect",
    "/download_file/{}",
    "/v2/translate",
    "/v2/glossaries/{}",
    "/v2/document/{}",
    "/v2/models/{}",
    "/v3/glossaries/{}",
    "/v1/glossaries/{}",
    "/v1/translate/file/{}",
    "/v1/models/{}/load",
)
"""Of the other protocols, and what takes a name in its path."""


async def _scrape(client: httpx.AsyncClient) -> str:
    return (await client.get("/metrics")).text


def _series(text: str) -> set[str]:
    return {line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")}


async def _started(client: httpx.AsyncClient) -> None:
    while (await client.get("/readyz")).status_code != 200:
        await asyncio.sleep(0.001)


async def test_what_callers_invent_makes_no_series():
    """A thousand odd paths, methods, models, languages and request ids: not one more."""
    app = app_with_a_fake()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await _started(client)

            async def odd(number: int) -> None:
                word = f"odd{number}"
                await client.get(f"/{word}/{number}?{word}", headers={"X-Request-Id": word})
                await client.request(f"M{number}", f"/{word}")
                await client.post("/v1/translate", json=BODY | {"model": word})
                await client.post("/v1/translate", json=BODY | {"source": f"x{number}"})
                await client.post("/v1/translate", json=BODY | {word: number})
                for path in OTHER_PATHS if number % 10 == 0 else ():
                    await client.get(path.format(word))
                    await client.post(path.format(word), json=FIELDS | {"target": word})
                    await client.post(path.format(word), data={word: word})

            # One of each kind makes the series that there are for all of them.
            await client.post("/v1/translate", json=BODY)
            await _scrape(client)
            await odd(0)
            before = _series(await _scrape(client))
            for number in range(1, 1000):
                await odd(number)
            after = await _scrape(client)
            assert _series(after) == before
            assert "odd" not in after


async def test_promtool_finds_nothing_wrong_with_a_scrape_under_load():
    """While requests run, and after others that ended well and badly."""
    promtool = tool("promtool")
    app = app_with_a_fake()
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            await _started(client)
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
            answers = await asyncio.gather(*load)
            assert {answer.status_code for answer in answers} == {200}
            assert not run(promtool, "check", "metrics", stdin=scrape)
