"""Changes to training examples: a model learns to copy, and to read what is written carelessly.

Chance comes from a generator that is passed in, so a run can be repeated and resumed. Knows no ids
and no files.
"""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from model_export.data.corpus import Example
from model_export.data.tokenizer import PLACEHOLDERS
from model_export.recipe import AugmentationRecipe

Change = Callable[[Example, np.random.Generator], Example]

# What both languages write alike: addresses, fields to fill in, Latin words, numbers.
_COPIED = re.compile(
    r"https?://[^\s<>\"'가-힣]+ | [{<%$][\w.-]+[}>]? | [A-Za-z][\w.+-]*\w | \d+(?:[.,:]\d+)*",
    re.VERBOSE | re.ASCII,
)
_FINAL_MARK = re.compile(r"\s*[.!?…]+$")
_KOREAN_SPACE = re.compile(r"(?<=[가-힣]) (?=[가-힣])")
RUN_TOGETHER = 0.5
"""Share of the spaces that carelessly written Korean leaves out."""


class Augmenter:
    """Makes the changes of a recipe, each in its share of the examples."""

    def __init__(self, recipe: AugmentationRecipe) -> None:
        self.changes: tuple[tuple[float, Change], ...] = (
            (recipe.placeholders, with_placeholders),
            (recipe.lower_case, in_lower_case),
            (recipe.no_final_mark, without_final_mark),
            (recipe.run_together, run_together),
        )
        self.share = sum(share for share, _ in self.changes)

    def change(self, example: Example, rng: np.random.Generator) -> Example:
        """One change, chosen by the shares."""
        at = rng.random() * self.share
        for share, change in self.changes:
            at -= share
            if at < 0:
                return change(example, rng)
        return example


def with_placeholders(example: Example, rng: np.random.Generator) -> Example:
    """Puts placeholders for what both sides write alike, so that the model learns to copy them."""
    source, target = example.source_text, example.target_text
    symbols = iter(rng.permutation(list(PLACEHOLDERS)))
    for found in dict.fromkeys(_COPIED.findall(source)):
        places = [_places_alone(found, text) for text in (source, target)]
        if all(len(each) == 1 for each in places):
            symbol = str(next(symbols, found))
            (at,), (there,) = places
            source = source[:at] + symbol + source[at + len(found) :]
            target = target[:there] + symbol + target[there + len(found) :]
    return replace(example, source_text=source, target_text=target)


def _places_alone(word: str, text: str) -> list[int]:
    """Where a word stands without an English letter or a digit at either side."""
    places, at = [], text.find(word)
    while at >= 0:
        around = text[at - 1 : at] + text[at + len(word) : at + len(word) + 1]
        if not any(each.isascii() and each.isalnum() for each in around):
            places.append(at)
        at = text.find(word, at + 1)
    return places


def in_lower_case(example: Example, _: np.random.Generator) -> Example:
    """A source without capitals."""
    return replace(example, source_text=example.source_text.lower())


def without_final_mark(example: Example, _: np.random.Generator) -> Example:
    """A source without its last full stop or question mark."""
    shorter = _FINAL_MARK.sub("", example.source_text)
    return replace(example, source_text=shorter or example.source_text)


def run_together(example: Example, rng: np.random.Generator) -> Example:
    """A Korean source without some of its spaces."""
    text = _KOREAN_SPACE.sub(
        lambda space: "" if rng.random() < RUN_TOGETHER else space[0], example.source_text
    )
    return replace(example, source_text=text)


def concatenated(first: Example, second: Example) -> Example:
    """Two examples of one direction as one."""
    return Example(
        first.source,
        first.target,
        f"{first.source_text} {second.source_text}",
        f"{first.target_text} {second.target_text}",
    )
