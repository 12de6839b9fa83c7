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
from service.text.quality import Fault, QualityWarning
from service.text.restoration import restore
from service.text.rewriting import Rewriting
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


def spell(
    vocabulary: Vocabulary,
    language: str,
    text: PreparedText,
    sentences: Sequence[Decoded],
    prefix: str = "",
) -> list[list[Rewriting]]:
    """The hypotheses of each sentence, as the model said them and with all that it was not shown.

    The first sentence was made to begin with `prefix`, and does so to the letter.
    """
    spelt = []
    for place, (sentence, decoded) in enumerate(zip(text.sentences, sentences, strict=True)):
        said = [vocabulary.decode(hypothesis.ids) for hypothesis in decoded.hypotheses]
        if prefix and place == 0:
            said = [vocabulary.continue_prefix(prefix, each) for each in said]
        attention = attention_of(vocabulary, language, sentence, decoded)
        # Only the best one has attention; in the others things find their places without.
        spelt.append(
            [
                restore(sentence.shielded, sentence.terms, each, None if rank else attention)
                for rank, each in enumerate(said)
            ]
        )
    return [[each.rewriting for each in hypotheses] for hypotheses in spelt]


def attention_of(
    vocabulary: Vocabulary, language: str, sentence: Sentence, decoded: Decoded
) -> Attention | None:
    """What the model looked at, if that is needed to put the sentence together."""
    if decoded.alignment is None or not sentence.needs_alignment:
        return None
    read = vocabulary.source_pieces(sentence.shown, language)
    said = vocabulary.target_pieces(decoded.hypotheses[0].ids)
    return Attention(decoded.alignment, spans_of(read), spans_of(said))


def join_sentences(
    text: PreparedText, sentences: Sequence[Decoded], spelt: Sequence[Sequence[Rewriting]]
) -> tuple[TextHypothesis, ...]:
    """Hypotheses of the whole text, best first.

    The i-th hypothesis of a text is made of the i-th hypotheses of its sentences.
    """
    count = max((len(sentence.hypotheses) for sentence in sentences), default=1)
    joined = []
    for rank in range(count):
        # A sentence with fewer hypotheses repeats its last one.
        ranks = [min(rank, len(sentence.hypotheses) - 1) for sentence in sentences]
        chosen = [s.hypotheses[r] for s, r in zip(sentences, ranks, strict=True)]
        texts = [each[r].after for each, r in zip(spelt, ranks, strict=True)]
        score, tokens = sum(h.score for h in chosen), sum(len(h.ids) for h in chosen)
        joined.append(TextHypothesis(text.segmentation.join(texts), score, tokens))
    return tuple(joined)


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
