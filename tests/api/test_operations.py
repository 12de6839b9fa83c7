"""Metrics, overload and failure as callers and operators see them."""

import asyncio
import threading

import httpx
import pytest

from service.app import Loaded, create_app, open_repository
from service.engine.engine import Engine
from service.engine.waiting import Standing
from service.errors import BundleError
from service.metrics import Metrics
from service.settings import Settings
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.fakes import EchoModel, GatedModel, make_engine
from tests.lifecycle.bundles import write_bundle
from tests.polling import wait_until
from tests.serving import serve

BODY = {"text": "hello", "source": "en", "target": "ko"}


def app_over(*engines, **settings):
    """An application over running engines."""
    return create_app(Settings(**settings), lambda _, __: Loaded(engines, ()))


async def test_a_bundle_is_tried_out_before_it_is_served(tmp_path, monkeypatch):
    """Fails when a bundle is opened here that has not been opened elsewhere before."""
    write_bundle(tmp_path / "a")

    def refuse(path):
        raise BundleError(str(path), ["it crashes"])

    monkeypatch.setattr("service.app.try_out", refuse)
    monkeypatch.setattr(Engine, "load", lambda *_: pytest.fail("it was opened"))
    repository = open_repository(Settings(models=tmp_path), Metrics())
    await repository.start()
    assert not repository.served.all()
    assert "it crashes" in repository.faults[0]


@pytest.mark.parametrize("size", [0, 10_000])
async def test_the_memory_for_finished_sentences_is_a_setting(tmp_path, monkeypatch, size):
    """It reaches the engines."""
    write_bundle(tmp_path / "fake", "fake")

    def load(_path, _limits, metrics, _workers, _threads, cache_bytes):
        return make_engine(metrics=metrics, cache_bytes=cache_bytes)

    monkeypatch.setattr(Engine, "load", load)
    settings = Settings(models=tmp_path, sentence_cache_bytes=size, trial=False)
    repository = open_repository(settings, Metrics())
    await repository.start()
    request = TranslationRequest(("hello",), "en", "ko")
    await Translator(repository.served).translate(request)
    engine = repository.served.find("fake").running.engine
    assert engine.read().sentence_cache_entries == bool(size)
    await repository.close()


async def test_what_was_translated_before_is_answered_from_the_cache():
    """With the same words and usage, without another step, and so it is counted."""
    model = EchoModel()
    body = BODY | {"text": ["Good day. Good day.", "And more."]}
    app = create_app(
        Settings(),
        lambda _, metrics: Loaded((make_engine(model, metrics=metrics, cache_bytes=100_000),), ()),
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while (await client.get("/readyz")).status_code != 200:
                await asyncio.sleep(0.001)
            first = (await client.post("/v1/translate", json=body)).json()
            steps = len(model.rows_seen)
            again = (await client.post("/v1/translate", json=body)).json()
            metrics = (await client.get("/metrics")).text
    assert again == first
    assert [translation["text"] for translation in first["translations"]] == body["text"]
    assert len(model.rows_seen) == steps
    counter = 'seq2serve_sentence_cache_requests_total{model="fake",result='
    for result, count in (("hit", 3.0), ("joined", 1.0), ("miss", 2.0)):
        assert f'{counter}"{result}",version="1"}} {count}' in metrics
    assert 'seq2serve_sentence_cache_entries{model="fake",version="1"} 2.0' in metrics
    assert (
        'seq2serve_finished_sentences_total{model="fake",reason="eos",version="1"} 2.0' in metrics
    )
    ours = 'seq2serve_target_tokens_total{direction="en-ko",model="fake",version="1"}'
    assert f"{ours} {2.0 * first['usage']['target_tokens']}" in metrics


@pytest.mark.parametrize("accept", ["text/plain", "application/openmetrics-text;version=1.0.0"])
async def test_metrics_count_requests_by_route(client, accept):
    """Labels are route templates; what callers invent makes no new series."""
    await client.post("/v1/translate", json=BODY)
    for number in range(20):
        await client.get(f"/odd/{number}")
    text = (await client.get("/metrics", headers={"accept": accept})).text
    assert 'route="/v1/translate",status="200"' in text
    assert 'route="unmatched",status="404"} 20.0' in text
    assert "/odd/" not in text
    assert "seq2serve_stage_duration_seconds_bucket" in text
    assert 'seq2serve_waiting_sentences{model="fake",version="1"} 0.0' in text


@pytest.mark.parametrize(
    "accept", ["text/plain; version=new", "application/openmetrics-text;version=x"]
)
async def test_metrics_answer_an_accept_header_that_makes_no_sense(client, accept):
    """A scraper that cannot be understood gets the plain format."""
    answer = await client.get("/metrics", headers={"accept": accept})
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")


async def test_bodies_turned_away_are_counted(client):
    """Whether they said their length beforehand or not."""

    async def chunks():
        yield b" " * 3000

    for content in (b" " * 3000, chunks()):
        headers = {"content-type": "application/json"}
        answer = await client.post("/v1/translate", content=content, headers=headers)
        assert answer.status_code == 413
    counted = 'seq2serve_rejections_total{reason="body_too_large"} 2.0'
    assert counted in (await client.get("/metrics")).text


async def test_a_slash_too_many_is_an_unknown_route(client):
    """In the error shape, not a redirect."""
    answer = await client.get("/livez/")
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == "not_found"


async def test_a_request_id_travels_back(client):
    """A sound one is kept, anything else is replaced."""
    kept = await client.get("/livez", headers={"X-Request-Id": "abc-1"})
    made = await client.get("/livez", headers={"X-Request-Id": "a b\tc"})
    assert kept.headers["X-Request-Id"] == "abc-1"
    assert made.headers["X-Request-Id"] not in ("", "a b\tc")


def test_a_failing_model_answers_503_without_its_words():
    """Fails when a caller learns what only the log should know."""
    model = GatedModel(fails=True)
    model.opened.set()
    with serve(app_over(make_engine(model))) as url:
        response = httpx.post(f"{url}/v1/translate", json=BODY)
        assert response.status_code == 503
        assert response.json()["error"]["message"] == "decoding failed"


def test_a_full_queue_answers_429_with_a_time():
    """Later is better than never; what was accepted is answered."""
    model = GatedModel()
    engine = make_engine(model, waiting_tokens=5)
    with serve(app_over(engine)) as url:
        answers = []
        threads = [
            threading.Thread(
                target=lambda: answers.append(
                    httpx.post(f"{url}/v1/translate", json=BODY, timeout=30)
                )
            )
            for _ in range(2)
        ]
        threads[0].start()
        assert model.reached.wait(10)  # the first is being decoded
        threads[1].start()
        wait_until(lambda: engine.scheduler.waiting[0] == 1)  # the second waits
        refused = httpx.post(f"{url}/v1/translate", json=BODY)
        assert refused.status_code == 429
        assert int(refused.headers["Retry-After"]) >= 1
        counted = 'seq2serve_rejections_total{reason="overloaded"} 1.0'
        assert counted in httpx.get(f"{url}/metrics").text
        model.opened.set()
        for thread in threads:
            thread.join(20)
        assert [answer.status_code for answer in answers] == [200, 200]


def test_a_client_that_leaves_frees_its_place():
    """Fails when the work goes on for nobody: its rows are out of the batch at the next step, and
    the next caller is served."""
    model = GatedModel()
    engine = make_engine(model)
    with serve(app_over(engine)) as url:
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"{url}/v1/translate", json=BODY | {"text": "a b c. " * 3}, timeout=0.5)
        assert model.reached.is_set()
        counted = 'route="/v1/translate",status="499"} 1.0'
        wait_until(lambda: counted in httpx.get(f"{url}/metrics").text)
        steps = len(model.rows)
        model.opened.set()
        answer = httpx.post(f"{url}/v1/translate", json=BODY, timeout=30)
        assert answer.json()["translations"][0]["text"] == "hello"
        # The batch of the client that left ended after the step that it was in.
        assert steps == 1
        beam_size = engine.manifest.decoding.beam_size
        assert set(model.rows[1:]) == {beam_size}


def test_what_is_too_late_is_dropped():
    """Fails without a deadline, or when the work goes on after it: the caller has a 504 in time,
    and the rows are out of the batch after the step that was running."""
    model = GatedModel()
    engine = make_engine(model)
    with serve(app_over(engine)) as url:
        headers = {"X-Request-Timeout": "0.2"}
        answer = httpx.post(f"{url}/v1/translate", json=BODY, headers=headers, timeout=30)
        assert answer.status_code == 504
        assert answer.json()["error"]["code"] == "deadline_exceeded"
        steps = len(model.rows)
        model.opened.set()
        answer = httpx.post(f"{url}/v1/translate", json=BODY, timeout=30)
        assert answer.json()["translations"][0]["text"] == "hello"
        assert set(model.rows[steps:]) == {engine.manifest.decoding.beam_size}


def test_nobody_gets_more_time_than_the_setting_gives():
    """Fails when the header alone decides."""
    model = GatedModel()
    with serve(app_over(make_engine(model), max_seconds=0.2)) as url:
        headers = {"X-Request-Timeout": "3600"}
        answer = httpx.post(f"{url}/v1/translate", json=BODY, headers=headers, timeout=30)
        model.opened.set()
        assert answer.status_code == 504


def test_sentences_of_a_request_are_counted():
    """Fails when only characters are: the shortest sentences are many."""
    with serve(app_over(make_engine(), max_sentences=3)) as url:
        for count, status in ((3, 200), (4, 422)):
            body = BODY | {"text": "Good day. " * count}
            answer = httpx.post(f"{url}/v1/translate", json=body)
            assert answer.status_code == status
    assert "4 sentences in one request; at most 3" in answer.text


async def test_bulk_reaches_the_queue(client, monkeypatch):
    """Fails when the header is lost on the way."""
    seen = []
    submit = Engine.submit

    def noting(self, inputs, standing=Standing.INTERACTIVE):
        seen.append(standing is Standing.BULK)
        return submit(self, inputs, standing)

    monkeypatch.setattr(Engine, "submit", noting)
    for headers in ({}, {"X-Priority": "bulk"}, {"X-Priority": "Interactive"}):
        answer = await client.post("/v1/translate", json=BODY, headers=headers)
        assert answer.status_code == 200
    assert seen == [False, True, False]


@pytest.mark.parametrize(
    "headers",
    [{"X-Priority": "urgent"}]
    + [{"X-Request-Timeout": value} for value in ("0", "-1", "nan", "inf", "soon", "")],
)
async def test_headers_that_make_no_sense_are_refused(client, headers):
    """And named."""
    answer = await client.post("/v1/translate", json=BODY, headers=headers)
    assert answer.status_code == 422
    assert answer.json()["error"]["details"][0]["field"] in headers
