"""What greedy and beam search have in common: the sentences that run, and what they have said.

Over any StepModel; knows no tokenizer and no ONNX.
A search is a set of sentences decoded side by side. Between two steps sentences may join it; each
leaves the moment it is finished, and the others go on faster.
Shape letters: B sentences, K beam, R = B * K rows (sentence-major), k candidates, T pieces said.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Ids, Scores, StepModel
from service.engine.request import DecodingOptions, FinishReason, Hypothesis, Progress
from service.engine.steering import Guide, Turn, guide_for, round_up

Key = TypeVar("Key", bound=Hashable)
"""What the owner of a search knows a sentence by."""

SAID_GROWS_BY = 32

Mask = NDArray[np.bool_]
Finished = list[tuple[Key, tuple[Hypothesis, ...]]]
"""Sentences that are through, and their hypotheses, best first."""


@dataclass(frozen=True, slots=True)
class SearchInput:
    """One sentence to decode: source ids, and how."""

    source: Sequence[int]
    options: DecodingOptions
    align: bool = False
    """Whether the best hypothesis' alignment is wanted too; search itself does not care."""
    progress: Progress | None = field(default=None, compare=False)
    """Who listens while it is decoded; it changes no result."""


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha, Wu et al. 2016, "Google's Neural Machine Translation System"."""
    return float(((5 + length) / 6) ** alpha)


def hypothesis(
    ids: Sequence[int],
    token_scores: Sequence[float],
    reason: FinishReason,
    alpha: float,
    rated: float | None = None,
) -> Hypothesis:
    """A finished hypothesis; `ids` come without eos, which counts in the length if it was said.

    `rated` is what the search made of its score, where options steered it.
    """
    score = sum(token_scores)
    normalised = (score if rated is None else rated) / length_penalty(len(token_scores), alpha)
    return Hypothesis(tuple(ids), score, normalised, reason, tuple(token_scores))


class Search(ABC, Generic[Key]):
    """Sentences being decoded side by side; a subclass chooses what each says next."""

    def __init__(self, model: StepModel[Any], beam_size: int, bos_id: int, eos_id: int) -> None:
        self.model = model
        self.beam_size = beam_size
        self.bos_id, self.eos_id = bos_id, eos_id
        self.keys: list[Key] = []  # [B]
        self.inputs: list[SearchInput] = []  # [B]
        self._limits: Ids = np.empty(0, dtype=np.int64)  # [B] pieces that may be said
        self._lengths: Ids = np.empty(0, dtype=np.int64)  # [B] pieces said
        self._longest = 0  # of these lengths
        self._said: Ids = np.empty((0, beam_size, 0), dtype=np.int64)  # [B, K, T or more]
        self._token_scores: Scores = np.empty((0, beam_size, 0), dtype=np.float32)  # as _said
        self._last: Ids = np.empty(0, dtype=np.int64)  # [R] what each row has said last
        self._guides: list[Guide | None] = []  # [B]
        self._guided: list[tuple[int, Guide]] = []  # by sentence, so that a step asks nobody else
        self._state: Any = None

    def join(self, newcomers: Sequence[tuple[Key, SearchInput]]) -> None:
        """Encodes sentences together and lets them begin. If that raises, nothing has changed."""
        inputs = [each for _, each in newcomers]
        count, size = len(inputs), self.beam_size
        state = self.model.encode([each.source for each in inputs], size)
        self._state = state if self._state is None else self._state.join(state)
        self.keys += [key for key, _ in newcomers]
        self.inputs += inputs
        self._guides += [guide_for(each.options, each.source) for each in inputs]
        limits = [each.options.max_target_length for each in inputs]
        self._limits = np.concatenate([self._limits, np.array(limits, dtype=np.int64)])
        self._lengths = np.concatenate([self._lengths, np.zeros(count, dtype=np.int64)])
        room = np.zeros((count, *self._said.shape[1:]), dtype=np.int64)
        self._said = np.concatenate([self._said, room])
        self._token_scores = np.concatenate([self._token_scores, room.astype(np.float32)])
        first = np.full(count * size, self.bos_id, dtype=np.int64)
        self._last = np.concatenate([self._last, first])
        self._look_around()

    @abstractmethod
    def step(self) -> Finished[Key]:
        """Says one more piece in every row -> the sentences that are finished by it."""

    def partial(self) -> Iterator[tuple[Progress, Sequence[int]]]:
        """What the sentences have said so far whose callers listen."""
        return iter(())

    def drop(self, unwanted: Callable[[Key], bool]) -> None:
        """Takes sentences out that nobody waits for any more."""
        stays = np.array([not unwanted(key) for key in self.keys], dtype=bool)
        if not stays.all():
            self._keep(stays, np.arange(len(self._last)))

    def _live(self, b: int) -> Iterable[int]:  # noqa: ARG002 - beams die one by one
        """Which of a sentence's beams go on."""
        return (0,)

    def _turns(self) -> list[tuple[int, Guide, Turn]]:
        """What holds in this step for the rows of sentences that are steered."""
        return [
            (b * self.beam_size + beam, guide, guide.look(said[: self._lengths[b]].tolist()))
            for b, guide in self._guided
            for beam in self._live(b)
            for said in [self._said[b, beam]]
        ]

    def _say(self, pieces: Ids, scores: NDArray[np.floating[Any]]) -> None:
        """Appends pieces [R] and their scores [R] to what the rows have said."""
        count, size = len(self.keys), self.beam_size
        if self._longest == self._said.shape[2]:
            room = np.zeros((count, size, SAID_GROWS_BY), dtype=np.int64)
            self._said = np.concatenate([self._said, room], axis=2)
            more = room.astype(np.float32)
            self._token_scores = np.concatenate([self._token_scores, more], axis=2)
        self._last = pieces
        sentences = np.arange(count)
        self._said[sentences, :, self._lengths] = pieces.reshape(-1, size)
        self._token_scores[sentences, :, self._lengths] = scores.reshape(-1, size)
        self._lengths += 1
        self._longest += 1

    def _keep(self, stays: Mask, parents: Ids) -> None:
        """Lets the sentences go that do not stay [B]; row r goes on from row `parents[r]`."""
        places = fill_gaps(stays)
        rows = (places[:, None] * self.beam_size + np.arange(self.beam_size)).ravel()
        self._state = self._state.select(parents[rows]) if len(rows) else None
        self.keys = [self.keys[b] for b in places]
        self.inputs = [self.inputs[b] for b in places]
        self._guides = [self._guides[b] for b in places]
        self._limits, self._lengths = self._limits[places], self._lengths[places]
        self._longest = int(self._lengths.max(initial=0))
        self._said, self._token_scores = self._said[places], self._token_scores[places]
        self._last = self._last[rows]
        self._look_around()

    def _look_around(self) -> None:
        """Notes who is special, so that a step need not ask everybody."""
        self._guided = [(b, guide) for b, guide in enumerate(self._guides) if guide is not None]


def wanted(enough: int, turns: Sequence[tuple[int, Guide, Turn]]) -> int:
    """How many candidates of each row to ask for, where `enough` would do without steering."""
    if not turns:
        return enough
    return round_up(max(guide.candidates(turn, enough) for _, guide, turn in turns))


def fill_gaps(stays: Mask) -> Ids:
    """Which sentences stay, with the last ones in the places of those that leave: the fewest
    moves."""
    count = int(stays.sum())
    places = np.arange(count)
    places[~stays[:count]] = count + np.flatnonzero(stays[count:])
    return places
