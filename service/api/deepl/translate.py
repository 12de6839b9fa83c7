"""DeepL's translation of texts."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Request
from pydantic import BaseModel, Field

from service.api import urgency
from service.api.bodies import documented, read
from service.api.deepl.errors import SHARED, responses
from service.api.deepl.parameters import CallerOf, Names, Optional, Texts, served, words
from service.api.faults import Refusal
from service.api.glossary_terms import with_terms
from service.api.languages import served_languages
from service.api.state import ServiceOf
from service.api.translating import translated_or_same
from service.text.markup import MarkupOptions, TextFormat
from service.text.segmentation import Splitting
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.result import Translation
from service.translation.translator import Translator

SPLITTINGS = {
    "0": Splitting.OFF,
    "1": Splitting.SENTENCES,
    "nonewlines": Splitting.NO_NEWLINES,
}
MOST_GLOSSARIES = 5
Formality = Annotated[
    Literal["default", "more", "less", "prefer_more", "prefer_less"] | None, Optional
]

router = APIRouter(prefix="/v2", tags=["DeepL"])


class TranslateFields(BaseModel):
    """What is to be translated, and how. Unknown parameters are allowed and do nothing."""

    text: Texts = Field(description="Texts.", examples=[["Good morning!"]])
    target_lang: str = Field(description="`KO`, `EN-US`, `EN-GB`, or `EN`.", examples=["KO"])
    source_lang: Annotated[str | None, Optional] = Field(
        None, description="By default it is found out for each text.", examples=["EN"]
    )
    split_sentences: Annotated[Literal["0", "1", "nonewlines"] | None, Optional] = Field(
        None, description="By default `1`, with HTML `nonewlines`.", examples=["1"]
    )
    formality: Formality = Field(
        None, description="No model has it: `more` and `less` are refused.", examples=["default"]
    )
    glossary_id: Annotated[str | None, Optional] = Field(
        None, description="A stored glossary; needs source_lang.", examples=[None]
    )
    glossary_ids: Names = Field(
        [], description="At most 5 of them; the first that has a term decides.", examples=[[]]
    )
    tag_handling: Annotated[Literal["xml", "html"] | None, Optional] = Field(
        None, description="What tags are.", examples=[None]
    )
    tag_handling_version: Annotated[Literal["v1", "v2"] | None, Optional] = Field(
        None, description="Both are the same here.", examples=[None]
    )
    outline_detection: bool = Field(
        True, description="Whether XML tags may split sentences by where they are.", examples=[True]
    )
    splitting_tags: Names = Field([], description="XML tags that split.", examples=[["p"]])
    non_splitting_tags: Names = Field([], description="XML tags that do not.", examples=[["b"]])
    ignore_tags: Names = Field(
        [], description="XML tags whose content is not translated.", examples=[["x"]]
    )
    model_type: Annotated[
        Literal["latency_optimized", "quality_optimized", "prefer_quality_optimized"] | None,
        Optional,
    ] = Field(None, description="`latency_optimized` is greedy search.", examples=[None])
    context: Any = Field(None, description="Not used.", examples=[None])
    preserve_formatting: Any = Field(None, description="It always is.", examples=[None])
    show_billed_characters: Any = Field(None, description="They always are.", examples=[True])


class TranslationAnswer(BaseModel):
    """The translation of one text."""

    detected_source_language: str = Field(
        description="What it was translated from.", examples=["EN"]
    )
    text: str = Field(description="The translation.", examples=["좋은 아침이에요!"])
    billed_characters: int = Field(description="Characters of the text.", examples=[13])
    model_type_used: str | None = Field(
        None, description="Only if model_type was sent.", examples=["quality_optimized"]
    )
    tag_handling_version: str | None = Field(
        None, description="Only with tag_handling.", examples=["v2"]
    )


class TranslateAnswer(BaseModel):
    """Translations in the order of the texts."""

    translations: list[TranslationAnswer] = Field(
        description="One for each text.",
        examples=[
            [
                {
                    "detected_source_language": "EN",
                    "text": "좋은 아침이에요!",
                    "billed_characters": 13,
                }
            ]
        ],
    )


@router.post(
    "/translate",
    summary="Translate as DeepL does",
    response_model_exclude_none=True,
    responses=responses(*SHARED, 404),
    openapi_extra=documented(TranslateFields) | urgency.HEADERS,
)
async def translate(request: Request, service: ServiceOf, caller: CallerOf) -> TranslateAnswer:
    """JSON, a form or the query string. `<x>...</x>` and the like survive with tag_handling."""
    fields = await read(request, TranslateFields, words)
    wanted = to_pipeline(fields, service.translator)
    wanted = await with_terms(wanted, service.glossaries, caller, glossary_ids(fields))
    result = await translated_or_same(request, service, caller, wanted)
    return TranslateAnswer(
        translations=[
            translation_answer(text, translation, fields)
            for text, translation in zip(fields.text, result.translations, strict=True)
        ]
    )


def to_pipeline(fields: TranslateFields, translator: Translator) -> TranslationRequest:
    """The parameters in the pipeline's words. Raises Refusal."""
    languages = served_languages(translator.catalogue)
    target = served("target_lang", fields.target_lang, languages)
    source = fields.source_lang and served("source_lang", fields.source_lang, languages)
    sources = (*translator.catalogue.sources(None, target), target)
    if (source and source not in sources) or len(sources) == 1:
        raise Refusal(400, f"{fields.source_lang} is not translated into {fields.target_lang}.")
    if fields.formality in ("more", "less"):
        raise Refusal(400, f"Target language '{fields.target_lang}' doesn't support formality.")
    splitting = "nonewlines" if fields.tag_handling == "html" else "1"
    return TranslationRequest(
        tuple(fields.text),
        source or None,
        target,
        decoding=DecodingChoice(
            strategy="greedy" if fields.model_type == "latency_optimized" else None
        ),
        format=TextFormat(fields.tag_handling or "text"),
        markup=MarkupOptions(
            frozenset(fields.ignore_tags),
            frozenset(fields.splitting_tags),
            frozenset(fields.non_splitting_tags),
            fields.outline_detection,
        ),
        splitting=SPLITTINGS[fields.split_sentences or splitting],
    )


def glossary_ids(fields: TranslateFields) -> list[str]:
    """The glossaries that are to be used. Raises Refusal if they cannot be."""
    ids = [fields.glossary_id] if fields.glossary_id else fields.glossary_ids
    if ids and not fields.source_lang:
        raise Refusal(400, "Use of a glossary requires the source_lang parameter to be specified.")
    if len(ids) > MOST_GLOSSARIES:
        raise Refusal(400, f"Value for 'glossary_ids' has more than {MOST_GLOSSARIES} glossaries.")
    return ids


def translation_answer(
    text: str, translation: Translation, fields: TranslateFields
) -> TranslationAnswer:
    """The translation of one text."""
    used = fields.model_type and fields.model_type.removeprefix("prefer_")
    return TranslationAnswer(
        detected_source_language=translation.source.split("-")[0].upper(),
        text=translation.hypotheses[0].text,
        billed_characters=len(text),
        model_type_used=used,
        tag_handling_version=fields.tag_handling and (fields.tag_handling_version or "v2"),
    )
