"""What surrounds every HTTP request: metrics, a request id, limits of the connection, a last net.

Pure ASGI, so that bodies stream through and a disconnect reaches the handlers. Knows no route.
"""

import logging
import re
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.errors import ErrorShapes
from service.api.faults import FAULT, INTERNAL, Fault
from service.api.patience import (
    HttpLimits,
    SlowReader,
    patient_receive,
    patient_send,
    too_large,
)
from service.metrics import Metrics

logger = logging.getLogger(__name__)

REQUEST_ID = "X-Request-Id"
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


@dataclass(slots=True)
class Exchange:
    """One request and its answer, so far."""

    request_id: str
    started: float
    status: int | None = None


class Instrumentation:
    """ASGI middleware. Nothing raised below it gets past it, and none of it is shown."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, limits: HttpLimits, shapes: ErrorShapes
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._limits = limits
        self._shapes = shapes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes on everything; looks after HTTP requests."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        exchange = Exchange(_request_id(headers), time.monotonic())
        limits = self._limits.at(scope["path"])
        send = _noting(patient_send(send, limits), exchange)
        self._metrics.http_in_flight.inc()
        try:
            if _declared_length(headers) > limits.max_body_bytes:
                # The connection ends, or the body that nobody wants would still be sent.
                close = (("Connection", "close"),)
                fault = Fault.of_status(413, too_large(limits), close)
                scope[FAULT] = fault.code
                await self._shapes.answer(scope["path"], fault)(scope, receive, send)
            else:
                await self._app(scope, patient_receive(receive, limits), send)
        except SlowReader:
            logger.info("request %s: the client does not take its answer", exchange.request_id)
        except Exception:
            logger.exception("request %s failed", exchange.request_id)
            if exchange.status is None:
                response = self._shapes.answer(scope["path"], INTERNAL)
                await response(scope, receive, send)
        finally:
            self._metrics.http_in_flight.dec()
            self._observe(scope, exchange)

    def _observe(self, scope: Scope, exchange: Exchange) -> None:
        # Whatever callers invent is one label value, or they could fill the memory with series.
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        status = str(exchange.status or 499)
        self._metrics.http_requests.labels(method, route, status).inc()
        if (reason := scope.get(FAULT)) in REASONS:
            self._metrics.rejections.labels(reason).inc()
        seconds = time.monotonic() - exchange.started
        self._metrics.http_seconds.labels(method, route).observe(seconds)


def _request_id(headers: Mapping[str, str]) -> str:
    given = headers.get(REQUEST_ID, "")
    return given if _SOUND_ID.fullmatch(given) else uuid.uuid4().hex


def _declared_length(headers: Mapping[str, str]) -> int:
    given = headers.get("content-length", "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 20 else 0


def _noting(send: Send, exchange: Exchange) -> Send:
    async def noting(message: Message) -> None:
        if message["type"] == "http.response.start":
            exchange.status = message["status"]
            headers = MutableHeaders(scope=message)
            headers[REQUEST_ID] = exchange.request_id
            headers.setdefault(*NO_SNIFFING)
        await send(message)

    return noting
