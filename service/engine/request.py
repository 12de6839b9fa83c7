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
class Sampling:
    """Chance chooses the pieces. The same seed makes the same choices for the same source."""

    temperature: float = 1.0
    """Divides the log-probabilities: below 1 bold, above 1 adventurous."""
    top_k: int = 10
    """Only so many of the likeliest pieces are chosen from, Fan et al. 2018."""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.temperature <= 0:
            raise ValueError(f"temperature {self.temperature} is not above 0")
        if self.top_k < 1:
            raise ValueError(f"top_k {self.top_k} is below 1")


@dataclass(frozen=True, slots=True)
class TargetPrefix:
    """How every hypothesis begins. What is forced is certain, so its pieces score 0."""

    ids: tuple[int, ...]
    """Said first."""
    openings: frozenset[int] = frozenset()
    """Then the likeliest of these: pieces that begin as the rest of the prefix does."""
    otherwise: tuple[int, ...] = ()
    """The rest of the prefix itself, said where no opening is likely; if empty, anything is."""

    def __len__(self) -> int:
        return len(self.ids) + len(self.otherwise)


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
    repetition_penalty: float = 1.0
    """Log-probabilities of pieces that were said before are multiplied by it when the next one is
    chosen; after Keskar et al. 2019, which does so with logits. 1 changes nothing."""
    no_repeat_ngram: int = 0
    """No sequence of so many pieces is said twice; 0 allows all."""
    sampling: Sampling | None = None
    """None takes the likeliest; only for greedy search."""
    target_prefix: TargetPrefix | None = None

    def __post_init__(self) -> None:
        if not 1 <= self.n_best <= self.beam_size:
            raise ValueError(f"n_best {self.n_best} is not within 1..beam_size {self.beam_size}")
        if self.max_target_length < 1:
            raise ValueError(f"max_target_length {self.max_target_length} is below 1")
        if self.length_penalty < 0:
            raise ValueError(f"length_penalty {self.length_penalty} is negative")
        if self.repetition_penalty < 1:
            raise ValueError(f"repetition_penalty {self.repetition_penalty} is below 1")
        if self.no_repeat_ngram < 0:
            raise ValueError(f"no_repeat_ngram {self.no_repeat_ngram} is negative")
        if self.sampling and self.beam_size > 1:
            raise ValueError(f"sampling is for a beam_size of 1, not {self.beam_size}")
        if self.target_prefix and len(self.target_prefix) >= self.max_target_length:
            length = len(self.target_prefix)
            raise ValueError(f"target_prefix is {length} pieces of {self.max_target_length}")


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
    """`score`, or with a repetition penalty what that makes of it, divided by the length penalty;
    hypotheses are ranked by it."""
    finish_reason: FinishReason
    token_scores: tuple[float, ...] = ()
    """The log-probability of each piece, and of eos if it was said."""


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
