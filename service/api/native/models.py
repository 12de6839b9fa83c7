"""The native API's lists: models and languages."""

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field

from service.api.access import any_key
from service.api.errors import error_responses
from service.api.languages import name, targets_by_source
from service.api.state import ServiceOf
from service.engine.bundle import Manifest
from service.lifecycle.model import Model

router = APIRouter(prefix="/v1", tags=["translation"])


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
    default: bool = Field(
        description="Whether it is the version that requests get which name none; others are "
        "asked for as NAME@VERSION.",
        examples=[True],
    )
    loaded: bool = Field(
        description="Whether it is in memory; if not, the next request for it waits for that.",
        examples=[True],
    )
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
