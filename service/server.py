"""The HTTP server around an application: uvicorn, and bounds for what comes before a request."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import Settings

MAX_HEAD_BYTES = 65_536
MOMENT = 0.05


def http_protocol(head_seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with bounds for the first line and the headers of a request.

    uvicorn itself waits for ever and takes headers of any length, so that connections that send a
    letter a minute, or never stop, use up what a process may have.
    """

    class BoundedProtocol(HttpToolsProtocol):
        _waiting: asyncio.TimerHandle | None = None
        _head_bytes = 0

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._wait()

        def data_received(self, data: bytes) -> None:
            if self._waiting is None and (self.cycle is None or self.cycle.response_complete):
                self._wait()  # the next request of a connection that is kept
            if self._waiting is not None:
                self._head_bytes += len(data)
            super().data_received(data)
            if self._waiting is not None and self._head_bytes > MAX_HEAD_BYTES:
                self.transport.close()

        def on_headers_complete(self) -> None:
            self._stop_waiting()
            super().on_headers_complete()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            super().connection_lost(exc)

        def _wait(self) -> None:
            self._head_bytes = 0
            self._waiting = self.loop.call_later(head_seconds, self._look_once_more)

        def _look_once_more(self) -> None:
            # If it is the loop that is late, the headers may be there, unread: timers come first.
            self._waiting = self.loop.call_later(MOMENT, self.transport.close)

        def _stop_waiting(self) -> None:
            if self._waiting is not None:
                self._waiting.cancel()
                self._waiting = None

    return BoundedProtocol


def server_config(app: FastAPI, settings: Settings) -> uvicorn.Config:
    """How uvicorn is run."""
    return uvicorn.Config(
        app,
        host=settings.host,
        port=settings.port,
        log_level=settings.log_level,
        log_config=None,
        access_log=False,
        http=http_protocol(settings.head_seconds),
    )
