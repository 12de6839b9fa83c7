"""Keys over HTTP: what is closed without one, and that none shows anywhere."""

import asyncio
import logging
import re

import httpx
import pytest
from fastapi import Depends

from service.access.keys import KeyLimits, Scope, new_key
from service.api.access import admin_only
from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine
from tests.serving import every_route

BODY = {"text": "hello", "source": "en", "target": "ko"}
LIBRE = {"q": "hello", "source": "en", "target": "ko"}
DEEPL = {"text": "hello", "target_lang": "KO"}
OPEN = {
    "/", "/web/{name}",
    "/startupz", "/livez", "/readyz", "/metrics",
    "/docs", "/docs/{name}", "/openapi.json",
    "/health", "/languages", "/frontend/settings", "/download_file/{document}",
    "/v2", "/v2/health/live", "/v2/health/ready",
}  # fmt: skip
"""What answers without a key: health, metrics, the page, the documents, and what clients of
LibreTranslate ask without one; a file is found by a name that nobody can guess."""


@pytest.fixture
def secrets(tmp_path):
    """Keys by name."""
    made = {
        "user": new_key("user", limits=KeyLimits(characters_per_month=10)),
        "free": new_key("free"),
        "often": new_key("often", limits=KeyLimits(requests_per_minute=1)),
        "boss": new_key("boss", [Scope.ADMIN]),
    }
    (tmp_path / "keys").write_text("\n".join(line for _, line in made.values()), "utf-8")
    return {name: secret for name, (secret, _) in made.items()}


@pytest.fixture
def app(tmp_path, secrets):
    """An application that asks for keys."""
    assert secrets
    settings = Settings(keys=tmp_path / "keys", data=tmp_path / "data")
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))

    @app.post("/admin", dependencies=[Depends(admin_only)])
    async def administer() -> None:
        """Stands for every route that changes what is loaded."""

    return app


@pytest.fixture
async def client(app):
    """Without a key, unless a test sends one."""
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            yield client


def bearer(secret):
    """The header of a key."""
    return {"Authorization": f"Bearer {secret}"}


async def test_no_route_but_the_open_ones_answers_without_a_key(app, client):
    """Fails for every route that forgets its key, also for those to come."""
    closed = [(path, method) for path, method in every_route(app) if path not in OPEN]
    assert ("/v1/translate", "POST") in closed
    for path, method in closed:
        for headers in ({}, bearer("s2s_wrong")):
            answer = await client.request(method, re.sub("[{}]", "", path), headers=headers)
            assert answer.status_code in (400, 401, 403), f"{method} {path}"


async def test_open_routes_stay_open(client):
    """Probes, scrapers and people who want to look need no key."""
    for path in ("/", "/startupz", "/livez", "/readyz", "/metrics", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200, path


@pytest.mark.parametrize(
    "header",
    ["Authorization: Bearer {}", "authorization: bearer {}", "X-API-Key: {}",
     "Authorization: DeepL-Auth-Key {}"],
)  # fmt: skip
async def test_a_key_comes_in_any_of_the_headers(client, secrets, header):
    """Whatever the client's library knows."""
    name, _, value = header.format(secrets["user"]).partition(": ")
    answer = await client.post("/v1/translate", json=BODY, headers={name: value})
    assert answer.status_code == 200


async def test_a_key_is_asked_for_before_the_request_is_looked_at(client):
    """Strangers learn nothing of fields and limits."""
    answer = await client.post("/v1/translate", json={"text": 3})
    assert answer.status_code == 401
    assert answer.json()["error"]["code"] == "missing_key"


async def test_quota_and_rate_are_told_apart(client, secrets):
    """Both are 429; only one gets better by waiting."""
    post = "/v1/translate"
    for secret, status, code in (
        ("user", 200, None), ("user", 200, None), ("user", 429, "quota_exceeded"),
        ("often", 200, None), ("often", 429, "rate_limited"),
    ):  # fmt: skip
        answer = await client.post(post, json=BODY, headers=bearer(secrets[secret]))
        assert answer.status_code == status
        assert code is None or answer.json()["error"]["code"] == code
    assert 1 <= int(answer.headers["retry-after"]) <= 60


async def test_admin_routes_need_an_admin(client, secrets):
    """Fails when a key for translations is enough."""
    assert (await client.post("/admin")).status_code == 401
    refused = await client.post("/admin", headers=bearer(secrets["user"]))
    assert refused.status_code == 403
    assert (await client.post("/admin", headers=bearer(secrets["boss"]))).status_code == 200
    assert (await client.get("/v1/models", headers=bearer(secrets["boss"]))).status_code == 200


def ways(secret):
    """A translation in every protocol, with the key in each place that the protocol has for it."""
    for headers in (bearer(secret), {"X-API-Key": secret}):
        yield "/v1/translate", {"json": BODY, "headers": headers}
    for name in ("api_key", "apiKey"):
        yield "/translate", {"json": LIBRE | {name: secret}}
        yield "/translate", {"data": LIBRE | {name: secret}}
    yield "/translate", {"json": LIBRE, "params": {"api_key": secret}}
    yield "/translate", {"json": LIBRE, "headers": bearer(secret)}
    yield "/v2/translate", {"data": DEEPL, "headers": {"Authorization": f"DeepL-Auth-Key {secret}"}}
    yield "/v2/translate", {"data": DEEPL | {"auth_key": secret}}
    yield "/v2/translate", {"params": DEEPL | {"auth_key": secret}}


async def test_a_key_is_accepted_in_each_protocol_s_own_way(client, secrets):
    """And a wrong one is refused there."""
    for path, request in ways(secrets["free"]):
        answer = await client.post(path, **request)
        assert answer.status_code == 200, (path, request, answer.text)
    for path, request in ways("s2s_wrong"):
        assert (await client.post(path, **request)).status_code in (401, 403), (path, request)


@pytest.mark.parametrize(
    ("path", "fields", "statuses", "words"),
    [
        ("/v1/translate", BODY, (401, 401, 429, 429), lambda body: body["error"]["message"]),
        ("/translate", LIBRE, (400, 403, 403, 429), lambda body: body["error"]),
        ("/v2/translate", DEEPL, (403, 403, 456, 429), lambda body: body["message"]),
    ],
)
async def test_each_protocol_refuses_in_its_own_way(client, secrets, path, fields, statuses, words):
    """Fails when a status or a shape is another's: clients tell a wrong key, a quota that is used
    up and too much at once apart by these."""
    asked = [({}, 1), (bearer("s2s_wrong"), 1), (bearer(secrets["user"]), 3)]
    asked.append((bearer(secrets["often"]), 2))
    for (headers, times), status in zip(asked, statuses, strict=True):
        for _ in range(times):
            answer = await client.post(path, json=fields, headers=headers)
        assert answer.status_code == status
        assert isinstance(words(answer.json()), str)
        later = "retry-after" in answer.headers
        assert later == (headers == bearer(secrets["often"]))


async def test_no_route_repeats_a_key(app, client, secrets, caplog):
    """Fails when a route of any protocol, known or to come, shows what it was sent as a key in a
    header, a field or the query: in its answer, in the log or in what the log has for machines."""
    caplog.set_level(logging.WARNING, logger="httpx")  # the test's own client
    caplog.set_level(logging.DEBUG)  # the last one decides for all what is kept
    shown = []

    @app.get("/broken")
    async def broken() -> None:
        raise RuntimeError

    for path, method in every_route(app):
        for secret in (secrets["free"], secrets["boss"], "s2s_wrong"):
            fields = {"api_key": secret, "auth_key": secret}
            for request in (
                {"headers": bearer(secret), "json": fields},
                {"headers": {"X-API-Key": secret}, "data": fields},
                {"headers": {"Authorization": f"DeepL-Auth-Key {secret}"}, "params": fields},
                {"headers": {"Authorization": secret}, "content": secret.encode()},
            ):
                answer = await client.request(method, re.sub("[{}]", "", path), **request)
                shown += [answer.text, str(answer.headers)]
    shown += [(await client.get("/metrics")).text, *(str(vars(each)) for each in caplog.records)]
    assert "Traceback" in caplog.text
    assert not any("s2s_" in text for text in shown)


async def test_no_key_is_in_the_log_or_the_metrics_or_an_error(client, secrets, caplog):
    """Fails when any of them repeats what a caller sent as a key, right or wrong."""
    caplog.set_level(logging.WARNING, logger="httpx")  # the test's own client
    caplog.set_level(logging.DEBUG)  # the last one decides for all what is kept
    shown = []
    for secret in (*secrets.values(), "s2s_wrong"):
        for path, request in ways(secret):
            broken = request | {"json": {"text": 3}} if "json" in request else request
            for each in (request, broken):
                answer = await client.post(path, **each)
                shown += [answer.text, str(answer.headers)]
    shown += [(await client.get("/metrics")).text, caplog.text]
    assert "POST /v2/translate 200" in caplog.text
    assert not any("s2s_" in text for text in shown)
