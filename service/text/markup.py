"""Texts with tags in them: what kinds there are, and what a caller may say about them."""

from dataclasses import dataclass
from enum import StrEnum


class TextFormat(StrEnum):
    """What the tags and entities of a text are."""

    TEXT = "text"
    """Letters like all others."""
    HTML = "html"
    XML = "xml"


@dataclass(frozen=True, slots=True)
class MarkupOptions:
    """What is special about the tags of a text, by name."""

    ignore_tags: frozenset[str] = frozenset()
    """Their content is not translated."""
    splitting_tags: frozenset[str] = frozenset()
    """They end a sentence."""
    non_splitting_tags: frozenset[str] = frozenset()
    """They do not."""
    outline_detection: bool = True
    """Whether an XML tag that nothing is said about may end a sentence, by where it stands."""


PLAIN_MARKUP = MarkupOptions()
