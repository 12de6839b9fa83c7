"""Translating in two steps, by way of a language that two models share. Knows no models."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from service.engine.bundle import Direction
from service.text.alignment import Span
from service.text.quality import QualityWarning
from service.translation.decoding import DecodingChoice
from service.translation.result import Translation

PREFERRED = "en"
"""The middle that is taken if several would do: most models are made for it."""


def pivots(served: Iterable[Direction]) -> Mapping[Direction, str]:
    """Every direction that takes two steps, and the language in the middle."""
    direct = dict.fromkeys(served)
    found: dict[Direction, str] = {}
    for first in direct:
        for second in direct:
            way = Direction(first.source, second.target)
            if first.target != second.source or way in direct or way.source == way.target:
                continue
            if way not in found or first.target == PREFERRED:
                found[way] = first.target
    return found


def first_choice(choice: DecodingChoice) -> DecodingChoice:
    """How the first step decodes: one hypothesis, which need not begin in any way."""
    return replace(choice, n_best=None, target_prefix=None, max_target_length=None)


def joined(
    texts: Sequence[str], first: Sequence[Translation], second: Sequence[Translation], middle: str
) -> list[Translation]:
    """What both steps made of some texts. Warnings of the second are about the whole text, since
    its sentences are those of the middle language; pieces have no scores."""
    return [
        replace(
            after,
            source=before.source,
            pivot=middle,
            warnings=(
                *before.warnings,
                *(QualityWarning(Span(0, len(text)), w.reason) for w in after.warnings),
            ),
            confidence=_least(before.confidence, after.confidence),
            scores=None,
        )
        for text, before, after in zip(texts, first, second, strict=True)
    ]


def _least(first: float | None, second: float | None) -> float | None:
    return None if first is None or second is None else min(first, second)
