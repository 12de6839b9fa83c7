"""Greedy and beam search over any StepModel. Knows no tokenizer and no ONNX.

A search is a set of sentences decoded side by side. Between two steps sentences may join it; each
leaves the moment it is finished, and the others go on faster.
Shape letters: B sentences, K beam, R = B * K rows (sentence-major), k candidates, T pieces said.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Candidates, Ids, StepModel
from service.engine.request import DecodingOptions, FinishReason, Hypothesis, Progress

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


def hypothesis(ids: Sequence[int], score: float, reason: FinishReason, alpha: float) -> Hypothesis:
    """A finished hypothesis; `ids` come without eos, which counts in the length if it was said."""
    length = len(ids) + (reason is FinishReason.EOS)
    normalised = score / length_penalty(length, alpha)
    return Hypothesis(tuple(int(i) for i in ids), float(score), float(normalised), reason)


def search(
    model: StepModel[Any], inputs: Sequence[SearchInput], bos_id: int, eos_id: int
) -> Iterator[tuple[int, tuple[Hypothesis, ...]]]:
    """Decodes a batch; yields (index into `inputs`, hypotheses best first) as sentences finish.

    All inputs must have the same beam_size; the other options may differ.
    """
    beam_sizes = {each.options.beam_size for each in inputs}
    if len(beam_sizes) != 1:
        raise ValueError(f"one batch needs one beam_size, not {sorted(beam_sizes)}")
    running: Search[int] = open_search(model, beam_sizes.pop(), bos_id, eos_id)
    running.join(list(enumerate(inputs)))
    while running.keys:
        yield from running.step()


def open_search(model: StepModel[Any], beam_size: int, bos_id: int, eos_id: int) -> "Search[Any]":
    """An empty search for sentences of this beam size; 1 is greedy search."""
    kind = GreedySearch if beam_size == 1 else BeamSearch
    return kind(model, beam_size, bos_id, eos_id)


class Search(ABC, Generic[Key]):
    """Sentences being decoded side by side; a subclass chooses what each says next."""

    def __init__(self, model: StepModel[Any], beam_size: int, bos_id: int, eos_id: int) -> None:
        self.model = model
        self.beam_size = beam_size
        self.bos_id, self.eos_id = bos_id, eos_id
        self.keys: list[Key] = []  # [B]
        self.inputs: list[SearchInput] = []  # [B]
        self.scores = np.empty((0, beam_size))  # [B, K] sums of log-probabilities
        self._limits: Ids = np.empty(0, dtype=np.int64)  # [B] pieces that may be said
        self._lengths: Ids = np.empty(0, dtype=np.int64)  # [B] pieces said
        self._said: Ids = np.empty((0, beam_size, 0), dtype=np.int64)  # [B, K, T or more]
        self._last: Ids = np.empty(0, dtype=np.int64)  # [R] what each row has said last
        self._state: Any = None

    def join(self, newcomers: Sequence[tuple[Key, SearchInput]]) -> None:
        """Encodes sentences together and lets them begin. If that raises, nothing has changed."""
        inputs = [each for _, each in newcomers]
        count, size = len(inputs), self.beam_size
        state = self.model.encode([each.source for each in inputs], size)
        self._state = state if self._state is None else self._state.join(state)
        self.keys += [key for key, _ in newcomers]
        self.inputs += inputs
        scores = np.full((count, size), -np.inf)
        scores[:, 0] = 0.0  # all beams start alike, so only one may speak first
        self.scores = np.concatenate([self.scores, scores])
        limits = [each.options.max_target_length for each in inputs]
        self._limits = np.concatenate([self._limits, np.array(limits, dtype=np.int64)])
        self._lengths = np.concatenate([self._lengths, np.zeros(count, dtype=np.int64)])
        room = np.zeros((count, *self._said.shape[1:]), dtype=np.int64)
        self._said = np.concatenate([self._said, room])
        first = np.full(count * size, self.bos_id, dtype=np.int64)
        self._last = np.concatenate([self._last, first])

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

    def _say(self, pieces: Ids) -> None:
        """Appends pieces [R] to what the rows have said."""
        if self._lengths.max() == self._said.shape[2]:
            room = np.zeros((*self._said.shape[:2], SAID_GROWS_BY), dtype=np.int64)
            self._said = np.concatenate([self._said, room], axis=2)
        self._last = pieces
        self._said[np.arange(len(self.keys)), :, self._lengths] = pieces.reshape(-1, self.beam_size)
        self._lengths += 1

    def _keep(self, stays: Mask, parents: Ids) -> None:
        """Lets the sentences go that do not stay [B]; row r goes on from row `parents[r]`."""
        places = fill_gaps(stays)
        rows = (places[:, None] * self.beam_size + np.arange(self.beam_size)).ravel()
        self._state = self._state.select(parents[rows]) if len(rows) else None
        self.keys = [self.keys[b] for b in places]
        self.inputs = [self.inputs[b] for b in places]
        self.scores = self.scores[places]
        self._limits, self._lengths = self._limits[places], self._lengths[places]
        self._said, self._last = self._said[places], self._last[rows]


def fill_gaps(stays: Mask) -> Ids:
    """Which sentences stay, with the last ones in the places of those that leave: the fewest
    moves."""
    count = int(stays.sum())
    places = np.arange(count)
    places[~stays[:count]] = count + np.flatnonzero(stays[count:])
    return places


def stay_in_place(parents: Sequence[int]) -> list[int]:
    """An order of a sentence's hypotheses in which as many as can be stand in their parent's row,
    so that their caches need not move: row i becomes hypothesis `result[i]`."""
    rows = [-1] * len(parents)
    rest = []
    for number, parent in enumerate(parents):
        if rows[parent] < 0:
            rows[parent] = number
        else:
            rest.append(number)
    return [rest.pop() if number < 0 else number for number in rows]


class GreedySearch(Search[Key]):
    """The likeliest piece at each step."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._listeners: list[tuple[int, Progress]] = []  # by sentence

    def join(self, newcomers: Sequence[tuple[Key, SearchInput]]) -> None:
        super().join(newcomers)
        self._look_around()

    def step(self) -> Finished[Key]:
        candidates, self._state = self.model.step(self._last, self._state, k=1)
        self.scores += candidates.log_probs
        self._say(candidates.ids[:, 0].copy())
        ended = self._last == self.eos_id
        done = ended | (self._lengths == self._limits)
        if not done.any():
            return []
        finished: Finished[Key] = [
            (self.keys[b], (self._best(b, ended[b]),)) for b in np.flatnonzero(done).tolist()
        ]
        self._keep(~done, np.arange(len(self._last)))
        return finished

    def partial(self) -> Iterator[tuple[Progress, Sequence[int]]]:
        for b, listener in self._listeners:
            yield listener, self._said[b, 0, : self._lengths[b]].tolist()

    def _keep(self, stays: Mask, parents: Ids) -> None:
        super()._keep(stays, parents)
        self._look_around()

    def _look_around(self) -> None:
        """Notes who is special, so that a step need not ask everybody."""
        listeners = enumerate(each.progress for each in self.inputs)
        self._listeners = [(b, listener) for b, listener in listeners if listener is not None]

    def _best(self, b: int, ended: bool) -> Hypothesis:
        said = self._said[b, 0, : self._lengths[b] - ended].tolist()
        reason = FinishReason.EOS if ended else FinishReason.LENGTH
        return hypothesis(said, self.scores[b, 0], reason, self.inputs[b].options.length_penalty)


class BeamSearch(Search[Key]):
    """The K likeliest hypotheses of each sentence side by side."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._ended: list[list[Hypothesis]] = []  # [B]

    def join(self, newcomers: Sequence[tuple[Key, SearchInput]]) -> None:
        super().join(newcomers)
        self._ended += [[] for _ in newcomers]

    def step(self) -> Finished[Key]:
        # 2K candidates a beam: even if K of them are eos, K live ones are left.
        candidates, self._state = self.model.step(self._last, self._state, k=2 * self.beam_size)
        parents = self.advance(candidates)
        done = self.done()
        if not done.any():
            self._state = self._state.reorder(parents)
            return []
        finished = [(self.keys[b], self.best(b)) for b in np.flatnonzero(done).tolist()]
        self._keep(~done, parents)
        return finished

    def advance(self, candidates: Candidates) -> Ids:
        """Lets every row say the best of the candidates [R, k] -> the row [R] that it goes on from.

        A hypothesis ends when eos is among the best K candidates of its sentence.
        """
        count, size, k = len(self.keys), self.beam_size, candidates.ids.shape[1]
        totals = self.scores[:, :, None] + candidates.log_probs.reshape(count, size, k)
        totals = totals.reshape(count, size * k)  # [B, K * k]
        # Stable, so that equal scores keep the order of beams and results repeat exactly. Each
        # hypothesis has one end at most, so K ends and K that go on are among the best 2K.
        ranked = (-totals).argsort(axis=1, kind="stable")[:, : 2 * size]
        places = ranked + size * k * np.arange(count)[:, None]  # [B, 2K], counted through
        pieces, totals = candidates.ids.ravel()[places], totals.ravel()[places]
        parents = ranked // k
        ends = pieces == self.eos_id
        if ends.any():
            for b, place in np.argwhere(ends[:, :size] & (totals[:, :size] > -np.inf)).tolist():
                self._end(b, parents[b, place], totals[b, place], FinishReason.EOS)
            # The best K that go on. A tiny vocabulary may have fewer: then an end, without hope.
            totals[ends] = -np.inf
            chosen = ends.argsort(axis=1, kind="stable")[:, :size]  # [B, K]
            chosen += ends.shape[1] * np.arange(count)[:, None]
            parents, pieces = parents.ravel()[chosen], pieces.ravel()[chosen]
            self.scores = totals.ravel()[chosen]
        else:
            parents, pieces = parents[:, :size], pieces[:, :size]
            self.scores = totals[:, :size]
        order = np.array([stay_in_place(each) for each in parents.tolist()])  # [B, K]
        order += size * np.arange(count)[:, None]
        parents, pieces = parents.ravel()[order], pieces.ravel()[order]
        self.scores = self.scores.ravel()[order]
        rows: Ids = (parents + size * np.arange(count)[:, None]).ravel()  # [R]
        self._said = self._said.reshape(count * size, -1)[rows].reshape(count, size, -1)
        self._say(pieces.ravel())
        for b in np.flatnonzero(self._lengths == self._limits).tolist():
            self._cut_off(b)
        return rows

    def done(self) -> Mask:
        """Which sentences have as many ends as beams, or none left to go on: [B]."""
        enough = [len(ended) >= self.beam_size for ended in self._ended]
        over = np.isneginf(self.scores).all(axis=1)
        return np.logical_or(over, enough)

    def best(self, b: int) -> tuple[Hypothesis, ...]:
        """The n best finished hypotheses of a sentence by normalised score, best first."""
        ranked = sorted(self._ended[b], key=lambda h: -h.normalised_score)
        return tuple(ranked[: self.inputs[b].options.n_best])

    def _end(self, b: int, beam: int, score: float, reason: FinishReason) -> None:
        """Adds a live hypothesis to the finished ones."""
        said = self._said[b, beam, : self._lengths[b]].tolist()
        alpha = self.inputs[b].options.length_penalty
        self._ended[b].append(hypothesis(said, float(score), reason, alpha))

    def _cut_off(self, b: int) -> None:
        """Ends all live hypotheses of a sentence: no longer one is allowed."""
        for beam in np.flatnonzero(np.isfinite(self.scores[b])).tolist():
            self._end(b, beam, self.scores[b, beam], FinishReason.LENGTH)
        self.scores[b] = -np.inf

    def _keep(self, stays: Mask, parents: Ids) -> None:
        super()._keep(stays, parents)
        self._ended = [self._ended[b] for b in fill_gaps(stays)]
