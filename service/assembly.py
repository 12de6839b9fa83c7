"""From decoded sentences back to whole texts: hypotheses joined, alignments in the text's terms.

`language` is always the one that was translated into.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.request import Decoded
from service.engine.vocabulary import Piece, Vocabulary
from service.preparation import PreparedText, Sentence
from service.text.alignment import Span, WordLink, link_words
from service.text.language import Detection
from service.text.projection import Attention
from service.text.quality import QualityWarning
from service.text.restoration import Restored, restore
from service.text.rewriting import Rewriting


@dataclass(frozen=True, slots=True)
class TextHypothesis:
    """One translation of a whole text; `score` sums the log-probabilities of its sentences."""

    text: str
    score: float
    tokens: int


@dataclass(frozen=True, slots=True)
class SentenceAlignment:
    """What the model looked at in one sentence. All spans count in the whole text and its whole
    translation; `attention` [T, S] has a row for each target piece, which sums to 1."""

    source: Span
    target: Span
    source_pieces: tuple[Piece, ...]
    target_pieces: tuple[Piece, ...]
    attention: NDArray[np.float32]
    words: tuple[WordLink, ...]


@dataclass(frozen=True, slots=True)
class Translation:
    """The hypotheses of one text, best first; never empty."""

    source: str
    """The language that it was translated from."""
    model: str | None
    """None if the text is in the target language already: it comes back as it is."""
    hypotheses: tuple[TextHypothesis, ...]
    alignments: tuple[SentenceAlignment, ...] | None = None
    """One for each sentence, if it was asked for."""
    detected: Detection | None = None
    """What the source was found to be, if the caller did not say."""
    warnings: tuple[QualityWarning, ...] = ()


def untranslated(text: str, detected: Detection) -> Translation:
    """A text that is in the target language already."""
    hypothesis = TextHypothesis(text, 0.0, 0)
    return Translation(detected.language, None, (hypothesis,), detected=detected)


def join_sentences(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    alignment: bool = False,
) -> tuple[tuple[TextHypothesis, ...], tuple[SentenceAlignment, ...] | None]:
    """Hypotheses of the whole text, best first, and alignments if they are wanted.

    The i-th hypothesis of a text is made of the i-th hypotheses of its sentences."""
    count = max((len(sentence.hypotheses) for sentence in sentences), default=1)
    spelt = [
        spell(vocabulary, language, *pair) for pair in zip(text.sentences, sentences, strict=True)
    ]
    joined = []
    for rank in range(count):
        # A sentence with fewer hypotheses repeats its last one.
        chosen = [s.hypotheses[min(rank, len(s.hypotheses) - 1)] for s in sentences]
        texts = [each[min(rank, len(each) - 1)].rewriting.after for each in spelt]
        score, tokens = sum(h.score for h in chosen), sum(len(h.ids) for h in chosen)
        joined.append(TextHypothesis(text.segmentation.join(texts), score, tokens))
    best = [each[0].rewriting for each in spelt]
    aligned = align_sentences(vocabulary, language, text, sentences, best) if alignment else None
    return tuple(joined), aligned


def spell(
    vocabulary: Vocabulary, language: str, sentence: Sentence, decoded: Decoded
) -> list[Restored]:
    """The hypotheses of a sentence with all that the model was not shown; only the best one comes
    with attention, in the others things find their places without."""
    attention = None
    if sentence.needs_alignment and decoded.alignment is not None:
        read = vocabulary.source_pieces(sentence.shown, language)
        said = vocabulary.target_pieces(decoded.hypotheses[0].ids)
        attention = Attention(decoded.alignment, spans_of(read), spans_of(said))
    return [
        restore(
            sentence.shielded,
            sentence.terms,
            vocabulary.decode(hypothesis.ids),
            None if rank else attention,
        )
        for rank, hypothesis in enumerate(decoded.hypotheses)
    ]


def spans_of(pieces: Sequence[Piece]) -> tuple[Span, ...]:
    """Where pieces stand."""
    return tuple(Span(piece.start, piece.end) for piece in pieces)


def align_sentences(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    translated: Sequence[Rewriting],
) -> tuple[SentenceAlignment, ...]:
    """Pieces, spans, attention and word links of the best hypotheses. What the model was not shown
    counts as what stood for it."""
    segmentation = text.segmentation
    found = []
    for sentence, decoded, translation, source_start, target_start in zip(
        text.sentences,
        sentences,
        translated,
        segmentation.starts(segmentation.sentences),
        segmentation.starts([each.after for each in translated]),
        strict=True,
    ):
        assert decoded.alignment is not None, "asked for, for every sentence"
        shown = sentence.shielded.rewriting
        read = moved(vocabulary.source_pieces(sentence.shown, language), shown.backward)
        said = moved(vocabulary.target_pieces(decoded.hypotheses[0].ids), translation.forward)
        links = link_words(
            decoded.alignment,
            (sentence.text, spans_of(read)),
            (translation.after, spans_of(said)),
        )
        found.append(
            SentenceAlignment(
                Span(0, len(sentence.text)).shifted(source_start),
                Span(0, len(translation.after)).shifted(target_start),
                shift_pieces(read, source_start),
                shift_pieces(said, target_start),
                decoded.alignment,
                tuple(
                    WordLink(link.source.shifted(source_start), link.target.shifted(target_start))
                    for link in links
                ),
            )
        )
    return tuple(found)


def moved(pieces: Sequence[Piece], move: Callable[[Span], Span]) -> tuple[Piece, ...]:
    """The pieces where a rewriting puts them."""
    spans = [move(Span(piece.start, piece.end)) for piece in pieces]
    return tuple(Piece(p.text, s.start, s.end) for p, s in zip(pieces, spans, strict=True))


def shift_pieces(pieces: Sequence[Piece], by: int) -> tuple[Piece, ...]:
    """The pieces of a sentence that begins at `by`."""
    return tuple(Piece(piece.text, piece.start + by, piece.end + by) for piece in pieces)
