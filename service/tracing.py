"""Spans for OpenTelemetry: one for each request, and below it one for each stage.

They are made when the request has ended, from what was measured anyway. Only whoever sets an
endpoint needs the libraries: `pip install seq2serve[tracing]`.
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from service.errors import Seq2ServeError
from service.metrics import STAGES

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

NANOSECONDS = 1_000_000_000


class TracingUnavailable(Seq2ServeError):
    """The libraries for it are not installed."""


@dataclass(frozen=True, slots=True)
class Ended:
    """A request that has just ended."""

    name: str
    seconds: float
    headers: Mapping[str, str]
    """Its `traceparent` says what it is a part of."""
    attributes: Mapping[str, str | int]
    failed: bool
    timings: Mapping[str, float]
    """Seconds of each stage."""


class Tracing:
    """Hands spans to a provider, which sends them on in a thread of its own."""

    def __init__(self, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._provider = provider
        self._tracer = provider.get_tracer("seq2serve")
        self._propagator = TraceContextTextMapPropagator()

    def record(self, ended: Ended) -> None:
        """Makes its spans. Stages are laid end to end: of sentences side by side, the timings have
        the longest."""
        from opentelemetry.trace import SpanKind, StatusCode, set_span_in_context

        end = time.time_ns()
        begin = end - int(ended.seconds * NANOSECONDS)
        span = self._tracer.start_span(
            ended.name,
            self._propagator.extract(dict(ended.headers)),
            kind=SpanKind.SERVER,
            attributes=ended.attributes,
            start_time=begin,
        )
        if ended.failed:
            span.set_status(StatusCode.ERROR)
        inside, at = set_span_in_context(span), begin
        for stage in STAGES:
            if stage in ended.timings:
                part = self._tracer.start_span(stage, inside, start_time=at)
                at += int(ended.timings[stage] * NANOSECONDS)
                part.end(at)
        span.end(end)

    def close(self) -> None:
        """Sends what is left."""
        self._provider.shutdown()


def open_tracing(endpoint: str, version: str) -> Tracing:
    """To a collector that speaks OTLP over HTTP. Raises TracingUnavailable."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise TracingUnavailable("tracing needs: pip install seq2serve[tracing]") from error
    resource = Resource.create({"service.name": "seq2serve", "service.version": version})
    provider = TracerProvider(resource=resource)
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    return Tracing(provider)
