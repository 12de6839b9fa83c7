"""/v1/glossaries: stored, read, replaced, deleted, used."""

import pytest

TERMS = {"source": "en", "target": "ko", "entries": {"cat": "cats", "dog": "dogs"}}
BODY = {"name": "Animals", "dictionaries": [TERMS]}


async def test_from_birth_to_death(client):
    """What was stored comes back, changed where it was changed."""
    made = await client.post("/v1/glossaries", json=BODY)
    assert made.status_code == 201
    path = f"/v1/glossaries/{made.json()['id']}"
    assert made.json()["dictionaries"] == [{"source": "en", "target": "ko", "entry_count": 2}]
    assert (await client.get("/v1/glossaries")).json() == {"glossaries": [made.json()]}
    assert (await client.get(path)).json()["dictionaries"] == [TERMS]
    other = {"source": "ko", "target": "en", "entries": {"개": "dog"}}
    replaced = await client.put(path, json={"name": "Other", "dictionaries": [other]})
    assert replaced.json()["name"] == "Other"
    assert (await client.get(path)).json()["dictionaries"] == [other]
    assert (await client.delete(path)).status_code == 204
    for gone in (await client.get(path), await client.delete(path)):
        assert gone.status_code == 404
        assert gone.json()["error"]["code"] == "unknown_glossary"


async def test_a_request_uses_its_terms(client):
    """By its id; only where there are terms for the direction."""
    made = (await client.post("/v1/glossaries", json=BODY)).json()
    ask = {"text": "A cat.", "source": "en", "target": "ko", "glossary_id": made["id"]}
    answer = await client.post("/v1/translate", json=ask)
    assert answer.status_code == 200
    backwards = ask | {"source": "ko", "target": "en"}
    refused = await client.post("/v1/translate", json=backwards)
    assert refused.status_code == 422
    assert "no terms from ko into en" in refused.json()["error"]["message"]
    assert (await client.post("/v1/translate", json=ask | {"source": "auto"})).status_code == 422
    unknown = await client.post("/v1/translate", json=ask | {"glossary_id": "x"})
    assert unknown.status_code == 404


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": " "}, "the name is empty"),
        ({"dictionaries": []}, "at least 1 item"),
        ({"dictionaries": [TERMS, TERMS]}, "a direction comes twice"),
        ({"dictionaries": [TERMS | {"source": "fr"}]}, "served languages: en, ko"),
        ({"dictionaries": [TERMS | {"entries": {}}]}, "there are no entries"),
        ({"dictionaries": [TERMS | {"entries": {"a": " "}}]}, "entry 1 has an empty term"),
        ({"dictionaries": [TERMS | {"entries": {"a\tb": "c"}}]}, "a control character"),
        ({"strange": 1}, "unknown field"),
    ],
)
async def test_what_cannot_be_stored_is_told(client, change, words):
    """422, and nothing is kept."""
    answer = await client.post("/v1/glossaries", json=BODY | change)
    assert answer.status_code == 422
    assert words in answer.json()["error"]["message"]
    assert (await client.get("/v1/glossaries")).json() == {"glossaries": []}
