"""Spans of requests and their stages, read back from memory."""

import asyncio
import sys

import httpx
import pytest

from service.app import Loaded, create_app
from service.settings import Settings
from service.tracing import Tracing, TracingUnavailable, open_tracing
from tests.fakes import EchoModel, make_engine

pytest.importorskip("opentelemetry.sdk", reason="the extra for tracing is not installed")
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

BODY = {"text": "hello", "source": "en", "target": "ko"}
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def spans(monkeypatch):
    """What is recorded."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr("service.app.open_tracing", lambda *_: Tracing(provider))
    return exporter


async def ask(body, headers=None, model=None):
    """One request to an application that traces."""
    app = create_app(
        Settings(tracing="http://collector"),
        lambda _, metrics: Loaded((make_engine(model, metrics=metrics),), ()),
    )
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            while not app.state.service.repository.started:
                await asyncio.sleep(0.001)
            return await client.post("/v1/translate", json=body, headers=headers)


async def test_a_request_has_a_span_and_each_stage_one_below_it(spans):
    """Part of the caller's trace, with what the log has too, and nobody's text."""
    await ask(BODY, {"traceparent": PARENT, "X-Request-Id": "r-1"})
    *stages, request = spans.get_finished_spans()
    assert request.name == "POST /v1/translate"
    assert f"{request.context.trace_id:x}" == PARENT.split("-")[1].lstrip("0")
    assert f"{request.parent.span_id:x}" == PARENT.split("-")[2]
    assert request.attributes["seq2serve.request_id"] == "r-1"
    assert request.attributes["http.response.status_code"] == 200
    assert "hello" not in str(dict(request.attributes))
    names = ["segment", "tokenise", "queue", "encode", "decode", "detokenise"]
    assert [stage.name for stage in stages] == names
    ends = [request.start_time, *(stage.end_time for stage in stages)]
    assert [stage.start_time for stage in stages] == ends[:-1]
    assert ends[-1] <= request.end_time
    assert all(stage.parent.span_id == request.context.span_id for stage in stages)


async def test_a_failure_is_marked(spans):
    """It has no stages."""

    def fail(_):
        raise RuntimeError("out of luck")

    await ask(BODY, model=EchoModel(before_step=fail))
    (request,) = spans.get_finished_spans()
    assert request.attributes["http.response.status_code"] == 503
    assert not request.status.is_ok


def test_without_the_libraries_it_says_what_to_install(monkeypatch):
    """At start, not at the first request."""
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(TracingUnavailable, match=r"seq2serve\[tracing\]"):
        open_tracing("http://collector", "1")


def test_a_collector_is_spoken_to_over_http():
    """Nothing is sent before there is something to send."""
    open_tracing("http://127.0.0.1:9/v1/traces", "1").close()
