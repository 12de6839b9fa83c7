"""Translating in two steps where no model does it in one."""

import asyncio

import httpx
import pytest

from service.app import Loaded, create_app
from service.engine.bundle import Direction
from service.errors import NoAlignment, UnsupportedDirection
from service.settings import Settings
from service.text.glossary import Glossary, Term
from service.translation.pivot import pivots
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.fakes import make_engine

KO_EN, EN_DE, DE_FR = (("ko", "en"),), (("en", "de"),), (("de", "fr"),)


@pytest.fixture
def engines():
    """Three models in a row."""
    made = [
        make_engine(name=name, directions=way)
        for name, way in (("a", KO_EN), ("b", EN_DE), ("c", DE_FR))
    ]
    yield made
    for engine in made:
        engine.close()


def request(source="ko", target="de", **options):
    """Two texts."""
    return TranslationRequest(("one two", "three. four"), source, target, **options)


def test_two_steps_and_no_more():
    """A middle is found where both legs are served; English if there are several."""
    ways = [Direction(*pair.split()) for pair in ("ko ja", "ja de", "ko en", "en de", "de fr")]
    found = {str(way): middle for way, middle in pivots(ways).items()}
    assert found == {"ko-de": "en", "ja-fr": "de", "en-fr": "de"}


def test_a_served_direction_is_never_pivoted():
    """Nor is a language translated into itself."""
    ways = [Direction(*pair.split()) for pair in ("ko en", "en ko", "en de", "ko de")]
    assert pivots(ways) == {}


async def test_a_direction_without_a_model_goes_by_the_middle(engines):
    """Both models work, and the answer says which language was in the middle."""
    translator = Translator(engines, pivot=True)
    result = await translator.translate(request())
    assert [t.hypotheses[0].text for t in result.translations] == ["one two", "three. four"]
    assert [(t.source, t.model, t.pivot) for t in result.translations] == [("ko", "b", "en")] * 2
    direct = await translator.translate(request("ko", "en"))
    assert [t.pivot for t in direct.translations] == [None, None]
    assert translator.catalogue.sources(None, "de") == ("en", "ko")


async def test_what_two_steps_cannot_give_is_refused(engines):
    """Alignment; a model by name, which would be one of two; and three steps."""
    translator = Translator(engines, pivot=True)
    with pytest.raises(NoAlignment):
        await translator.translate(request(alignment=True))
    with pytest.raises(UnsupportedDirection):
        await translator.translate(request(model="b"))
    with pytest.raises(UnsupportedDirection):
        await translator.translate(request(target="fr"))
    with pytest.raises(UnsupportedDirection, match="by way of en"):
        await translator.translate(request(glossary=Glossary((Term("one", "eins"),))))


async def test_every_protocol_knows_the_way(engines):
    """It is listed among the languages, and the native answer says what was in the middle."""
    app = create_app(Settings(pivot=True), lambda _, __: Loaded(tuple(engines), ()))
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            body = {"text": "hello", "source": "ko", "target": "de"}
            answer = (await client.post("/v1/translate", json=body)).json()
            assert answer["translations"][0]["pivot"] == "en"
            assert answer["translations"][0]["text"] == "hello"
            known = (await client.get("/v1/languages")).json()["languages"]
            assert {"ko": ["de", "en"]}.items() <= {k["code"]: k["targets"] for k in known}.items()
            body = {"q": "hello", "source": "ko", "target": "de"}
            libre = await client.post("/translate", json=body)
            assert libre.json()["translatedText"] == "hello"
            named = {**body, "text": "hello", "model": "b"}
            named.pop("q")
            assert (await client.post("/v1/translate", json=named)).status_code == 422


async def test_nothing_is_pivoted_unless_it_is_wanted(engines):
    """By default a direction needs a model."""
    translator = Translator(engines)
    with pytest.raises(UnsupportedDirection):
        await translator.translate(request())
    assert translator.catalogue.sources(None, "de") == ("en",)
