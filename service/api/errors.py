"""The one shape of every error: `{"error": {"code", "message", "details": [...]}}`."""

import math
from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI, HTTPException, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException as StarletteHTTPException
from starlette.responses import JSONResponse, Response

from service.api.checks import InvalidRequest, Problem
from service.api.disconnect import ClientGone
from service.api.state import NotReady
from service.errors import (
    DeadlineExceeded,
    EngineFailed,
    Forbidden,
    InvalidKey,
    MissingKey,
    Overloaded,
    QuotaExceeded,
    RateLimited,
    RequestError,
    StoreFailed,
    UnknownModel,
)

CODES = {
    400: "malformed_request",
    401: "missing_key",
    403: "forbidden",
    404: "not_found",
    405: "method_not_allowed",
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
LONGEST_PATH = 200
"""Callers choose the names of unknown fields; an answer need not repeat a megabyte of them."""
CLIENT_GONE = 499
"""Nobody reads this answer; the number is for the metrics, after nginx's custom."""


class ErrorDetail(BaseModel):
    """One thing that is wrong."""

    field: str = Field(description="Path of the field.", examples=["decoding.beam_size"])
    message: str = Field(
        description="What is wrong, and what is allowed.",
        examples=["99 is out of range; allowed: 1 to 8"],
    )


class ErrorBody(BaseModel):
    """What went wrong."""

    code: str = Field(description="Stable name of the error.", examples=["invalid_request"])
    message: str = Field(
        description="For people.", examples=["decoding.beam_size: 99 is out of range"]
    )
    details: list[ErrorDetail] = Field(
        description="Every fault that was found; may be empty.",
        examples=[[{"field": "decoding.beam_size", "message": "99 is out of range"}]],
    )


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: ErrorBody = Field(
        description="The same shape for every error.",
        examples=[{"code": "not_found", "message": "no such route", "details": []}],
    )


def error_response(
    status: int,
    code: str,
    message: str,
    problems: Sequence[Problem] = (),
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """An answer in the error shape."""
    details = [{"field": p.field, "message": p.message} for p in problems]
    body = {"error": {"code": code, "message": message, "details": details}}
    return JSONResponse(body, status, headers)


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the statuses that a route can answer with."""
    return {status: {"model": ErrorAnswer, "description": CODES[status]} for status in statuses}


def retry_after(seconds: float) -> dict[str, str]:
    """The header that tells callers when to come back; at least a second, never too early."""
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def invalid(status: int, code: str, problems: Sequence[Problem]) -> Response:
    """An answer whose message is all its problems in a row."""
    message = "; ".join(f"{p.field}: {p.message}" for p in problems)
    return error_response(status, code, message, problems)


def install_error_handlers(app: FastAPI) -> None:
    """Turns every exception that a handler can raise into an answer in the error shape."""

    @app.exception_handler(RequestValidationError)
    async def malformed(_: Request, error: RequestValidationError) -> Response:
        if any(fault["type"] == "json_invalid" for fault in error.errors()):
            return error_response(400, CODES[400], NOT_JSON)
        return invalid(422, CODES[422], [_problem(fault) for fault in error.errors()])

    @app.exception_handler(InvalidRequest)
    async def refused(_: Request, error: InvalidRequest) -> Response:
        return invalid(422, CODES[422], error.problems)

    @app.exception_handler(RequestError)
    async def unservable(_: Request, error: RequestError) -> Response:
        problems = [Problem(error.field, str(error))]
        if isinstance(error, UnknownModel):
            return invalid(404, "unknown_model", problems)
        return invalid(422, CODES[422], problems)

    @app.exception_handler(Overloaded)
    async def overloaded(_: Request, error: Overloaded) -> Response:
        return error_response(429, CODES[429], str(error), headers=retry_after(error.retry_after))

    @app.exception_handler(DeadlineExceeded)
    async def too_late(_: Request, error: DeadlineExceeded) -> Response:
        return error_response(504, CODES[504], str(error))

    @app.exception_handler(EngineFailed)
    @app.exception_handler(StoreFailed)
    @app.exception_handler(NotReady)
    async def unavailable(_: Request, error: Exception) -> Response:
        return error_response(503, CODES[503], str(error), headers={"Retry-After": "1"})

    @app.exception_handler(ClientGone)
    async def gone(_: Request, __: ClientGone) -> Response:
        return Response(status_code=CLIENT_GONE)

    @app.exception_handler(StarletteHTTPException)
    async def refused_by_framework(_: Request, error: HTTPException) -> Response:
        code = CODES.get(error.status_code, "error")
        message = NOT_JSON if error.status_code == 400 else str(error.detail)
        return error_response(error.status_code, code, message, headers=dict(error.headers or {}))

    _install_access_handlers(app)


def _install_access_handlers(app: FastAPI) -> None:
    challenge = {"WWW-Authenticate": "Bearer"}  # RFC 9110 wants one with every 401

    @app.exception_handler(MissingKey)
    async def no_key(_: Request, error: MissingKey) -> Response:
        return error_response(401, "missing_key", str(error), headers=challenge)

    @app.exception_handler(InvalidKey)
    async def bad_key(_: Request, error: InvalidKey) -> Response:
        return error_response(401, "invalid_key", str(error), headers=challenge)

    @app.exception_handler(Forbidden)
    async def forbidden(_: Request, error: Forbidden) -> Response:
        return error_response(403, CODES[403], str(error))

    @app.exception_handler(RateLimited)
    async def too_often(_: Request, error: RateLimited) -> Response:
        wait = retry_after(error.retry_after)
        return error_response(429, "rate_limited", str(error), headers=wait)

    @app.exception_handler(QuotaExceeded)
    async def used_up(_: Request, error: QuotaExceeded) -> Response:
        return error_response(429, "quota_exceeded", str(error))


def _problem(fault: dict[str, Any]) -> Problem:
    path = ".".join(map(str, fault["loc"][1:]))[:LONGEST_PATH]  # the first part says "body"
    message = WORDS.get(fault["type"], fault["msg"].removeprefix("Value error, "))
    return Problem(path or "body", message)
