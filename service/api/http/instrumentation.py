"""What surrounds every HTTP request: its id, metrics, log and trace, limits of the connection, a
last net.

Pure ASGI, so that bodies stream through and a disconnect reaches the handlers. Knows no route.
"""

import logging
import re
import time
import uuid
from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import ErrorShapes
from service.api.faults import FAULT, INTERNAL, Fault
from service.api.http.access_log import AccessLog
from service.api.http.exchange import EXCHANGE, REQUEST_ID, SERVER_TIMING, Exchange, server_timing
from service.api.http.patience import (
    HttpLimits,
    SlowReader,
    patient_receive,
    patient_send,
    too_large,
)
from service.logs import request_id
from service.metrics import Metrics
from service.tracing import Ended, Tracing

logger = logging.getLogger(__name__)

_SOUND_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
NO_SNIFFING = ("X-Content-Type-Options", "nosniff")
REASONS = frozenset(
    {
        "body_too_large",
        "deadline_exceeded",
        "forbidden",
        "invalid_key",
        "missing_key",
        "overloaded",
        "quota_exceeded",
        "rate_limited",
        "request_timeout",
    }
)
"""Codes of faults that count as rejections."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Instrumentation:
    """ASGI middleware. Nothing raised below it gets past it, and none of it is shown."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        limits: HttpLimits,
        shapes: ErrorShapes,
        log: AccessLog,
        tracing: Tracing | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._limits = limits
        self._shapes = shapes
        self._log = log
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on everything; looks after HTTP requests."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        # Whatever callers invent is one label value, or they could fill the memory with series.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        exchange = Exchange(
            _request_id(headers), time.monotonic(), method, headers, keeps_texts=self._log.texts
        )
        scope[EXCHANGE] = exchange
        known = request_id.set(exchange.request_id)
        limits = self._limits.at(scope["path"])
        shape = self._shapes.at(scope["path"])
        send = _noting(patient_send(send, limits), exchange, shape.id_headers)
        self._metrics.http_in_flight.inc()
        try:
            if _declared_length(headers) > limits.max_body_bytes:
                # The connection ends, or the body that nobody wants would still be sent.
                close = (("Connection", "close"),)
                fault = Fault.of_status(413, too_large(limits), close)
                scope[FAULT] = fault.code
                await shape.answer(fault)(scope, receive, send)
            else:
                await self._app(scope, patient_receive(receive, limits), send)
        except SlowReader:
            logger.info("request %s: the client does not take its answer", exchange.request_id)
        except Exception:
            logger.exception("request %s failed", exchange.request_id)
            if exchange.status is None:
                await shape.answer(INTERNAL)(scope, receive, send)
        finally:
            self._metrics.http_in_flight.dec()
            self._observe(scope, exchange)
            request_id.reset(known)

    def _observe(self, scope: Scope, exchange: Exchange) -> None:
        exchange.route = getattr(scope.get("route"), "path", "unmatched")
        exchange.reason = scope.get(FAULT)
        exchange.seconds = time.monotonic() - exchange.started
        labels = exchange.method, exchange.route
        self._metrics.http_requests.labels(*labels, str(exchange.status or 499)).inc()
        if exchange.reason in REASONS:
            self._metrics.rejections.labels(exchange.reason).inc()
        # Prometheus keeps an example of each bucket, by which a slow request is found in the log.
        example = {"request_id": exchange.request_id}
        self._metrics.http_seconds.labels(*labels).observe(exchange.seconds, example)
        self._log.write(exchange)
        if self._tracing is not None:
            self._tracing.record(_ended(exchange))


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if _SOUND_ID.fullmatch(given) else uuid.uuid4().hex


def _declared_length(headers: Mapping[str, str]) -> int:
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0


def _ended(exchange: Exchange) -> Ended:
    status, took = exchange.status or 499, exchange.summary
    attributes: dict[str, str | int] = {
        "http.request.method": exchange.method,
        "http.route": exchange.route,
        "http.response.status_code": status,
        "seq2serve.request_id": exchange.request_id,
    }
    if took is not None:
        attributes |= {
            "seq2serve.model": took.model or "",
            "seq2serve.source_tokens": took.source_tokens,
            "seq2serve.target_tokens": took.target_tokens,
        }
    return Ended(
        f"{exchange.method} {exchange.route}",
        exchange.seconds,
        exchange.headers,
        attributes,
        status >= 500,
        {} if took is None else took.timings,
    )


def _noting(send: Send, exchange: Exchange, id_headers: tuple[str, ...]) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            for name in id_headers:
                headers[name] = exchange.request_id
            headers.setdefault(*NO_SNIFFING)
            if exchange.summary is not None:
                headers[SERVER_TIMING] = server_timing(exchange.summary.timings)
        await send(message)

    return noting
