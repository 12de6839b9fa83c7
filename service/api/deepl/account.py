"""What DeepL's clients ask besides: languages, and what was used."""

from typing import Literal

from fastapi import APIRouter, Depends, Request
from pydantic import BaseModel, Field

from service.api.bodies import read_fields
from service.api.deepl.errors import responses
from service.api.deepl.parameters import CallerOf, may_translate
from service.api.languages import name, targets_by_source
from service.api.state import ServiceOf

VARIANTS = {
    "en": {"EN-GB": "English (British)", "EN-US": "English (American)"},
    "pt": {"PT-BR": "Portuguese (Brazilian)", "PT-PT": "Portuguese (European)"},
}
"""Targets that clients insist on; here they are one language."""
UNLIMITED = 1_000_000_000_000
"""What DeepL itself says to those without a limit."""

router = APIRouter(prefix="/v2", tags=["DeepL"])


class Language(BaseModel):
    """A language."""

    language: str = Field(description="Its code.", examples=["KO"])
    name: str = Field(description="Its name in English.", examples=["Korean"])
    supports_formality: Literal[False] = Field(
        False, description="No model does.", examples=[False]
    )


class UsageAnswer(BaseModel):
    """What was used, and what may be."""

    character_count: int = Field(description="Characters so far.", examples=[12345])
    character_limit: int = Field(description="Most characters.", examples=[1000000])


@router.get(
    "/languages",
    summary="The languages",
    responses=responses(400, 403, 503),
    dependencies=[Depends(may_translate)],
    openapi_extra={
        "parameters": [
            {
                "name": "type",
                "in": "query",
                "required": False,
                "description": "`source` or `target`; also as a form in the body.",
                "schema": {"type": "string", "enum": ["source", "target"]},
                "example": "target",
            }
        ]
    },
)
async def languages(request: Request, service: ServiceOf) -> list[Language]:
    """English and Portuguese are targets in two variants, which are translated alike."""
    asked = (await read_fields(request)).get("type") or "source"
    targets = targets_by_source(service.translator.catalogue)
    if asked != "target":
        return [Language(language=code.upper(), name=name(code)) for code in targets]
    codes = sorted({code for into in targets.values() for code in into})
    named = [VARIANTS.get(code, {code.upper(): name(code)}) for code in codes]
    return [Language(language=c, name=n) for variants in named for c, n in variants.items()]


@router.get("/usage", summary="What was used", responses=responses(403, 503))
async def usage(service: ServiceOf, caller: CallerOf) -> UsageAnswer:
    """Of the key in this month; without keys, of everybody since the start."""
    if not service.access.needs_key:
        used = service.metrics.characters_translated()
        return UsageAnswer(character_count=used, character_limit=UNLIMITED)
    used_by = await service.access.usage(caller)
    limit = UNLIMITED if used_by.limit is None else used_by.limit
    return UsageAnswer(character_count=used_by.characters, character_limit=limit)
