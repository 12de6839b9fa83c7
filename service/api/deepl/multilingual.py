"""DeepL's glossaries, version 3: several directions each."""

import asyncio
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field, model_validator

from service.api.bodies import Fields, read
from service.api.deepl.entries import EntriesFormat, read_entries, write_entries
from service.api.deepl.errors import responses
from service.api.deepl.glossaries import Name, add_delete, creation_time
from service.api.deepl.parameters import CallerOf, Sound, served, words
from service.api.languages import served_languages
from service.api.state import Service, ServiceOf
from service.errors import UnknownGlossary
from service.glossary_store import Dictionary, DictionaryInfo, StoredGlossary

_DOTTED = re.compile(r"dictionaries\[(\d{1,3})\]\.(\w+)")
router = APIRouter(prefix="/v3", tags=["DeepL"])


class DictionaryFields(BaseModel):
    """The terms of one direction."""

    source_lang: str = Field(description="Language of the source terms.", examples=["EN"])
    target_lang: str = Field(description="Language of the target terms.", examples=["KO"])
    entries: Sound = Field(description="A line for each term.", examples=["station\t역"])
    entries_format: EntriesFormat = Field(
        "tsv", description="What separates the two terms of a line.", examples=["tsv"]
    )

    def to_store(self, languages: list[str]) -> Dictionary:
        """In the store's words. Raises Refusal."""
        return Dictionary(
            served("source_lang", self.source_lang, languages),
            served("target_lang", self.target_lang, languages),
            read_entries(self.entries, self.entries_format),
        )


class _Nested(BaseModel):
    """Fields with dictionaries, which forms write as `dictionaries[0].source_lang=EN`."""

    @model_validator(mode="before")
    @classmethod
    def nest(cls, fields: Fields) -> Fields:
        """The fields as JSON has them."""
        plain: Fields = {}
        dictionaries: dict[int, Fields] = {}
        for name, value in fields.items():
            if dotted := _DOTTED.fullmatch(name):
                dictionaries.setdefault(int(dotted[1]), {})[dotted[2]] = value
            else:
                plain[name] = value
        if dictionaries:
            plain["dictionaries"] = [dictionaries[number] for number in sorted(dictionaries)]
        return plain


class CreateFields(_Nested):
    """A new glossary."""

    name: Name = Field(description="Its name; several may have one.", examples=["Places"])
    dictionaries: list[DictionaryFields] = Field(
        description="Its directions.",
        min_length=1,
        examples=[
            [
                {
                    "source_lang": "EN",
                    "target_lang": "KO",
                    "entries": "station\t역",
                    "entries_format": "tsv",
                }
            ]
        ],
    )


class ChangeFields(_Nested):
    """What is to become of a glossary."""

    name: Name | None = Field(None, description="Another name.", examples=["Towns"])
    dictionaries: list[DictionaryFields] = Field(
        [], description="Terms that are added or replaced.", examples=[[]]
    )


class DictionaryAnswer(BaseModel):
    """A direction without its terms."""

    source_lang: str = Field(description="Language of the source terms.", examples=["en"])
    target_lang: str = Field(description="Language of the target terms.", examples=["ko"])
    entry_count: int = Field(description="How many terms it has.", examples=[1])

    @classmethod
    def of(cls, info: DictionaryInfo) -> "DictionaryAnswer":
        """The store's words in those of this API."""
        return cls(
            source_lang=info.source.lower(),
            target_lang=info.target.lower(),
            entry_count=info.entry_count,
        )


class GlossaryAnswer(BaseModel):
    """A stored glossary without its terms."""

    glossary_id: str = Field(
        description="Its id.", examples=["def3a26b-3e84-45b3-84ae-0c0aaf3525f7"]
    )
    name: str = Field(description="Its name.", examples=["Places"])
    creation_time: str = Field(
        description="When it was created.", examples=["2026-01-01T00:00:00.000000Z"]
    )
    dictionaries: list[DictionaryAnswer] = Field(
        description="Its directions.",
        examples=[[{"source_lang": "en", "target_lang": "ko", "entry_count": 1}]],
    )

    @classmethod
    def of(cls, stored: StoredGlossary) -> "GlossaryAnswer":
        """The store's words in those of this API."""
        return cls(
            glossary_id=stored.id,
            name=stored.name,
            creation_time=creation_time(stored),
            dictionaries=[DictionaryAnswer.of(info) for info in stored.dictionaries],
        )


class GlossariesAnswer(BaseModel):
    """All glossaries, the oldest first."""

    glossaries: list[GlossaryAnswer] = Field(description="Without their terms.", examples=[[]])


class EntriesAnswer(BaseModel):
    """The terms of a glossary."""

    dictionaries: list[DictionaryFields] = Field(
        description="Of the direction that was asked for.",
        examples=[
            [
                {
                    "source_lang": "en",
                    "target_lang": "ko",
                    "entries": "station\t역",
                    "entries_format": "tsv",
                }
            ]
        ],
    )


def described(model: type[BaseModel]) -> dict[str, Any]:
    """The OpenAPI entry of a body that refers to other schemas."""
    schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
    schema.pop("$defs", None)
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


@router.post(
    "/glossaries",
    status_code=201,
    summary="Store a glossary of several directions",
    responses=responses(400, 403, 413, 503),
    openapi_extra=described(CreateFields),
)
async def create(request: Request, service: ServiceOf, caller: CallerOf) -> GlossaryAnswer:
    """Directions that come twice are one."""
    fields = await read(request, CreateFields, words)
    languages = served_languages(service.translator.catalogue)
    dictionaries = [each.to_store(languages) for each in fields.dictionaries]
    store = service.glossaries
    stored = await asyncio.to_thread(store.create, caller.name, fields.name, dictionaries)
    return GlossaryAnswer.of(stored)


@router.get("/glossaries", summary="List glossaries", responses=responses(403, 503))
async def list_all(service: ServiceOf, caller: CallerOf) -> GlossariesAnswer:
    """The oldest first."""
    found = await asyncio.to_thread(service.glossaries.list, caller.name)
    return GlossariesAnswer(glossaries=[GlossaryAnswer.of(stored) for stored in found])


@router.get("/glossaries/{glossary_id}", summary="One glossary", responses=responses(403, 404, 503))
async def get(glossary_id: str, service: ServiceOf, caller: CallerOf) -> GlossaryAnswer:
    """Without its terms."""
    stored = await asyncio.to_thread(service.glossaries.get, caller.name, glossary_id)
    return GlossaryAnswer.of(stored)


@router.patch(
    "/glossaries/{glossary_id}",
    summary="Rename a glossary, or add terms",
    responses=responses(400, 403, 404, 413, 503),
    openapi_extra=described(ChangeFields),
)
async def change(
    glossary_id: str, request: Request, service: ServiceOf, caller: CallerOf
) -> GlossaryAnswer:
    """Terms that it has are replaced, others stay."""
    fields = await read(request, ChangeFields, words)
    languages = served_languages(service.translator.catalogue)
    dictionaries = [each.to_store(languages) for each in fields.dictionaries]
    stored = await asyncio.to_thread(
        service.glossaries.change, caller.name, glossary_id, fields.name, dictionaries
    )
    return GlossaryAnswer.of(stored)


add_delete(router)

SourceOf = Annotated[str, Query(description="Language of the source terms.", examples=["EN"])]
TargetOf = Annotated[str, Query(description="Language of the target terms.", examples=["KO"])]


@router.get(
    "/glossaries/{glossary_id}/entries",
    summary="Terms of one direction",
    responses=responses(400, 403, 404, 503),
)
async def entries(
    glossary_id: str,
    source_lang: SourceOf,
    target_lang: TargetOf,
    service: ServiceOf,
    caller: CallerOf,
) -> EntriesAnswer:
    """Sorted by source term."""
    source, target = _pair(service, source_lang, target_lang)
    terms = await asyncio.to_thread(
        service.glossaries.entries, caller.name, glossary_id, source, target
    )
    if not terms:
        raise UnknownGlossary(f"the glossary has no terms from {source} into {target}")
    dictionary = DictionaryFields(
        source_lang=source.lower(),
        target_lang=target.lower(),
        entries=write_entries(terms),
        entries_format="tsv",
    )
    return EntriesAnswer(dictionaries=[dictionary])


@router.put(
    "/glossaries/{glossary_id}/dictionaries",
    summary="Replace all terms of one direction",
    responses=responses(400, 403, 404, 413, 503),
    openapi_extra=described(DictionaryFields),
)
async def replace(
    glossary_id: str, request: Request, service: ServiceOf, caller: CallerOf
) -> DictionaryAnswer:
    """A direction that the glossary did not have is added."""
    fields = await read(request, DictionaryFields, words)
    dictionary = fields.to_store(served_languages(service.translator.catalogue))
    store = service.glossaries
    stored = await asyncio.to_thread(store.replace, caller.name, glossary_id, dictionary)
    pair = (dictionary.source, dictionary.target)
    return next(DictionaryAnswer.of(d) for d in stored.dictionaries if (d.source, d.target) == pair)


@router.delete(
    "/glossaries/{glossary_id}/dictionaries",
    status_code=204,
    summary="Delete one direction",
    responses=responses(400, 403, 404, 503),
)
async def delete_dictionary(
    glossary_id: str,
    source_lang: SourceOf,
    target_lang: TargetOf,
    service: ServiceOf,
    caller: CallerOf,
) -> None:
    """With its terms."""
    source, target = _pair(service, source_lang, target_lang)
    await asyncio.to_thread(
        service.glossaries.delete_dictionary, caller.name, glossary_id, source, target
    )


def _pair(service: Service, source: str, target: str) -> tuple[str, str]:
    languages = served_languages(service.translator.catalogue)
    return served("source_lang", source, languages), served("target_lang", target, languages)
