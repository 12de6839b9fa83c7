"""The shipped models behind a real server, for clients as they are; and a fake one, in process."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine
from tests.serving import serve

MODELS = Path(__file__).parent.parent.parent / "models"


@pytest.fixture(scope="package")
def url(tmp_path_factory) -> Iterator[str]:
    """The address of a server with the shipped models."""
    data = tmp_path_factory.mktemp("data")
    with serve(create_app(Settings(models=MODELS, data=data, trial=False))) as address:
        yield address


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """A client of an application whose model echoes its source."""
    settings = Settings(max_texts=5, max_characters=500, max_body_bytes=4000, max_beam_size=4)
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            yield client
