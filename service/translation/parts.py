"""The texts of a request by language: what is translated by one model, in one go."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from service.engine.bundle import Direction
from service.text.language import Detection
from service.translation.request import TranslationRequest
from service.translation.result import Translation, untranslated


@dataclass(frozen=True, slots=True)
class Part:
    """The texts of a request that are in one language, and their places among all texts."""

    direction: Direction
    texts: tuple[str, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TranslatedPart:
    """The answer to a part; `timings` maps a stage to seconds."""

    translations: list[Translation]
    source_tokens: int
    timings: dict[str, float]


def divide(request: TranslationRequest, detected: Sequence[Detection] | None) -> list[Part]:
    """Texts by language; those that are in the target language already are in no part."""
    if detected is None:
        direction = Direction(request.source or "", request.target)
        return [Part(direction, request.texts, tuple(range(len(request.texts))))]
    places: dict[str, list[int]] = {}
    for place, detection in enumerate(detected):
        if detection.language != request.target:
            places.setdefault(detection.language, []).append(place)
    return [
        Part(Direction(language, request.target), tuple(request.texts[p] for p in of), tuple(of))
        for language, of in places.items()
    ]


def unite(
    request: TranslationRequest,
    detected: Sequence[Detection] | None,
    parts: Sequence[Part],
    done: Sequence[TranslatedPart],
) -> tuple[Translation, ...]:
    """A translation for each text of the request, in their order."""
    found: dict[int, Translation] = {}
    for part, translated in zip(parts, done, strict=True):
        found |= zip(part.places, translated.translations, strict=True)
    if detected is None:
        return tuple(found[place] for place in range(len(request.texts)))
    return tuple(
        replace(found[place], detected=detection)
        if place in found
        else untranslated(text, detection)
        for place, (text, detection) in enumerate(zip(request.texts, detected, strict=True))
    )
