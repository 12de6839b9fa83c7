"""What no text of a request may contain, whatever the protocol."""

import re
from typing import Any

_SURROGATE = re.compile("[\\ud800-\\udfff]")


def fault_in(text: str) -> str | None:
    """What is wrong with a text, in words that go on from its name; None if nothing is."""
    if "\0" in text:
        return "contains the character NUL (U+0000)"
    if _SURROGATE.search(text):
        return "contains half of a surrogate pair, which is no character"
    return None


def sound_text(text: Any, place: str = "the text") -> str:
    """The text, if it is one. Raises ValueError that says what is wrong with it."""
    if not isinstance(text, str):
        raise ValueError(f"{place} is not a string")
    if not text:
        raise ValueError(f"{place} is empty")
    if fault := fault_in(text):
        raise ValueError(f"{place} {fault}")
    return text
