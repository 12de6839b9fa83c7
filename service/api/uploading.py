"""A file that somebody wants translated becomes a job and then an answer, whatever the protocol."""

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

from starlette.datastructures import UploadFile
from starlette.responses import Response

from service.access.keys import Caller
from service.api.checks import check
from service.api.state import Service
from service.documents.jobs import JobStatus, Order, Report
from service.documents.reading import format_of, read_document
from service.documents.translating import translate_document
from service.errors import LimitExceeded
from service.translation.request import TranslationRequest

LONGEST_NAME = 200
ANY_FILE = "application/octet-stream"
FILE_CONTENT: dict[str, Any] = {ANY_FILE: {"schema": {"type": "string", "format": "binary"}}}
"""The OpenAPI entry of an answer that is a file."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent."""

    name: str
    data: bytes

    def renamed(self, language: str) -> str:
        """`guide.md` becomes `guide.ko.md`; whatever no file is called is left out."""
        path = PurePosixPath(self.name.replace("\\", "/"))
        stem = "".join(c for c in path.stem if c.isprintable())[:LONGEST_NAME]
        return f"{stem}.{language}{path.suffix}"


async def uploaded(file: UploadFile) -> Upload:
    """The file of a form."""
    return Upload(file.filename or "", await file.read())


def attachment(data: bytes, name: str, media_type: str = ANY_FILE) -> Response:
    """The answer that is a file, which browsers save under its name."""
    disposition = f"attachment; filename*=utf-8''{quote(name)}"
    return Response(data, media_type=media_type, headers={"Content-Disposition": disposition})


async def start_document(
    service: Service,
    caller: Caller,
    upload: Upload,
    wanted: TranslationRequest,
    owner: str | None = None,
) -> JobStatus:
    """Checks, charges and begins; the texts of `wanted` do not matter. The document is the
    caller's, unless a protocol has another owner for those that whoever knows the id may fetch.

    Raises InvalidRequest, RequestError, RateLimited, QuotaExceeded or Overloaded. A job that fails
    or is deleted costs no characters.
    """
    translator, limits = service.translator, service.limits
    wanted = replace(wanted, texts=())
    check(wanted, translator.catalogue, limits)
    kind = format_of(upload.name)
    if len(upload.data) > limits.max_file_bytes:
        most = limits.max_file_bytes
        raise LimitExceeded("file", f"{len(upload.data)} bytes in one file; at most {most}")
    document = await asyncio.to_thread(read_document, upload.name, upload.data)
    characters = sum(map(len, document.texts))
    order = Order(
        caller.name if owner is None else owner,
        upload.renamed(wanted.target),
        kind.media_type,
        len(upload.data),
        characters,
    )
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(service.access.charged(caller, characters))

        async def work(report: Report) -> bytes:
            async with charged:
                return await translate_document(translator, document, wanted, report)

        status = service.documents.submit(order, work)
        charged = stack.pop_all()
    return status
