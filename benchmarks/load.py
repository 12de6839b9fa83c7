"""A light HTTP client: so many connections, each sends a request when the last one is answered.

It speaks just enough HTTP/1.1 for servers that tell their content-length, since its own work takes
cores from the server that is measured. Answers are read as JSON only when the phase is over.
"""

import asyncio
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from benchmarks.sentences import Text

PATH = "/v1/translate"


@dataclass(frozen=True, slots=True)
class Phase:
    """One server under one load."""

    port: int
    clients: int
    seconds: float
    beam_size: int


@dataclass(frozen=True, slots=True)
class Answer:
    """One request's fate; times are in seconds since the phase began."""

    started: float
    ended: float
    status: int
    target_tokens: int


def put_load(phase: Phase, texts: Iterator[Text]) -> list[Answer]:
    """Runs a phase and waits for the last answers, which arrive after its end."""
    return uvloop.run(_put_load(phase, texts))


async def _put_load(phase: Phase, texts: Iterator[Text]) -> list[Answer]:
    began = time.perf_counter()
    raw: list[tuple[float, float, int, bytes]] = []

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", phase.port)
        try:
            while (started := time.perf_counter() - began) < phase.seconds:
                writer.write(request(next(texts), phase))
                status, body = await response(reader)
                raw.append((started, time.perf_counter() - began, status, body))
        finally:
            writer.close()

    await asyncio.gather(*(client() for _ in range(phase.clients)))
    return [Answer(s, e, status, _tokens(status, body)) for s, e, status, body in raw]


def request(text: Text, phase: Phase) -> bytes:
    """A whole request, head and body."""
    content = {"text": text.text, "source": text.source, "target": text.target}
    body = json.dumps({**content, "decoding": {"beam_size": phase.beam_size}}).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nhost: 127.0.0.1:{phase.port}\r\n"
        f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


async def response(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    """Status and body. Raises ValueError for an answer without a length."""
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    _, found, rest = head.partition(b"\r\ncontent-length:")
    if not found:
        raise ValueError("the server does not tell the length of its answer")
    length = int(rest.split(b"\r\n", 1)[0])
    return int(head.split(b" ", 2)[1]), await reader.readexactly(length)


def _tokens(status: int, body: bytes) -> int:
    return int(json.loads(body)["usage"]["target_tokens"]) if status == 200 else 0
