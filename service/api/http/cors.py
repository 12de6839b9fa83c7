"""Leave for pages of other origins to ask some routes. Knows no route by name."""

from collections.abc import Sequence

from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from service.api.errors import ErrorShape

DAYS_20 = 1_728_000


class CrossOrigin:
    """ASGI middleware: CORS on the paths of `shape` alone."""

    def __init__(self, app: ASGIApp, shape: ErrorShape, origins: Sequence[str]) -> None:
        self._app = app
        self._shape = shape
        self._open = CORSMiddleware(
            app,
            allow_origins=origins,
            allow_methods=("GET", "POST"),
            allow_headers=("Authorization", "Content-Type"),
            max_age=DAYS_20,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers preflight requests, and adds headers to answers."""
        inside = scope["type"] == "http" and self._shape.covers(scope["path"])
        await (self._open if inside else self._app)(scope, receive, send)
