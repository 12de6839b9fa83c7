"""Every error of the tree has one native answer, and what nobody foresaw is told to nobody."""

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from service.api.errors import ErrorShapes, install_error_handlers
from service.app import Loaded, create_app
from service.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidKey,
    MissingKey,
    QuotaExceeded,
    RateLimited,
    StoreFailed,
)
from service.settings import Settings
from service.translation.translator import Translator
from tests.fakes import make_engine


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MissingKey(), 401, "missing_key"),
        (InvalidKey(), 401, "invalid_key"),
        (Forbidden("admin"), 403, "forbidden"),
        (RateLimited(2.5), 429, "rate_limited"),
        (QuotaExceeded(), 429, "quota_exceeded"),
        (DeadlineExceeded(2.5), 504, "deadline_exceeded"),
        (StoreFailed("the usage"), 503, "unavailable"),
    ],
)
async def test_errors_of_access_and_deadlines_are_rendered(error, status, code):
    """Status, stable code and, where waiting or a key helps, the header that says so."""
    app = FastAPI()
    install_error_handlers(app, ErrorShapes())

    @app.get("/")
    async def fail() -> None:
        raise error

    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.get("/")
    assert answer.status_code == status
    assert answer.json()["error"] == {"code": code, "message": str(error), "details": []}
    assert answer.headers.get("www-authenticate") == ("Bearer" if status == 401 else None)
    waits = {"rate_limited": "3", "unavailable": "1"}
    assert answer.headers.get("retry-after") == waits.get(code)


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (
            "/v1/translate",
            {"text": "a", "source": "en", "target": "ko"},
            lambda body: body["error"]["message"],
        ),
        (
            "/v1/translate",
            {"text": "a", "source": "en", "target": "ko", "stream": True},
            lambda body: body["error"]["message"],
        ),
        ("/translate", {"q": "a", "source": "en", "target": "ko"}, lambda body: body["error"]),
        ("/v2/translate", {"text": ["a"], "target_lang": "KO"}, lambda body: body["message"]),
    ],
)
async def test_a_bug_is_in_the_log_and_nowhere_else(monkeypatch, caplog, path, body, words):
    """Fails when a caller, of any protocol, gets a stack trace or the words of an exception."""

    async def broken(*_):
        raise RuntimeError("secret words")

    monkeypatch.setattr(Translator, "translate", broken)
    monkeypatch.setattr(Translator, "identify", broken)
    app = create_app(Settings(), lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            answer = await client.post(path, json=body)
    assert answer.status_code == 500
    assert words(answer.json()) == "something went wrong here"
    assert "secret words" in caplog.text
    assert "Traceback" in caplog.text
