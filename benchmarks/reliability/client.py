"""A client that asks for translations and compares the answers with a reference."""

import asyncio
import json
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.reliability.report import Outcome
from benchmarks.sentences import Text, mixed_sentences

PATIENCE = 120.0
"""Seconds after which an answer counts as lost."""
LATER = frozenset({429, 503})
KEPT = 2.0
"""Seconds that a connection is kept without a use; servers keep them for 5."""


@dataclass(frozen=True, slots=True)
class Question:
    """Texts in one direction, and how they are decoded."""

    texts: tuple[str, ...]
    source: str
    target: str
    beam_size: int

    def body(self) -> bytes:
        """As the API wants it."""
        content = {"text": self.texts, "source": self.source, "target": self.target}
        return json.dumps({**content, "decoding": {"beam_size": self.beam_size}}).encode()


def questions(count: int, texts: int, seed: int = 1) -> list[Question]:
    """Different ones of different sizes, greedy and beams."""
    source = mixed_sentences(seed, longest=2)
    rng = random.Random(seed)
    made = []
    for _ in range(count):
        first: Text = next(source)
        same = (each for each in source if each.source == first.source)
        more = tuple(next(same).text for _ in range(rng.randint(0, 2 * texts - 2)))
        size = rng.choice((1, 1, 2, 4))
        made.append(Question((first.text, *more), first.source, first.target, size))
    return made


class Client:
    """One connection at a time, kept as long as the server keeps it."""

    def __init__(self, port: int, headers: Sequence[tuple[str, str]] = ()) -> None:
        self._port = port
        self._headers = headers
        self._stream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._used = 0.0

    async def post(self, path: str, body: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body. Raises OSError or EOFError when the connection ends."""
        if time.perf_counter() - self._used > KEPT:
            self.close()
        reader, writer = self._stream or await asyncio.open_connection("127.0.0.1", self._port)
        self._stream = reader, writer
        try:
            writer.write(self._request(path, body))
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            status, *lines = head.strip().split("\r\n")
            headers = {n.lower(): v.strip() for n, _, v in (x.partition(":") for x in lines)}
            answer = await reader.readexactly(int(headers.get("content-length", 0)))
        except BaseException:
            self.close()
            raise
        self._used = time.perf_counter()
        if headers.get("connection", "").lower() == "close":
            self.close()
        return int(status.split()[1]), headers, answer

    async def ask(self, question: Question, reference: Sequence[str] | None) -> Outcome:
        """Asks for translations; without a reference any answer is right."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(PATIENCE):
                status, headers, body = await self.post("/v1/translate", question.body())
        except (OSError, EOFError, TimeoutError):
            return Outcome(time.perf_counter() - started, None)
        seconds = time.perf_counter() - started
        right = status != 200 or reference is None or texts_of(body) == list(reference)
        told = status not in LATER or "retry-after" in headers
        return Outcome(seconds, status, right, retry_after=told)

    async def leave(self, question: Question, seconds: float) -> Outcome:
        """Asks, and closes the connection before an answer can be there."""
        started = time.perf_counter()
        try:
            async with asyncio.timeout(seconds):
                await self.post("/v1/translate", question.body())
        except (OSError, EOFError, TimeoutError):
            pass
        self.close()
        return Outcome(time.perf_counter() - started, None, cut=True)

    def close(self) -> None:
        """Whatever is on the way is not waited for."""
        if self._stream is not None:
            self._stream[1].transport.abort()
            self._stream = None

    def _request(self, path: str, body: bytes) -> bytes:
        extra = "".join(f"{name}: {value}\r\n" for name, value in self._headers)
        head = (
            f"POST {path} HTTP/1.1\r\nhost: 127.0.0.1:{self._port}\r\n{extra}"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


def texts_of(body: bytes) -> list[str]:
    """The translations of an answer."""
    return [each["text"] for each in json.loads(body)["translations"]]


async def references(
    port: int, asked: Sequence[Question], headers: Sequence[tuple[str, str]] = ()
) -> list[list[str]]:
    """The answers of a server that has nothing else to do."""
    client, found = Client(port, headers), []
    for question in asked:
        status, _, body = await client.post("/v1/translate", question.body())
        if status != 200:
            raise RuntimeError(f"the reference was refused with {status}: {body[:200]!r}")
        found.append(texts_of(body))
    client.close()
    return found
