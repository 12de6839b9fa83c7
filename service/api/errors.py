"""Every error as an answer: in the native shape, `{"error": {"code", "message", "details": []}}`,
or in that of the protocol that the path belongs to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from service.api.checks import InvalidRequest
from service.api.faults import CODES, FAULT, Fault, Refusal, fault_of
from service.api.http.disconnect import ClientGone
from service.api.http.exchange import REQUEST_ID
from service.api.state import NotReady
from service.errors import Seq2ServeError

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


def error_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the statuses that a route can answer with."""
    return {status: {"model": ErrorAnswer, "description": CODES[status]} for status in statuses}


def native_body(fault: Fault) -> dict[str, Any]:
    """A fault in the native shape."""
    details = [{"field": p.field, "message": p.message} for p in fault.problems]
    return {"error": {"code": fault.code, "message": fault.message, "details": details}}


def native_answer(fault: Fault) -> Response:
    """A fault as a native answer."""
    return JSONResponse(native_body(fault), fault.status, dict(fault.headers))


@dataclass(frozen=True, slots=True)
class ErrorShape:
    """How one protocol answers faults: on `paths`, and on all paths below those that end in "/"."""

    paths: tuple[str, ...]
    answer: Callable[[Fault], Response]
    id_headers: tuple[str, ...] = (REQUEST_ID,)
    """Where its clients look for the id of a request, in every answer."""

    def covers(self, path: str) -> bool:
        """Whether errors of this path have this shape."""
        return any(path.startswith(p) if p.endswith("/") else path == p for p in self.paths)


NATIVE = ErrorShape(("/",), native_answer)


class ErrorShapes:
    """Chooses by path, so that also what no route ever saw has the shape that its caller reads."""

    def __init__(self, shapes: Sequence[ErrorShape] = ()) -> None:
        """The first shape that covers a path wins; the native one covers the rest."""
        self._shapes = tuple(shapes)

    def at(self, path: str) -> ErrorShape:
        """The shape of the path's protocol."""
        return next((shape for shape in self._shapes if shape.covers(path)), NATIVE)


def install_error_handlers(app: FastAPI, shapes: ErrorShapes) -> None:
    """Turns every exception that a handler can raise into an answer."""

    async def answer(request: Request, error: Exception) -> Response:
        fault = fault_of(error)
        request.scope[FAULT] = fault.code
        return shapes.at(request.url.path).answer(fault)

    async def gone(_: Request, __: Exception) -> Response:
        return Response(status_code=CLIENT_GONE)

    for kind in (
        RequestValidationError,
        InvalidRequest,
        Refusal,
        Seq2ServeError,
        NotReady,
        HTTPException,
    ):
        app.add_exception_handler(kind, answer)
    app.add_exception_handler(ClientGone, gone)
