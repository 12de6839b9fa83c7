"""What a sentence's options do to the candidates of a step: pieces that are forbidden, that cost
more, that must come, or that chance chooses. Knows no model; search asks it for the few sentences
that want such a thing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Ids, Scores
from service.engine.request import DecodingOptions

OPENING_CANDIDATES = 64
"""Among so many of the likeliest pieces one is looked for that goes on as the prefix does."""

Weights = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Turn:
    """What holds for one hypothesis in one step."""

    forced: int | None = None
    """The piece that it must say."""
    openings: frozenset[int] | None = None
    """The pieces of which it must say one."""
    forbidden: frozenset[int] = frozenset()
    dearer: frozenset[int] = frozenset()
    """The pieces whose log-probabilities are multiplied by the repetition penalty."""


class Guide:
    """Steers one sentence to its end."""

    def __init__(self, options: DecodingOptions, source: Sequence[int]) -> None:
        self._options = options
        prefix = options.target_prefix
        self._forced = prefix.ids if prefix else ()
        self._undecided = prefix is not None and bool(prefix.openings)
        self._random: np.random.Generator | None = None
        if options.sampling:
            # The source as well, so that the sentences of a text do not take the same turns.
            self._random = np.random.default_rng((options.sampling.seed, *source))

    def look(self, said: Sequence[int]) -> Turn:
        """What holds for a hypothesis that has said this."""
        prefix, options = self._options.target_prefix, self._options
        if len(said) < len(self._forced):
            return Turn(forced=self._forced[len(said)])
        if prefix and self._undecided and len(said) == len(prefix.ids):
            return Turn(openings=prefix.openings)
        return Turn(
            forbidden=closing_pieces(said, options.no_repeat_ngram),
            dearer=frozenset(said) if options.repetition_penalty != 1 else frozenset(),
        )

    def candidates(self, turn: Turn, enough: int) -> int:
        """How many candidates leave `enough`, or what chance chooses among."""
        if turn.forced is not None:
            return enough
        if turn.openings is not None:
            return max(enough, OPENING_CANDIDATES)
        if self._options.sampling:
            enough = max(enough, self._options.sampling.top_k)
        return enough + len(turn.forbidden | turn.dearer)

    def weigh(self, turn: Turn, ids: Ids, log_probs: Scores) -> Weights:
        """How much each of a row's candidates [k] counts: its log-probability, or less.

        A forced piece takes the place of the first one; it is certain, so its score is 0.
        """
        if turn.openings is not None and not turn.openings.intersection(ids.tolist()):
            turn = self._give_way()
        if turn.forced is not None:
            ids[0], log_probs[0] = turn.forced, 0.0
            return np.array([0.0] + [-np.inf] * (len(ids) - 1))
        pieces = ids.tolist()
        weights = log_probs.astype(np.float64)
        if turn.dearer:
            weights[[piece in turn.dearer for piece in pieces]] *= self._options.repetition_penalty
        if turn.forbidden:
            weights[[piece in turn.forbidden for piece in pieces]] = -np.inf
        if turn.openings is not None:
            weights[[piece not in turn.openings for piece in pieces]] = -np.inf
        return weights

    def pick(self, weights: Weights) -> int:
        """The place of the candidate that greedy search says next."""
        sampling, random = self._options.sampling, self._random
        if sampling is None or random is None:
            return int(weights.argmax())
        best = np.argsort(-weights, kind="stable")[: sampling.top_k]
        # The largest of log-probabilities with Gumbel noise is a sample of their distribution.
        noise = random.gumbel(size=sampling.top_k)[: len(best)]
        return int(best[(weights[best] / sampling.temperature + noise).argmax()])

    def _give_way(self) -> Turn:
        """No likely piece goes on as the prefix does, so its own pieces are said."""
        prefix = self._options.target_prefix
        assert prefix is not None, "only a prefix has openings"
        self._forced, self._undecided = prefix.ids + prefix.otherwise, False
        return Turn(forced=prefix.otherwise[0]) if prefix.otherwise else Turn()


def guide_for(options: DecodingOptions, source: Sequence[int]) -> Guide | None:
    """Who steers a sentence; None if its options leave the candidates as they are."""
    if (
        options.repetition_penalty == 1
        and not options.no_repeat_ngram
        and options.sampling is None
        and options.target_prefix is None
    ):
        return None
    return Guide(options, source)


def closing_pieces(said: Sequence[int], n: int) -> frozenset[int]:
    """The pieces that would end an n-gram which has been said before; none if n is 0."""
    if not n or len(said) < n:
        return frozenset()
    begun = said[len(said) - n + 1 :]
    starts = range(len(said) - n + 1)
    return frozenset(said[i + n - 1] for i in starts if said[i : i + n - 1] == begun)


def round_up(candidates: int) -> int:
    """A power of two: a model that is asked for another number every time must prepare anew."""
    return 1 << (candidates - 1).bit_length()
