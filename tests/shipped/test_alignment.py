"""Alignment of the shipped models, from the tokenizer to the API."""

import json
import unicodedata
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from service.app import create_app
from service.engine.vocabulary import Vocabulary
from service.settings import Settings
from tests.serving import serve

MODELS = Path(__file__).parents[2] / "models"
VOCABULARY = Vocabulary(MODELS / "en-ko-transformer/tokenizer.model")
TEXTS = [
    "My brother bought two red apples at the market yesterday.",
    "Good morning 漢. Tom has 12 cats!\n\n  I like cafe\u0301 au lait.",
    unicodedata.normalize("NFD", "안녕하세요. 저는 학생이에요."),
    "👩‍👩‍👧 ㋿ １２３ hello",
]


def cut(text: str, span: dict) -> str:
    """The part of a text that a span of the API means."""
    assert 0 <= span["start"] <= span["end"] <= len(text)
    return text[span["start"] : span["end"]]


@pytest.fixture(scope="module")
def url():
    """A server with the shipped models."""
    with serve(create_app(Settings(models=MODELS, workers=1))) as address:
        yield address


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40))
def test_source_pieces_cover_the_text_in_order(text):
    """One piece for each id, spans never go back, and only white space lies between them."""
    text = text.replace("\0", "")
    if any("\ud800" <= c <= "\udfff" for c in text):
        return
    pieces = VOCABULARY.source_pieces(text, "ko")
    assert len(pieces) == len(VOCABULARY.encode_source(text, "ko"))
    position = 0
    for piece in pieces:
        assert position <= piece.start <= piece.end <= len(text)
        position = piece.end


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(VOCABULARY) - 1), max_size=12))
def test_target_pieces_match_any_hypothesis(ids):
    """Whatever a model says, there is a piece for each id, and spans lie in the text."""
    pieces = VOCABULARY.target_pieces(ids)
    assert len(pieces) == len(ids) + 1
    assert all(0 <= p.start <= p.end <= len(VOCABULARY.decode(ids)) for p in pieces)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("decoding", [{"strategy": "greedy"}, {"beam_size": 3, "n_best": 2}])
def test_attention_rows_sum_to_one_and_spans_cut_the_text(url, text, decoding):
    """The matrix has a row for each piece said and a column for each piece read."""
    source, target = ("en", "ko") if text.isascii() or "hello" in text else ("ko", "en")
    body = {"text": text, "source": source, "target": target, "decoding": decoding}
    answer = httpx.post(f"{url}/v1/translate", json=body | {"alignment": True}, timeout=60)
    (translation,) = answer.json()["translations"]
    assert translation["alignment"]["sentences"]
    for sentence in translation["alignment"]["sentences"]:
        assert cut(text, sentence["source"]).strip()
        attention = sentence["attention"]
        assert len(attention) == len(sentence["target_pieces"])
        for row in attention:
            assert len(row) == len(sentence["source_pieces"])
            assert sum(row) == pytest.approx(1, abs=1e-3)
        read = [cut(text, piece) for piece in sentence["source_pieces"]]
        assert "".join(read).split() == cut(text, sentence["source"]).split()
        said = [cut(translation["text"], piece) for piece in sentence["target_pieces"]]
        assert "".join(said) == cut(translation["text"], sentence["target"])
        for link in sentence["words"]:
            assert cut(text, link["source"]).isprintable()
            assert cut(translation["text"], link["target"])
    plain = httpx.post(f"{url}/v1/translate", json=body, timeout=60).json()["translations"][0]
    assert "alignment" not in plain
    assert plain["text"] == translation["text"]


def test_a_stream_tells_what_the_plain_answer_tells(url):
    """Alignment, scores of pieces and languages that were found out; spans count in the whole
    text and translation in both."""
    texts = ["Good morning.\n\nTom has 12 cats! I like coffee.", "안녕하세요.", "Thank you."]
    body = {"text": texts, "source": "auto", "target": "ko", "alignment": True}
    body |= {"token_scores": True, "decoding": {"strategy": "greedy"}}
    plain = httpx.post(f"{url}/v1/translate", json=body, timeout=60).json()
    answer = httpx.post(f"{url}/v1/translate", json=body | {"stream": True}, timeout=60)
    told = [block.split("\ndata: ") for block in answer.text.strip().split("\n\n")]
    events = [(name.removeprefix("event: "), json.loads(data)) for name, data in told]
    for number, whole in enumerate(plain["translations"]):
        own = [(name, data) for name, data in events if data.get("text") == number]
        (end,) = [data for name, data in own if name == "text"]
        assert (end["source"], end["detected"]) == (whole["source"], whole["detected"])
        sentences = [data["translation"] for name, data in own if name == "sentence"]
        if whole["source"] == "ko":
            assert sentences == []
            continue
        assert len(sentences) == len(whole["sentences"]) > 0
        scores = [each for sentence in sentences for each in sentence["sentences"]]
        aligned = [each for sentence in sentences for each in sentence["alignment"]["sentences"]]
        near(scores, whole["sentences"])
        near(aligned, whole["alignment"]["sentences"])


def near(found, wanted):
    """Equal but for the last decimals, which neighbours in a batch may change."""
    if isinstance(wanted, dict):
        assert found.keys() == wanted.keys()
        near([*map(found.get, wanted)], [*wanted.values()])
    elif isinstance(wanted, list):
        assert len(found) == len(wanted)
        for pair in zip(found, wanted, strict=True):
            near(*pair)
    else:
        assert found == (pytest.approx(wanted, abs=1e-4) if isinstance(wanted, float) else wanted)
