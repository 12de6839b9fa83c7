"""The shipped model behind a real server."""

import asyncio
import itertools
import re
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.settings import Settings
from tests.polling import wait_until
from tests.serving import serve

MODELS = Path(__file__).parents[2] / "models"
SENTENCES = [
    "Good morning.",
    "How are you?",
    "Where is the nearest station?",
    "I would like a cup of coffee and two sandwiches, please.",
    "My brother works at a small company near the river, and he likes it very much.",
    "Yes.",
    "It is raining today, so we will stay at home and read books until the evening.",
    "She has three cats.",
]


@pytest.fixture(scope="module")
def url():
    """The address of a server with the shipped models; without a cache, or answers that must agree
    would be one and the same."""
    with serve(create_app(Settings(models=MODELS, sentence_cache_bytes=0))) as address:
        # The server is ready with its first model.
        wait_until(lambda: len(httpx.get(f"{address}/v1/models").json()["models"]) == 3, seconds=60)
        yield address


def ask(text: str, source: str = "en", target: str = "ko", **decoding) -> dict:
    """A request body."""
    return {"text": text, "source": source, "target": target, "decoding": decoding}


def test_both_directions_answer_in_their_script(url):
    """English becomes Hangul, Korean becomes Latin."""
    korean = httpx.post(f"{url}/v1/translate", json=ask("Good morning. How are you?")).json()
    assert re.search("[가-힣]", korean["translations"][0]["text"])
    english = httpx.post(f"{url}/v1/translate", json=ask("저는 학생이에요.", "ko", "en")).json()
    assert re.fullmatch("[A-Za-z',. ]+", english["translations"][0]["text"])


def test_greedy_is_beam_one(url):
    """Over HTTP as well as inside."""
    for sentence in SENTENCES:
        greedy, beam = (
            httpx.post(f"{url}/v1/translate", json=ask(sentence, **decoding)).json()
            for decoding in ({"strategy": "greedy"}, {"strategy": "beam", "beam_size": 1})
        )
        assert greedy["translations"][0]["text"] == beam["translations"][0]["text"]


NAMES = ["en-ko-transformer", "en-ko-rnn-attention", "en-ko-rnn-seq2seq"]


def translated(url: str, model: str, text: str, **decoding) -> str:
    """What a model makes of an English text."""
    body = ask(text, **decoding) | {"model": model}
    answer = httpx.post(f"{url}/v1/translate", json=body, timeout=60)
    assert answer.status_code == 200, answer.text
    assert answer.json()["model"] == model
    return answer.json()["translations"][0]["text"]


def test_the_lineage_is_listed_the_best_first(url):
    """Three bundles, and which of them can show what they look at."""
    models = httpx.get(f"{url}/v1/models").json()["models"]
    assert models[0]["name"] == NAMES[0]
    assert {m["name"]: m["alignment"] for m in models} == dict(
        zip(NAMES, [True, True, False], strict=True)
    )
    assert all(m["ready"] and m["scores"] for m in models)


@pytest.mark.parametrize("model", NAMES)
def test_each_model_translates_greedily_and_by_beam(url, model):
    """Both strategies answer in Korean, and a beam of one is greedy."""
    answers = []
    for sentence in SENTENCES:
        greedy = translated(url, model, sentence, strategy="greedy")
        assert greedy == translated(url, model, sentence, strategy="beam", beam_size=1)
        answers += [greedy, translated(url, model, sentence, beam_size=4)]
    # The plain RNN may make a bare number of one of them.
    assert sum(bool(re.search("[가-힣]", answer)) for answer in answers) >= len(answers) - 2


def test_alignment_of_the_seq2seq_is_refused(url):
    """It has a single context vector, so there is nothing to show; others are named."""
    body = ask("Hello.") | {"model": NAMES[2], "alignment": True}
    answer = httpx.post(f"{url}/v1/translate", json=body)
    assert answer.status_code == 422
    message = answer.json()["error"]["details"][0]["message"]
    assert NAMES[0] in message
    assert NAMES[1] in message


async def test_all_models_at_once_answer_as_alone(url):
    """Requests for three models side by side do not mix."""
    texts = [(model, sentence) for sentence in SENTENCES for model in NAMES]
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def answer(model: str, text: str) -> str:
            response = await client.post("/v1/translate", json=ask(text) | {"model": model})
            return response.json()["translations"][0]["text"]

        alone = [await answer(*each) for each in texts]
        assert await asyncio.gather(*(answer(*each) for each in texts)) == alone
    assert len(set(alone[:3])) > 1


async def test_64_clients_get_what_one_client_gets(url):
    """Batching joins callers and changes no answer."""
    texts = [" ".join(pair) for pair in itertools.permutations(SENTENCES, 2)] + SENTENCES
    texts = texts[:64]
    assert len(texts) == 64
    limits = httpx.Limits(max_connections=64)
    async with httpx.AsyncClient(base_url=url, limits=limits, timeout=60) as client:

        async def answer(text: str) -> str:
            response = await client.post("/v1/translate", json=ask(text))
            assert response.status_code == 200, response.text
            return response.json()["translations"][0]["text"]

        alone = [await answer(text) for text in texts]
        assert await asyncio.gather(*map(answer, texts)) == alone
        metrics = (await client.get("/metrics")).text
    labels = r'{le="(\S+)",model="en-ko-transformer",version="\S+"}'
    found = rf"seq2serve_batch_sentences_bucket{labels} (\S+)"
    buckets = re.findall(found, metrics)
    at_most_two, everything = dict(buckets)["2.0"], dict(buckets)["+Inf"]
    assert float(at_most_two) < float(everything), "no batch was larger than a text's sentences"
