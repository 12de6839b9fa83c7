"""LibreTranslate's routes for texts: translate, detect, languages, and what clients ask first."""

import json
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import quote_plus

from fastapi import APIRouter, Depends, Request

from service.access.keys import Caller
from service.api import urgency
from service.api.access import admitted, header_or_field
from service.api.bodies import FORM, JSON, MULTIPART, documented, read
from service.api.faults import Refusal
from service.api.languages import name, resolve, served_languages, targets_by_source
from service.api.libretranslate.errors import responses
from service.api.libretranslate.schemas import (
    DetectedLanguage,
    DetectFields,
    Health,
    Language,
    LanguagePair,
    NamedLanguage,
    Settings,
    TranslateAnswer,
    TranslateFields,
)
from service.api.state import Service, ServiceOf
from service.api.translating import translated_or_same
from service.documents.reading import SUFFIXES
from service.text.language import Detection
from service.text.markup import TextFormat
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.result import Translation
from service.translation.translator import Translator

AUTO = "auto"
ENCODINGS = (JSON, FORM, MULTIPART)


may_translate = admitted(header_or_field("api_key", "apiKey"))
CallerOf = Annotated[Caller, Depends(may_translate)]
router = APIRouter(tags=["LibreTranslate"])


def words(mistake: dict[str, Any]) -> str:
    """The first thing that is wrong with the fields, as LibreTranslate would say it."""
    field = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "missing":
        return f"Invalid request: missing {field} parameter"
    message: str = mistake["msg"].removeprefix("Value error, ")
    if message.endswith("format is not supported"):
        return message
    if message.startswith(("missing", "q parameter", "alternatives")):
        return f"Invalid request: {message}"
    return f"Invalid request: {field} parameter: {message}"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request in the pipeline's words, and the form that its answer is to have."""

    wanted: TranslationRequest
    scalar: bool
    encoded: bool
    """Whether it came from the PHP library, as a list in one text."""


@router.post(
    "/translate",
    summary="Translate as LibreTranslate does",
    response_model_exclude_none=True,
    responses=responses(400, 403, 413, 429, 503, 504),
    openapi_extra=documented(TranslateFields, ENCODINGS) | urgency.HEADERS,
)
async def translate(request: Request, service: ServiceOf, caller: CallerOf) -> TranslateAnswer:
    """JSON, both kinds of forms, or the query string; a list of texts becomes lists of answers."""
    asked = to_pipeline(await read(request, TranslateFields, words), service)
    result = await translated_or_same(request, service, caller, asked.wanted)
    return answer(asked, result.translations)


@router.post(
    "/detect",
    summary="Find out the language of a text",
    responses=responses(400, 403, 413, 503),
    openapi_extra=documented(DetectFields, ENCODINGS),
    dependencies=[Depends(may_translate)],
)
async def detect(request: Request, service: ServiceOf) -> list[DetectedLanguage]:
    """The served languages that it may be in, the likeliest first; never empty."""
    fields = await read(request, DetectFields, words)
    text = fields.q if isinstance(fields.q, str) else "\n".join(fields.q)
    found = [detected(d) for d in service.translator.detections(text)]
    return [d for d in found if d.confidence] or found[:1]


@router.get("/languages", summary="The languages", responses=responses(503))
async def languages(service: ServiceOf) -> list[Language]:
    """Every source language, and what it is translated into; no key is needed."""
    targets = targets_by_source(service.translator.catalogue)
    return [
        Language(code=code, name=name(code), targets=sorted({code, *into}))
        for code, into in targets.items()
    ]


@router.get(
    "/frontend/settings", summary="What a user interface needs to know", responses=responses(503)
)
async def settings(service: ServiceOf) -> Settings:
    """Limits, and the direction to begin with."""
    source, targets = next(iter(targets_by_source(service.translator.catalogue).items()))
    first = LanguagePair(source=_named(source), target=_named(targets[0]))
    return Settings(
        apiKeys=service.access.needs_key,
        charLimit=service.limits.max_characters,
        filesTranslation=True,
        frontendTimeout=500,
        keyRequired=service.access.needs_key,
        language=first,
        suggestions=False,
        supportedFilesFormat=list(SUFFIXES),
    )


@router.get("/health", summary="Whether translations can be asked for", responses=responses(503))
async def health(service: ServiceOf) -> Health:
    """As /readyz."""
    service.check_ready()
    return Health()


@router.post(
    "/suggest",
    summary="Always refused: suggestions are not collected",
    responses=responses(403),
    status_code=403,
    response_model=None,
)
async def suggest() -> None:
    """As LibreTranslate does where suggestions are switched off."""
    raise Refusal(403, "Suggestions are disabled on this server.")


def to_pipeline(fields: TranslateFields, service: Service) -> Asked:
    """The fields in the pipeline's words. Raises Refusal."""
    most = service.limits.max_beam_size - 1
    if not 0 <= fields.alternatives <= most:
        bound = f"<= {most}" if fields.alternatives > 0 else ">= 0"
        raise Refusal(400, f"Invalid request: alternatives parameter must be {bound}")
    source, target = direction_of(fields.source, fields.target, service.translator)
    texts = fields.php_list
    encoded = texts is not None
    if texts is None:
        texts = [fields.q] if isinstance(fields.q, str) else fields.q
    choice = DecodingChoice()
    if fields.alternatives:
        choice = DecodingChoice(strategy="beam", n_best=fields.alternatives + 1)
    wanted = TranslationRequest(
        tuple(texts), source, target, decoding=choice, format=TextFormat(fields.format)
    )
    size, limit = wanted.characters, service.limits.max_characters
    if size > limit:
        raise Refusal(400, f"Invalid request: request ({size}) exceeds text limit ({limit})")
    return Asked(wanted, isinstance(fields.q, str) and not encoded, encoded)


def direction_of(source: str, target: str, translator: Translator) -> tuple[str | None, str]:
    """The served codes that are meant; None for a source to be found out. Raises Refusal."""
    served = served_languages(translator.catalogue)
    into = resolve(target, served)
    of = None if source.lower() == AUTO else resolve(source, served)
    for code, found in ((source, of or source.lower() == AUTO), (target, into)):
        if not found:
            raise Refusal(400, f"{code[:40]} is not supported")
    assert into is not None
    sources = translator.catalogue.sources(None, into)
    if (of is None and sources) or of in (*sources, into):
        return of, into
    origin = "any language" if of is None else f"{name(of)} ({of})"
    raise Refusal(400, f"{name(into)} ({into}) is not available as a target language from {origin}")


def answer(asked: Asked, translations: tuple[Translation, ...]) -> TranslateAnswer:
    """One value for one text, parallel lists for a list of them."""
    texts = [t.hypotheses[0].text for t in translations]
    found = [detected(t.detected) for t in translations if t.detected is not None] or None
    others = None
    if asked.wanted.decoding.n_best:
        others = [
            [h.text for h in t.hypotheses[1:] if h.text != t.hypotheses[0].text]
            for t in translations
        ]
    if asked.encoded:
        text = quote_plus(json.dumps(texts, ensure_ascii=False))
        return TranslateAnswer(translatedText=text, detectedLanguage=found and found[0])
    if asked.scalar:
        return TranslateAnswer(
            translatedText=texts[0],
            detectedLanguage=found and found[0],
            alternatives=others and others[0],
        )
    return TranslateAnswer(translatedText=texts, detectedLanguage=found, alternatives=others)


def detected(detection: Detection) -> DetectedLanguage:
    """In per cent, as a whole number: clients with strict types read nothing else."""
    return DetectedLanguage(
        confidence=round(100 * detection.confidence), language=detection.language
    )


def _named(code: str) -> NamedLanguage:
    return NamedLanguage(code=code, name=name(code))
