"""The native API's requests and responses. Types and shapes only; limits are checked elsewhere."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.assembly import SentenceAlignment, Translation
from service.engine.vocabulary import Piece
from service.pipeline import DecodingChoice, TranslationRequest, TranslationResult
from service.text.alignment import Span

_SURROGATE = re.compile("[\\ud800-\\udfff]")


def _sound_texts(value: Any) -> Any:
    """Says what is wrong with a text and with which, where a union of types would only guess."""
    if not isinstance(value, str | list):
        raise ValueError("must be a text or a list of texts")
    if value == []:
        raise ValueError("the list of texts is empty")
    for number, text in enumerate([value] if isinstance(value, str) else value):
        place = "the text" if isinstance(value, str) else f"text {number}"
        if not isinstance(text, str):
            raise ValueError(f"{place} is not a string")
        if not text:
            raise ValueError(f"{place} is empty")
        if "\0" in text:
            raise ValueError(f"{place} contains the character NUL (U+0000)")
        if _SURROGATE.search(text):
            raise ValueError(f"{place} contains half of a surrogate pair, which is no character")
    return value


AUTO = "auto"
"""The language of each text is to be found out."""
Language = Annotated[str, Field(min_length=2, max_length=16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Decoding(_Strict):
    """How to search; whatever is left out is the model's default."""

    strategy: Literal["greedy", "beam"] | None = Field(
        None, description="`greedy` is fastest, `beam` better.", examples=["beam"]
    )
    beam_size: int | None = Field(
        None, ge=1, description="Hypotheses kept side by side.", examples=[4]
    )
    n_best: int | None = Field(
        None, ge=1, description="Hypotheses returned; at most beam_size.", examples=[2]
    )
    length_penalty: float | None = Field(
        None,
        ge=0,
        le=5,
        allow_inf_nan=False,
        description="Alpha of Wu et al. 2016; larger favours longer translations.",
        examples=[1.0],
    )
    max_target_length: int | None = Field(
        None, ge=1, description="Most pieces of a translated sentence.", examples=[100]
    )


class TranslateRequest(_Strict):
    """Texts to translate from one language into another."""

    text: Annotated[str | list[str], BeforeValidator(_sound_texts)] = Field(
        description="A text or a list of texts.", examples=["Good morning. How are you?"]
    )
    source: Language = Field(
        description='Language of the texts; "auto" finds out for each.', examples=["en"]
    )
    target: Language = Field(description="Language to translate into.", examples=["ko"])
    model: str | None = Field(
        None,
        description="A name from /v1/models; by default the first that serves the direction.",
        examples=["en-ko-transformer"],
    )
    decoding: Decoding = Field(
        default_factory=lambda: Decoding(),
        description="How to search.",
        examples=[{"strategy": "beam", "beam_size": 4, "n_best": 2}],
    )

    alignment: bool = Field(
        False,
        description="Whether to show what the model looked at; needs a model with attention.",
        examples=[False],
    )

    def to_pipeline(self) -> TranslationRequest:
        """The same in the pipeline's words."""
        texts = (self.text,) if isinstance(self.text, str) else tuple(self.text)
        choice = DecodingChoice(**self.decoding.model_dump())
        source = None if self.source == AUTO else self.source
        return TranslationRequest(texts, source, self.target, self.model, choice, self.alignment)


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
            source=_span(found.source),
            target=_span(found.target),
            source_pieces=[_piece(piece) for piece in found.source_pieces],
            target_pieces=[_piece(piece) for piece in found.target_pieces],
            attention=[[round(weight, 6) for weight in row] for row in found.attention.tolist()],
            words=[
                WordLinkAnswer(source=_span(link.source), target=_span(link.target))
                for link in found.words
            ],
        )


def _span(span: Span) -> SpanAnswer:
    return SpanAnswer(start=span.start, end=span.end)


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
    """Something that may be wrong with a translation."""

    reason: str = Field(description="A stable name.", examples=["repetition"])
    message: str = Field(description="For people.", examples=["a sentence repeats itself"])


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
    detected: DetectionAnswer | None = Field(
        None,
        description='Only if source was "auto".',
        examples=[{"language": "en", "confidence": 0.97}],
    )
    warnings: list[WarningAnswer] | None = Field(
        None,
        description="Only if something may be wrong.",
        examples=[[{"reason": "repetition", "message": "a sentence repeats itself"}]],
    )
    score: float = Field(description="Score of the best hypothesis.", examples=[-4.2])
    hypotheses: list[HypothesisAnswer] = Field(
        description="n_best hypotheses, best first.",
        examples=[[{"text": "좋은 아침이에요. 잘 지내세요?", "score": -4.2, "tokens": 9}]],
    )

    alignment: AlignmentAnswer | None = Field(
        None, description="Only if it was asked for.", examples=[{"sentences": []}]
    )


class Usage(BaseModel):
    """What was processed."""

    characters: int = Field(description="Characters of all texts.", examples=[26])
    source_tokens: int = Field(description="Pieces read, control symbols included.", examples=[11])
    target_tokens: int = Field(description="Pieces of the best hypotheses.", examples=[9])


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
            model=result.model,
            translations=[
                TranslationAnswer(
                    text=translation.hypotheses[0].text,
                    source=translation.source,
                    target=target,
                    model=translation.model,
                    detected=_detected(translation),
                    warnings=[
                        WarningAnswer(reason=w.reason, message=w.message)
                        for w in translation.warnings
                    ]
                    or None,
                    score=translation.hypotheses[0].score,
                    hypotheses=[
                        HypothesisAnswer(text=h.text, score=h.score, tokens=h.tokens)
                        for h in translation.hypotheses
                    ],
                    alignment=_alignment(translation),
                )
                for translation in result.translations
            ],
            usage=Usage(
                characters=result.characters,
                source_tokens=result.source_tokens,
                target_tokens=result.target_tokens,
            ),
        )


def _detected(translation: Translation) -> DetectionAnswer | None:
    if (detected := translation.detected) is None:
        return None
    return DetectionAnswer(language=detected.language, confidence=detected.confidence)


def _alignment(translation: Translation) -> AlignmentAnswer | None:
    if translation.alignments is None:
        return None
    return AlignmentAnswer(
        sentences=[SentenceAlignmentAnswer.of(found) for found in translation.alignments]
    )


class DirectionAnswer(BaseModel):
    """A direction that a model translates in."""

    source: str = Field(description="From this language.", examples=["en"])
    target: str = Field(description="Into this language.", examples=["ko"])


class ScoreAnswer(BaseModel):
    """One evaluation figure."""

    data: str = Field(description="The test set.", examples=["authored"])
    direction: str = Field(description="Source and target.", examples=["en-ko"])
    decoding: str = Field(description="How it was decoded.", examples=["beam 4"])
    metric: str = Field(description="The metric.", examples=["chrF2++"])
    value: float = Field(description="Its value; higher is better.", examples=[20.1])
    signature: str = Field(
        description="What makes it repeatable.", examples=["nrefs:1|case:mixed|version:2.6.0"]
    )


class ModelAnswer(BaseModel):
    """A loaded model."""

    name: str = Field(description="Its name in requests.", examples=["en-ko-transformer"])
    version: str = Field(description="Version of the weights.", examples=["1"])
    architecture: str = Field(description="For people.", examples=["transformer"])
    parameters: int = Field(description="Number of weights.", examples=[8894464])
    precision: str = Field(description="What it computes in.", examples=["float32"])
    directions: list[DirectionAnswer] = Field(
        description="What it translates.", examples=[[{"source": "en", "target": "ko"}]]
    )
    max_source_length: int = Field(
        description="Pieces of the longest sentence; longer ones are cut.", examples=[64]
    )
    max_target_length: int = Field(description="Most pieces of a translation.", examples=[128])
    default_beam_size: int = Field(description="Used when none is asked for.", examples=[4])
    default_length_penalty: float = Field(
        description="Used when none is asked for.", examples=[1.0]
    )
    licences: list[str] = Field(
        description="Licences of the texts that it was trained on.", examples=[["CC0"]]
    )
    scores: list[ScoreAnswer] = Field(
        description="How good it is.",
        examples=[
            [
                {
                    "data": "authored",
                    "direction": "en-ko",
                    "decoding": "beam 4",
                    "metric": "chrF2++",
                    "value": 20.1,
                    "signature": "nrefs:1",
                }
            ]
        ],
    )
    alignment: bool = Field(description="Whether it can show what it looks at.", examples=[True])
    ready: bool = Field(description="Whether it takes work.", examples=[True])


class ModelsAnswer(BaseModel):
    """All loaded models."""

    models: list[ModelAnswer] = Field(
        description="In order of preference.", examples=[[{"name": "en-ko-transformer"}]]
    )


class LanguageAnswer(BaseModel):
    """A language that can be translated from."""

    code: str = Field(description="Code in requests.", examples=["en"])
    name: str = Field(description="Name in English.", examples=["English"])
    targets: list[str] = Field(description="Languages it goes into.", examples=[["ko"]])


class LanguagesAnswer(BaseModel):
    """All source languages."""

    languages: list[LanguageAnswer] = Field(
        description="Sorted by code.",
        examples=[[{"code": "en", "name": "English", "targets": ["ko"]}]],
    )
