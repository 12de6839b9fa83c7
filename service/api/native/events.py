"""A translation as server-sent events: what each event says, and how it looks on the wire."""

import json
import logging
from collections.abc import AsyncIterator
from typing import Any

from pydantic import BaseModel
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from service.api.errors import native_body
from service.api.faults import INTERNAL, fault_of
from service.api.native.answer import TranslationAnswer, Usage, detection, span
from service.api.native.telling import Telling
from service.translation.streaming import (
    PartOfSentence,
    StreamedSentence,
    StreamedText,
    StreamEnd,
    StreamEvent,
)

logger = logging.getLogger(__name__)

EXAMPLE = """\
event: sentence
data: {"text": 0, "sentence": 0, "before": "", "source": {"start": 0, "end": 13}, ...}

event: text
data: {"text": 0, "after": "", "source": "en", "target": "ko", "model": "en-ko-transformer"}

event: done
data: {"model": "en-ko-transformer", "usage": {"characters": 13, ...}}

"""
STILL_HERE = b": still here\n\n"
"""A comment, so that nobody on the way takes the silence for the end."""


class EventStream(StreamingResponse):
    """Ends the work when nobody reads any more."""

    def __init__(self, telling: Telling, target: str) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(_written(telling, target), 200, headers, "text/event-stream")
        self._telling = telling

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._telling.close()


async def _written(telling: Telling, target: str) -> AsyncIterator[bytes]:
    try:
        async for event in telling.events():
            yield STILL_HERE if event is None else _event(*said(event, target))
    except Exception as error:
        fault = fault_of(error)
        if fault is INTERNAL:
            logger.exception("a stream failed")
        yield _event("error", native_body(fault))


def said(event: StreamEvent, target: str) -> tuple[str, dict[str, Any]]:
    """The name of an event and what it says."""
    match event:
        case PartOfSentence(text, sentence, translation):
            return "part", {"text": text, "sentence": sentence, "translation": translation}
        case StreamedSentence():
            return "sentence", {
                "text": event.text,
                "sentence": event.sentence,
                "before": event.before,
                "source": _plain(span(event.source)),
                "target": _plain(span(event.target)),
                "translation": _plain(TranslationAnswer.of(event.translation, target)),
            }
        case StreamedText(text, after, source, model, found):
            detected = detection(found)
            said = {"text": text, "after": after, "source": source, "target": target}
            return "text", _present(
                {**said, "model": model, "detected": _plain(detected) if detected else None}
            )
        case StreamEnd(summary):
            return "done", _present({"model": summary.model, "usage": _plain(Usage.of(summary))})


def _present(fields: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


def _plain(answer: BaseModel) -> dict[str, Any]:
    return answer.model_dump(mode="json", exclude_none=True)


def _event(name: str, data: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode()
