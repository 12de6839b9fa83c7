"""How soon an answer is wanted, in two headers that every protocol understands."""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from service.api.checks import InvalidRequest, Problem
from service.errors import DeadlineExceeded

TIMEOUT = "X-Request-Timeout"
PRIORITY = "X-Priority"
PRIORITIES = ("interactive", "bulk")

HEADERS: dict[str, Any] = {
    "parameters": [
        {
            "name": TIMEOUT,
            "in": "header",
            "required": False,
            "description": "Seconds after which the answer is of no use: then it is a 504, and the "
            "work is dropped.",
            "schema": {"type": "number", "exclusiveMinimum": 0},
            "example": 2.5,
        },
        {
            "name": PRIORITY,
            "in": "header",
            "required": False,
            "description": "`bulk` lets those go first who wait for their answer.",
            "schema": {"type": "string", "enum": list(PRIORITIES)},
            "example": "bulk",
        },
    ]
}
"""Their description for OpenAPI."""


@dataclass(frozen=True, slots=True)
class Urgency:
    """Seconds until the answer is of no use, and whether others may go first."""

    seconds: float
    bulk: bool


def urgency_of(headers: Mapping[str, str], longest: float) -> Urgency:
    """What the headers say; `longest` is the most seconds. Raises InvalidRequest."""
    problems = []
    try:
        seconds = float(headers.get(TIMEOUT, longest))
    except ValueError:
        seconds = math.nan
    if not 0 < seconds < math.inf:
        problems.append(Problem(TIMEOUT, "must be a number of seconds above 0"))
    priority = headers.get(PRIORITY, PRIORITIES[0]).lower()
    if priority not in PRIORITIES:
        problems.append(Problem(PRIORITY, f"must be {' or '.join(PRIORITIES)}"))
    if problems:
        raise InvalidRequest(problems)
    return Urgency(min(seconds, longest), priority == "bulk")


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Cancels what is inside when the time is over. Raises DeadlineExceeded."""
    try:
        async with asyncio.timeout(seconds) as limit:
            yield
    except TimeoutError as error:
        if not limit.expired():
            raise
        raise DeadlineExceeded(seconds) from error
