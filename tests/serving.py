"""An application as its clients meet it: on a free loopback port, in a thread, for tests that need
real sockets; and all that it answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from fastapi import FastAPI

from tests.polling import wait_until


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


def every_route(app: FastAPI) -> Iterator[tuple[str, str]]:
    """Path and method of all that the application answers, described or not."""
    for route in app.routes:
        included = getattr(route, "effective_route_contexts", None)
        for each in [route] if included is None else included():
            for method in sorted(each.methods):
                yield each.path, method
