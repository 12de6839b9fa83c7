"""Web applications around CTranslate2, as one would write them: each request decoded alone, or
what waits decoded together by a lock-step batcher.

    python -m benchmarks.ctranslate2_app MODEL TOKENIZER --batching alone --beam-size 4 --port 8001
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import ctranslate2
import typer
import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

from service.engine.vocabulary import Vocabulary
from service.settings import available_cores
from service.translation.decoding import longest_sensible

LARGEST_BATCH = 32
PATIENCE = 0.005
"""Seconds that a batcher waits for more requests once it has one."""

Pieces = list[str]


class Batching(StrEnum):
    """How requests become batches."""

    ALONE = "alone"
    LOCK_STEP = "lock-step"


class Alone:
    """Every request is a batch of its own; CTranslate2's threads take one each."""

    def __init__(self, translator: ctranslate2.Translator, beam_size: int) -> None:
        self.translator, self.beam_size = translator, beam_size

    async def __call__(self, source: Pieces) -> Pieces:
        """Waits in another thread."""
        (target,) = await asyncio.to_thread(translate, self.translator, [source], self.beam_size)
        return target

    async def run(self) -> None:
        """Nothing goes on behind the requests."""


class LockStep:
    """Requests that wait are decoded together and answered together, when the last is finished.

    As many batches run side by side as there are cores.
    """

    def __init__(self, translator: ctranslate2.Translator, beam_size: int) -> None:
        self.translator, self.beam_size = translator, beam_size
        self.waiting: asyncio.Queue[tuple[Pieces, asyncio.Future[Pieces]]] = asyncio.Queue()

    async def __call__(self, source: Pieces) -> Pieces:
        """Queues a sentence."""
        future: asyncio.Future[Pieces] = asyncio.get_running_loop().create_future()
        self.waiting.put_nowait((source, future))
        return await future

    async def run(self) -> None:
        """Serves until it is cancelled."""
        await asyncio.gather(*(self._run() for _ in range(available_cores())))

    async def _run(self) -> None:
        while True:
            batch = await self._collect()
            sources = [source for source, _ in batch]
            found = await asyncio.to_thread(translate, self.translator, sources, self.beam_size)
            for (_, future), target in zip(batch, found, strict=True):
                if not future.done():
                    future.set_result(target)

    async def _collect(self) -> list[tuple[Pieces, asyncio.Future[Pieces]]]:
        batch = [await self.waiting.get()]
        try:
            async with asyncio.timeout(PATIENCE):
                while len(batch) < LARGEST_BATCH:
                    batch.append(await self.waiting.get())
        except TimeoutError:
            pass
        return batch


def translate(
    translator: ctranslate2.Translator, sources: Sequence[Pieces], beam_size: int
) -> list[Pieces]:
    """One batch, under the same bound of length as ours."""
    results = translator.translate_batch(
        list(sources),
        beam_size=beam_size,
        max_decoding_length=max(longest_sensible(len(source)) for source in sources),
    )
    return [result.hypotheses[0] for result in results]


class Request(BaseModel):
    """What is read of our API's request."""

    text: str
    target: str


class Translation(BaseModel):
    """As in our API's answer."""

    text: str


class Usage(BaseModel):
    """As in our API's answer."""

    target_tokens: int


class Answer(BaseModel):
    """As our API's answer, without what only we have."""

    translations: list[Translation]
    usage: Usage


def create_app(decode: Alone | LockStep, vocabulary: Vocabulary) -> FastAPI:
    """The application; tokenisation is that of our service."""
    processor = vocabulary.source

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        running = asyncio.create_task(decode.run())
        yield
        running.cancel()

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def readyz() -> str:
        return "ready"

    @app.post("/v1/translate")
    async def answer(request: Request) -> Answer:
        ids = vocabulary.encode_source(request.text, request.target)
        target = await decode([processor.id_to_piece(i) for i in ids])
        text = processor.decode_pieces(target)
        return Answer(translations=[Translation(text=text)], usage=Usage(target_tokens=len(target)))

    return app


def main(
    model: Path,
    tokenizer: Path,
    batching: Annotated[Batching, typer.Option()],
    beam_size: Annotated[int, typer.Option()],
    port: Annotated[int, typer.Option()],
) -> None:
    """Serves an int8 model on the loopback interface, on all cores."""
    translator = ctranslate2.Translator(
        str(model), compute_type="int8", inter_threads=available_cores(), intra_threads=1
    )
    kind = Alone if batching is Batching.ALONE else LockStep
    app = create_app(kind(translator, beam_size), Vocabulary(tokenizer))
    logging.basicConfig(level="WARNING")
    uvicorn.run(app, port=port, log_level="warning", access_log=False)


if __name__ == "__main__":
    typer.run(main)
