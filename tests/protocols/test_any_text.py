"""Any Unicode text gets 200 with text, or a 4xx with a reason, in each protocol; never a 500."""

import asyncio
import json

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.app import Loaded, create_app
from service.settings import Settings
from tests.fakes import make_engine

TEXTS = st.text(st.characters(codec=None), max_size=60)
EN_KO = {"source_lang": "EN", "target_lang": "KO"}
XML = {"tag_handling": "xml", "ignore_tags": ["x"]}
CALLS = {
    "native": lambda t: ("/v1/translate", {"text": t, "source": "auto", "target": "ko"}),
    "native glossary": lambda t: (
        "/v1/glossaries",
        {"name": t, "dictionaries": [{"source": "en", "target": "ko", "entries": {t: t}}]},
    ),
    "libretranslate": lambda t: ("/translate", {"q": t, "source": "auto", "target": "ko"}),
    "libretranslate html": lambda t: (
        "/translate",
        {"q": [t, "x"], "source": "en", "target": "ko", "format": "html"},
    ),
    "libretranslate codes": lambda t: ("/translate", {"q": "x", "source": "en", "target": t}),
    "libretranslate format": lambda t: (
        "/translate",
        {"q": "x", "source": "en", "target": "ko", "format": t, "alternatives": t},
    ),
    "detect": lambda t: ("/detect", {"q": t}),
    "deepl": lambda t: ("/v2/translate", {"text": [t], "target_lang": "KO"}),
    "deepl xml": lambda t: ("/v2/translate", {"text": t} | EN_KO | XML),
    "deepl codes": lambda t: ("/v2/translate", {"text": t, "source_lang": t, "target_lang": t}),
    "deepl glossary id": lambda t: ("/v2/translate", {"text": "x", "glossary_id": t} | EN_KO),
    "deepl glossary": lambda t: (
        "/v2/glossaries",
        {"name": t, "entries": t, "entries_format": "csv"} | EN_KO,
    ),
}


@pytest.fixture(scope="module")
def ask():
    """Asks an application in a loop of its own; every example gets the same one."""
    app = create_app(Settings(), lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    with asyncio.Runner() as runner:
        lifespan = app.router.lifespan_context(app)
        runner.run(lifespan.__aenter__())
        client = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test")

        async def ready() -> None:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)

        runner.run(ready())

        yield lambda path, **given: runner.run(client.post(path, **given))

        runner.run(client.aclose())
        runner.run(lifespan.__aexit__(None, None, None))


def sound(answer: httpx.Response) -> bool:
    """Whether there is an answer or a reason."""
    if answer.status_code in (200, 201):
        return bool(answer.json())
    body = answer.json()
    return 400 <= answer.status_code < 500 and bool(body.get("error") or body.get("message"))


@pytest.mark.parametrize("protocol", CALLS)
@settings(
    max_examples=60,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=TEXTS)
def test_any_text_in_json(ask, protocol, text):
    """Halves of surrogate pairs, controls, unassigned code points included."""
    path, body = CALLS[protocol](text)
    headers = {"content-type": "application/json"}
    assert sound(ask(path, content=json.dumps(body), headers=headers))


KINDS = [
    "application/json",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "multipart/form-data",
    "x",
]


@settings(
    max_examples=100,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    body=st.binary(max_size=80),
    path=st.sampled_from(["/translate", "/detect", "/v2/translate", "/v3/glossaries"]),
    kind=st.sampled_from(KINDS),
)
def test_any_body(ask, body, path, kind):
    """Whatever it claims to be."""
    assert sound(ask(path, content=body, headers={"content-type": kind}))
