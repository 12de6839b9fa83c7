"""An application over a scripted engine, without sockets."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose model echoes its source."""
    settings = Settings(
        max_texts=3, max_characters=100, max_body_bytes=2000, max_file_bytes=3000, max_beam_size=8
    )
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            yield client
