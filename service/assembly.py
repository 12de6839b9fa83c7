"""From decoded sentences back to whole texts: hypotheses joined, alignments in the text's terms.

`language` is always the one that was translated into.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.request import Decoded, Hypothesis
from service.engine.vocabulary import Piece, Vocabulary
from service.preparation import PreparedText
from service.text.alignment import Span, WordLink, link_words
from service.text.language import Detection
from service.text.quality import Fault, QualityWarning
from service.text.segmentation import Segmentation


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
class SentenceScores:
    """The best hypothesis of one sentence. Spans count in the whole text and its translation."""

    source: Span
    target: Span
    score: float
    confidence: float | None
    """None if the model has not been calibrated."""
    pieces: tuple[Piece, ...]
    """With eos, if it was said."""
    piece_scores: tuple[float, ...]


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
    confidence: float | None = None
    """How sure the translation is, 0 to 1; None if the model has not been calibrated."""
    scores: tuple[SentenceScores, ...] | None = None
    """One for each sentence, if they were asked for."""
    pivot: str | None = None
    """The language in the middle, if it took two steps; `model` did the second."""


def untranslated(text: str, detected: Detection) -> Translation:
    """A text that is in the target language already."""
    hypothesis = TextHypothesis(text, 0.0, 0)
    return Translation(detected.language, None, (hypothesis,), detected=detected)


def join_sentences(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    prefix: str = "",
) -> tuple[tuple[TextHypothesis, ...], tuple[SentenceAlignment, ...] | None]:
    """Hypotheses of the whole text, best first, and alignments if they were asked for.

    The i-th hypothesis of a text is made of the i-th hypotheses of its sentences. The first
    sentence was made to begin with `prefix`.
    """
    count = max((len(sentence.hypotheses) for sentence in sentences), default=1)
    joined = []
    for rank in range(count):
        # A sentence with fewer hypotheses repeats its last one.
        chosen = [s.hypotheses[min(rank, len(s.hypotheses) - 1)] for s in sentences]
        whole = text.segmentation.join(spell(vocabulary, chosen, prefix))
        score, tokens = sum(h.score for h in chosen), sum(len(h.ids) for h in chosen)
        joined.append(TextHypothesis(whole, score, tokens))
    aligned = align_sentences(vocabulary, language, text.segmentation, sentences, prefix)
    return tuple(joined), aligned


def spell(vocabulary: Vocabulary, sentences: Sequence[Hypothesis], prefix: str) -> list[str]:
    """The texts of some sentences, the first of which begins with the prefix to the letter."""
    texts = [vocabulary.decode(hypothesis.ids) for hypothesis in sentences]
    if prefix and texts:
        texts[0] = vocabulary.continue_prefix(prefix, texts[0])
    return texts


def warn(
    segmentation: Segmentation, found: Sequence[Sequence[Fault]]
) -> tuple[QualityWarning, ...]:
    """What is wrong with the sentences of a text, and where they stand in it."""
    if not any(found):
        return ()
    starts = segmentation.starts(segmentation.sentences)
    places = zip(segmentation.sentences, starts, found, strict=True)
    return tuple(
        QualityWarning(Span(start, start + len(sentence)), fault)
        for sentence, start, faults in places
        for fault in faults
    )


def align_sentences(
    vocabulary: Vocabulary,
    language: str,
    segmentation: Segmentation,
    sentences: Sequence[Decoded],
    prefix: str = "",
) -> tuple[SentenceAlignment, ...] | None:
    """Pieces, spans, attention and word links of the best hypotheses; None if nobody asked."""
    translated = spell(vocabulary, [sentence.hypotheses[0] for sentence in sentences], prefix)
    found = []
    for text, translation, sentence, source_start, target_start in zip(
        segmentation.sentences,
        translated,
        sentences,
        segmentation.starts(segmentation.sentences),
        segmentation.starts(translated),
        strict=True,
    ):
        if sentence.alignment is None:
            return None
        read = vocabulary.source_pieces(text, language)
        said = vocabulary.target_pieces(sentence.hypotheses[0].ids)
        spans = [[Span(piece.start, piece.end) for piece in pieces] for pieces in (read, said)]
        links = link_words(sentence.alignment, (text, spans[0]), (translation, spans[1]))
        found.append(
            SentenceAlignment(
                Span(0, len(text)).shifted(source_start),
                Span(0, len(translation)).shifted(target_start),
                shift_pieces(read, source_start),
                shift_pieces(said, target_start),
                sentence.alignment,
                tuple(
                    WordLink(link.source.shifted(source_start), link.target.shifted(target_start))
                    for link in links
                ),
            )
        )
    return tuple(found)


def shift_pieces(pieces: Sequence[Piece], by: int) -> tuple[Piece, ...]:
    """The pieces of a sentence that begins at `by`."""
    return tuple(Piece(piece.text, piece.start + by, piece.end + by) for piece in pieces)
