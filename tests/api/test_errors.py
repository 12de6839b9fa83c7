"""Every error of the tree has one native answer."""

import httpx
import pytest
from fastapi import FastAPI

from service.api.errors import ErrorShapes, install_error_handlers
from service.errors import (
    DeadlineExceeded,
    Forbidden,
    InvalidKey,
    MissingKey,
    QuotaExceeded,
    RateLimited,
    StoreFailed,
)


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
