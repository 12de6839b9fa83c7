"""Languages as callers write them: names, codes in other spellings, who is translated into whom."""

from collections.abc import Iterable, Mapping

from service.translation.catalogue import Catalogue

NAMES = {
    "ar": "Arabic",
    "cs": "Czech",
    "da": "Danish",
    "de": "German",
    "el": "Greek",
    "en": "English",
    "es": "Spanish",
    "fi": "Finnish",
    "fr": "French",
    "hi": "Hindi",
    "hu": "Hungarian",
    "id": "Indonesian",
    "it": "Italian",
    "ja": "Japanese",
    "ko": "Korean",
    "nb": "Norwegian",
    "nl": "Dutch",
    "pl": "Polish",
    "pt": "Portuguese",
    "pt-BR": "Portuguese (Brazil)",
    "ro": "Romanian",
    "ru": "Russian",
    "sv": "Swedish",
    "th": "Thai",
    "tr": "Turkish",
    "uk": "Ukrainian",
    "vi": "Vietnamese",
    "zh": "Chinese",
    "zh-Hans": "Chinese (simplified)",
    "zh-Hant": "Chinese (traditional)",
}
ALIASES = {"pb": "pt-br", "zt": "zh-hant", "zh-cn": "zh-hans", "zh-tw": "zh-hant"}
"""Codes of one language, in lower case, under which it may be served or asked for."""


def name(code: str) -> str:
    """The English name, or the code where none is known."""
    return NAMES.get(code, code)


def targets_by_source(catalogue: Catalogue) -> Mapping[str, list[str]]:
    """Every source language, sorted, and the languages that it is translated into, sorted."""
    targets: dict[str, set[str]] = {}
    for direction in catalogue.directions():
        targets.setdefault(direction.source, set()).add(direction.target)
    return {source: sorted(into) for source, into in sorted(targets.items())}


def served_languages(catalogue: Catalogue) -> list[str]:
    """Every source and target, sorted."""
    targets = targets_by_source(catalogue)
    return sorted({*targets, *(target for into in targets.values() for target in into)})


def resolve(code: str, served: Iterable[str]) -> str | None:
    """The served code that is meant: en-US and en_US are en where en-US itself is not served."""
    wanted = _canonical(code)
    by_canonical = {_canonical(one): one for one in served}
    primary = wanted.split("-")[0]
    relatives = (one for code, one in by_canonical.items() if code.split("-")[0] == primary)
    return by_canonical.get(wanted) or by_canonical.get(primary) or next(relatives, None)


def _canonical(code: str) -> str:
    lower = code.strip().lower().replace("_", "-")
    return ALIASES.get(lower, lower)
