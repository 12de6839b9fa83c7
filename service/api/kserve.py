"""Health and metadata as KServe's open inference protocol, version 2, has them; no inference."""

from typing import Any, Literal

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response

from service import __version__
from service.api.access import any_key
from service.api.errors import ErrorShape
from service.api.faults import Fault, Refusal
from service.api.state import NotReady, Service, ServiceOf
from service.lifecycle.model import Model as ServedModel

router = APIRouter(tags=["KServe"])


class ErrorAnswer(BaseModel):
    """The body of every answer that is not a success."""

    error: str = Field(description="What went wrong.", examples=["there is no model x"])


class Server(BaseModel):
    """What serves."""

    name: str = Field(description="Always seq2serve.", examples=["seq2serve"])
    version: str = Field(description="Its version.", examples=["0.1.0"])
    extensions: list[str] = Field(description="None.", examples=[[]])


class Live(BaseModel):
    """The process answers."""

    live: Literal[True] = Field(True, description="Always true.", examples=[True])


class Ready(BaseModel):
    """Every model takes work."""

    ready: Literal[True] = Field(
        True, description="Always true; otherwise the answer is a 503.", examples=[True]
    )


class ModelReady(Ready):
    """This model takes work."""

    name: str = Field(description="Its name.", examples=["en-ko-transformer"])


class Tensor(BaseModel):
    """What goes in or comes out."""

    name: str = Field(description="Its name.", examples=["text"])
    datatype: Literal["BYTES"] = Field("BYTES", description="Text in UTF-8.", examples=["BYTES"])
    shape: list[int] = Field(description="-1: as many as one likes.", examples=[[-1]])


class Model(BaseModel):
    """A loaded model."""

    name: str = Field(description="Its name.", examples=["en-ko-transformer"])
    versions: list[str] = Field(description="Versions of its weights.", examples=[["1"]])
    platform: str = Field(description="What runs it.", examples=["onnxruntime_onnx"])
    inputs: list[Tensor] = Field(
        description="Texts.", examples=[[{"name": "text", "datatype": "BYTES", "shape": [-1]}]]
    )
    outputs: list[Tensor] = Field(
        description="Translations, in the order of the texts.",
        examples=[[{"name": "translation", "datatype": "BYTES", "shape": [-1]}]],
    )


def answer(fault: Fault) -> Response:
    """A fault as this protocol tells it."""
    return JSONResponse({"error": fault.message}, fault.status, dict(fault.headers))


SHAPE = ErrorShape(("/v2", "/v2/health/", "/v2/models/"), answer)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The OpenAPI entries of the statuses that a route can answer with."""
    meanings = {
        401: "a key is needed, or this one is not valid",
        403: "the key may not",
        404: "there is no such model or version",
        503: "not now",
    }
    return {status: {"model": ErrorAnswer, "description": meanings[status]} for status in statuses}


@router.get("/v2", summary="What serves")
async def server() -> Server:
    """Name and version."""
    return Server(name="seq2serve", version=__version__, extensions=[])


@router.get("/v2/health/live", summary="Whether the process is alive")
async def live() -> Live:
    """As /livez."""
    return Live()


@router.get("/v2/health/ready", summary="Whether every model takes work", responses=responses(503))
async def ready(service: ServiceOf) -> Ready:
    """As /readyz."""
    service.check_ready()
    return Ready()


models = APIRouter(  # with the whole prefix, because metrics know a route by its own path
    prefix="/v2/models", dependencies=[Depends(any_key)], responses=responses(401, 403, 404, 503)
)


@models.get("/{model}/ready", summary="Whether a model takes work")
@models.get("/{model}/versions/{version}/ready", summary="The same of a version")
async def model_ready(model: str, service: ServiceOf, version: str | None = None) -> ModelReady:
    """503 while it does not."""
    if not _find(service, model, version).healthy:
        raise NotReady(f"stopped: {model}")
    return ModelReady(name=model)


@models.get("/{model}", summary="A model")
@models.get("/{model}/versions/{version}", summary="A version of a model")
async def metadata(model: str, service: ServiceOf, version: str | None = None) -> Model:
    """What goes in and comes out; /v1/models tells more."""
    manifest = _find(service, model, version).manifest
    versions = service.translator.catalogue.served.versions(manifest.name)
    return Model(
        name=manifest.name,
        versions=[each.manifest.version for each in versions],
        platform="onnxruntime_onnx",
        inputs=[Tensor(name="text", shape=[-1])],
        outputs=[Tensor(name="translation", shape=[-1])],
    )


router.include_router(models)


def _find(service: Service, model: str, version: str | None) -> ServedModel:
    served = service.translator.catalogue.served
    versions = [each.manifest.version for each in served.versions(model)]
    if not versions:
        raise Refusal(404, "there is no such model")
    found = served.find(model if version is None else f"{model}@{version}")
    if found is None:
        raise Refusal(404, f"there is no such version; served: {', '.join(versions)}")
    return found
