"""From texts to what the model reads: protected, cut into sentences, shielded, tokenised.

Knows no search.
"""

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.text.alignment import Span
from service.text.glossary import NO_TERMS, Glossary, TermUse, find_terms
from service.text.protection import Kind, Protected, Shielded, find_protected, mask, shield, unmask
from service.text.segmentation import Segmentation, Splitting, segment_to_fit


@dataclass(frozen=True, slots=True)
class Cutting:
    """How texts are taken apart."""

    splitting: Splitting = Splitting.SENTENCES
    glossary: Glossary = NO_TERMS


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence as it stands in its text, and as the model reads it."""

    text: str
    shielded: Shielded
    terms: tuple[TermUse, ...]
    source: tuple[int, ...]
    """The ids of `shielded.rewriting.after`."""

    @property
    def shown(self) -> str:
        """What the model reads."""
        return self.shielded.rewriting.after

    @property
    def needs_alignment(self) -> bool:
        """Whether something must find its place in the translation."""
        return bool(self.shielded.literals or self.shielded.pictures or self.terms)


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text cut into sentences."""

    segmentation: Segmentation
    sentences: tuple[Sentence, ...]

    @property
    def sources(self) -> tuple[tuple[int, ...], ...]:
        """The source ids of each sentence."""
        return tuple(sentence.source for sentence in self.sentences)


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
    cut = []
    for text in texts:
        protected = find_protected(text)
        masked = segment_to_fit(mask(text, protected), direction.source, fits, cutting.splitting)
        cut.append((text, protected, _spans(text, masked, protected)))
    segmented = time.monotonic()
    prepared = []
    for text, protected, spans in cut:
        shielded = [_shield(text, span, protected) for span in spans]
        sentences = tuple(
            Sentence(
                each.rewriting.before,
                each,
                find_terms(each.rewriting.before, cutting.glossary),
                tuple(vocabulary.encode_source(each.rewriting.after, target)),
            )
            for each in shielded
        )
        prepared.append(PreparedText(_segmentation(text, spans), sentences))
    tokenised = time.monotonic()
    return prepared, {"segment": segmented - started, "tokenise": tokenised - segmented}


def _spans(text: str, masked: Segmentation, protected: Sequence[Protected]) -> list[Span]:
    """Where the sentences of the masked text are; pictures at their ends are no part of them."""
    starts = masked.starts(masked.sentences)
    spans = [Span(s, s + len(x)) for s, x in zip(starts, masked.sentences, strict=True)]
    pictures = [each.span for each in protected if each.kind is Kind.PICTURE]
    return [_without_edges(text, span, pictures) for span in spans] if pictures else spans


def _without_edges(text: str, span: Span, pictures: Sequence[Span]) -> Span:
    start, end = span.start, span.end
    for picture in pictures:
        if picture.start == start:
            rest = text[picture.end : end]
            start = end - len(rest.lstrip())
    for picture in reversed(pictures):
        if picture.end == end and picture.start > start:
            end = start + len(text[start : picture.start].rstrip())
    return Span(start, end)


def _shield(text: str, span: Span, protected: Sequence[Protected]) -> Shielded:
    inside = _inside(span, protected)
    return shield(text[span.start : span.end], tuple(inside))


def _inside(span: Span, protected: Sequence[Protected]) -> Iterator[Protected]:
    """What is protected of a sentence, counted from its beginning."""
    for each in protected:
        if span.start <= each.span.start and each.span.end <= span.end:
            yield Protected(each.span.shifted(-span.start), each.kind)


def _segmentation(text: str, spans: Sequence[Span]) -> Segmentation:
    edges = [0, *(edge for span in spans for edge in (span.start, span.end)), len(text)]
    gaps = tuple(text[a:b] for a, b in zip(edges[::2], edges[1::2], strict=True))
    return Segmentation(tuple(text[span.start : span.end] for span in spans), gaps)
