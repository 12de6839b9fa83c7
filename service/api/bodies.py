"""The fields of a request, however they were sent: JSON, a form of either kind, the query string.

One reader for protocols whose clients do not agree on an encoding, bodies of GET requests included.
Knows no field by name.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

from fastapi import Request
from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException

from service.api.faults import Refusal
from service.api.uploading import uploaded

Fields = dict[str, Any]
"""By name. A name that came several times has the list of its values; a file is an Upload."""
ModelT = TypeVar("ModelT", bound=BaseModel)
MOST_FIELDS = 2000
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
MULTIPART = "multipart/form-data"


async def read_fields(request: Request) -> Fields:
    """The body's fields, and those of the query that the body lacks; read once for all who ask.

    Raises Refusal.
    """
    if not hasattr(request.state, "fields"):
        query = _grouped(_pairs(request.url.query))
        request.state.fields = query | await _body(request)
    return cast(Fields, request.state.fields)


async def read(
    request: Request, model: type[ModelT], words: Callable[[dict[str, Any]], str]
) -> ModelT:
    """The fields as a model. Raises Refusal, with what `words` makes of pydantic's first error."""
    try:
        return model.model_validate(await read_fields(request))
    except ValidationError as error:
        raise Refusal(400, words(dict(error.errors()[0]))) from error


def documented(model: type[BaseModel], encodings: Sequence[str] = (JSON, FORM)) -> dict[str, Any]:
    """The OpenAPI entry of a body that `read` reads. The model must be flat."""
    schema = model.model_json_schema()
    content = {encoding: {"schema": schema} for encoding in encodings}
    return {"requestBody": {"required": True, "content": content}}


async def _body(request: Request) -> Fields:
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == MULTIPART:
        return await _multipart(request)
    body = await request.body()
    # Whoever names no type, or a wrong one, is understood by what the body looks like.
    if media_type.endswith("json") or body.lstrip()[:1] in (b"{", b"["):
        return _json(body) if body.strip() else {}
    try:
        return _grouped(_pairs(body.decode()))
    except UnicodeDecodeError as error:
        raise Refusal(400, "the body is not UTF-8") from error


def _json(body: bytes) -> Fields:
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "Invalid JSON format") from error
    if not isinstance(fields, dict):
        raise Refusal(400, "Invalid JSON format")
    return fields


async def _multipart(request: Request) -> Fields:
    try:
        async with request.form(max_files=1, max_fields=MOST_FIELDS) as form:
            pairs = [
                (name, value if isinstance(value, str) else await uploaded(value))
                for name, value in form.multi_items()
            ]
    except HTTPException as error:
        if error.status_code != 400:
            raise
        raise Refusal(400, "the body is not a valid multipart form") from error
    return _grouped(pairs)


def _pairs(encoded: str) -> list[tuple[str, Any]]:
    try:
        return [
            *parse_qsl(encoded, keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS)
        ]
    except ValueError as error:
        raise Refusal(400, "the fields are not URL-encoded UTF-8, or too many") from error


def _grouped(pairs: Sequence[tuple[str, Any]]) -> Fields:
    """Keeps all values of a name that comes several times, in their order."""
    grouped: dict[str, list[Any]] = {}
    for name, value in pairs:
        grouped.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in grouped.items()}
