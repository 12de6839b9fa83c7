"""Does a bundle compute what PyTorch computed? Step by step, and greedy and beam end to end.

A trace records what a model does with some sentences. Export records PyTorch's trace in the
bundle; verification records the bundle's own and compares. Both use the service's search.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from model_export.errors import ModelExportError
from service.engine.model import StepModel
from service.engine.request import DecodingOptions, Hypothesis
from service.engine.search import SearchInput
from service.engine.strategies import search

TRACE = "reference.json"
TOP = 8
BEAM_SIZES = (1, 4)


class ParityError(ModelExportError):
    """The bundle does not do what the trained model does; the message lists the differences."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """What search made of one sentence with one beam size."""

    beam_size: int
    hypotheses: tuple[Hypothesis, ...]


@dataclass(frozen=True, slots=True)
class SentenceTrace:
    """One sentence: its ids, the hypotheses, and the top log-probabilities of each step [T, k]
    when the greedy hypothesis is forced."""

    source: tuple[int, ...]
    decoded: tuple[Decoded, ...]
    log_probs: tuple[tuple[float, ...], ...]


@dataclass(frozen=True, slots=True)
class Parity:
    """How two traces differ."""

    sentences: int
    steps: int
    max_step_difference: float
    """Largest difference of a log-probability, in nats."""
    mean_step_difference: float
    """Mean difference of a log-probability, in nats."""
    max_score_difference: float
    """Largest difference of a hypothesis' score, in nats."""
    different_hypotheses: int


def record_trace(
    model: StepModel[Any],
    sources: Sequence[Sequence[int]],
    special_ids: tuple[int, int],
    max_target_length: int,
    forced: Sequence[Sequence[int]] | None = None,
) -> tuple[SentenceTrace, ...]:
    """Decodes all sources in one padded batch for each beam size, then forces each alone along
    `forced`, or along its own greedy hypothesis."""
    found: list[list[Decoded]] = [[] for _ in sources]
    for beam_size in BEAM_SIZES:
        options = DecodingOptions(beam_size, beam_size, max_target_length=max_target_length)
        inputs = [SearchInput(source, options) for source in sources]
        for index, hypotheses in search(model, inputs, *special_ids):
            # A sum is enough to compare, and keeps the file small.
            sums = tuple(replace(each, token_scores=()) for each in hypotheses)
            found[index].append(Decoded(beam_size, sums))
    return tuple(
        SentenceTrace(
            tuple(source),
            tuple(decoded),
            forced_log_probs(model, source, forced[number] if forced else greedy, special_ids[0]),
        )
        for number, (source, decoded) in enumerate(zip(sources, found, strict=True))
        for greedy in [decoded[0].hypotheses[0].ids]
    )


def forced_log_probs(
    model: StepModel[Any], source: Sequence[int], target: Sequence[int], bos_id: int
) -> tuple[tuple[float, ...], ...]:
    """The top log-probabilities after bos and after each piece of `target`, [T + 1, k]."""
    state = model.encode([source])
    rows = []
    for piece in (bos_id, *target):
        candidates, state = model.step(np.array([piece]), state, TOP)
        rows.append(tuple(round(float(x), 6) for x in candidates.log_probs[0]))
    return tuple(rows)


def compare(expected: Sequence[SentenceTrace], found: Sequence[SentenceTrace]) -> Parity:
    """Measures the differences. Steps are compared as far as both traces go."""
    differences: list[float] = []
    score, different, steps = 0.0, 0, 0
    for a, b in zip(expected, found, strict=True):
        for row_a, row_b in zip(a.log_probs, b.log_probs, strict=False):
            steps += 1
            differences += np.abs(np.subtract(row_a, row_b)).tolist()
        for x, y in zip(a.decoded, b.decoded, strict=True):
            for h, g in zip(x.hypotheses, y.hypotheses, strict=True):
                different += h.ids != g.ids
                score = max(score, abs(h.score - g.score))
    worst, mean = (max(differences), float(np.mean(differences))) if differences else (0.0, 0.0)
    return Parity(len(expected), steps, worst, mean, score, different)


INT8_TOLERANCE = 0.3
"""Mean difference of a log-probability, in nats, that int8 may bring; spoiled ranges bring more."""


def enforce_int8(parity: Parity) -> None:
    """Raises ParityError if int8 strays too far; its hypotheses may differ from float32's."""
    if parity.mean_step_difference > INT8_TOLERANCE:
        raise ParityError(
            f"log-probabilities differ by {parity.mean_step_difference:.2g} on average "
            f"(tolerance {INT8_TOLERANCE:g} for int8)"
        )


def enforce(parity: Parity, tolerance: float = 1e-3) -> None:
    """Raises ParityError unless all hypotheses are equal and all figures within `tolerance`."""
    faults = []
    if parity.max_step_difference > tolerance:
        faults.append(f"log-probabilities differ by up to {parity.max_step_difference:.2g}")
    if parity.max_score_difference > tolerance:
        faults.append(f"scores differ by up to {parity.max_score_difference:.2g}")
    if parity.different_hypotheses:
        faults.append(f"{parity.different_hypotheses} hypotheses differ")
    if faults:
        raise ParityError(f"{'; '.join(faults)} (tolerance {tolerance:g})")


def write_trace(path: Path, trace: Sequence[SentenceTrace]) -> None:
    """Stores a trace as JSON."""
    path.write_text(json.dumps([asdict(t) for t in trace], separators=(",", ":")) + "\n", "utf-8")


def read_trace(path: Path) -> tuple[SentenceTrace, ...]:
    """Reads a stored trace."""
    return TypeAdapter(tuple[SentenceTrace, ...]).validate_json(path.read_bytes())
