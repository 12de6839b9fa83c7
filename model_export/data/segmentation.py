"""Other spellings of the same text: pieces cut in two by chance while a model is trained.

A model that has seen a word in one spelling only learns it by heart; in several, it learns what its
parts mean. The idea is that of subword regularisation (Kudo 2018), the way that of BPE-dropout
(Provilkov et al. 2020): each piece is cut with some probability, into two others of the vocabulary.
"""

from collections.abc import Sequence

import numpy as np

from model_export.data.tokenizer import PLACEHOLDERS
from service.engine.vocabulary import WORD, Vocabulary


class PieceSplitter:
    """Cuts a share of the pieces of a text, each at a place chosen by chance."""

    def __init__(self, vocabulary: Vocabulary, share: float) -> None:
        self.share = share
        self.halves = halves(vocabulary) if share else {}

    def split(self, ids: Sequence[int], rng: np.random.Generator) -> list[int]:
        """The ids of the same text, some of its pieces cut in two."""
        spelt: list[int] = []
        for piece, chance in zip(ids, rng.random(len(ids)).tolist(), strict=True):
            ways = self.halves.get(piece, ()) if chance < self.share else ()
            spelt.extend(ways[int(chance / self.share * len(ways))] if ways else (piece,))
        return spelt


def halves(vocabulary: Vocabulary) -> dict[int, tuple[tuple[int, int], ...]]:
    """For each piece that can be cut, the two pieces of each cut that leaves a part of a word."""
    whole = {WORD, *PLACEHOLDERS}
    known = {piece: number for piece, number in vocabulary.spelt if piece not in whole}
    cuts = {
        number: tuple(
            (known[piece[:at]], known[piece[at:]])
            for at in range(1, len(piece))
            if piece[:at] in known and piece[at:] in known
        )
        for piece, number in known.items()
    }
    return {number: ways for number, ways in cuts.items() if ways}
