"""From texts to what the model reads: protected, cut into sentences, shielded, tokenised.

Knows no search.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.vocabulary import Vocabulary
from service.text.alignment import Span
from service.text.cutting import CutSentence, Cutting, cut_text
from service.text.glossary import Glossary, TermUse, find_terms
from service.text.markup_projection import MarkedSentence
from service.text.protection import Shielded, unmask
from service.text.segmentation import Segmentation


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in its text, and as the model reads it."""

    shielded: Shielded
    terms: tuple[TermUse, ...]
    source: tuple[int, ...]
    """The ids of `shown`."""
    marked: MarkedSentence | None = None
    """Where its text is markup; what is shielded is then the text without tags."""

    @property
    def shown(self) -> str:
        """What the model reads."""
        return self.shielded.rewriting.after

    @property
    def needs_alignment(self) -> bool:
        """Whether something must find its place in the translation."""
        hidden = self.shielded.literals or self.shielded.pictures
        return bool(hidden or self.terms or (self.marked and self.marked.tags))

    def in_text(self, span: Span) -> Span:
        """Which part of the sentence in its text a part of what the model reads is."""
        plain = self.shielded.rewriting.backward(span)
        return self.marked.rewriting.backward(plain) if self.marked else plain


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text cut into sentences."""

    segmentation: Segmentation
    sentences: tuple[Sentence, ...]


def prepare(
    engine: Engine, direction: Direction, texts: Sequence[str], cutting: Cutting
) -> tuple[list[PreparedText], dict[str, float]]:
    """Takes all texts apart and tokenises their sentences; returns the seconds of both stages
    too."""
    vocabulary, target = engine.vocabulary, direction.target
    limit = engine.manifest.limits.max_source_length

    def fits(sentence: str) -> bool:
        return len(vocabulary.encode_source(unmask(sentence), target)) <= limit

    started = time.monotonic()
    cut = [cut_text(text, direction.source, fits, cutting) for text in texts]
    segmented = time.monotonic()
    prepared = [
        _prepared(vocabulary, target, text, pieces, cutting.glossary)
        for text, pieces in zip(texts, cut, strict=True)
    ]
    tokenised = time.monotonic()
    return prepared, {"segment": segmented - started, "tokenise": tokenised - segmented}


def _prepared(
    vocabulary: Vocabulary,
    target: str,
    text: str,
    pieces: Sequence[CutSentence],
    glossary: Glossary,
) -> PreparedText:
    # Once for the text: a glossary may have more terms than the text has letters.
    glossary = glossary.narrowed("\n".join(piece.shielded.rewriting.before for piece in pieces))
    sentences = tuple(
        Sentence(
            piece.shielded,
            find_terms(piece.shielded.rewriting.before, glossary),
            tuple(vocabulary.encode_source(piece.shielded.rewriting.after, target)),
            piece.marked,
        )
        for piece in pieces
    )
    return PreparedText(_segmentation(text, [piece.place for piece in pieces]), sentences)


def _segmentation(text: str, places: Sequence[Span]) -> Segmentation:
    edges = [0, *(edge for span in places for edge in (span.start, span.end)), len(text)]
    gaps = tuple(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    return Segmentation(tuple(text[span.start : span.end] for span in places), gaps)
