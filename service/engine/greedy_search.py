"""Greedy search, and sampling: one hypothesis a sentence."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from service.engine.request import FinishReason, Hypothesis, Progress
from service.engine.search import Finished, Key, Search, hypothesis, wanted


class GreedySearch(Search[Key]):
    """The likeliest piece at each step, or one that chance chooses."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self._listeners: list[tuple[int, Progress]] = []  # by sentence

    def step(self) -> Finished[Key]:
        turns = self._turns() if self._guided else []
        candidates, self._state = self.model.step(self._last, self._state, wanted(1, turns))
        pieces, scores = candidates.ids[:, 0].copy(), candidates.log_probs[:, 0]
        if turns:
            scores = scores.copy()
        for row, guide, turn in turns:
            ids, log_probs = candidates.ids[row], candidates.log_probs[row]
            place = guide.pick(guide.weigh(turn, ids, log_probs))
            pieces[row], scores[row] = ids[place], log_probs[place]
        self._say(pieces, scores)
        ended = pieces == self.eos_id
        done = ended | (self._lengths == self._limits)
        if not done.any():
            return []
        finished: Finished[Key] = [
            (self.keys[b], (self._best(b, ended[b]),)) for b in np.flatnonzero(done).tolist()
        ]
        self._keep(~done, np.arange(len(pieces)))
        return finished

    def partial(self) -> Iterator[tuple[Progress, Sequence[int]]]:
        for b, listener in self._listeners:
            yield listener, self._said[b, 0, : self._lengths[b]].tolist()

    def _look_around(self) -> None:
        super()._look_around()
        listeners = enumerate(each.progress for each in self.inputs)
        self._listeners = [(b, listener) for b, listener in listeners if listener is not None]

    def _best(self, b: int, ended: bool) -> Hypothesis:
        length = self._lengths[b]
        said = self._said[b, 0, : length - ended].tolist()
        scores = self._token_scores[b, 0, :length].tolist()
        reason = FinishReason.EOS if ended else FinishReason.LENGTH
        return hypothesis(said, scores, reason, self.inputs[b].options.length_penalty)
