"""What the service's engine costs in time and memory.

These functions run in a process that holds nothing else; the first of them opens the engine.
"""

import asyncio
import itertools
import random
import statistics
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.machine import peak_mib, resident_mib
from benchmarks.sentences import mixed_sentences, read_sentences
from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.request import DecodingOptions
from service.engine.scheduler import SchedulerLimits
from service.engine.search import SearchInput
from service.engine.waiting import Ticket
from service.metrics import Metrics
from service.settings import available_cores
from service.translation.decoding import DecodingChoice, longest_sensible
from service.translation.request import TranslationRequest
from service.translation.translator import Translator

DIRECTION = Direction("en", "ko")
IN_FLIGHT = 256
"""Sentences that a soak keeps waiting or running."""
SAMPLED = 500
"""Sentences between two looks at the memory."""


@dataclass(frozen=True, slots=True)
class Point:
    """The median cost of one amount of work."""

    amount: int
    milliseconds: float
    peak_mib: float
    """The most memory that the process has held until then."""


@dataclass(frozen=True, slots=True)
class Resident:
    """Memory held while so many sentences had been asked for."""

    sentences: int
    mib: float


@cache
def open_engine(bundle: Path) -> Engine:
    """One worker a core, no sentence cache."""
    return Engine.load(bundle, SchedulerLimits(), Metrics(), available_cores())


def memory(bundle: Path) -> tuple[float, float]:
    """MiB of the process before and after it has opened the engine."""
    before = resident_mib()
    open_engine(bundle)
    return before, resident_mib()


def by_source_length(bundle: Path, lengths: Sequence[int], rounds: int) -> list[Point]:
    """One sentence alone, cut from a long text at so many source pieces."""
    return _points(lengths, rounds, lambda length: _decode(bundle, [_cut(bundle, length)], 4))


def by_batch(bundle: Path, sizes: Sequence[int], beam_size: int, rounds: int) -> list[Point]:
    """So many sentences at once, until the last is finished."""

    def decode(size: int) -> None:
        _decode(bundle, list(itertools.islice(_sources(bundle), size)), beam_size)

    return _points(sizes, rounds, decode)


def by_beam(bundle: Path, sizes: Sequence[int], batch: int, rounds: int) -> list[Point]:
    """A batch with wider and wider beams."""
    sources = list(itertools.islice(_sources(bundle), batch))
    return _points(sizes, rounds, lambda beam_size: _decode(bundle, sources, beam_size))


def by_text_length(bundle: Path, sizes: Sequence[int], rounds: int) -> list[Point]:
    """One text of so many sentences through the pipeline, greedy: cut, decoded, joined."""
    translator = Translator([open_engine(bundle)])

    def translate(sentences: int) -> None:
        endless = itertools.cycle(english for english, _ in read_sentences())
        text = " ".join(itertools.islice(endless, sentences))
        choice = DecodingChoice("greedy")
        request = TranslationRequest((text,), DIRECTION.source, DIRECTION.target, decoding=choice)
        asyncio.run(translator.translate(request))

    return _points(sizes, rounds, translate)


def soak(bundle: Path, sentences: int, seed: int) -> list[Resident]:
    """Translates short and middling sentences, greedy and sometimes with a beam, in requests of
    mixed sizes; some callers leave before they are answered. Memory is looked at on the way."""
    engine, rng = open_engine(bundle), random.Random(seed)
    texts = mixed_sentences(seed, longest=2)
    running: deque[Ticket] = deque()
    found: list[Resident] = []
    done = 0
    while done < sentences:
        count = min(rng.choice((1, 1, 2, 4, 8, 32)), sentences - done)
        beam_size = rng.choice((1, 1, 1, 1, 1, 1, 1, 4))
        inputs = [
            _input(engine, engine.vocabulary.encode_source(text.text, text.target), beam_size)
            for text in itertools.islice(texts, count)
        ]
        running.extend(engine.submit(inputs))
        done += count
        if rng.random() < 0.02:
            running.pop().future.cancel()
        while len(running) > IN_FLIGHT:
            running.popleft().future.result()
        if done // SAMPLED > len(found):
            found.append(Resident(SAMPLED * (done // SAMPLED), resident_mib()))
    for ticket in running:
        ticket.future.result()
    return found


def _points(amounts: Sequence[int], rounds: int, work: Callable[[int], None]) -> list[Point]:
    found = []
    for amount in amounts:
        work(amount)  # the first of its size takes memory
        seconds = []
        for _ in range(rounds):
            started = time.perf_counter()
            work(amount)
            seconds.append(time.perf_counter() - started)
        found.append(Point(amount, 1000 * statistics.median(seconds), peak_mib()))
    return found


def _decode(bundle: Path, sources: Sequence[Sequence[int]], beam_size: int) -> None:
    engine = open_engine(bundle)
    for ticket in engine.submit([_input(engine, source, beam_size) for source in sources]):
        ticket.future.result()


def _input(engine: Engine, source: Sequence[int], beam_size: int) -> SearchInput:
    longest = min(engine.manifest.limits.max_target_length, longest_sensible(len(source)))
    return SearchInput(source, DecodingOptions(beam_size, max_target_length=longest))


def _sources(bundle: Path) -> Iterator[list[int]]:
    vocabulary = open_engine(bundle).vocabulary
    for english, _ in itertools.cycle(read_sentences()):
        yield vocabulary.encode_source(english, DIRECTION.target)


def _cut(bundle: Path, length: int) -> list[int]:
    """A source of exactly `length` pieces, out of one long text."""
    vocabulary = open_engine(bundle).vocabulary
    text = ", ".join(english.rstrip(".!?") for english, _ in read_sentences()[:20])
    ids = vocabulary.encode_source(text, DIRECTION.target)
    return [*ids[: length - 1], ids[-1]]
