"""LibreTranslate's errors: `{"error": "..."}`, and statuses that its clients tell apart."""

from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from service.api.errors import ErrorShape
from service.api.faults import Fault

STATUSES = {
    "missing_key": 400,
    "invalid_key": 403,
    "quota_exceeded": 403,
    "invalid_request": 400,
    "unknown_model": 400,
}
"""By code, where they are not the native API's."""
WORDS = {
    "missing_key": "Please contact the server operator to get an API key",
    "invalid_key": "Invalid API key",
}
MEANINGS = {
    400: "a field is missing or wrong; or a key is needed",
    403: "the key is not valid, or has used up its characters; or this is switched off",
    404: "there is no such file",
    413: "the body is above the limit",
    429: "too much at once; see Retry-After",
    503: "models are being loaded, or decoding failed",
    504: "not ready in the time that was allowed",
}
PATHS = (
    "/translate",
    "/detect",
    "/languages",
    "/frontend/settings",
    "/health",
    "/suggest",
    "/translate_file",
    "/download_file/",
)


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: str = Field(
        description="What went wrong, for people.",
        examples=["Invalid request: missing q parameter"],
    )


def answer(fault: Fault) -> Response:
    """A fault as LibreTranslate would tell it."""
    words = WORDS.get(fault.code, fault.message)
    if fault.code == "invalid_request":
        words = f"Invalid request: {words}"
    elif fault.status == 429:
        words = f"Slowdown: {words}"
    status = STATUSES.get(fault.code, fault.status)
    return JSONResponse({"error": words}, status, dict(fault.headers))


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the statuses that a route can answer with."""
    return {status: {"model": ErrorAnswer, "description": MEANINGS[status]} for status in statuses}


SHAPE = ErrorShape(PATHS, answer)
