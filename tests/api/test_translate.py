"""POST /v1/translate and what describes it."""

from service.app import create_app
from service.settings import Settings


async def test_a_text_comes_back_with_its_white_space(client):
    """Sentences are translated one by one and joined as they were."""
    text = "Hello there.\n\n  How are you?\t"
    body = {"text": text, "source": "en", "target": "ko"}
    answer = (await client.post("/v1/translate", json=body)).json()
    (translation,) = answer["translations"]
    assert translation["text"] == text
    assert (translation["source"], translation["target"]) == ("en", "ko")
    assert translation["score"] == translation["hypotheses"][0]["score"]
    # Two sentences of 12 characters, each with a tag and an end.
    assert answer["usage"] == {"characters": 29, "source_tokens": 28, "target_tokens": 24}
    assert answer["model"] == "fake"


async def test_a_list_gives_a_list_in_order(client):
    """One translation for each text."""
    body = {"text": ["b", "a", "🎉 12"], "source": "ko", "target": "en"}
    answer = (await client.post("/v1/translate", json=body)).json()
    assert [t["text"] for t in answer["translations"]] == ["b", "a", "🎉 12"]


async def test_n_best_gives_so_many_hypotheses_best_first(client):
    """The best one is the translation."""
    decoding = {"strategy": "beam", "beam_size": 3, "n_best": 3}
    body = {"text": "abc", "source": "en", "target": "ko", "decoding": decoding}
    (translation,) = (await client.post("/v1/translate", json=body)).json()["translations"]
    assert len(translation["hypotheses"]) == 3
    assert translation["hypotheses"][0]["text"] == translation["text"] == "abc"


async def test_models_and_languages_are_listed(client):
    """What is served, for people and programs."""
    (model,) = (await client.get("/v1/models")).json()["models"]
    assert (model["name"], model["ready"], model["default_beam_size"]) == ("fake", True, 2)
    assert (await client.get("/v1/languages")).json() == {
        "languages": [
            {"code": "en", "name": "English", "targets": ["ko"]},
            {"code": "ko", "name": "Korean", "targets": ["en"]},
        ]
    }


def test_openapi_has_an_example_for_every_field():
    """Nobody has to guess what a field looks like."""
    schemas = create_app(Settings()).openapi()["components"]["schemas"]
    for name, schema in schemas.items():
        if name in ("HTTPValidationError", "ValidationError"):
            continue
        for field, described in schema.get("properties", {}).items():
            assert "examples" in described, f"{name}.{field}"
            assert "description" in described, f"{name}.{field}"
