"""Loading, unloading and reloading models at run time: for operators, with an admin key."""

from typing import Annotated

from fastapi import APIRouter, Body, Depends
from pydantic import BaseModel, ConfigDict, Field

from service.api.access import admin_only
from service.api.errors import error_responses
from service.api.state import Service, ServiceOf

router = APIRouter(prefix="/v1/models", tags=["lifecycle"], dependencies=[Depends(admin_only)])
RESPONSES = error_responses(400, 401, 403, 404, 422)


class VersionChoice(BaseModel):
    """Which version of a model."""

    model_config = ConfigDict(extra="forbid", strict=True)

    version: str | None = Field(
        None,
        max_length=64,
        description="A version; by default the highest in the directory, or all to unload.",
        examples=["2"],
    )


class LoadChoice(VersionChoice):
    """Which version of a model, and for whom."""

    default: bool = Field(
        True,
        description="Whether requests get it that name no version; otherwise they ask for "
        "NAME@VERSION.",
        examples=[True],
    )


class VersionAnswer(BaseModel):
    """A version of a model that is served."""

    version: str = Field(description="Version of the weights.", examples=["2"])
    default: bool = Field(description="Whether requests get it that name none.", examples=[True])
    loaded: bool = Field(description="Whether it is in memory.", examples=[True])
    bytes: int = Field(description="Memory that it takes, about.", examples=[34000000])


class LifecycleAnswer(BaseModel):
    """What is served of a model now."""

    name: str = Field(description="Its name in requests.", examples=["en-ko-transformer"])
    versions: list[VersionAnswer] = Field(
        description="The highest last; empty if none is served.",
        examples=[[{"version": "2", "default": True, "loaded": True, "bytes": 34000000}]],
    )

    @classmethod
    def of(cls, service: Service, name: str) -> "LifecycleAnswer":
        """What the service has of a model."""
        served = service.repository.served
        return cls(
            name=name,
            versions=[
                VersionAnswer(
                    version=model.manifest.version,
                    default=served.is_default(model),
                    loaded=model.loaded,
                    bytes=model.bytes,
                )
                for model in served.versions(name)
            ],
        )


Load = Annotated[LoadChoice, Body(default_factory=LoadChoice)]
Unload = Annotated[VersionChoice, Body(default_factory=VersionChoice)]


@router.post("/{name}/load", summary="Load a model from the directory", responses=RESPONSES)
async def load(name: str, service: ServiceOf, choice: Load) -> LifecycleAnswer:
    """Answers once it is warm and takes requests. One that is loaded already and whose files have
    changed is replaced. If anything is wrong with the files, nothing changes."""
    await service.repository.load(name, choice.version, choice.default)
    return LifecycleAnswer.of(service, name)


@router.post("/{name}/reload", summary="Load a model anew", responses=RESPONSES)
async def reload(name: str, service: ServiceOf, choice: Load) -> LifecycleAnswer:
    """As load, even if nothing has changed. Until the new one is warm the old one goes on serving,
    and requests that it has accepted are answered by it."""
    await service.repository.load(name, choice.version, choice.default, again=True)
    return LifecycleAnswer.of(service, name)


@router.post("/{name}/unload", summary="Unload a model", responses=RESPONSES)
async def unload(name: str, service: ServiceOf, choice: Unload) -> LifecycleAnswer:
    """Takes no more requests for it. What was accepted is answered, then its memory is freed."""
    await service.repository.unload(name, choice.version)
    return LifecycleAnswer.of(service, name)
