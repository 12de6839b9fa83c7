"""Probes: what they say of the service, and that nothing keeps them waiting."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import anyio.to_thread
import httpx

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import GatedModel, make_engine
from tests.polling import wait_until
from tests.serving import serve

BODY = {"text": "hello", "source": "en", "target": "ko"}
PROBES = ("/livez", "/startupz", "/readyz")


async def test_alive_and_ready(client):
    """Both probes answer."""
    assert (await client.get("/livez")).json() == {"status": "alive"}
    assert (await client.get("/readyz")).json() == {"status": "ready"}


async def test_not_ready_until_the_models_are_loaded():
    """It listens and lives at once; translations are refused with 503 until then."""
    loaded = threading.Event()

    def load(_, metrics):
        loaded.wait(20)
        return Loaded((make_engine(metrics=metrics),), ())

    app = create_app(Settings(), load)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            assert (await client.get("/livez")).status_code == 200
            assert (await client.get("/readyz")).status_code == 503
            assert (await client.post("/v1/translate", json=BODY)).status_code == 503
            loaded.set()
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)


async def test_a_broken_bundle_is_left_out_and_named(tmp_path):
    """The server lives, is not ready, and says why."""
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken/manifest.json").write_text('{"format_version": 1}')
    app = create_app(Settings(models=tmp_path))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while "no model is usable" not in (answer := await client.get("/readyz")).text:
                assert answer.status_code == 503
                await asyncio.sleep(0.001)
    assert "name: Field required" in answer.text


def test_probes_answer_while_every_worker_is_busy():
    """Fails when a probe waits for decoding: no worker gets on, and 64 callers wait."""
    model = GatedModel()
    engine = make_engine(model, workers=2)
    app = create_app(Settings(), lambda _, __: Loaded((engine,), ()))
    with serve(app) as url, ThreadPoolExecutor(64) as callers:

        def ask(number):
            body = BODY | {"text": f"hello {number}"}
            return httpx.post(f"{url}/v1/translate", json=body, timeout=60).status_code

        def at_work():
            now = engine.read()
            return now.waiting_sentences + now.running_sentences

        answers = [callers.submit(ask, number) for number in range(64)]
        try:
            wait_until(lambda: at_work() == 64)
            for path in PROBES:
                assert httpx.get(url + path, timeout=10).status_code == 200
            assert not any(answer.done() for answer in answers)
        finally:
            model.opened.set()
        assert {answer.result() for answer in answers} == {200}


async def test_probes_need_no_thread(client):
    """Fails when a probe runs in a pool, where it would wait for what callers do there."""
    gate = threading.Event()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
    blocked = asyncio.create_task(asyncio.to_thread(gate.wait, 20))
    limiter = anyio.to_thread.current_default_thread_limiter()
    for borrower in range(int(limiter.total_tokens)):
        limiter.acquire_on_behalf_of_nowait(borrower)
    try:
        async with asyncio.timeout(10):
            for path in PROBES:
                assert (await client.get(path)).status_code == 200
    finally:
        gate.set()
    assert await blocked
