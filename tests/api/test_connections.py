"""Slow and endless connections hold nothing that others need; real sockets."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn
from starlette.responses import Response, StreamingResponse

from service.api.http.patience import HttpLimits, SlowReader, patient_receive, patient_send
from service.app import Loaded, create_app
from service.server import MAX_HEAD_BYTES, server_config
from service.settings import Settings
from tests.fakes import make_engine
from tests.polling import wait_until

BODY = {"text": "hello", "source": "en", "target": "ko"}


@contextmanager
def serving(**given):
    """The server as the command line runs it; yields its port."""
    settings = Settings(port=0, log_level="warning", **given)
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))
    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        wait_until(lambda: httpx.get(f"http://127.0.0.1:{port}/readyz").status_code == 200)
        yield port
    finally:
        server.should_exit = True
        thread.join(20)


def until_closed(connection) -> bytes:
    """Whatever is answered until the server closes the connection."""
    connection.settimeout(20)
    received = b""
    while part := connection.recv(65536):
        received += part
    return received


@pytest.mark.parametrize("head", [b"", b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_headers_that_never_end_are_not_waited_for(head):
    """Fails with uvicorn's own protocol: connections that dribble stay until there is no more room
    for others."""
    with serving(head_seconds=0.2) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(head)
        assert until_closed(slow) == b""
        assert httpx.post(f"http://127.0.0.1:{port}/v1/translate", json=BODY).status_code == 200


def test_headers_have_a_length():
    """Fails when headers of any length are kept in memory."""
    with serving() as port, socket.create_connection(("127.0.0.1", port)) as endless:
        endless.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n")
        more = b"X-More: " + b"a" * 100 * MAX_HEAD_BYTES + b"\r\n"
        with pytest.raises((BrokenPipeError, ConnectionResetError)):
            endless.sendall(more)


def test_a_body_that_never_ends_is_not_waited_for():
    """Fails without a time for the whole body; the answer says what happened."""
    head = b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with serving(body_seconds=0.2) as port, socket.create_connection(("127.0.0.1", port)) as slow:
        slow.sendall(head + b'Content-Length: 1000\r\n\r\n{"text": "')
        answer = until_closed(slow)
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b'"request_timeout"' in answer
        metrics = httpx.get(f"http://127.0.0.1:{port}/metrics").text
        assert 'seq2serve_rejections_total{reason="request_timeout"} 1.0' in metrics


def test_a_kept_connection_serves_more_than_one_request():
    """The time for headers begins anew with every request, and ends with the headers."""
    with serving(head_seconds=5) as port, httpx.Client() as client:
        for _ in range(3):
            answer = client.post(f"http://127.0.0.1:{port}/v1/translate", json=BODY)
            assert answer.status_code == 200


async def test_after_the_body_only_the_end_is_waited_for():
    """Fails when the time for the body goes on while the answer is made."""
    messages = asyncio.Queue()
    receive = patient_receive(messages.get, HttpLimits(100, body_seconds=0.05))
    messages.put_nowait({"type": "http.request", "body": b"{}", "more_body": False})
    assert (await receive())["body"] == b"{}"
    waiting = asyncio.create_task(receive())
    await asyncio.sleep(0.1)
    assert not waiting.done()
    messages.put_nowait({"type": "http.disconnect"})
    assert (await waiting)["type"] == "http.disconnect"


async def test_a_client_that_does_not_read_is_left():
    """Fails when an answer is held for a client for ever."""

    async def stuck(_):
        await asyncio.Event().wait()

    send = patient_send(stuck, HttpLimits(100, read_seconds=0.05))
    with pytest.raises(SlowReader):
        await send({"type": "http.response.body", "body": b"x"})


async def test_every_answer_has_a_time_to_be_taken():
    """Fails when the middleware does not look after it: a request ends, whatever the server."""
    app = create_app(Settings(read_seconds=0.05), lambda *_: Loaded((), ()))
    scope = {"type": "http", "method": "GET", "path": "/livez", "headers": [], "query_string": b""}

    async def stuck(_):
        await asyncio.Event().wait()

    async def receive():
        return {"type": "http.request", "body": b""}

    async with asyncio.timeout(20):
        await app(scope, receive, stuck)


@contextmanager
def unread(port, path):
    """A client that asks, takes next to nothing and keeps the connection open."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.connect(("127.0.0.1", port))
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        yield client


@pytest.mark.parametrize(
    ("path", "size"), [("/whole", 20_000_000), ("/whole", 50_000), ("/parts", 20_000_000)]
)
def test_the_connection_of_a_client_that_does_not_read_is_cut(path, size):
    """Fails when the server keeps what nobody takes, as uvicorn does: it waits for ever for its
    last bytes to be on their way, and holds them and the connection."""
    settings = Settings(port=0, log_level="error", read_seconds=0.2)
    app = create_app(settings, lambda _, metrics: Loaded((make_engine(metrics=metrics),), ()))

    @app.get("/whole")
    async def whole() -> Response:
        return Response(b"x" * size)

    @app.get("/parts")
    async def parts() -> Response:
        async def some():
            for _ in range(size // 10_000):
                yield b"x" * 10_000

        return StreamingResponse(some())

    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        listening = server.servers[0].sockets[0]
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)  # connections inherit it
        with unread(listening.getsockname()[1], path):
            wait_until(lambda: bool(server.server_state.connections))
            wait_until(lambda: not server.server_state.connections)
    finally:
        server.should_exit = True
        thread.join(20)


def test_a_body_that_says_that_it_is_too_large_is_not_waited_for():
    """Fails when it is read before it is refused."""
    head = b"POST /v1/translate HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    with serving() as port, socket.create_connection(("127.0.0.1", port)) as large:
        large.sendall(head + b"Content-Length: 99999999\r\n\r\n")
        assert until_closed(large).startswith(b"HTTP/1.1 413 ")


def test_metrics_can_have_a_port_of_their_own():
    """Then they are nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics_port = free.getsockname()[1]
    with serving(metrics_port=metrics_port) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 404
        text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        assert "seq2serve_http_requests_total" in text
