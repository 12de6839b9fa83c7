"""An application as its clients meet it: on a free loopback port, in a thread or a process of its
own, for tests that need real sockets; and all that it answers."""

import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from fastapi import FastAPI

from tests.polling import wait_until

ROOT = Path(__file__).parents[1]


@contextmanager
def serve(app: FastAPI) -> Iterator[str]:
    """Yields the base URL once the service is ready."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", access_log=False)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        wait_until(lambda: server.started)
        port = server.servers[0].sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200, 120)
        yield url
    finally:
        server.should_exit = True
        thread.join(20)


@contextmanager
def serve_process(models: str | Path, **settings: str) -> Iterator[str]:
    """The base URL of `seq2serve serve` once it is ready. SIGTERM at the end, after which it exits
    with 0 and answers nobody."""
    command = [sys.executable, "-m", "service", "serve", "--port", "0", "--models", str(models)]
    environment = os.environ | {f"SEQ2SERVE_{name}".upper(): v for name, v in settings.items()}
    with subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, cwd=ROOT, env=environment
    ) as server:
        assert server.stderr is not None
        # Read to the end, or a full pipe would stop the server.
        reader = threading.Thread(target=server.stderr.read)
        url = ""
        try:
            for line in server.stderr:
                if found := re.search(r"running on (http://\S+)", line):
                    url = found[1]
                    break
            reader.start()
            wait_until(lambda: httpx.get(f"{url}/readyz").status_code == 200, 120)
            yield url
        finally:
            os.kill(server.pid, signal.SIGTERM)
            server.wait(60)
            reader.join()
        assert server.returncode == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(url)


def every_route(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Path and method of all that the application answers, described or not."""
    for route in app.routes:
        included = getattr(route, "effective_route_contexts", None)
        for each in [route] if included is None else included():
            for method in sorted(each.methods):
                yield each.path, method
