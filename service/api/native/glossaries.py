"""The native API's stored glossaries."""

import asyncio
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from service.api.access import CallerOf, may_translate
from service.api.checks import InvalidRequest, Problem
from service.api.errors import error_responses
from service.api.glossary_terms import sound_name, sound_terms
from service.api.languages import served_languages
from service.api.native.translate import json_only
from service.api.state import Service, ServiceOf
from service.glossary_store import Dictionary, StoredGlossary

EXAMPLE = {"source": "en", "target": "ko", "entries": {"station": "역"}}
Terms = Annotated[dict[str, str], AfterValidator(lambda terms: sound_terms(terms.items()))]
router = APIRouter(prefix="/v1/glossaries", tags=["glossaries"])


class DictionaryBody(BaseModel):
    """The terms of one direction."""

    model_config = ConfigDict(extra="forbid", strict=True)

    source: str = Field(description="Language of the source terms.", examples=["en"])
    target: str = Field(description="Language of the target terms.", examples=["ko"])
    entries: Terms = Field(
        description="Target term by source term; equal terms are not translated.",
        examples=[{"station": "역"}],
    )


class GlossaryBody(BaseModel):
    """A glossary as it is stored."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: Annotated[str, AfterValidator(sound_name)] = Field(
        description="Its name; several may have one.", examples=["Places"]
    )
    dictionaries: list[DictionaryBody] = Field(
        description="Its directions, each once.", min_length=1, examples=[[EXAMPLE]]
    )

    def to_store(self, service: Service) -> list[Dictionary]:
        """In the store's words. Raises InvalidRequest."""
        known = served_languages(service.translator.catalogue)
        problems = [
            Problem(f"dictionaries.{number}.{field}", f"served languages: {', '.join(known)}")
            for number, each in enumerate(self.dictionaries)
            for field, code in (("source", each.source), ("target", each.target))
            if code not in known
        ]
        if len({(d.source, d.target) for d in self.dictionaries}) < len(self.dictionaries):
            problems.append(Problem("dictionaries", "a direction comes twice"))
        if problems:
            raise InvalidRequest(problems)
        return [Dictionary(d.source, d.target, d.entries) for d in self.dictionaries]


class DictionaryInfoAnswer(BaseModel):
    """A direction without its terms."""

    source: str = Field(description="Language of the source terms.", examples=["en"])
    target: str = Field(description="Language of the target terms.", examples=["ko"])
    entry_count: int = Field(description="How many terms it has.", examples=[1])


class GlossaryAnswer(BaseModel):
    """A stored glossary without its terms."""

    id: str = Field(description="Its id.", examples=["def3a26b-3e84-45b3-84ae-0c0aaf3525f7"])
    name: str = Field(description="Its name.", examples=["Places"])
    created: datetime = Field(description="When it was created.", examples=["2026-01-01T00:00:00Z"])
    dictionaries: list[DictionaryInfoAnswer] = Field(
        description="Its directions.",
        examples=[[{"source": "en", "target": "ko", "entry_count": 1}]],
    )

    @classmethod
    def of(cls, stored: StoredGlossary) -> "GlossaryAnswer":
        """The store's words in those of this API."""
        return cls(
            id=stored.id,
            name=stored.name,
            created=stored.created,
            dictionaries=[
                DictionaryInfoAnswer(source=d.source, target=d.target, entry_count=d.entry_count)
                for d in stored.dictionaries
            ],
        )


class GlossariesAnswer(BaseModel):
    """All glossaries of the caller, the oldest first."""

    glossaries: list[GlossaryAnswer] = Field(description="Without their terms.", examples=[[]])


class WholeGlossaryAnswer(BaseModel):
    """A stored glossary with its terms."""

    id: str = Field(description="Its id.", examples=["def3a26b-3e84-45b3-84ae-0c0aaf3525f7"])
    name: str = Field(description="Its name.", examples=["Places"])
    created: datetime = Field(description="When it was created.", examples=["2026-01-01T00:00:00Z"])
    dictionaries: list[DictionaryBody] = Field(
        description="Its directions, terms sorted.", examples=[[EXAMPLE]]
    )


@router.post(
    "",
    status_code=201,
    summary="Store a glossary",
    dependencies=[Depends(may_translate), Depends(json_only)],
    responses=error_responses(400, 401, 403, 413, 415, 422, 503),
)
async def create(body: GlossaryBody, service: ServiceOf, caller: CallerOf) -> GlossaryAnswer:
    """Its id is for `glossary_id` in /v1/translate."""
    dictionaries, store = body.to_store(service), service.glossaries
    stored = await asyncio.to_thread(store.create, caller.name, body.name, dictionaries)
    return GlossaryAnswer.of(stored)


@router.get("", summary="List glossaries", responses=error_responses(401, 403, 503))
async def list_all(service: ServiceOf, caller: CallerOf) -> GlossariesAnswer:
    """The caller's own, the oldest first."""
    found = await asyncio.to_thread(service.glossaries.list, caller.name)
    return GlossariesAnswer(glossaries=[GlossaryAnswer.of(stored) for stored in found])


@router.get(
    "/{glossary}",
    summary="One glossary with its terms",
    responses=error_responses(401, 403, 404, 422, 503),
)
async def get(glossary: str, service: ServiceOf, caller: CallerOf) -> WholeGlossaryAnswer:
    """All directions."""
    store = service.glossaries
    stored = await asyncio.to_thread(store.get, caller.name, glossary)
    dictionaries = await asyncio.to_thread(store.dictionaries, caller.name, glossary)
    return WholeGlossaryAnswer(
        id=stored.id,
        name=stored.name,
        created=stored.created,
        dictionaries=[
            DictionaryBody(source=d.source, target=d.target, entries=dict(d.entries))
            for d in dictionaries
        ],
    )


@router.put(
    "/{glossary}",
    summary="Replace a glossary",
    dependencies=[Depends(may_translate), Depends(json_only)],
    responses=error_responses(400, 401, 403, 404, 413, 415, 422, 503),
)
async def replace(
    glossary: str, body: GlossaryBody, service: ServiceOf, caller: CallerOf
) -> GlossaryAnswer:
    """Name and all directions; those that are not named are gone."""
    dictionaries, store = body.to_store(service), service.glossaries
    stored = await asyncio.to_thread(
        store.replace_all, caller.name, glossary, body.name, dictionaries
    )
    return GlossaryAnswer.of(stored)


@router.delete(
    "/{glossary}",
    status_code=204,
    summary="Delete a glossary",
    responses=error_responses(401, 403, 404, 422, 503),
)
async def delete(glossary: str, service: ServiceOf, caller: CallerOf) -> None:
    """With all its terms."""
    await asyncio.to_thread(service.glossaries.delete, caller.name, glossary)
