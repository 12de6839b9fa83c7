"""Beam search: the likeliest hypotheses of each sentence side by side.

Shape letters: B sentences, K beam, R = B * K rows (sentence-major), k candidates, T pieces said.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Candidates, Ids
from service.engine.request import FinishReason, Hypothesis
from service.engine.search import (
    Finished,
    Key,
    Mask,
    Search,
    SearchInput,
    fill_gaps,
    hypothesis,
    wanted,
)
from service.engine.steering import Guide, Turn


class BeamSearch(Search[Key]):
    """The K likeliest hypotheses of each sentence side by side."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.scores = np.empty((0, self.beam_size))  # [B, K] what they are ranked by, sums
        self._ended: list[list[Hypothesis]] = []  # [B]

    def join(self, newcomers: Sequence[tuple[Key, SearchInput]]) -> None:
        super().join(newcomers)
        scores = np.full((len(newcomers), self.beam_size), -np.inf)
        scores[:, 0] = 0.0  # all beams start alike, so only one may speak first
        self.scores = np.concatenate([self.scores, scores])
        self._ended += [[] for _ in newcomers]

    def step(self) -> Finished[Key]:
        turns = self._turns() if self._guided else []
        # 2K candidates a beam: even if K of them are eos, K live ones are left.
        k = wanted(2 * self.beam_size, turns)
        candidates, self._state = self.model.step(self._last, self._state, k)
        weights = _weigh(candidates, turns) if turns else candidates.log_probs
        parents = self.advance(candidates, weights)
        done = self.done()
        if not done.any():
            self._state = self._state.reorder(parents)
            return []
        finished = [(self.keys[b], self.best(b)) for b in np.flatnonzero(done).tolist()]
        self._keep(~done, parents)
        return finished

    def advance(self, candidates: Candidates, weights: NDArray[np.floating[Any]]) -> Ids:
        """Lets every row say the best of the candidates [R, k] -> the row [R] that it goes on from.

        A hypothesis ends when eos is among the best K candidates of its sentence. `weights` [R, k]
        are what candidates are compared by.
        """
        count, size, k = len(self.keys), self.beam_size, candidates.ids.shape[1]
        totals = self.scores[:, :, None] + weights.reshape(count, size, k)
        totals = totals.reshape(count, size * k)  # [B, K * k]
        # Stable, so that equal scores keep the order of beams and results repeat exactly. Each
        # hypothesis has one end at most, so K ends and K that go on are among the best 2K.
        places = (-totals).argsort(axis=1, kind="stable")[:, : 2 * size]
        places += size * k * np.arange(count)[:, None]  # [B, 2K], counted through
        totals, pieces = totals.ravel(), candidates.ids.ravel()
        log_probs = candidates.log_probs.ravel()
        ends = pieces[places] == self.eos_id
        if ends.any():
            for b, rank in np.argwhere(ends[:, :size]).tolist():
                place = places[b, rank]
                if totals[place] > -np.inf:
                    beam = place // k - b * size
                    self._end(b, beam, totals[place], FinishReason.EOS, log_probs[place])
            # The best K that go on. A tiny vocabulary may have fewer: then an end, without hope.
            totals[places[ends]] = -np.inf
            chosen = ends.argsort(axis=1, kind="stable")[:, :size]  # [B, K]
            chosen += ends.shape[1] * np.arange(count)[:, None]
            places = places.ravel()[chosen]
        else:
            places = places[:, :size]
        parents = places // k - size * np.arange(count)[:, None]
        order = np.array([stay_in_place(each) for each in parents.tolist()])  # [B, K]
        order += size * np.arange(count)[:, None]
        places = places.ravel()[order]
        self.scores = totals[places]
        rows: Ids = places.ravel() // k  # [R]
        self._said = self._said.reshape(count * size, -1)[rows].reshape(count, size, -1)
        scores = self._token_scores.reshape(count * size, -1)[rows]
        self._token_scores = scores.reshape(count, size, -1)
        self._say(pieces[places].ravel(), log_probs[places])
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

    def _live(self, b: int) -> Iterable[int]:
        live: list[int] = np.flatnonzero(np.isfinite(self.scores[b])).tolist()
        return live

    def _end(self, b: int, beam: int, total: float, reason: FinishReason, *last: float) -> None:
        """Adds a live hypothesis to the finished ones; `last` is the score of its eos."""
        length = self._lengths[b]
        said = self._said[b, beam, :length].tolist()
        scores = [*self._token_scores[b, beam, :length].tolist(), *map(float, last)]
        alpha = self.inputs[b].options.length_penalty
        self._ended[b].append(hypothesis(said, scores, reason, alpha, float(total)))

    def _cut_off(self, b: int) -> None:
        """Ends all live hypotheses of a sentence: no longer one is allowed."""
        for beam in self._live(b):
            self._end(b, beam, self.scores[b, beam], FinishReason.LENGTH)
        self.scores[b] = -np.inf

    def _keep(self, stays: Mask, parents: Ids) -> None:
        super()._keep(stays, parents)
        places = fill_gaps(stays)
        self.scores = self.scores[places]
        self._ended = [self._ended[b] for b in places]


def _weigh(candidates: Candidates, turns: Sequence[tuple[int, Guide, Turn]]) -> NDArray[np.float64]:
    """What candidates are compared by, when some rows are steered."""
    weights = candidates.log_probs.astype(np.float64)
    for row, guide, turn in turns:
        weights[row] = guide.weigh(turn, candidates.ids[row], candidates.log_probs[row])
    return weights


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
