"""The native API: translate, models, languages."""

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.responses import Response

from service.api import urgency
from service.api.access import CallerOf, any_key, may_translate
from service.api.errors import error_responses
from service.api.events import EXAMPLE, EventStream
from service.api.glossary_terms import with_terms
from service.api.languages import name, targets_by_source
from service.api.schemas import (
    DirectionAnswer,
    LanguageAnswer,
    LanguagesAnswer,
    ModelAnswer,
    ModelsAnswer,
    ScoreAnswer,
    TranslateAnswer,
    TranslateRequest,
)
from service.api.state import ServiceOf
from service.api.translating import streamed, translated
from service.engine.bundle import Manifest
from service.lifecycle.model import Model


async def json_only(request: Request) -> None:  # async, or each call would change threads
    """Refuses other content types by name, rather than the shape of their content."""
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise HTTPException(415, "the body must be JSON, content-type application/json")


router = APIRouter(prefix="/v1", tags=["translation"])


@router.post(
    "/translate",
    summary="Translate a text or a list of texts",
    response_model=TranslateAnswer,
    response_model_exclude_none=True,
    dependencies=[Depends(may_translate), Depends(json_only)],
    responses={
        200: {"content": {"text/event-stream": {"schema": {"type": "string"}, "example": EXAMPLE}}},
        **error_responses(400, 401, 403, 404, 413, 415, 422, 429, 503, 504),
    },
    openapi_extra=urgency.HEADERS,
)
async def translate(
    request: Request, body: TranslateRequest, service: ServiceOf, caller: CallerOf
) -> TranslateAnswer | Response:
    """Splits texts into sentences, translates them and joins them with their own white space."""
    wanted = await with_terms(
        body.to_pipeline(), service.glossaries, caller, body.stored_glossaries
    )
    if body.stream:
        return EventStream(await streamed(request, service, caller, wanted), wanted.target)
    return TranslateAnswer.of(await translated(request, service, caller, wanted), wanted.target)


@router.get(
    "/models",
    summary="The loaded models",
    dependencies=[Depends(any_key)],
    responses=error_responses(401, 403, 503),
)
async def models(service: ServiceOf) -> ModelsAnswer:
    """What each model translates, how large and how good it is, and what it was trained on."""
    served = service.translator.catalogue.served
    return ModelsAnswer(
        models=[describe(model, served.is_default(model)) for model in served.by_name.values()]
    )


@router.get(
    "/languages",
    summary="The languages",
    dependencies=[Depends(any_key)],
    responses=error_responses(401, 403, 503),
)
async def languages(service: ServiceOf) -> LanguagesAnswer:
    """Every source language with the languages that it can be translated into."""
    targets = targets_by_source(service.translator.catalogue)
    return LanguagesAnswer(
        languages=[
            LanguageAnswer(code=code, name=name(code), targets=into)
            for code, into in targets.items()
        ]
    )


def licences(manifest: Manifest) -> list[str]:
    """Those of the data that a model was made of, or of an imported model itself."""
    origin = manifest.provenance.origin
    own = () if origin is None else (origin.licence,)
    return sorted({*(data.licence for data in manifest.provenance.data), *own})


def describe(model: Model, default: bool) -> ModelAnswer:
    """What the API says of a model."""
    manifest = model.manifest
    return ModelAnswer(
        name=manifest.name,
        version=manifest.version,
        architecture=manifest.architecture,
        parameters=manifest.parameters,
        precision=manifest.precision,
        directions=[DirectionAnswer(source=d.source, target=d.target) for d in manifest.directions],
        max_source_length=manifest.limits.max_source_length,
        max_target_length=manifest.limits.max_target_length,
        default_beam_size=manifest.decoding.beam_size,
        default_length_penalty=manifest.decoding.length_penalty,
        licences=licences(manifest),
        scores=[
            ScoreAnswer(
                data=score.data,
                direction=score.direction,
                decoding=score.decoding,
                metric=score.metric,
                value=score.value,
                signature=score.signature,
            )
            for score in manifest.scores
        ],
        alignment=manifest.aligner is not None,
        default=default,
        loaded=model.loaded,
        ready=model.healthy,
    )
