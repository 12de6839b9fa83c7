"""One HTTP request and its answer, as far as it is known: what headers, metrics, log and trace are
made of. Whoever answers may add the result to it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from starlette.types import Scope

from service.translation.request import TranslationRequest
from service.translation.result import Summary

EXCHANGE = "seq2serve.exchange"
"""Where it is in the scope of a request."""
REQUEST_ID = "X-Request-Id"
SERVER_TIMING = "Server-Timing"


@dataclass(slots=True)
class Exchange:
    """Starts with the request; `seconds` is known at the end."""

    request_id: str
    started: float
    """By the monotonic clock."""
    method: str
    headers: Mapping[str, str]
    route: str = "unmatched"
    """The template of the path, or `unmatched`; never the path itself."""
    status: int | None = None
    reason: str | None = None
    """Code of the fault, if it ended with one."""
    seconds: float = 0.0
    caller: str = ""
    """Name of the key."""
    wanted: TranslationRequest | None = None
    summary: Summary | None = None
    """What the translation took, once it is whole."""
    keeps_texts: bool = False
    """Whether the log wants what was answered."""
    translations: list[str] = field(default_factory=list)
    """That, as far as it is made."""


def exchange_of(scope: Scope) -> Exchange | None:
    """That of a request; None without the middleware that makes it."""
    found = scope.get(EXCHANGE)
    return found if isinstance(found, Exchange) else None


def server_timing(timings: Mapping[str, float]) -> str:
    """The value of the header: each stage with its milliseconds."""
    return ", ".join(f"{stage};dur={1000 * seconds:.2f}" for stage, seconds in timings.items())
