"""What a request for translations says. Types and shapes only; limits are checked elsewhere."""

from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from service.api.native.decoding import Decoding
from service.api.native.text_fields import (
    FormatField,
    Kept,
    MarkupField,
    SplittingField,
    Terms,
    glossary_of,
)
from service.api.texts import sound_text
from service.text.markup import TextFormat
from service.text.segmentation import Splitting
from service.translation.request import TranslationRequest


def _sound_texts(value: Any) -> Any:
    """Says what is wrong with a text and with which, where a union of types would only guess."""
    if not isinstance(value, str | list):
        raise ValueError("must be a text or a list of texts")
    if value == []:
        raise ValueError("the list of texts is empty")
    for number, text in enumerate([value] if isinstance(value, str) else value):
        place = "the text" if isinstance(value, str) else f"text {number}"
        sound_text(text, place)
    return value


AUTO = "auto"
"""The language of each text is to be found out."""
Language = Annotated[str, Field(min_length=2, max_length=16)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


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

    format: FormatField = Field(
        TextFormat.TEXT,
        description="What the tags and entities of the texts are; `text` has none.",
        examples=["html"],
    )
    markup: MarkupField = Field(
        default_factory=lambda: MarkupField(),
        description="What is special about tags.",
        examples=[{"ignore_tags": ["x"]}],
    )
    splitting: SplittingField = Field(
        Splitting.SENTENCES,
        description="Where texts are cut: at ends of `sentences` and line breaks, also over line "
        "breaks (`nonewlines`), or not (`off`).",
        examples=["sentences"],
    )
    glossary: Terms = Field(
        [],
        description="Terms that must be translated so.",
        examples=[[{"source": "station", "target": "정거장"}]],
    )
    do_not_translate: Kept = Field(
        [], description="Words that stay as they are.", examples=[["Seq2Serve"]]
    )
    token_scores: bool = Field(
        False,
        description="Whether to tell the scores of sentences and their pieces.",
        examples=[False],
    )
    alignment: bool = Field(
        False,
        description="Whether to show what the model looked at; needs a model with attention.",
        examples=[False],
    )

    glossary_id: str | None = Field(
        None,
        description="A stored glossary of the caller; needs a source.",
        examples=["def3a26b-3e84-45b3-84ae-0c0aaf3525f7"],
    )

    stream: bool = Field(
        False,
        description="Whether the answer is a stream of events, sentence by sentence.",
        examples=[False],
    )

    @property
    def stored_glossaries(self) -> tuple[str, ...]:
        """The ids of glossaries whose terms are wanted."""
        return () if self.glossary_id is None else (self.glossary_id,)

    def to_pipeline(self) -> TranslationRequest:
        """The same in the pipeline's words, but for stored glossaries."""
        texts = (self.text,) if isinstance(self.text, str) else tuple(self.text)
        choice = self.decoding.choice()
        source = None if self.source == AUTO else self.source
        return TranslationRequest(
            texts,
            source,
            self.target,
            self.model,
            choice,
            self.alignment,
            format=self.format,
            markup=self.markup.options(),
            splitting=self.splitting,
            glossary=glossary_of(self.glossary, self.do_not_translate),
            token_scores=self.token_scores,
        )
