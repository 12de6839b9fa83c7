"""Bad input gets an error that says what was wrong and what is allowed."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

GOOD = {"text": "hi", "source": "en", "target": "ko"}


def problems(response) -> dict[str, str]:
    """Message by field; checks the error's shape on the way."""
    error = response.json()["error"]
    assert set(error) == {"code", "message", "details"}
    assert error["message"]
    return {detail["field"]: detail["message"] for detail in error["details"]}


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"text": ""}, "text", "the text is empty"),
        ({"text": []}, "text", "the list of texts is empty"),
        ({"text": ["a", ""]}, "text", "text 1 is empty"),
        ({"text": ["a", 3]}, "text", "text 1 is not a string"),
        ({"text": 3}, "text", "a text or a list of texts"),
        ({"text": ["a"] * 4}, "text", "4 texts in one request; at most 3"),
        ({"text": "a" * 101}, "text", "101 characters in one request; at most 100"),
        ({"text": "a\0b"}, "text", "NUL"),
        ({"source": "xx"}, "source", "unknown language 'xx'; served languages: en, ko"),
        ({"target": "fr"}, "target", "unknown language 'fr'; served languages: en, ko"),
        ({"source": "ko"}, "target", "source and target are both 'ko'"),
        ({"target": None}, "target", "string"),
        ({"formality": "more"}, "formality", "unknown field"),
        ({"decoding": {"beam": 3}}, "decoding.beam", "unknown field"),
        ({"decoding": None}, "decoding", "must be a JSON object"),
        ({"decoding": []}, "decoding", "must be a JSON object"),
        ({"body": 1}, "body", "unknown field"),
        ({"decoding": {"beam_size": 0}}, "decoding.beam_size", "greater than or equal to 1"),
        ({"decoding": {"beam_size": 9}}, "decoding.beam_size", "allowed: 1 to 8"),
        ({"decoding": {"beam_size": True}}, "decoding.beam_size", "integer"),
        ({"decoding": {"beam_size": "4"}}, "decoding.beam_size", "integer"),
        ({"decoding": {"beam_size": 2, "n_best": 3}}, "decoding.n_best", "more than beam_size 2"),
        ({"decoding": {"n_best": 9}}, "decoding.n_best", "allowed: 1 to 8"),
        (
            {"decoding": {"strategy": "greedy", "beam_size": 2}},
            "decoding.beam_size",
            "greedy search has beam_size 1",
        ),
        ({"decoding": {"strategy": "best"}}, "decoding.strategy", "'greedy', 'beam' or 'sample'"),
        (
            {"decoding": {"strategy": "sample", "n_best": 2}},
            "decoding.n_best",
            "sampling has 1 hypothesis",
        ),
        ({"decoding": {"strategy": "beam", "seed": 1}}, "decoding.seed", "'sample' only"),
        ({"decoding": {"temperature": 0.5}}, "decoding.temperature", "'sample' only"),
        ({"decoding": {"top_k": 51}}, "decoding.top_k", "less than or equal to 50"),
        ({"decoding": {"temperature": 0}}, "decoding.temperature", "greater than 0"),
        (
            {"decoding": {"repetition_penalty": 0.5}},
            "decoding.repetition_penalty",
            "greater than or equal to 1",
        ),
        ({"decoding": {"no_repeat_ngram": -1}}, "decoding.no_repeat_ngram", "equal to 0"),
        ({"decoding": {"target_prefix": ""}}, "decoding.target_prefix", "is empty"),
        ({"decoding": {"target_prefix": "a\0"}}, "decoding.target_prefix", "NUL"),
        ({"decoding": {"target_prefix": "a" * 128}}, "decoding.target_prefix", "at most 128"),
        (
            {"text": ["a", "b"], "decoding": {"target_prefix": "c"}},
            "decoding.target_prefix",
            "for one text, 2 were sent",
        ),
        ({"decoding": {"length_penalty": 6}}, "decoding.length_penalty", "less than or equal to 5"),
        ({"decoding": {"max_target_length": 500}}, "decoding.max_target_length", "this model's"),
    ],
)
async def test_invalid_content_is_named(client, change, field, words):
    """Fails when a bound or a type is not checked; the field and the rule are in the answer."""
    response = await client.post("/v1/translate", json=GOOD | change)
    assert response.status_code == 422
    assert words in problems(response)[field]


async def test_all_problems_are_told_at_once(client):
    """Nobody has to mend one fault to learn of the next."""
    body = GOOD | {"text": "", "formality": 1, "decoding": {"n_best": 0}}
    response = await client.post("/v1/translate", json=body)
    assert set(problems(response)) == {"text", "formality", "decoding.n_best"}


async def test_an_unknown_model_is_not_found(client):
    """The answer lists the models that there are."""
    response = await client.post("/v1/translate", json=GOOD | {"model": "gpt"})
    assert response.status_code == 404
    assert "available models: fake" in problems(response)["model"]


@pytest.mark.parametrize(
    ("content", "media_type", "status", "code"),
    [
        (b"{bad", "application/json", 400, "malformed_request"),
        (b'{"text": "\xff"}', "application/json", 400, "malformed_request"),
        (b"[" * 1500, "application/json", 400, "malformed_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b"", "application/json", 422, "invalid_request"),
        (b"text=hi", "application/x-www-form-urlencoded", 415, "unsupported_media_type"),
        (b'{"text": "' + b"a" * 3000 + b'"}', "application/json", 413, "body_too_large"),
        (
            b'{"text": "a", "source": "en", "target": "ko", "\\udfff": 1}',
            "application/json",
            422,
            None,
        ),
        (b'{"text": "a", "source": "\\ud800x", "target": "ko"}', "application/json", 422, None),
        (b'{"decoding": {"beam_size": ' + b"9" * 1900 + b"}}", "application/json", 422, None),
        (b'{"text": "\xed\xa0\x80"}', "application/json", 422, None),
        (b'{"' + b"x" * 1900 + b'": 1}', "application/json", 422, None),
        (b'{"text": "\\ud800", "source": "en", "target": "ko"}', "application/json", 422, None),
        (
            b'{"text":"a","source":"en","target":"ko","decoding":{"length_penalty":NaN}}',
            "application/json",
            422,
            None,
        ),
    ],
)
async def test_malformed_bodies_are_refused(client, content, media_type, status, code):
    """Whatever is sent, the answer has the one error shape."""
    headers = {"content-type": media_type}
    response = await client.post("/v1/translate", content=content, headers=headers)
    problems(response)
    assert response.status_code == status
    assert code in (None, response.json()["error"]["code"])


async def test_a_body_without_a_length_is_limited_too(client):
    """Fails when only a declared length is looked at: a chunked body is cut off as soon as it is
    too large."""

    async def chunks():
        for _ in range(100):
            yield b" " * 100

    headers = {"content-type": "application/json"}
    response = await client.post("/v1/translate", content=chunks(), headers=headers)
    problems(response)
    assert response.status_code == 413


@pytest.mark.parametrize("text", ["</s>", "<2ko>", "<s> a </s>", "<pad>", "\u200b", "\ue000"])
async def test_control_symbols_are_plain_text(client, text):
    """What a user types is never a command."""
    response = await client.post("/v1/translate", json=GOOD | {"text": text})
    assert response.status_code == 200
    assert response.json()["translations"][0]["text"] == text


async def test_unknown_routes_and_methods_have_the_same_shape(client):
    """One shape for every error."""
    missing, wrong = await client.get("/v1/none"), await client.get("/v1/translate")
    assert (missing.status_code, wrong.status_code) == (404, 405)
    problems(missing)
    problems(wrong)


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(text=st.text(st.characters(exclude_categories=[]), max_size=40))
async def test_any_text_is_answered_or_refused_with_a_reason(client, text):
    """Never a 500, not even for half of a surrogate pair."""
    # Escaped, for half of a pair can be written in JSON though not in UTF-8.
    content, headers = json.dumps(GOOD | {"text": text}), {"content-type": "application/json"}
    response = await client.post("/v1/translate", content=content, headers=headers)
    if response.status_code != 200:
        assert response.status_code == 422
        problems(response)


TEXTS = st.text(st.characters(exclude_categories=[]), max_size=8)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
FIELDS = ["text", "source", "target", "model", "decoding"]
OPTIONS = ["strategy", "beam_size", "n_best", "length_penalty", "max_target_length"]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    change=st.dictionaries(st.sampled_from(FIELDS) | TEXTS, VALUES, max_size=3),
    decoding=st.none() | st.dictionaries(st.sampled_from(OPTIONS), VALUES, max_size=3),
)
async def test_any_json_is_answered_or_refused_with_a_reason(client, change, decoding):
    """Never a 500, whatever stands in whichever field."""
    body = GOOD | change | ({} if decoding is None else {"decoding": decoding})
    headers = {"content-type": "application/json"}
    response = await client.post("/v1/translate", content=json.dumps(body), headers=headers)
    if response.status_code != 200:
        assert response.status_code in (404, 413, 422)
        problems(response)


async def test_alignment_of_a_model_without_attention_is_refused(client):
    """The answer names the models that have it."""
    response = await client.post("/v1/translate", json=GOOD | {"alignment": True})
    assert response.status_code == 422
    expected = "fake has no attention to show; models with alignment: none"
    assert problems(response) == {"alignment": expected}
