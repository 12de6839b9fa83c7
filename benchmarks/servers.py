"""The web servers that are measured, each a process of its own on a free port."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

PATIENCE = 120.0
"""Seconds until a server has to be ready."""


class ServerError(Exception):
    """A server that ended, or was not ready in time."""


@contextmanager
def serve(arguments: Sequence[str], environment: Mapping[str, str]) -> Iterator[int]:
    """Runs `python -m ARGUMENTS --port N` -> N, once /readyz answers 200. Raises ServerError."""
    port = free_port()
    command = [sys.executable, "-m", *arguments, "--port", str(port)]
    process = subprocess.Popen(command, env={**os.environ, **environment})
    try:
        wait_until_ready(process, port)
        yield port
    finally:
        process.terminate()
        process.wait()


def wait_until_ready(process: subprocess.Popen[bytes], port: int) -> None:
    """Asks again and again. Raises ServerError."""
    patience = time.monotonic() + PATIENCE
    while not is_ready(port):
        if process.poll() is not None:
            raise ServerError(f"the server has ended with status {process.returncode}")
        if time.monotonic() > patience:
            raise ServerError(f"the server was not ready within {PATIENCE:.0f} s")
        time.sleep(0.1)


def is_ready(port: int) -> bool:
    """Whether it listens and answers."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
