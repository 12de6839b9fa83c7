"""What operators see of a request: headers, examples of slow ones, a line in the log."""

import logging

import httpx
import pytest

from service.access.keys import new_key
from service.app import Loaded, create_app
from service.logs import request_id
from service.metrics import STAGES
from service.settings import Settings
from tests.fakes import make_engine
from tests.serving import serve

BODY = {"text": "a secret", "source": "en", "target": "ko"}


def lines(caplog) -> str:
    """What the service itself has logged."""
    return "\n".join(r.getMessage() for r in caplog.records if r.name.startswith("service."))


def fields(caplog):
    """Those of the last line for a request."""
    (*_, last) = [r for r in caplog.records if r.name == "service.access_log"]
    return last.fields


async def test_an_answer_says_where_its_time_went(client):
    """In the header that browsers show, each stage once, in milliseconds."""
    answer = await client.post("/v1/translate", json=BODY)
    parts = [part.split(";dur=") for part in answer.headers["Server-Timing"].split(", ")]
    stages = {name: float(milliseconds) for name, milliseconds in parts}
    assert {"segment", "tokenise", "queue", "encode", "decode", "detokenise"} < stages.keys()
    assert stages["total"] >= stages["decode"] >= 0
    assert "Server-Timing" not in (await client.get("/livez")).headers


async def test_buckets_have_a_request_as_an_example(client):
    """In the OpenMetrics format, which has a place for it."""
    await client.post("/v1/translate", json=BODY, headers={"X-Request-Id": "r-1"})
    accept = {"accept": "application/openmetrics-text;version=1.0.0"}
    text = (await client.get("/metrics", headers=accept)).text
    examples = [line for line in text.splitlines() if '# {request_id="r-1"}' in line]
    assert len(examples) == 1
    assert 'route="/v1/translate"' in examples[0]
    assert "r-1" not in (await client.get("/metrics")).text


async def test_a_request_has_a_line_in_the_log(client, caplog):
    """With what it cost, and without its text."""
    caplog.set_level(logging.INFO)
    await client.post("/v1/translate?x=a+secret", json=BODY, headers={"X-Request-Id": "r-1"})
    found = fields(caplog)
    assert (found["method"], found["route"], found["status"]) == ("POST", "/v1/translate", 200)
    assert (found["model"], found["characters"]) == ("fake", 8)
    assert found["timings"]["total"] <= found["seconds"]
    assert "secret" not in lines(caplog) + str(found)
    assert "POST /v1/translate 200" in lines(caplog)
    assert "r-1" in lines(caplog)


async def test_the_log_says_why_a_request_was_refused(client, caplog):
    """By the code of the error; odd paths are not repeated."""
    caplog.set_level(logging.INFO)
    await client.post("/v1/translate", json=BODY | {"model": "secret"})
    assert (fields(caplog)["status"], fields(caplog)["reason"]) == (404, "unknown_model")
    await client.get("/secret")
    assert fields(caplog)["route"] == "unmatched"
    assert "secret" not in lines(caplog)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/translate", BODY),
        ("/v1/translate", BODY | {"stream": True}),
        ("/v2/translate", {"text": "x", "target_lang": "KO"}),
        ("/v1/glossaries", {"name": "x"}),
    ],
)
async def test_the_log_says_whose_key_it_was(tmp_path, caplog, path, body):
    """Whatever was asked for; fails when some routes forget to tell."""
    secret, line = new_key("web")
    (tmp_path / "keys").write_text(line, "utf-8")
    settings = Settings(keys=tmp_path / "keys", log_texts=True)
    app = create_app(settings, lambda _, m: Loaded((make_engine(metrics=m),), ()))
    caplog.set_level(logging.INFO)
    with serve(app) as url:
        httpx.post(url + path, json=body, headers={"X-API-Key": secret})
    found = fields(caplog)
    assert found["key"] == "web"
    assert ("texts" in found) == path.endswith("translate")


@pytest.mark.parametrize(("level", "count"), [(logging.INFO, 0), (logging.DEBUG, 3)])
async def test_probes_and_scrapes_are_quiet(client, caplog, level, count):
    """Only debugging sees those that succeed."""
    caplog.set_level(level, "service.access_log")
    for path in ("/livez", "/readyz", "/metrics"):
        await client.get(path)
    assert len([r for r in caplog.records if r.name == "service.access_log"]) == count


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("wanted", [False, True])
async def test_what_a_translation_took_is_logged_and_its_texts_on_demand(caplog, stream, wanted):
    """A stream's too, which is known only at its end."""
    app = create_app(Settings(log_texts=wanted), lambda _, m: Loaded((make_engine(metrics=m),), ()))
    caplog.set_level(logging.INFO)
    texts = ["A secret. And another.\n", "One more."]
    with serve(app) as url:
        httpx.post(url + "/v1/translate", json=BODY | {"text": texts, "stream": stream})
    found = fields(caplog)
    assert found["model"] == "fake"
    assert found["characters"] == sum(map(len, texts))
    assert found["source_tokens"] > found["target_tokens"] > 0
    assert found["timings"].keys() == {*STAGES, "total"}
    assert found.get("texts") == (tuple(texts) if wanted else None)
    assert found.get("translations") == (texts if wanted else None)


def test_what_is_logged_for_a_request_has_its_id():
    """Also from the threads of the handlers."""
    app = create_app(Settings(), lambda _, m: Loaded((make_engine(metrics=m),), ()))
    seen = []

    @app.get("/odd")
    def odd() -> None:
        seen.append(request_id.get())

    with serve(app) as url:
        httpx.get(f"{url}/odd", headers={"X-Request-Id": "r-7"})
    assert seen == ["r-7"]
    assert request_id.get() == ""
