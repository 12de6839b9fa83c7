"""Models are loaded, replaced and unloaded over HTTP, and nobody notices who translates."""

import asyncio
import gc
import threading
import weakref

import httpx
import pytest

from service.access.keys import Scope, new_key
from service.app import create_app
from service.engine.engine import Engine
from service.settings import Settings
from tests.lifecycle.bundles import Opener, break_bundle, write_bundle

BODY = {"text": "hello", "source": "en", "target": "ko"}
CLIENTS, SWAPS = 32, 20


@pytest.fixture
def opened(monkeypatch):
    """The engines that were opened, as long as somebody holds them."""
    seen = weakref.WeakSet()

    def load(path, _limits, metrics, *_):
        opener = Opener(metrics)
        engine = opener(path)
        seen.add(engine)
        return engine

    monkeypatch.setattr(Engine, "load", load)
    return seen


@pytest.fixture
async def service(tmp_path, opened):
    """A client with a key that may administer and translate; version 1 of m is served."""
    assert not opened
    write_bundle(tmp_path / "models/m/1")
    secret, line = new_key("boss", [Scope.ADMIN, Scope.TRANSLATE])
    (tmp_path / "keys").write_text(line, "utf-8")
    app = create_app(Settings(models=tmp_path / "models", keys=tmp_path / "keys", trial=False))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        headers = {"Authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=headers
        ) as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            client.repository = app.state.service.repository
            yield client


async def said(client, model=None) -> str:
    """What the model answers."""
    body = BODY | ({"model": model} if model else {})
    answer = await client.post("/v1/translate", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()["translations"][0]["text"]


async def test_a_new_version_is_loaded_beside_the_old_one(tmp_path, service):
    """And takes over; the old one is unloaded when nobody asks for it any more."""
    write_bundle(tmp_path / "models/m/2", version="2")
    assert await said(service) == "1"
    answer = await service.post("/v1/models/m/load")
    versions = [(v["version"], v["default"], v["loaded"]) for v in answer.json()["versions"]]
    assert versions == [("1", False, True), ("2", True, True)]
    assert (await said(service), await said(service, "m@1")) == ("2", "1")
    models = (await service.get("/v1/models")).json()["models"]
    assert [(m["version"], m["default"]) for m in models] == [("2", True), ("1", False)]
    answer = await service.post("/v1/models/m/unload", json={"version": "1"})
    assert [v["version"] for v in answer.json()["versions"]] == ["2"]
    assert (await service.post("/v1/translate", json=BODY | {"model": "m@1"})).status_code == 404


async def test_the_old_version_comes_back(tmp_path, service):
    """By a version in the body; or it stays the default in the first place."""
    write_bundle(tmp_path / "models/m/2", version="2")
    await service.post("/v1/models/m/load", json={"default": False})
    assert (await said(service), await said(service, "m@2")) == ("1", "2")
    await service.post("/v1/models/m/load", json={"version": "2"})
    assert await said(service) == "2"
    await service.post("/v1/models/m/load", json={"version": "1"})
    assert await said(service) == "1"


async def test_faults_of_a_bundle_are_told_and_the_old_one_serves_on(tmp_path, service):
    """In the shape of every error."""
    break_bundle(tmp_path / "models/m/1")
    answer = await service.post("/v1/models/m/reload")
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "invalid_bundle"
    assert answer.json()["error"]["details"] == [{"field": "bundle", "message": "it is broken"}]
    assert await said(service) == "1"


@pytest.mark.parametrize("action", ["load", "reload", "unload"])
async def test_what_is_not_there_is_a_404(service, action):
    """Whatever is to be done with it."""
    answer = await service.post(f"/v1/models/x/{action}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "unknown_model")


@pytest.mark.parametrize("action", ["load", "reload", "unload"])
async def test_only_an_admin_changes_models(client, action):
    """Without keys there is no admin."""
    answer = await client.post(f"/v1/models/fake/{action}")
    assert answer.status_code == 403


async def test_without_a_model_it_is_not_ready_and_can_be_helped(service):
    """The process lives, has started, and takes a model."""
    await service.post("/v1/models/m/unload")
    assert (await service.get("/readyz")).status_code == 503
    assert (await service.get("/startupz")).status_code == 200
    assert (await service.post("/v1/translate", json=BODY)).status_code == 503
    await service.post("/v1/models/m/load")
    assert await said(service) == "1"


async def test_twenty_swaps_under_load_lose_nothing(tmp_path, service, opened):
    """Every request is answered, by one version only and never by one that is older than what its
    client has seen; then there is one engine, as at the beginning."""
    done = asyncio.Event()
    answers: list[list[int]] = [[] for _ in range(CLIENTS)]

    async def ask(seen: list[int]) -> None:
        while not done.is_set():
            response = await service.post("/v1/translate", json=BODY | {"text": "One. Two. Three."})
            assert response.status_code == 200, response.text
            words = set(response.json()["translations"][0]["text"].split())
            assert len(words) == 1, f"two versions in one answer: {words}"
            seen.append(int(words.pop()))

    threads = threading.active_count()
    clients = [asyncio.create_task(ask(seen)) for seen in answers]
    for number in range(1, SWAPS + 1):
        write_bundle(tmp_path / "models/m/1", words=str(number + 1))
        assert (await service.post("/v1/models/m/reload")).status_code == 200
        heard = len(answers[0])
        while len(answers[0]) == heard and not clients[0].done():
            await asyncio.sleep(0.001)
    done.set()
    await asyncio.gather(*clients)
    await service.repository.settle()
    assert all(seen == sorted(seen) for seen in answers)
    assert {number for seen in answers for number in seen} == set(range(1, SWAPS + 2))
    gc.collect()
    assert len(opened) == 1
    # Those of the event loop's pool come once and stay.
    assert threading.active_count() <= threads + 32
    text = (await service.get("/metrics")).text
    assert f'seq2serve_model_unloads_total{{reason="replaced"}} {float(SWAPS)}' in text
    assert 'seq2serve_running_sentences{model="m",version="1"} 0.0' in text
