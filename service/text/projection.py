"""Where the parts of a sentence are in its translation.

By attention between pieces, where a model has it; else by the place in the sentence. Knows no model
and no tokenizer.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.text.alignment import Span, overlap, words

Shares = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Attention:
    """What was looked at: weights [target pieces, source pieces], and the spans of both."""

    weights: NDArray[np.float32]
    source: tuple[Span, ...]
    target: tuple[Span, ...]

    def moved(self, source: Callable[[Span], Span], target: Callable[[Span], Span]) -> "Attention":
        """The same between other forms of both texts."""
        return Attention(
            self.weights, tuple(map(source, self.source)), tuple(map(target, self.target))
        )


class Projection:
    """A sentence and its translation, cut into units: words, and whatever else is one."""

    def __init__(
        self, units: Sequence[Span], lengths: tuple[int, int], attention: Attention | None
    ):
        """`lengths` are those of the sentence and of the translation."""
        self.units = tuple(units)
        self._lengths = lengths
        self._attention = attention

    @classmethod
    def of(cls, source: str, target: str, attention: Attention | None) -> "Projection":
        """With the words of the translation as its units."""
        return cls(words(target), (len(source), len(target)), attention)

    def shares(self, spans: Sequence[Span]) -> Shares:
        """How much of what each unit looks at is in each of these spans of the sentence:
        [units, spans], in 0..1."""
        if not self.units or not spans:
            return np.zeros((len(self.units), len(spans)), dtype=np.float32)
        if self._attention is None:
            return self._by_place(spans)
        of = self._attention
        to_units = overlap(of.target, self.units)  # [target pieces, units]
        looked = to_units.T @ of.weights  # [units, source pieces]
        has_text = np.array([span.end > span.start for span in of.source], dtype=np.float32)
        total = (looked @ has_text)[:, None]
        return np.asarray((looked @ overlap(of.source, spans)) / np.maximum(total, 1e-6))

    def best_unit(self, span: Span) -> Span | None:
        """The unit that comes from a part of the sentence more than all others."""
        if not self.units:
            return None
        return self.units[int(self.shares([span])[:, 0].argmax())]

    def _by_place(self, spans: Sequence[Span]) -> Shares:
        """Each unit comes from where it would stand if both had the same order."""
        scale = self._lengths[0] / max(self._lengths[1], 1)
        found = np.zeros((len(self.units), len(spans)), dtype=np.float32)
        for u, unit in enumerate(self.units):
            middle = scale * (unit.start + unit.end) / 2
            for s, span in enumerate(spans):
                distance = max(span.start - middle, middle - span.end, 0)
                # Far away counts a little, so that there is a nearest one always.
                found[u, s] = 1.0 if distance == 0 else 0.01 / (1 + distance)
        return found
