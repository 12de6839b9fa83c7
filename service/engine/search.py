"""Greedy and beam search over any StepModel. Knows no tokenizer and no ONNX.

Both yield each sentence's hypotheses the moment it is finished, and take its rows out of the batch
so that the others go on faster. Shape letters: B sentences, K beam, R rows, k candidates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from service.engine.model import Candidates, Ids, Scores, StateT, StepModel
from service.engine.request import DecodingOptions, FinishReason, Hypothesis


@dataclass(frozen=True, slots=True)
class SearchInput:
    """One sentence to decode: source ids, and how."""

    source: Sequence[int]
    options: DecodingOptions
    align: bool = False
    """Whether the best hypothesis' alignment is wanted too; search itself does not care."""


Results = Iterator[tuple[int, tuple[Hypothesis, ...]]]
Abandoned = Callable[[int], bool]
"""Asked before each step whether nobody waits for this sentence any more."""


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha, Wu et al. 2016, "Google's Neural Machine Translation System"."""
    return float(((5 + length) / 6) ** alpha)


def hypothesis(ids: Sequence[int], score: float, reason: FinishReason, alpha: float) -> Hypothesis:
    """A finished hypothesis; `ids` come without eos, which counts in the length if it was said."""
    length = len(ids) + (reason is FinishReason.EOS)
    normalised = score / length_penalty(length, alpha)
    return Hypothesis(tuple(int(i) for i in ids), float(score), float(normalised), reason)


def search(
    model: StepModel[StateT],
    inputs: Sequence[SearchInput],
    bos_id: int,
    eos_id: int,
    abandoned: Abandoned = lambda _: False,
) -> Results:
    """Decodes a batch; yields (index into `inputs`, hypotheses best first) as sentences finish.

    All inputs must have the same beam_size; the other options may differ. Abandoned sentences are
    dropped without a result.
    """
    beam_sizes = {i.options.beam_size for i in inputs}
    if len(beam_sizes) != 1:
        raise ValueError(f"one batch needs one beam_size, not {sorted(beam_sizes)}")
    strategy = greedy_search if beam_sizes == {1} else beam_search
    return strategy(model, inputs, bos_id, eos_id, abandoned)


def greedy_search(
    model: StepModel[StateT],
    inputs: Sequence[SearchInput],
    bos_id: int,
    eos_id: int,
    abandoned: Abandoned,
) -> Results:
    """The likeliest piece at each step."""
    state = model.encode([i.source for i in inputs])
    live = list(range(len(inputs)))  # [R] index of the input in each row
    last = np.full(len(inputs), bos_id, dtype=np.int64)  # [R]
    said: list[list[int]] = [[] for _ in inputs]
    scores = np.zeros(len(inputs), dtype=np.float64)
    while len(live):
        candidates, state = model.step(last, state, k=1)
        last = candidates.ids[:, 0]  # [R]
        scores[live] += candidates.log_probs[:, 0]
        stays = np.ones(len(live), dtype=bool)
        for row, i in enumerate(live):
            options = inputs[i].options
            reason = FinishReason.EOS
            if last[row] != eos_id:
                said[i].append(int(last[row]))
                reason = FinishReason.LENGTH
                if len(said[i]) < options.max_target_length:
                    stays[row] = not abandoned(i)
                    continue
            stays[row] = False
            yield i, (hypothesis(said[i], scores[i], reason, options.length_penalty),)
        if not stays.all():
            rows = np.flatnonzero(stays)
            live = [live[row] for row in rows]
            last, state = last[rows], state.select(rows)


class Beam:
    """The hypotheses of one sentence: K live ones, and those that have ended."""

    def __init__(self, index: int, options: DecodingOptions) -> None:
        self.index = index
        self.options = options
        self.said = np.empty((options.beam_size, 0), dtype=np.int64)  # [K, T]
        self.scores = np.full(options.beam_size, -np.inf)  # [K] sums of log-probabilities
        self.scores[0] = 0.0  # all beams start alike, so only one may speak first
        self.finished: list[Hypothesis] = []

    def advance(self, ids: Ids, log_probs: Scores, eos_id: int) -> tuple[Ids, Ids]:
        """Takes the candidates [K, k] of one step -> for each live beam its parent and its piece.

        A hypothesis ends when eos is among the best K of all candidates. Both results are [K].
        """
        beam_size = self.options.beam_size
        totals = (self.scores[:, None] + log_probs).ravel()  # [K * k]
        # Stable, so that equal scores keep the order of beams and results repeat exactly.
        ranked = np.argsort(-totals, kind="stable")
        ranked = ranked[np.isfinite(totals[ranked])]
        parents, pieces = ranked // log_probs.shape[1], ids.ravel()[ranked]
        ends = pieces == eos_id
        for place in np.flatnonzero(ends[:beam_size]):
            self.finish(parents[place], totals[ranked[place]], FinishReason.EOS)
        chosen = np.flatnonzero(~ends)[:beam_size]
        parents, pieces, scores = parents[chosen], pieces[chosen], totals[ranked[chosen]]
        missing = beam_size - len(chosen)  # a tiny vocabulary can have too few candidates
        parents = np.pad(parents, (0, missing))
        pieces = np.pad(pieces, (0, missing), constant_values=eos_id)
        self.scores = np.pad(scores, (0, missing), constant_values=-np.inf)
        self.said = np.concatenate([self.said[parents], pieces[:, None]], axis=1)
        if self.said.shape[1] == self.options.max_target_length:
            self.cut_off()
        return parents, pieces

    def finish(self, beam: int, score: float, reason: FinishReason) -> None:
        """Moves a live hypothesis to the finished ones."""
        alpha = self.options.length_penalty
        self.finished.append(hypothesis(self.said[beam].tolist(), score, reason, alpha))

    def cut_off(self) -> None:
        """Ends all live hypotheses: no longer one is allowed."""
        for beam in np.flatnonzero(np.isfinite(self.scores)):
            self.finish(int(beam), self.scores[beam], FinishReason.LENGTH)
        self.scores[:] = -np.inf

    @property
    def done(self) -> bool:
        """As many ended as there are beams, or none left to go on."""
        return len(self.finished) >= self.options.beam_size or not np.isfinite(self.scores).any()

    def best(self) -> tuple[Hypothesis, ...]:
        """The n best finished hypotheses by normalised score, best first."""
        ranked = sorted(self.finished, key=lambda h: -h.normalised_score)
        return tuple(ranked[: self.options.n_best])


def beam_search(
    model: StepModel[StateT],
    inputs: Sequence[SearchInput],
    bos_id: int,
    eos_id: int,
    abandoned: Abandoned,
) -> Results:
    """The K likeliest hypotheses side by side; rows are sentence-major, K rows a sentence."""
    size = inputs[0].options.beam_size
    beams = [Beam(i, each.options) for i, each in enumerate(inputs)]
    encoded = model.encode([i.source for i in inputs])
    state = encoded.select(np.repeat(np.arange(len(beams)), size))  # R = B * K
    last = np.full(len(beams) * size, bos_id, dtype=np.int64)  # [R]
    while beams:
        # 2K candidates a beam: even if K of them are eos, K live ones are left.
        candidates, state = model.step(last, state, k=2 * size)
        parents, last = advance_all(beams, candidates, eos_id)
        for beam in beams:
            if beam.done:
                yield beam.index, beam.best()
        stays = np.array([not (beam.done or abandoned(beam.index)) for beam in beams])
        if stays.all():
            state = state.reorder(parents)
        else:
            rows = np.flatnonzero(np.repeat(stays, size))
            last, state = last[rows], state.select(parents[rows])
            beams = [beam for beam, stay in zip(beams, stays, strict=True) if stay]


def advance_all(beams: Sequence[Beam], candidates: Candidates, eos_id: int) -> tuple[Ids, Ids]:
    """One step of every beam -> parent row and piece of every row, both [R]."""
    size = beams[0].options.beam_size
    parents, pieces = [], []
    for i, beam in enumerate(beams):
        rows = slice(i * size, (i + 1) * size)
        parent, piece = beam.advance(candidates.ids[rows], candidates.log_probs[rows], eos_id)
        parents.append(parent + i * size)
        pieces.append(piece)
    return np.concatenate(parents), np.concatenate(pieces)
