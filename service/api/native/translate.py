"""The native API's translations: texts in, translations out, at once or as a stream."""

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from service.api import urgency
from service.api.access import CallerOf, may_translate
from service.api.errors import error_responses
from service.api.glossary_terms import with_terms
from service.api.native.answer import TranslateAnswer
from service.api.native.events import EXAMPLE, EventStream
from service.api.native.request import TranslateRequest
from service.api.state import ServiceOf
from service.api.translating import streamed, translated


async def json_only(request: Request) -> None:  # async, or each call would change threads
    """Refuses other content types by name, rather than the shape of their content."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "the body must be JSON, content-type application/json")


router = APIRouter(prefix="/v1", tags=["translation"])


@router.post(
    "/translate",
    summary="Translate a text or a list of texts",
    response_model=TranslateAnswer,
    response_model_exclude_none=True,
    dependencies=[Depends(may_translate), Depends(json_only)],
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}},
        **error_responses(400, 401, 403, 404, 413, 415, 422, 429, 503, 504),
    },
    openapi_extra=urgency.HEADERS,
)
async def translate(
    request: Request, body: TranslateRequest, service: ServiceOf, caller: CallerOf
) -> TranslateAnswer | Response:
    """Splits texts into sentences, translates them and joins them with their own white space."""
    wanted = await with_terms(
        body.to_pipeline(), service.glossaries, caller, body.stored_glossaries
    )
    if body.stream:
        return EventStream(await streamed(request, service, caller, wanted), wanted.target)
    return TranslateAnswer.of(await translated(request, service, caller, wanted), wanted.target)
