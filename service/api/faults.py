"""What went wrong in a request, as one value: every exception of a handler becomes a Fault.

Knows no protocol. The status is the native API's; `code` is what other protocols choose theirs by.
"""

import math
from dataclasses import dataclass
from functools import singledispatch
from typing import Any

from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from service.api.checks import InvalidRequest, Problem
from service.api.state import NotReady
from service.errors import (
    BundleError,
    DeadlineExceeded,
    DocumentNotReady,
    EngineFailed,
    Forbidden,
    InvalidKey,
    MissingKey,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    RequestError,
    StoreFailed,
    UnknownDocument,
    UnknownGlossary,
    UnknownModel,
)

CODES = {
    400: "malformed_request",
    401: "missing_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
    408: "request_timeout",
    409: "not_ready",
    413: "body_too_large",
    415: "unsupported_media_type",
    422: "invalid_request",
    429: "overloaded",
    500: "internal_error",
    503: "unavailable",
    504: "deadline_exceeded",
}
NOT_JSON = "the body is not valid JSON in UTF-8"
WORDS = {
    "dict_type": "must be a JSON object",
    "extra_forbidden": "unknown field",
    "missing": "is required",
    "model_attributes_type": "must be a JSON object",
    "model_type": "must be a JSON object",
    "string_unicode": "contains half of a surrogate pair, which is no character",
}
"""Where pydantic's own words speak of Python."""
Headers = tuple[tuple[str, str], ...]
LONGEST_PATH = 200
"""Callers choose the names of unknown fields; an answer need not repeat a megabyte of them."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that went wrong: `code` is stable, `message` is for people."""

    status: int
    code: str
    message: str
    problems: tuple[Problem, ...] = ()
    headers: Headers = ()

    @classmethod
    def of_status(cls, status: int, message: str, headers: Headers = ()) -> "Fault":
        """The fault that a status stands for."""
        return cls(status, CODES.get(status, "error"), message, (), headers)

    @classmethod
    def of_problems(cls, status: int, code: str, problems: tuple[Problem, ...]) -> "Fault":
        """A fault whose message is all its problems in a row."""
        message = "; ".join(f"{p.field}: {p.message}" for p in problems)
        return cls(status, code, message, problems)


class Refusal(Exception):
    """A protocol's own refusal, in its own words."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        # Callers' own words are repeated in some; not all of those can be sent.
        super().__init__(message.encode(errors="replace").decode())


FAULT = "seq2serve.fault"
"""Where a request's scope has the code of its fault, for those who count."""

INTERNAL = Fault.of_status(500, "something went wrong here")


@singledispatch
def fault_of(_: Exception) -> Fault:
    """What an exception tells a caller; of one that is not known, nothing."""
    return INTERNAL


@fault_of.register
def _(error: RequestValidationError) -> Fault:
    if any(mistake["type"] == "json_invalid" for mistake in error.errors()):
        return Fault.of_status(400, NOT_JSON)
    return Fault.of_problems(422, CODES[422], tuple(map(_problem, error.errors())))


@fault_of.register
def _(error: Refusal) -> Fault:
    return Fault.of_status(error.status, str(error))


@fault_of.register
def _(error: InvalidRequest) -> Fault:
    return Fault.of_problems(422, CODES[422], error.problems)


@fault_of.register
def _(error: RequestError) -> Fault:
    problems = (Problem(error.field, str(error)),)
    if isinstance(error, UnknownModel):
        return Fault.of_problems(404, "unknown_model", problems)
    if isinstance(error, UnknownGlossary):
        return Fault.of_problems(404, "unknown_glossary", problems)
    if isinstance(error, UnknownDocument):
        return Fault.of_status(404, str(error))
    return Fault.of_problems(422, CODES[422], problems)


@fault_of.register
def _(error: BundleError) -> Fault:
    problems = tuple(Problem("bundle", fault) for fault in error.faults)
    return Fault.of_problems(422, "invalid_bundle", problems)


@fault_of.register
def _(error: Overloaded) -> Fault:
    return Fault.of_status(429, str(error), retry_after(error.retry_after))


@fault_of.register
def _(error: DeadlineExceeded) -> Fault:
    return Fault.of_status(504, str(error))


@fault_of.register
def _(error: DocumentNotReady) -> Fault:
    return Fault.of_status(409, str(error), retry_after(1))


@fault_of.register(EngineFailed)
@fault_of.register(StoreFailed)
@fault_of.register(NotReady)
def _(error: Exception) -> Fault:
    return Fault.of_status(503, str(error), retry_after(1))


CHALLENGE = (("WWW-Authenticate", "Bearer"),)  # RFC 9110 wants one with every 401


@fault_of.register
def _(error: MissingKey) -> Fault:
    return Fault(401, "missing_key", str(error), headers=CHALLENGE)


@fault_of.register
def _(error: InvalidKey) -> Fault:
    return Fault(401, "invalid_key", str(error), headers=CHALLENGE)


@fault_of.register
def _(error: Forbidden) -> Fault:
    return Fault.of_status(403, str(error))


@fault_of.register
def _(error: RateLimited) -> Fault:
    return Fault(429, "rate_limited", str(error), headers=retry_after(error.retry_after))


@fault_of.register
def _(error: QuotaExceeded) -> Fault:
    return Fault(429, "quota_exceeded", str(error))


@fault_of.register
def _(error: HTTPException) -> Fault:
    message = NOT_JSON if error.status_code == 400 else str(error.detail)
    return Fault.of_status(error.status_code, message, tuple((error.headers or {}).items()))


def retry_after(seconds: float) -> Headers:
    """The header that tells callers when to come back; at least a second, never too early."""
    return (("Retry-After", str(max(1, math.ceil(seconds)))),)


def _problem(mistake: dict[str, Any]) -> Problem:
    path = ".".join(map(str, mistake["loc"][1:]))[:LONGEST_PATH]  # the first part says "body"
    message = WORDS.get(mistake["type"], mistake["msg"].removeprefix("Value error, "))
    return Problem(path or "body", message)
