"""The native API's documents: send a file, see how far it is, fetch it, delete it."""

import json
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Request, UploadFile
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field, ValidationError
from starlette.responses import JSONResponse, Response

from service.access.keys import Caller
from service.api.access import CallerOf, may_translate
from service.api.checks import InvalidRequest, Problem
from service.api.errors import ErrorAnswer, ErrorBody, error_responses, native_body
from service.api.faults import Fault, fault_of
from service.api.glossary_terms import with_terms
from service.api.http.disconnect import ClientGone, while_connected
from service.api.native.request import AUTO, TranslateRequest
from service.api.state import Service, ServiceOf
from service.api.uploading import FILE_CONTENT, attachment, start_document, uploaded
from service.documents.jobs import MOST_DOUBTS, JobState, JobStatus
from service.documents.reading import SUFFIXES
from service.text.quality import Fault as Reason

LONGEST_WAIT = 60.0
PATH = "/v1/translate/file"
_NOT_OPTIONS = ("text", "source", "target", "model", "format", "alignment", "stream")

router = APIRouter(prefix=PATH, tags=["documents"], dependencies=[Depends(may_translate)])


class DoubtAnswer(BaseModel):
    """A sentence whose translation cannot be right."""

    sentence: str = Field(description="As it was sent.", examples=["Take 3 of them."])
    reason: Reason = Field(description="What is wrong with it.", examples=["lost_number"])
    message: str = Field(
        description="The reason for people.", examples=["a number is lost or changed"]
    )


class DocumentAnswer(BaseModel):
    """How far a document is."""

    id: str = Field(
        description="Name of the job; who knows it, and has the same key, may ask for it.",
        examples=["Zm9vYmFyYmF6cXV4"],
    )
    name: str = Field(description="Name of the translated file.", examples=["guide.ko.md"])
    state: JobState = Field(
        description="`queued`, `translating`, `done` or `failed`.", examples=["translating"]
    )
    characters: int = Field(description="Characters to translate.", examples=[5300])
    characters_done: int = Field(description="Those that are translated.", examples=[1200])
    seconds_left: float | None = Field(
        None, description="A guess, once something is done.", examples=[2.5]
    )
    warnings: list[DoubtAnswer] | None = Field(
        None,
        description=f"Sentences that came out so that they cannot be right; {MOST_DOUBTS} at most.",
        examples=[
            [
                {
                    "sentence": "Take 3 of them.",
                    "reason": "lost_number",
                    "message": "a number is lost or changed",
                }
            ]
        ],
    )
    error: ErrorBody | None = Field(
        None,
        description="Why it failed, if it has.",
        examples=[{"code": "unavailable", "message": "the engine has stopped", "details": []}],
    )

    @classmethod
    def of(cls, job: JobStatus) -> "DocumentAnswer":
        """A job in the words of this API."""
        return cls(
            id=job.id,
            name=job.order.name,
            state=job.state,
            characters=job.order.characters,
            characters_done=job.characters_done,
            seconds_left=None if job.seconds_left is None else round(job.seconds_left, 1),
            warnings=[
                DoubtAnswer(sentence=each.sentence, reason=each.reason, message=each.message)
                for each in job.doubts
            ]
            or None,
            error=None if job.error is None else _error(fault_of(job.error)),
        )


def _error(fault: Fault) -> ErrorBody:
    return ErrorAnswer.model_validate(native_body(fault)).error


@router.post(
    "",
    summary="Translate a file",
    status_code=202,
    response_model=DocumentAnswer,
    response_model_exclude_none=True,
    responses={
        200: {
            "description": "The translated file, if it was ready in time.",
            "content": FILE_CONTENT,
        },
        **error_responses(400, 401, 403, 404, 413, 422, 429, 503),
    },
)
async def send(
    request: Request,
    service: ServiceOf,
    caller: CallerOf,
    file: Annotated[
        UploadFile,
        File(description=f"One of: {', '.join(SUFFIXES)}; UTF-8.", examples=["guide.md"]),
    ],
    target: Annotated[str, Form(description="Language to translate into.", examples=["ko"])],
    source: Annotated[
        str, Form(description='Language of the file; "auto" finds out.', examples=["en"])
    ] = AUTO,
    model: Annotated[
        str | None, Form(description="A name from /v1/models.", examples=["en-ko-transformer"])
    ] = None,
    options: Annotated[
        str,
        Form(
            description="A JSON object with other fields of /v1/translate.",
            examples=['{"decoding": {"strategy": "greedy"}}'],
        ),
    ] = "{}",
    wait: Annotated[
        float,
        Form(ge=0, le=LONGEST_WAIT, description="Seconds to wait for the file.", examples=[10]),
    ] = 0,
) -> Response:
    """Answers 202 with a job whose progress and result can be asked for. With `wait`, a file that
    is ready in so many seconds is the answer itself."""
    fields = {"source": source, "target": target} | ({"model": model} if model else {})
    body = _body(fields, options)
    wanted = await with_terms(
        body.to_pipeline(), service.glossaries, caller, body.stored_glossaries
    )
    job = await start_document(service, caller, await uploaded(file), wanted)
    if wait:
        job = await _waited(request, service, caller, job, wait)
    if job.state is JobState.DONE or job.error is not None:
        return await _file(service, caller, job)
    answer = DocumentAnswer.of(job).model_dump(mode="json", exclude_none=True)
    return JSONResponse(answer, 202, {"Location": f"{PATH}/{job.id}"})


@router.get(
    "/{id}",
    summary="How far a file is",
    response_model_exclude_none=True,
    responses=error_responses(401, 403, 404),
)
async def status(id: str, service: ServiceOf, caller: CallerOf) -> DocumentAnswer:  # noqa: A002
    """A finished file is kept for an hour, unless the operator has set another time."""
    return DocumentAnswer.of(service.documents.status(caller.name, id))


@router.get(
    "/{id}/result",
    summary="The translated file",
    response_class=Response,
    responses={
        200: {"description": "The file.", "content": FILE_CONTENT},
        **error_responses(401, 403, 404, 409, 503),
    },
)
async def result(id: str, service: ServiceOf, caller: CallerOf) -> Response:  # noqa: A002
    """The file itself, under its name; 409 while it is being translated."""
    return await _file(service, caller, service.documents.status(caller.name, id))


@router.delete(
    "/{id}",
    summary="Delete a file",
    status_code=204,
    responses=error_responses(401, 403, 404),
)
async def delete(id: str, service: ServiceOf, caller: CallerOf) -> None:  # noqa: A002
    """Ends the job if it still runs, and forgets the file."""
    await service.documents.delete(caller.name, id)


def _body(fields: dict[str, Any], options: str) -> TranslateRequest:
    """The form as a request for a text. Raises InvalidRequest or RequestValidationError."""
    try:
        given = json.loads(options)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest([Problem("options", "not valid JSON")]) from error
    if not isinstance(given, dict):
        raise InvalidRequest([Problem("options", "must be a JSON object")])
    strange = [Problem(f"options.{name}", "not here") for name in _NOT_OPTIONS if name in given]
    if strange:
        raise InvalidRequest(strange)
    try:
        return TranslateRequest.model_validate_json(json.dumps(given | fields | {"text": "-"}))
    except ValidationError as error:
        raise RequestValidationError(
            [m | {"loc": ("", *m["loc"])} for m in error.errors()]
        ) from error


async def _waited(
    request: Request, service: Service, caller: Caller, job: JobStatus, seconds: float
) -> JobStatus:
    documents = service.documents
    try:
        return await while_connected(request, documents.wait(caller.name, job.id, seconds))
    except ClientGone:
        await documents.delete(caller.name, job.id)  # nobody knows its id
        raise


async def _file(service: Service, caller: Caller, job: JobStatus) -> Response:
    data = await service.documents.result(caller.name, job.id)
    return attachment(data, job.order.name, job.order.media_type)
