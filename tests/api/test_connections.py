"""Slow and endless connections hold nothing that others need; real sockets."""

import asyncio
import socket
import threading
from contextlib import contextmanager

import httpx
import pytest
import uvicorn

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


def test_metrics_can_have_a_port_of_their_own():
    """Then they are nowhere else."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        metrics_port = free.getsockname()[1]
    with serving(metrics_port=metrics_port) as port:
        assert httpx.get(f"http://127.0.0.1:{port}/metrics").status_code == 404
        text = httpx.get(f"http://127.0.0.1:{metrics_port}/metrics").text
        assert "seq2serve_http_requests_total" in text
