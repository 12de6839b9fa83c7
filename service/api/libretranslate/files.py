"""LibreTranslate's files: one is sent, and fetched from the address that the answer tells."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, Field

from service.api.bodies import MULTIPART, documented, read
from service.api.faults import Refusal
from service.api.http.disconnect import ClientGone, while_connected
from service.api.libretranslate.errors import responses
from service.api.libretranslate.text import CallerOf, direction_of, words
from service.api.state import ServiceOf
from service.api.uploading import FILE_CONTENT, Upload, attachment, start_document
from service.api.urgency import within
from service.errors import DeadlineExceeded
from service.translation.request import TranslationRequest

PATH = "/translate_file"
OWNER = "/download_file"
"""No key has this name. Who knows the address of a file may fetch it: clients send no key then."""
router = APIRouter(tags=["LibreTranslate"])


class FileFields(BaseModel):
    """A file, and what is to become of it."""

    file: Any = Field(
        description="The file; UTF-8.", json_schema_extra={"type": "string", "format": "binary"}
    )
    source: str = Field(description="A code of /languages, or `auto`.", examples=["en"])
    target: str = Field(description="A code of /languages.", examples=["ko"])
    api_key: Any = Field(None, description="A key, where the service asks for one.", examples=[""])


class FileAnswer(BaseModel):
    """Where the translated file is."""

    translatedFileUrl: str = Field(  # noqa: N815
        description="Its address, for an hour or so.",
        examples=["http://localhost:8000/download_file/YmFyYmF6cXV4Zm9v.guide.ko.md"],
    )


@router.post(
    PATH,
    summary="Translate a file",
    responses=responses(400, 403, 413, 429, 503, 504),
    openapi_extra=documented(FileFields, [MULTIPART]),
)
async def translate_file(request: Request, service: ServiceOf, caller: CallerOf) -> FileAnswer:
    """Answers when it is translated; /v1/translate/file tells how far it is meanwhile."""
    fields = await read(request, FileFields, words)
    if not isinstance(fields.file, Upload):
        raise Refusal(400, "Invalid request: file parameter is not a file")
    source, target = direction_of(fields.source, fields.target, service.translator)
    wanted = TranslationRequest((), source, target)
    job = await start_document(service, caller, fields.file, wanted, OWNER)
    jobs, seconds = service.documents, service.limits.max_seconds
    try:
        async with within(seconds):
            ended = await while_connected(request, jobs.wait(OWNER, job.id, seconds))
    except (ClientGone, DeadlineExceeded):
        await jobs.delete(OWNER, job.id)  # nobody knows its id
        raise
    if ended.error is not None:
        raise ended.error
    name = quote(f"{job.id}.{job.order.name}")
    return FileAnswer(translatedFileUrl=f"{str(request.base_url).rstrip('/')}{OWNER}/{name}")


@router.get(
    OWNER + "/{document}",
    summary="The translated file",
    response_class=Response,
    responses=responses(404, 503) | {200: {"description": "The file.", "content": FILE_CONTENT}},
)
async def download_file(document: str, service: ServiceOf) -> Response:
    """Needs no key: the address cannot be guessed."""
    job, _, name = document.partition(".")
    data = await service.documents.result(OWNER, job)
    return attachment(data, name)
