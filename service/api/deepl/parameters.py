"""How DeepL's clients write parameters, the same in JSON and in forms. Knows no route."""

from typing import Annotated, Any

from fastapi import Depends
from pydantic import BeforeValidator

from service.access.keys import Caller
from service.api.access import admitted, header_or_field
from service.api.faults import Refusal
from service.api.languages import resolve
from service.api.texts import fault_in

may_translate = admitted(header_or_field("auth_key"))  # the parameter is of old clients
CallerOf = Annotated[Caller, Depends(may_translate)]


def words(mistake: dict[str, Any]) -> str:
    """The first thing that is wrong with the parameters, as DeepL would say it."""
    field = ".".join(map(str, mistake["loc"]))
    if mistake["type"] == "missing":
        return f"Parameter '{field}' not specified"
    if mistake["type"] == "value_error":
        return f"Value for '{field}' {mistake['msg'].removeprefix('Value error, ')}"
    return f"Value for '{field}' not supported."


def served(parameter: str, code: str, languages: list[str]) -> str:
    """The language that is meant. Raises Refusal."""
    found = resolve(code, languages)
    if found is None:
        raise Refusal(400, f"Value for '{parameter}' not supported.")
    return found


def _listed(value: Any) -> Any:
    if value in (None, ""):
        return []
    return [value] if isinstance(value, str) else value


def _split(value: Any) -> Any:
    """Forms write lists with commas; so do people inside of lists."""
    values = _listed(value)
    if not isinstance(values, list) or not all(isinstance(v, str) for v in values):
        return value
    return [part.strip() for v in values for part in v.split(",") if part.strip()]


def _sound(value: Any) -> Any:
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and (fault := fault_in(text)):
            raise ValueError(fault)
    return value


def _texts(value: Any) -> Any:
    if value == []:
        raise ValueError("is an empty list")
    return _sound([value] if isinstance(value, str) else value)


def _none_if_empty(value: Any) -> Any:
    return value or None


Texts = Annotated[list[str], BeforeValidator(_texts)]
Sound = Annotated[str, BeforeValidator(_sound)]
Names = Annotated[list[str], BeforeValidator(_split)]
Optional = BeforeValidator(_none_if_empty)
"""Forms send what was left out as an empty text."""
