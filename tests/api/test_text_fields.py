"""Markup, terms and cutting through the native API, over a model that repeats what it reads."""

import pytest


async def ask(client, **fields):
    """The answer to a request from English into Korean."""
    body = {"source": "en", "target": "ko", **fields}
    return await client.post("/v1/translate", json=body)


async def text(client, **fields):
    """The translation."""
    answer = await ask(client, **fields)
    assert answer.status_code == 200, answer.text
    return answer.json()["translations"][0]["text"]


@pytest.mark.parametrize(
    "sent",
    ["<p>a <b>b</b> &amp; c</p><code>d</code>", "Hello {name} 😀 at https://a.com.", "1 < 2 & 3"],
)
@pytest.mark.parametrize("form", ["text", "html", "xml"])
async def test_what_is_not_for_the_model_comes_back(client, sent, form):
    """In every format."""
    assert await text(client, text=sent, format=form) == sent


async def test_terms_and_words_that_stay(client):
    """Both take their places, and a word in both stays."""
    found = await text(
        client,
        text="The old station is here.",
        glossary=[{"source": "station", "target": "정거장"}, {"source": "old", "target": "낡은"}],
        do_not_translate=["old"],
    )
    assert found == "The old 정거장 is here."


async def test_where_texts_are_cut(client):
    """Off, each text is one sentence, whose pieces are counted once."""
    fields = {"text": "One two. Three four.\nFive."}
    counts = [
        (await ask(client, splitting=how, **fields)).json()["usage"]["source_tokens"]
        for how in ("sentences", "off")
    ]
    assert counts[0] > counts[1] - 4


async def test_ignored_tags_are_copied(client):
    """With what is in them."""
    sent = 'Open <x id="7"></x> and <keep>this</keep>.'
    fields = {"format": "xml", "markup": {"ignore_tags": ["x", "keep"]}}
    assert await text(client, text=sent, **fields) == sent


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"format": "rtf"}, "format"),
        ({"splitting": "never"}, "splitting"),
        ({"glossary": [{"source": "", "target": "x"}]}, "glossary"),
        ({"glossary": [{"source": "a", "target": "x"}] * 2}, "glossary"),
        ({"glossary": [{"source": "a", "target": "a\x01"}]}, "glossary"),
        ({"do_not_translate": [7]}, "do_not_translate"),
        ({"markup": {"ignore_tags": ["<x>"]}}, "markup.ignore_tags"),
        ({"markup": {"ignored": ["x"]}}, "markup.ignored"),
    ],
)
async def test_what_is_wrong_is_told(client, fields, field):
    """422, and where."""
    answer = await ask(client, text="Hi.", **fields)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"].startswith(field)
