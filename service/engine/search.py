"""Greedy and beam search over any StepModel. Knows no tokenizer and no ONNX.

Both yield each sentence's hypotheses the moment it is finished, and take its rows out of the batch
so that the others go on faster. Shape letters: B sentences, K beam, R rows, k candidates.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Candidates, Ids, StateT, StepModel
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


class Beams:
    """The hypotheses of B sentences: K live ones each, and those that have ended."""

    def __init__(self, indices: Sequence[int], options: Sequence[DecodingOptions]) -> None:
        self.indices = list(indices)
        self.options = list(options)
        self.size = options[0].beam_size
        self.said = np.empty((len(indices), self.size, 0), dtype=np.int64)  # [B, K, T]
        self.scores = np.full((len(indices), self.size), -np.inf)  # [B, K] sums of log-probs
        self.scores[:, 0] = 0.0  # all beams start alike, so only one may speak first
        self.finished: list[list[Hypothesis]] = [[] for _ in indices]

    def advance(self, candidates: Candidates, eos_id: int) -> tuple[Ids, Ids]:
        """Takes the candidates [R, k] of one step -> parent row and piece of every row, both [R].

        A hypothesis ends when eos is among the best K candidates of its sentence.
        """
        count, size, k = len(self.indices), self.size, candidates.ids.shape[1]
        totals = self.scores[:, :, None] + candidates.log_probs.reshape(count, size, k)
        totals = totals.reshape(count, size * k)  # [B, K * k]
        # Stable, so that equal scores keep the order of beams and results repeat exactly.
        ranked = np.argsort(-totals, axis=1, kind="stable")
        totals = np.take_along_axis(totals, ranked, 1)
        pieces = np.take_along_axis(candidates.ids.reshape(count, size * k), ranked, 1)
        ends = pieces == eos_id
        for b, place in np.argwhere(ends[:, :size] & np.isfinite(totals[:, :size])):
            self.finish(b, ranked[b, place] // k, totals[b, place], FinishReason.EOS)
        # The best K that go on. A tiny vocabulary may have fewer: then an end, but without hope.
        chosen = np.argsort(ends, axis=1, kind="stable")[:, :size]  # [B, K]
        parents = np.take_along_axis(ranked, chosen, 1) // k
        hopeless = np.take_along_axis(ends, chosen, 1)
        pieces = np.take_along_axis(pieces, chosen, 1)
        self.scores = np.where(hopeless, -np.inf, np.take_along_axis(totals, chosen, 1))
        before = np.take_along_axis(self.said, parents[:, :, None], 1)
        self.said = np.concatenate([before, pieces[:, :, None]], axis=2)
        for b, options in enumerate(self.options):
            if self.said.shape[2] == options.max_target_length:
                self.cut_off(b)
        rows = parents + size * np.arange(count)[:, None]
        return rows.ravel(), pieces.ravel()

    def finish(self, b: int, beam: int, score: float, reason: FinishReason) -> None:
        """Moves a live hypothesis to the finished ones."""
        alpha = self.options[b].length_penalty
        said = self.said[b, beam].tolist()
        self.finished[b].append(hypothesis(said, float(score), reason, alpha))

    def cut_off(self, b: int) -> None:
        """Ends all live hypotheses of a sentence: no longer one is allowed."""
        for beam in np.flatnonzero(np.isfinite(self.scores[b])):
            self.finish(b, int(beam), self.scores[b, beam], FinishReason.LENGTH)
        self.scores[b] = -np.inf

    def done(self) -> NDArray[np.bool_]:
        """Which sentences have as many ends as beams, or none left to go on: [B]."""
        enough = np.array([len(ended) >= self.size for ended in self.finished])
        over: NDArray[np.bool_] = ~np.isfinite(self.scores).any(axis=1)
        return enough | over

    def best(self, b: int) -> tuple[Hypothesis, ...]:
        """The n best finished hypotheses of a sentence by normalised score, best first."""
        ranked = sorted(self.finished[b], key=lambda h: -h.normalised_score)
        return tuple(ranked[: self.options[b].n_best])

    def keep(self, stays: NDArray[np.bool_]) -> None:
        """Drops the sentences that do not stay [B]."""
        for name in ("indices", "options", "finished"):
            kept = [x for x, stay in zip(getattr(self, name), stays, strict=True) if stay]
            setattr(self, name, kept)
        self.said, self.scores = self.said[stays], self.scores[stays]


def beam_search(
    model: StepModel[StateT],
    inputs: Sequence[SearchInput],
    bos_id: int,
    eos_id: int,
    abandoned: Abandoned,
) -> Results:
    """The K likeliest hypotheses side by side; rows are sentence-major, K rows a sentence."""
    beams = Beams(range(len(inputs)), [each.options for each in inputs])
    state = model.encode([each.source for each in inputs], beams.size)  # R = B * K
    last = np.full(len(inputs) * beams.size, bos_id, dtype=np.int64)  # [R]
    while beams.indices:
        # 2K candidates a beam: even if K of them are eos, K live ones are left.
        candidates, state = model.step(last, state, k=2 * beams.size)
        parents, last = beams.advance(candidates, eos_id)
        done = beams.done()
        for b in np.flatnonzero(done).tolist():
            yield beams.indices[b], beams.best(b)
        stays = ~done & [not abandoned(index) for index in beams.indices]
        if stays.all():
            state = state.reorder(parents)
        else:
            rows = np.flatnonzero(np.repeat(stays, beams.size))
            last, state = last[rows], state.select(parents[rows])
            beams.keep(stays)
