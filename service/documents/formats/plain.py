"""Plain text: a line is a passage, and so is a paragraph that was wrapped to fit a width."""

import re
from collections.abc import Iterator
from itertools import groupby, pairwise

from service.documents.document import Document, Passage, is_text, trimmed
from service.text.alignment import Span

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n|\Z)")
_END = re.compile(r"[.!?…。:;][\"'”’)\]]*$")
NARROWEST = 40
"""Characters. Shorter lines are addresses, verses or lists, and end where they are meant to."""


def read(content: str) -> Document:
    """Every line with a letter in it, or every wrapped paragraph."""
    return Document(content, tuple(_passages(content)))


def lines_of(content: str) -> list[Span]:
    """All lines without white space at their ends; those without anything else are empty."""
    return [trimmed(content, *match.span()) for match in _LINE.finditer(content)]


def _passages(content: str) -> Iterator[Passage]:
    for blank, group in groupby(lines_of(content), lambda line: line.start == line.end):
        if blank:
            continue
        lines = tuple(group)
        texts = [content[line.start : line.end] for line in lines]
        if _wrapped(texts):
            yield Passage(" ".join(texts), lines)
        else:
            pairs = zip(texts, lines, strict=True)
            yield from (Passage(text, (line,)) for text, line in pairs if is_text(text))


def _wrapped(lines: list[str]) -> bool:
    """Whether each line seems to end only because the next word had no room in it."""
    width = max(map(len, lines))
    full = all(len(a) + 1 + len(b.split()[0]) > width for a, b in pairwise(lines))
    running = sum(not _END.search(line) for line in lines[:-1])
    return width >= NARROWEST and full and running > len(lines) / 2 - 0.5 and len(lines) > 1
