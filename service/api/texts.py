"""What no text of a request may contain, whatever the protocol."""

import re

_SURROGATE = re.compile("[\\ud800-\\udfff]")


def fault_in(text: str) -> str | None:
    """What is wrong with a text, in words that go on from its name; None if nothing is."""
    if "\0" in text:
        return "contains the character NUL (U+0000)"
    if _SURROGATE.search(text):
        return "contains half of a surrogate pair, which is no character"
    return None
