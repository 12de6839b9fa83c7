"""DeepL's documents: send one, ask how far it is, fetch it."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.api.bodies import MULTIPART, documented, read
from service.api.deepl.errors import SHARED, responses
from service.api.deepl.parameters import CallerOf, Names, Optional, words
from service.api.deepl.translate import Formality, TranslateFields, glossary_ids, to_pipeline
from service.api.faults import Refusal, fault_of
from service.api.glossary_terms import with_terms
from service.api.http.disconnect import while_connected
from service.api.state import ServiceOf
from service.api.uploading import ANY_FILE, FILE_CONTENT, Upload, start_document
from service.documents.jobs import JobState, JobStatus

PATH = "/v2/document"
PATIENCE = 2.0
"""Seconds that a question for the status waits for the end: clients ask again after 5 s only."""
STATES: dict[JobState, Literal["queued", "translating", "done", "error"]] = {
    JobState.QUEUED: "queued",
    JobState.TRANSLATING: "translating",
    JobState.DONE: "done",
    JobState.FAILED: "error",
}
router = APIRouter(prefix=PATH, tags=["DeepL"])


class UploadFields(BaseModel):
    """A document, and what is to become of it."""

    file: Any = Field(
        description="The document; UTF-8.", json_schema_extra={"type": "string", "format": "binary"}
    )
    target_lang: str = Field(description="`KO`, `EN-US`, `EN-GB`, or `EN`.", examples=["KO"])
    source_lang: Annotated[str | None, Optional] = Field(
        None, description="By default it is found out.", examples=["EN"]
    )
    filename: Annotated[str | None, Optional] = Field(
        None, description="By default that of the upload.", examples=["guide.md"]
    )
    output_format: Annotated[str | None, Optional] = Field(
        None, description="Only the format that it has.", examples=["md"]
    )
    formality: Formality = Field(None, description="As with texts.", examples=["default"])
    glossary_id: Annotated[str | None, Optional] = Field(
        None, description="As with texts.", examples=[None]
    )
    glossary_ids: Names = Field([], description="As with texts.", examples=[[]])

    def as_text(self) -> TranslateFields:
        """The parameters that texts have too."""
        return TranslateFields.model_validate(
            self.model_dump(exclude={"file", "filename", "output_format"}) | {"text": "-"}
        )


class KeyFields(BaseModel):
    """What shows that the document is the caller's."""

    document_key: str = Field(
        description="As it was given at the upload.", examples=["Zm9vYmFyYmF6cXV4"]
    )


class UploadAnswer(BaseModel):
    """What to ask with."""

    document_id: str = Field(description="The document.", examples=["YmFyYmF6cXV4Zm9v"])
    document_key: str = Field(description="Its key.", examples=["Zm9vYmFyYmF6cXV4"])


class StatusAnswer(BaseModel):
    """How far a document is."""

    document_id: str = Field(description="The document.", examples=["YmFyYmF6cXV4Zm9v"])
    status: Literal["queued", "translating", "done", "error"] = Field(
        description="Where it is on its way.", examples=["done"]
    )
    seconds_remaining: int | None = Field(None, description="A guess.", examples=[None])
    billed_characters: int | None = Field(None, description="When it is done.", examples=[5300])
    error_message: str | None = Field(None, description="What went wrong.", examples=[None])

    @classmethod
    def of(cls, job: JobStatus) -> "StatusAnswer":
        """A job in the words of this API."""
        done = job.state is JobState.DONE
        return cls(
            document_id=job.id,
            status=STATES[job.state],
            seconds_remaining=None if job.seconds_left is None else round(job.seconds_left),
            billed_characters=job.order.characters if done else None,
            error_message=None if job.error is None else fault_of(job.error).message,
        )


@router.post(
    "",
    summary="Translate a document",
    responses=responses(*SHARED, 404),
    openapi_extra=documented(UploadFields, [MULTIPART]),
)
async def send(request: Request, service: ServiceOf, caller: CallerOf) -> UploadAnswer:
    """The formats are those of /v1/translate/file."""
    fields = await read(request, UploadFields, words)
    if not isinstance(fields.file, Upload):
        raise Refusal(400, "Parameter 'file' is not a file")
    text = fields.as_text()
    wanted = to_pipeline(text, service.translator)
    wanted = await with_terms(wanted, service.glossaries, caller, glossary_ids(text))
    upload = Upload(fields.filename or fields.file.name, fields.file.data)
    if fields.output_format and not upload.name.lower().endswith(
        f".{fields.output_format.lower()}"
    ):
        raise Refusal(400, "Value for 'output_format' not supported.")
    job = await start_document(service, caller, upload, wanted)
    return UploadAnswer(document_id=job.id, document_key=job.key)


@router.post(
    "/{document_id}",
    summary="How far a document is",
    response_model_exclude_none=True,
    responses=responses(400, 403, 404, 413),
    openapi_extra=documented(KeyFields),
)
async def status(
    document_id: str, request: Request, service: ServiceOf, caller: CallerOf
) -> StatusAnswer:
    """Answers a little later if the end is near."""
    key = (await read(request, KeyFields, words)).document_key
    jobs = service.documents
    jobs.status(caller.name, document_id, key)
    job = await while_connected(request, jobs.wait(caller.name, document_id, PATIENCE))
    return StatusAnswer.of(job)


@router.post(
    "/{document_id}/result",
    summary="The translated document",
    response_class=Response,
    responses=responses(*SHARED, 404)
    | {200: {"description": "The document.", "content": FILE_CONTENT}},
    openapi_extra=documented(KeyFields),
)
async def result(
    document_id: str, request: Request, service: ServiceOf, caller: CallerOf
) -> Response:
    """503 while it is being translated."""
    key = (await read(request, KeyFields, words)).document_key
    data = await service.documents.result(caller.name, document_id, key)
    return Response(data, media_type=ANY_FILE)
