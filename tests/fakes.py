"""Scripted models and vocabularies: the engine without PyTorch, ONNX or files."""

import threading
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from service.engine.bundle import (
    DecodingDefaults,
    Direction,
    Limits,
    Manifest,
    Provenance,
    StateSpec,
    VocabularySpec,
)
from service.engine.engine import Engine
from service.engine.model import Candidates, best_candidates
from service.engine.request import TargetPrefix
from service.engine.scheduler import SchedulerLimits
from service.engine.supervisor import BACKOFF
from service.metrics import Metrics

PAD, UNK, BOS, EOS, FIRST = 0, 1, 2, 3, 8


@dataclass(frozen=True)
class Rows:
    """A state: each row's source and what it has said so far."""

    sources: tuple[tuple[int, ...], ...]
    said: tuple[tuple[int, ...], ...]

    def select(self, rows):
        """Row i of the result is row `rows[i]`."""
        pick = [int(row) for row in rows]
        return Rows(tuple(self.sources[r] for r in pick), tuple(self.said[r] for r in pick))

    def reorder(self, rows):
        """Sources stay where they are: a search that mixes sentences is found out."""
        return Rows(self.sources, tuple(self.said[int(row)] for row in rows))

    def join(self, newcomers):
        """Rows of both."""
        return Rows(self.sources + newcomers.sources, self.said + newcomers.said)


class ScriptedModel:
    """Log-probabilities come from `distribution(source, said)`; everything is recorded."""

    def __init__(self):
        self.rows_seen = []

    aligner, joinable = None, True

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> Rows:
        """B * K rows, sentence-major."""
        rows = tuple(tuple(source) for source in sources for _ in range(beam_size))
        return Rows(rows, ((),) * len(rows))

    def step(self, ids, state: Rows, k: int) -> tuple[Candidates, Rows]:
        """One step of every row."""
        self.rows_seen.append(len(ids))
        pairs = zip(state.said, ids, strict=True)
        said = tuple((*before, int(piece)) for before, piece in pairs)
        rows = [self.distribution(s, t[1:]) for s, t in zip(state.sources, said, strict=True)]
        return best_candidates(np.array(rows, dtype=np.float32), k), Rows(state.sources, said)

    def distribution(self, source, said):
        """Log-probabilities [V] after `said`."""
        raise NotImplementedError


class TableModel(ScriptedModel):
    """A tiny vocabulary with a random but repeatable distribution after every prefix."""

    def __init__(self, vocabulary_size: int, seed: int):
        super().__init__()
        self.vocabulary_size, self.seed = vocabulary_size, seed

    def distribution(self, source, said):
        """Depends on the source, the prefix and the seed only."""
        key = zlib.crc32(repr((tuple(source), tuple(said), self.seed)).encode())
        logits = np.random.default_rng(key).normal(0, 2, self.vocabulary_size)
        return logits - np.log(np.exp(logits).sum())


class EchoModel(ScriptedModel):
    """Says the source's pieces, then eos. `before_step` may wait or raise."""

    def __init__(self, vocabulary_size: int = 0x3000, before_step=lambda _: None):
        super().__init__()
        self.vocabulary_size, self.before_step = vocabulary_size, before_step

    def step(self, ids, state, k):
        """Calls `before_step` with the number of steps done so far."""
        self.before_step(len(self.rows_seen))
        return super().step(ids, state, k)

    def distribution(self, source, said):
        """Nearly certain of the next piece of the source."""
        script = [*source[1:-1], EOS]
        row = np.full(self.vocabulary_size, -20.0, dtype=np.float32)
        row[script[min(len(said), len(script) - 1)]] = -0.01
        return row


class Gate:
    """A `before_step` that holds the model until it is opened."""

    def __init__(self):
        self.reached, self.opened = threading.Event(), threading.Event()

    def __call__(self, _: int) -> None:
        """Waits, ten seconds at most."""
        self.reached.set()
        self.opened.wait(10)


class FakeVocabulary:
    """One piece a character, up to U+2FF7; the rest shares one piece."""

    pad_id, unk_id, bos_id, eos_id = PAD, UNK, BOS, EOS

    def encode_source(self, text: str, target_language: str) -> list[int]:
        """Tag, characters, eos."""
        return [5 if target_language == "ko" else 4, *map(self._id, text), EOS]

    def encode_target(self, text: str) -> list[int]:
        """bos, characters, eos."""
        return [BOS, *map(self._id, text), EOS]

    def target_prefix(self, text: str) -> TargetPrefix:
        """Every character as it is."""
        return TargetPrefix(tuple(map(self._id, text)))

    def continue_prefix(self, prefix: str, translation: str) -> str:
        """What was said, with the characters that share a piece."""
        return prefix + translation[len(prefix) :]

    def decode(self, ids: Sequence[int]) -> str:
        """Characters again."""
        return "".join(chr(i - FIRST) for i in ids if i >= FIRST)

    def __len__(self) -> int:
        return 0x3000

    def _id(self, character: str) -> int:
        return min(ord(character), 0x2FF6) + FIRST


def make_manifest(name: str = "fake", directions=(("en", "ko"), ("ko", "en")), length: int = 64):
    """A manifest of no files."""
    return Manifest(
        format_version=1,
        name=name,
        version="1",
        architecture="scripted",
        parameters=1,
        precision="float32",
        directions=tuple(Direction(*d) for d in directions),
        vocabulary=VocabularySpec("v.model", "v.model", 0x3000, PAD, BOS, EOS),
        encoder="encoder.onnx",
        decoder="decoder.onnx",
        state=(StateSpec("said", "step", "int64", ("R", "T")),),
        limits=Limits(length, 2 * length),
        decoding=DecodingDefaults(beam_size=2),
        provenance=Provenance("none", 0, 0, ()),
        scores=(),
        files={},
    )


class GatedModel(EchoModel):
    """Waits at every step until it is let go; may fail then."""

    def __init__(self, fails: bool = False):
        super().__init__()
        self.fails, self.reached, self.opened = fails, threading.Event(), threading.Event()
        self.rows = []

    def step(self, ids, state, k):
        """Records the rows of the step."""
        self.rows.append(len(ids))
        self.reached.set()
        self.opened.wait(20)
        if self.fails:
            raise RuntimeError("secret words of the model")
        return super().step(ids, state, k)


def make_engine(
    model=None,
    name="fake",
    directions=(("en", "ko"), ("ko", "en")),
    metrics=None,
    cache_bytes=0,
    workers=1,
    backoff=BACKOFF,
    **limits,
) -> Engine:
    """A running engine; close it."""
    manifest = make_manifest(name, directions)
    metrics = (metrics or Metrics()).for_model(name, manifest.version)
    model = model or EchoModel()
    limits = SchedulerLimits(**limits)
    vocabulary = FakeVocabulary()
    return Engine(manifest, vocabulary, model, limits, metrics, workers, cache_bytes, backoff)


def wait_until(condition, seconds: float = 10.0) -> None:
    """Polls until the condition holds; fails the test if it never does."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "the condition never held"
        time.sleep(0.002)
