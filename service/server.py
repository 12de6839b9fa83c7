"""The HTTP server around an application: uvicorn, and bounds for what comes before a request and
for what nobody takes after it."""

import asyncio

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from service.settings import Settings

MAX_HEAD_BYTES = 65_536
MOMENT = 0.05


def http_protocol(head_seconds: float, read_seconds: float) -> type[HttpToolsProtocol]:
    """uvicorn's protocol, with bounds for the first line and the headers of a request, and for how
    long an answer is kept for a client that does not take it.

    uvicorn itself waits for ever and takes headers of any length, so that connections that send a
    letter a minute, or never stop, use up what a process may have. It also closes a connection
    only when all that was written is on its way, which is never if the client does not read.
    """

    class BoundedProtocol(HttpToolsProtocol):
        _waiting: asyncio.TimerHandle | None = None
        _head_bytes = 0
        _unread: asyncio.TimerHandle | None = None

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

        def pause_writing(self) -> None:
            super().pause_writing()
            self._watch_reader()

        def resume_writing(self) -> None:
            self._stop_watching()
            super().resume_writing()

        def on_response_complete(self) -> None:
            super().on_response_complete()
            self.loop.call_later(MOMENT, self._see_off)

        def timeout_keep_alive_handler(self) -> None:
            super().timeout_keep_alive_handler()
            self._see_off()

        def connection_lost(self, exc: Exception | None) -> None:
            self._stop_waiting()
            self._stop_watching()
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

        def _see_off(self) -> None:
            """A connection that is closed but has something left to send is watched too."""
            if self.transport.is_closing() and self.transport.get_write_buffer_size():
                self._watch_reader()

        def _watch_reader(self) -> None:
            if self._unread is None:
                # A moment later than whoever sends, who has better words for it.
                self._unread = self.loop.call_later(read_seconds + MOMENT, self.transport.abort)

        def _stop_watching(self) -> None:
            if self._unread is not None:
                self._unread.cancel()
                self._unread = None

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
        http=http_protocol(settings.head_seconds, settings.read_seconds),
    )
