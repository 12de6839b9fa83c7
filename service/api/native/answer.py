"""What is answered to a request for translations."""

from pydantic import BaseModel, Field

from service.engine.vocabulary import Piece
from service.text.alignment import Span
from service.text.language import Detection
from service.text.quality import Fault
from service.translation.result import (
    SentenceAlignment,
    SentenceScores,
    Summary,
    Translation,
    TranslationResult,
)


class HypothesisAnswer(BaseModel):
    """One possible translation."""

    text: str = Field(description="The translation.", examples=["좋은 아침이에요. 잘 지내세요?"])
    score: float = Field(
        description="Sum of the log-probabilities of its pieces; higher is better.",
        examples=[-4.2],
    )
    tokens: int = Field(description="Its length in pieces.", examples=[9])


class SpanAnswer(BaseModel):
    """A part of a text, in Unicode code points."""

    start: int = Field(description="Its first code point.", examples=[0])
    end: int = Field(description="The first code point after it.", examples=[4])


class PieceAnswer(SpanAnswer):
    """What the model reads or says in one step; a control symbol stands for an empty part."""

    text: str = Field(description="The piece; `▁` is a space.", examples=["▁Good"])


class WordLinkAnswer(BaseModel):
    """A word of the translation and the source word that it comes from."""

    source: SpanAnswer = Field(
        description="The word in the text.", examples=[{"start": 0, "end": 4}]
    )
    target: SpanAnswer = Field(
        description="The word in the translation.", examples=[{"start": 0, "end": 2}]
    )


class SentenceAlignmentAnswer(BaseModel):
    """What the model looked at in one sentence; spans count in the whole text and translation."""

    source: SpanAnswer = Field(
        description="The sentence in the text.", examples=[{"start": 0, "end": 13}]
    )
    target: SpanAnswer = Field(
        description="Its translation in the translation.", examples=[{"start": 0, "end": 8}]
    )
    source_pieces: list[PieceAnswer] = Field(
        description="What was read, language tag and end included.",
        examples=[[{"text": "▁Good", "start": 0, "end": 4}]],
    )
    target_pieces: list[PieceAnswer] = Field(
        description="What was said, end included.",
        examples=[[{"text": "▁좋은", "start": 0, "end": 2}]],
    )
    attention: list[list[float]] = Field(
        description="A row for each target piece, a column for each source piece; rows sum to 1.",
        examples=[[[0.1, 0.9]]],
    )
    words: list[WordLinkAnswer] = Field(
        description="Which source word each word of the translation comes from.",
        examples=[[{"source": {"start": 0, "end": 4}, "target": {"start": 0, "end": 2}}]],
    )

    @classmethod
    def of(cls, found: SentenceAlignment) -> "SentenceAlignmentAnswer":
        """The pipeline's alignment in the words of this API."""
        return cls(
            source=span(found.source),
            target=span(found.target),
            source_pieces=[_piece(piece) for piece in found.source_pieces],
            target_pieces=[_piece(piece) for piece in found.target_pieces],
            attention=[[round(weight, 6) for weight in row] for row in found.attention.tolist()],
            words=[
                WordLinkAnswer(source=span(link.source), target=span(link.target))
                for link in found.words
            ],
        )


def span(found: Span) -> SpanAnswer:
    """The pipeline's span in the words of this API."""
    return SpanAnswer(start=found.start, end=found.end)


def _piece(piece: Piece) -> PieceAnswer:
    return PieceAnswer(text=piece.text, start=piece.start, end=piece.end)


class AlignmentAnswer(BaseModel):
    """What the model looked at while it made the best hypothesis."""

    sentences: list[SentenceAlignmentAnswer] = Field(
        description="One for each sentence of the text.", examples=[[]]
    )


class DetectionAnswer(BaseModel):
    """The language that a text was found to be in."""

    language: str = Field(description="Its code.", examples=["en"])
    confidence: float = Field(description="How sure that is, 0 to 1.", examples=[0.97])


class WarningAnswer(BaseModel):
    """A sentence whose translation cannot be right."""

    sentence: SpanAnswer = Field(
        description="The sentence in the text.", examples=[{"start": 0, "end": 13}]
    )
    reason: Fault = Field(description="What is wrong.", examples=["repetition"])
    message: str = Field(description="For people.", examples=["the translation repeats itself"])


class ScoredPieceAnswer(PieceAnswer):
    """A piece of the translation and what the model thinks of it."""

    score: float = Field(description="Its log-probability after those before.", examples=[-0.2])


class SentenceScoresAnswer(BaseModel):
    """How sure one sentence is; spans count in the whole text and its whole translation."""

    source: SpanAnswer = Field(
        description="The sentence in the text.", examples=[{"start": 0, "end": 13}]
    )
    target: SpanAnswer = Field(
        description="Its translation in the translation.", examples=[{"start": 0, "end": 8}]
    )
    score: float = Field(description="Sum of the scores of its pieces.", examples=[-4.2])
    confidence: float | None = Field(
        None, description="As for the whole text; only of calibrated models.", examples=[0.83]
    )
    tokens: list[ScoredPieceAnswer] = Field(
        description="What was said, end included.",
        examples=[[{"text": "▁좋은", "start": 0, "end": 2, "score": -0.2}]],
    )

    @classmethod
    def of(cls, found: SentenceScores) -> "SentenceScoresAnswer":
        """The pipeline's scores in the words of this API."""
        pieces = zip(found.pieces, found.piece_scores, strict=True)
        return cls(
            source=span(found.source),
            target=span(found.target),
            score=found.score,
            confidence=_rounded(found.confidence),
            tokens=[
                ScoredPieceAnswer(
                    text=piece.text, start=piece.start, end=piece.end, score=round(score, 6)
                )
                for piece, score in pieces
            ],
        )


def _rounded(confidence: float | None) -> float | None:
    return None if confidence is None else round(confidence, 4)


class TranslationAnswer(BaseModel):
    """The translation of one text."""

    text: str = Field(
        description="The best hypothesis.", examples=["좋은 아침이에요. 잘 지내세요?"]
    )
    source: str = Field(description="Language of the text.", examples=["en"])
    target: str = Field(description="Language of the translation.", examples=["ko"])
    model: str | None = Field(
        None,
        description="The model that translated; none if the text was in the target language "
        "already, it comes back as it is.",
        examples=["en-ko-transformer"],
    )
    pivot: str | None = Field(
        None,
        description="The language in the middle, only if no model translates in one step; then "
        "`model` did the second.",
        examples=[None],
    )
    detected: DetectionAnswer | None = Field(
        None,
        description='Only if source was "auto".',
        examples=[{"language": "en", "confidence": 0.97}],
    )
    warnings: list[WarningAnswer] | None = Field(
        None,
        description="Only if a sentence cannot be right, even at the second try.",
        examples=[
            [
                {
                    "sentence": {"start": 0, "end": 13},
                    "reason": "repetition",
                    "message": "the translation repeats itself",
                }
            ]
        ],
    )
    score: float = Field(description="Score of the best hypothesis.", examples=[-4.2])
    confidence: float | None = Field(
        None,
        description="How likely it is good, 0 to 1; only of models that are calibrated.",
        examples=[0.83],
    )
    hypotheses: list[HypothesisAnswer] = Field(
        description="n_best hypotheses, best first.",
        examples=[[{"text": "좋은 아침이에요. 잘 지내세요?", "score": -4.2, "tokens": 9}]],
    )

    sentences: list[SentenceScoresAnswer] | None = Field(
        None,
        description="Scores of each sentence; only if token_scores were asked for.",
        examples=[[]],
    )
    alignment: AlignmentAnswer | None = Field(
        None, description="Only if it was asked for.", examples=[{"sentences": []}]
    )

    @classmethod
    def of(cls, translation: Translation, target: str) -> "TranslationAnswer":
        """The pipeline's translation in the words of this API."""
        return cls(
            text=translation.hypotheses[0].text,
            source=translation.source,
            target=target,
            model=translation.model,
            pivot=translation.pivot,
            detected=detection(translation.detected),
            warnings=[
                WarningAnswer(sentence=span(w.sentence), reason=w.reason, message=w.message)
                for w in translation.warnings
            ]
            or None,
            score=translation.hypotheses[0].score,
            confidence=_rounded(translation.confidence),
            hypotheses=[
                HypothesisAnswer(text=h.text, score=h.score, tokens=h.tokens)
                for h in translation.hypotheses
            ],
            sentences=_sentences(translation),
            alignment=_alignment(translation),
        )


class Usage(BaseModel):
    """What was processed."""

    characters: int = Field(description="Characters of all texts.", examples=[26])
    source_tokens: int = Field(description="Pieces read, control symbols included.", examples=[11])
    target_tokens: int = Field(description="Pieces of the best hypotheses.", examples=[9])

    @classmethod
    def of(cls, took: Summary) -> "Usage":
        """The pipeline's summary in the words of this API."""
        return cls(
            characters=took.characters,
            source_tokens=took.source_tokens,
            target_tokens=took.target_tokens,
        )


class TranslateAnswer(BaseModel):
    """Translations in the order of the texts."""

    model: str | None = Field(
        None,
        description="The model that translated; the first, if there were several.",
        examples=["en-ko-transformer"],
    )
    translations: list[TranslationAnswer] = Field(
        description="One for each text, also when a single text was sent.",
        examples=[
            [
                {
                    "text": "좋은 아침이에요. 잘 지내세요?",
                    "source": "en",
                    "target": "ko",
                    "score": -4.2,
                    "hypotheses": [
                        {"text": "좋은 아침이에요. 잘 지내세요?", "score": -4.2, "tokens": 9}
                    ],
                }
            ]
        ],
    )
    usage: Usage = Field(
        description="How much was processed.",
        examples=[{"characters": 26, "source_tokens": 11, "target_tokens": 9}],
    )

    @classmethod
    def of(cls, result: TranslationResult, target: str) -> "TranslateAnswer":
        """The pipeline's result in the words of this API."""
        return cls(
            model=result.summary.model,
            translations=[TranslationAnswer.of(each, target) for each in result.translations],
            usage=Usage.of(result.summary),
        )


def detection(found: Detection | None) -> DetectionAnswer | None:
    """The pipeline's detection in the words of this API."""
    if found is None:
        return None
    return DetectionAnswer(language=found.language, confidence=found.confidence)


def _sentences(translation: Translation) -> list[SentenceScoresAnswer] | None:
    if translation.scores is None:
        return None
    return [SentenceScoresAnswer.of(found) for found in translation.scores]


def _alignment(translation: Translation) -> AlignmentAnswer | None:
    if translation.alignments is None:
        return None
    return AlignmentAnswer(
        sentences=[SentenceAlignmentAnswer.of(found) for found in translation.alignments]
    )
