"""Ways to decode the same batches: our engine, and PyTorch for scale.

A decoder takes work for as many threads as it has, one batch a thread, and answers with ids.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnxruntime

from service.engine.bundle import VocabularySpec, load_bundle
from service.engine.model import StepModel
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions
from service.engine.search import SearchInput
from service.engine.strategies import search

NEVER = -1
"""An end of sentence that no model says."""


@dataclass(frozen=True, slots=True)
class Work:
    """Batches of source ids, one a thread, and how to decode them."""

    batches: tuple[tuple[tuple[int, ...], ...], ...]
    beam_size: int
    longest: int
    """Most target pieces of a sentence."""
    forced: bool = False
    """Whether every sentence gets `longest` pieces, wherever it would end."""

    @property
    def sentences(self) -> list[tuple[int, ...]]:
        """All sources, in order."""
        return [source for batch in self.batches for source in batch]


@dataclass(frozen=True, slots=True)
class Timing:
    """What some work took."""

    seconds: float
    tokens: int
    """Target pieces, and eos where it was said."""
    ids: tuple[tuple[int, ...], ...]
    """The best hypothesis of each sentence, without eos."""

    @property
    def speed(self) -> float:
        """Tokens a second."""
        return self.tokens / self.seconds


Decoder = Callable[[Work], Timing]


def timing(work: Work, seconds: float, ids: Sequence[Sequence[int]]) -> Timing:
    """Counts tokens the same way for every decoder: eos is one, unless lengths are forced."""
    tokens = sum(len(each) + (not work.forced and len(each) < work.longest) for each in ids)
    return Timing(seconds, tokens, tuple(tuple(each) for each in ids))


class SearchDecoder:
    """Our search over any model; more batches than one are decoded by threads side by side."""

    def __init__(self, model: StepModel[Any], special: VocabularySpec, threads: int = 1) -> None:
        self._model, self._special = model, special
        self._pool = ThreadPoolExecutor(threads)

    def __call__(self, work: Work) -> Timing:
        """Decodes in this thread if there is one batch."""
        started = time.perf_counter()
        if len(work.batches) == 1:
            found = [self._decode(work, work.batches[0])]
        else:
            found = list(self._pool.map(lambda batch: self._decode(work, batch), work.batches))
        seconds = time.perf_counter() - started
        return timing(work, seconds, [ids for batch in found for ids in batch])

    def _decode(self, work: Work, batch: Sequence[Sequence[int]]) -> list[tuple[int, ...]]:
        options = DecodingOptions(work.beam_size, max_target_length=work.longest)
        inputs = [SearchInput(source, options) for source in batch]
        eos_id = NEVER if work.forced else self._special.eos_id
        found = dict(search(self._model, inputs, self._special.bos_id, eos_id))
        return [found[i][0].ids for i in range(len(batch))]


def our_decoder(bundle_path: Path, threads: int = 1) -> SearchDecoder:
    """A bundle, under ONNX Runtime; `threads` share its sessions."""
    bundle = load_bundle(bundle_path)
    return SearchDecoder(open_model(bundle), bundle.manifest.vocabulary, threads)


@contextmanager
def session_clock() -> Iterator[list[float]]:
    """Collects the seconds of every run of a session, whoever runs it."""
    seconds: list[float] = []

    def clocked(method: Callable[..., Any]) -> Callable[..., Any]:
        def run(*arguments: Any, **named: Any) -> Any:
            started = time.perf_counter()
            try:
                return method(*arguments, **named)
            finally:
                seconds.append(time.perf_counter() - started)

        return run

    session = onnxruntime.InferenceSession
    plain = session.run, session.run_with_iobinding
    session.run, session.run_with_iobinding = map(clocked, plain)
    try:
        yield seconds
    finally:
        session.run, session.run_with_iobinding = plain


def python_share(decoder: Decoder, work: Work) -> float:
    """The part of the decoding time that is not spent inside ONNX Runtime."""
    with session_clock() as inside:
        whole = decoder(work).seconds
    return 1 - sum(inside) / whole
