"""What the pipeline answers: translations, and what they took."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from service.engine.vocabulary import Piece
from service.text.alignment import Span, WordLink
from service.text.language import Detection
from service.text.quality import QualityWarning


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


@dataclass(frozen=True, slots=True)
class Summary:
    """What a request took, for its usage, its line in the log and its trace."""

    model: str | None
    """The model that translated, the first of several; None if there was nothing to do."""
    characters: int
    source_tokens: int
    target_tokens: int
    timings: Mapping[str, float]
    """Seconds of each stage."""


@dataclass(frozen=True, slots=True)
class TranslationResult:
    """The answer to a request: a translation for each text, in their order."""

    translations: tuple[Translation, ...]
    summary: Summary
