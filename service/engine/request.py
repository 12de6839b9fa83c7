"""What is asked of the engine and what it answers: values, no behaviour."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

Progress = Callable[[Sequence[int]], None]
"""Where a greedy search tells what a sentence has said so far, ids without bos, after each step but
the last. It is called in the worker's thread, so it must return at once; what it raises is logged
and ends nothing. It is a courtesy: a sentence that is finished already, or is being decoded for
others who do not listen, comes without it, and so does beam search. A call may still come after the
listener has given its sentence up."""


@dataclass(frozen=True, slots=True)
class DecodingOptions:
    """How to search. Raises ValueError for options that contradict each other."""

    beam_size: int = 1
    """Hypotheses kept at each step; 1 is greedy search."""
    n_best: int = 1
    """Hypotheses returned, best first; at most `beam_size`."""
    length_penalty: float = 1.0
    """Alpha of Wu et al. 2016, equation 14: score / ((5 + length) / 6) ** alpha."""
    max_target_length: int = 128
    """Pieces of the longest hypothesis, eos included."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_best <= self.beam_size:
            raise ValueError(f"n_best {self.n_best} is not within 1..beam_size {self.beam_size}")
        if self.max_target_length < 1:
            raise ValueError(f"max_target_length {self.max_target_length} is below 1")
        if self.length_penalty < 0:
            raise ValueError(f"length_penalty {self.length_penalty} is negative")


class FinishReason(StrEnum):
    """Why a hypothesis ended."""

    EOS = "eos"
    LENGTH = "length"


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One translation of a sentence, as ids without bos and eos."""

    ids: tuple[int, ...]
    score: float
    """Sum of log-probabilities, eos included."""
    normalised_score: float
    """`score` divided by the length penalty; hypotheses are ranked by it."""
    finish_reason: FinishReason


@dataclass(frozen=True, slots=True)
class Decoded:
    """A finished sentence: hypotheses best first, and how long it waited, was encoded and decoded,
    in seconds."""

    hypotheses: tuple[Hypothesis, ...]
    queue_seconds: float
    decode_seconds: float
    alignment: NDArray[np.float32] | None = None
    """How much of each source piece the best hypothesis' pieces and its eos looked at, [T + 1, S];
    only if it was asked for. Read-only: callers may share it."""
    encode_seconds: float = 0.0

    def __post_init__(self) -> None:
        if self.alignment is not None:
            self.alignment.setflags(write=False)
