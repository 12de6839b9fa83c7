"""Which target pieces translate a source piece: IBM model 1 (Brown et al. 1993) over id lists.

A sentence is a set of pieces here; the control symbol that opens a source takes the part of the
empty word. Knows no text and no bundle.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from service.engine.model import Ids
from service.engine.shortlist_table import ShortlistTable

ITERATIONS = 4


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Pairs of a source and a target piece that were seen together, and p(target | source)."""

    sources: Ids  # [N], ascending
    targets: Ids  # [N]
    probabilities: NDArray[np.float64]  # [N]

    def best(self, n: int) -> tuple[Ids, Ids]:
        """The n likeliest target pieces of each source piece, as (sources, targets)."""
        order = np.lexsort((-self.probabilities, self.sources))
        sources = self.sources[order]
        rank = np.arange(len(order)) - np.searchsorted(sources, sources)
        return sources[rank < n], self.targets[order][rank < n]


@dataclass(frozen=True, slots=True)
class Corpus:
    """One direction: sources as the service makes them, targets without bos and eos."""

    tag: int
    sources: list[list[int]]
    targets: list[list[int]]


@dataclass(frozen=True, slots=True)
class ShortlistSizes:
    """How many pieces a sentence may choose among."""

    always: int = 1000
    """The most frequent target pieces, allowed in every sentence."""
    best: int = 20
    """Target pieces for each source piece."""


def learn_lexicon(corpus: Corpus, vocabulary_size: int) -> Lexicon:
    """Four iterations of EM over all pairs; shows its progress."""
    together, words = [], []
    count = 0
    pairs = zip(corpus.sources, corpus.targets, strict=True)
    for source, target in tqdm(pairs, total=len(corpus.sources), unit="pair", desc="pieces"):
        a, b = np.array([*{*source}]), np.array([*{*target}], dtype=np.int64)
        together.append((a * vocabulary_size + b[:, None]).ravel().astype(np.int32))
        words.append(np.repeat(np.arange(count, count + len(b), dtype=np.int32), len(a)))
        count += len(b)
    seen, place = np.unique(np.concatenate(together), return_inverse=True)
    word = np.concatenate(words)
    sources = seen.astype(np.int64) // vocabulary_size
    probabilities = np.ones(len(seen))
    for _ in tqdm(range(ITERATIONS), unit="iteration", desc="EM"):
        weights = probabilities[place]
        weights /= np.bincount(word, weights, count)[word]
        expected = np.bincount(place, weights, len(seen))
        probabilities = expected / np.bincount(sources, expected, vocabulary_size)[sources]
    return Lexicon(sources, seen.astype(np.int64) % vocabulary_size, probabilities)


def make_table(
    corpora: Sequence[Corpus], always: Ids, vocabulary_size: int, sizes: ShortlistSizes
) -> ShortlistTable:
    """A table of one direction for each corpus; `always` are pieces that all of them allow.

    A source piece allows itself too, so that names and numbers can be copied.
    """
    offsets, pieces, start = [], [], 0
    itself = np.arange(vocabulary_size)
    for corpus in corpora:
        sources, targets = learn_lexicon(corpus, vocabulary_size).best(sizes.best)
        frequency = np.bincount(np.concatenate(corpus.targets), minlength=vocabulary_size)
        frequent = np.argsort(-frequency, kind="stable")[: sizes.always]
        free = np.concatenate([always, frequent[frequency[frequent] > 0]])
        own = (sources != corpus.tag, itself != corpus.tag)
        source = np.concatenate([sources[own[0]], itself[own[1]], np.full(len(free), corpus.tag)])
        target = np.concatenate([targets[own[0]], itself[own[1]], free])
        rows = np.unique(source * vocabulary_size + target)
        bounds = np.arange(vocabulary_size + 1) * vocabulary_size
        offsets.append(start + np.searchsorted(rows, bounds))
        pieces.append(rows % vocabulary_size)
        start += len(rows)
    tags = np.array([corpus.tag for corpus in corpora])
    return ShortlistTable(tags, np.stack(offsets), np.concatenate(pieces))
