"""DeepL's glossaries, version 2: one direction each, as version 3 sees them too."""

import asyncio
from datetime import UTC
from typing import Annotated

from fastapi import APIRouter, Depends, Request, Response
from pydantic import AfterValidator, BaseModel, Field

from service.api.bodies import documented, read
from service.api.deepl.entries import TSV, EntriesFormat, read_entries, write_entries
from service.api.deepl.errors import responses
from service.api.deepl.parameters import CallerOf, Sound, may_translate, served, words
from service.api.faults import Refusal
from service.api.glossary_terms import sound_name
from service.api.languages import served_languages, targets_by_source
from service.api.state import ServiceOf
from service.errors import UnknownGlossary
from service.glossary_store import Dictionary, DictionaryInfo, StoredGlossary

Name = Annotated[str, AfterValidator(sound_name)]
router = APIRouter(prefix="/v2", tags=["DeepL"])


class CreateFields(BaseModel):
    """A new glossary."""

    name: Name = Field(description="Its name; several may have one.", examples=["Places"])
    source_lang: str = Field(description="Language of the source terms.", examples=["EN"])
    target_lang: str = Field(description="Language of the target terms.", examples=["KO"])
    entries: Sound = Field(description="A line for each term.", examples=["station\t역"])
    entries_format: EntriesFormat = Field(
        description="What separates the two terms of a line.", examples=["tsv"]
    )


class GlossaryAnswer(BaseModel):
    """A stored glossary without its terms."""

    glossary_id: str = Field(
        description="Its id.", examples=["def3a26b-3e84-45b3-84ae-0c0aaf3525f7"]
    )
    name: str = Field(description="Its name.", examples=["Places"])
    ready: bool = Field(True, description="Always true.", examples=[True])
    source_lang: str = Field(description="Language of the source terms.", examples=["en"])
    target_lang: str = Field(description="Language of the target terms.", examples=["ko"])
    creation_time: str = Field(
        description="When it was created.", examples=["2026-01-01T00:00:00.000000Z"]
    )
    entry_count: int = Field(description="How many terms it has.", examples=[1])

    @classmethod
    def of(cls, stored: StoredGlossary, dictionary: DictionaryInfo) -> "GlossaryAnswer":
        """One direction of a stored glossary."""
        return cls(
            glossary_id=stored.id,
            name=stored.name,
            source_lang=dictionary.source.lower(),
            target_lang=dictionary.target.lower(),
            creation_time=creation_time(stored),
            entry_count=dictionary.entry_count,
        )


class GlossariesAnswer(BaseModel):
    """All glossaries of one direction, the oldest first."""

    glossaries: list[GlossaryAnswer] = Field(
        description="Those with several directions are told by version 3 only.", examples=[[]]
    )


class Pair(BaseModel):
    """A direction."""

    source_lang: str = Field(description="From this language.", examples=["en"])
    target_lang: str = Field(description="Into this language.", examples=["ko"])


class PairsAnswer(BaseModel):
    """The directions that glossaries can have."""

    supported_languages: list[Pair] = Field(
        description="All that are translated.",
        examples=[[{"source_lang": "en", "target_lang": "ko"}]],
    )


def creation_time(stored: StoredGlossary) -> str:
    """With a fraction and Z, without which clients cannot read it."""
    return stored.created.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


@router.get(
    "/glossary-language-pairs",
    summary="Directions of glossaries",
    responses=responses(403, 503),
    dependencies=[Depends(may_translate)],
)
async def pairs(service: ServiceOf) -> PairsAnswer:
    """Every direction that a model translates in."""
    return PairsAnswer(
        supported_languages=[
            Pair(source_lang=source.lower(), target_lang=target.lower())
            for source, targets in targets_by_source(service.translator.catalogue).items()
            for target in targets
        ]
    )


@router.post(
    "/glossaries",
    status_code=201,
    summary="Store a glossary",
    responses=responses(400, 403, 413, 503),
    openapi_extra=documented(CreateFields),
)
async def create(request: Request, service: ServiceOf, caller: CallerOf) -> GlossaryAnswer:
    """One with a name that is taken becomes another one."""
    fields = await read(request, CreateFields, words)
    languages = served_languages(service.translator.catalogue)
    terms = read_entries(fields.entries, fields.entries_format)
    dictionary = Dictionary(
        served("source_lang", fields.source_lang, languages),
        served("target_lang", fields.target_lang, languages),
        terms,
    )
    store = service.glossaries
    stored = await asyncio.to_thread(store.create, caller.name, fields.name, [dictionary])
    return GlossaryAnswer.of(stored, stored.dictionaries[0])


@router.get("/glossaries", summary="List glossaries", responses=responses(403, 503))
async def list_all(service: ServiceOf, caller: CallerOf) -> GlossariesAnswer:
    """The oldest first."""
    found = await asyncio.to_thread(service.glossaries.list, caller.name)
    single = [(stored, stored.dictionaries) for stored in found if len(stored.dictionaries) == 1]
    return GlossariesAnswer(glossaries=[GlossaryAnswer.of(s, only) for s, (only,) in single])


@router.get("/glossaries/{glossary_id}", summary="One glossary", responses=responses(403, 404, 503))
async def get(glossary_id: str, service: ServiceOf, caller: CallerOf) -> GlossaryAnswer:
    """Without its terms."""
    stored, only = await _single(glossary_id, service, caller)
    return GlossaryAnswer.of(stored, only)


async def delete(glossary_id: str, service: ServiceOf, caller: CallerOf) -> None:
    """With all its terms."""
    await asyncio.to_thread(service.glossaries.delete, caller.name, glossary_id)


def add_delete(router: APIRouter) -> None:
    """The same route in both versions. Not a router inside another one: metrics know a route by its
    own path, which would lack the outer prefix."""
    router.delete(
        "/glossaries/{glossary_id}",
        status_code=204,
        summary="Delete a glossary",
        responses=responses(403, 404, 503),
    )(delete)


add_delete(router)


@router.get(
    "/glossaries/{glossary_id}/entries",
    summary="Terms of a glossary",
    response_class=Response,
    responses=responses(403, 404, 415, 503)
    | {
        200: {
            "description": "A line for each term.",
            "content": {TSV: {"schema": {"type": "string"}, "example": "station\t역"}},
        }
    },
)
async def entries(
    glossary_id: str, request: Request, service: ServiceOf, caller: CallerOf
) -> Response:
    """Tab-separated, whatever else the Accept header would like; 415 if it does not like that."""
    accepted = request.headers.get("accept", "*/*").lower()
    if not any(kind in accepted for kind in (TSV, "text/*", "*/*")):
        raise Refusal(415, f"entries are {TSV}")
    stored, only = await _single(glossary_id, service, caller)
    terms = await asyncio.to_thread(
        service.glossaries.entries, caller.name, stored.id, only.source, only.target
    )
    return Response(write_entries(terms), media_type=TSV)


async def _single(
    glossary: str, service: ServiceOf, caller: CallerOf
) -> tuple[StoredGlossary, DictionaryInfo]:
    stored = await asyncio.to_thread(service.glossaries.get, caller.name, glossary)
    if len(stored.dictionaries) != 1:
        raise UnknownGlossary("the glossary has several directions; ask version 3")
    return stored, stored.dictionaries[0]
