"""DeepL's errors: `{"message": "..."}`, and statuses that its clients tell apart."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from service.api.errors import ErrorShape
from service.api.faults import Fault
from service.api.http.exchange import REQUEST_ID

STATUSES = {
    "missing_key": 403,
    "invalid_key": 403,
    "quota_exceeded": 456,
    "invalid_request": 400,
    "unknown_model": 400,
    "not_ready": 503,
}
"""By code, where they are not the native API's."""
WORDS = {"quota_exceeded": "Quota for this billing period has been exceeded."}
MEANINGS = {
    400: "a parameter is missing or wrong",
    403: "a key is needed, or this one is not valid",
    404: "there is no such thing",
    413: "the body is above the limit",
    415: "the media type is not supported",
    429: "too much at once; see Retry-After",
    456: "the characters of this key are used up",
    503: "models are being loaded, decoding failed, or the disk is full",
    504: "not ready in the time that was allowed",
}
SHARED = (400, 403, 413, 429, 456, 503, 504)
"""What every route that takes work can answer."""


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    message: str = Field(
        description="What went wrong, for people.", examples=["Parameter 'text' not specified"]
    )


def answer(fault: Fault) -> Response:
    """A fault as DeepL would tell it."""
    status = STATUSES.get(fault.code, fault.status)
    body = {"message": WORDS.get(fault.code, fault.message)}
    return JSONResponse(body, status, dict(fault.headers))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the statuses that a route can answer with."""
    return {status: {"model": ErrorAnswer, "description": MEANINGS[status]} for status in statuses}


SHAPE = ErrorShape(("/v2/", "/v3/"), answer, (REQUEST_ID, "X-Trace-ID"))
