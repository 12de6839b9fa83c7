"""From attention between pieces to links between words. Knows no model and no tokenizer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_WORD = re.compile(r"\w+(?:['’]\w+)*")


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """Code points `start` to `end` of a text, as in text[start:end]."""

    start: int
    end: int

    def shifted(self, by: int) -> "Span":
        """The same span of a longer text in which this one begins at `by`."""
        return Span(self.start + by, self.end + by)


@dataclass(frozen=True, slots=True)
class WordLink:
    """A word of the translation and the source word that it was made from."""

    source: Span
    target: Span


def words(text: str) -> list[Span]:
    """The words of a text in any script; marks and white space are none."""
    return [Span(*match.span()) for match in _WORD.finditer(text)]


def overlap(pieces: Sequence[Span], units: Sequence[Span]) -> NDArray[np.float32]:
    """Which part of each piece lies in each unit: [pieces, units], in 0..1."""
    table = np.zeros((len(pieces), len(units)), dtype=np.float32)
    for p, piece in enumerate(pieces):
        for u, unit in enumerate(units):
            shared = min(piece.end, unit.end) - max(piece.start, unit.start)
            if shared > 0:
                table[p, u] = shared / (piece.end - piece.start)
    return table


def link_words(
    attention: NDArray[np.float32],
    source: tuple[str, Sequence[Span]],
    target: tuple[str, Sequence[Span]],
) -> tuple[WordLink, ...]:
    """Links each target word to the source word that its pieces look at most.

    `attention` is [target pieces, source pieces]; `source` and `target` are a text and the spans
    of its pieces. A word that looks at no source word is left alone.
    """
    source_words, target_words = words(source[0]), words(target[0])
    if not source_words or not target_words:
        return ()
    to_source = overlap(source[1], source_words)
    to_target = overlap(target[1], target_words)
    mass = to_target.T @ attention @ to_source  # [target words, source words]
    best = mass.argmax(axis=1)
    return tuple(
        WordLink(source_words[s], target_words[t]) for t, s in enumerate(best) if mass[t, s] > 0
    )
