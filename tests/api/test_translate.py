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


async def test_a_translation_begins_with_the_prefix(client):
    """To the letter; the model goes on."""
    decoding = {"target_prefix": "xyz  "}
    body = {"text": "abcdefgh", "source": "en", "target": "ko", "decoding": decoding}
    (translation,) = (await client.post("/v1/translate", json=body)).json()["translations"]
    assert translation["text"] == "xyz  fgh"


async def test_the_same_seed_gives_the_same_answer(client):
    """Another may give another."""
    found = {}
    for seed in (1, 2, 3, 1):
        decoding = {"strategy": "sample", "temperature": 5.0, "top_k": 50, "seed": seed}
        body = {"text": "abcdefgh", "source": "en", "target": "ko", "decoding": decoding}
        answer = (await client.post("/v1/translate", json=body)).json()
        text = answer["translations"][0]["text"]
        assert found.setdefault(seed, text) == text
    assert len(found) == 3


async def test_a_sentence_that_cannot_be_right_is_warned_of(client):
    """Where it stands, what is wrong, and in words."""
    text = "Yes.  Please leave the house at once."
    body = {"text": text, "source": "en", "target": "ko"}
    (translation,) = (await client.post("/v1/translate", json=body)).json()["translations"]
    (warning,) = translation["warnings"]
    assert warning["reason"] == "copied_source"
    assert "untranslated" in warning["message"]
    place = warning["sentence"]
    assert text[place["start"] : place["end"]] == "Please leave the house at once."


async def test_a_translation_without_faults_has_no_warnings(client):
    """Not even an empty list."""
    body = {"text": "Yes.", "source": "en", "target": "ko"}
    (translation,) = (await client.post("/v1/translate", json=body)).json()["translations"]
    assert "warnings" not in translation


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
