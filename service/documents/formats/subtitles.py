"""SubRip and WebVTT: the lines of a cue are one text. Numbers, times, notes and styles stay."""

import re
from collections.abc import Iterator

from service.documents.document import Document, Passage, is_text
from service.documents.formats.plain import lines_of
from service.text.alignment import Span
from service.text.markup import TextFormat

_TIMING = re.compile(r"[\d:.,]+\s+-->\s+[\d:.,]+")
_TAG = re.compile(r"</?[A-Za-z]")
_BEFORE = re.compile(r"(?:\{\\[^}]*\}|[-‐–—]\s*|\s)*")
"""What stands before the words of a line: a position, the dash of a speaker."""
_DASH = re.compile(r"[-‐–—]")
_TIMESTAMP = re.compile(r"<[\d:.]+>")
"""The time of a single word, which the words of a translation do not have."""


def read_srt(content: str) -> Document:
    """SubRip; an empty line does not end a cue, the next number and time do."""
    tags = TextFormat.HTML if _TAG.search(content) else TextFormat.TEXT
    return Document(content, tuple(_passages(content, True)), tags)


def read_vtt(content: str) -> Document:
    """WebVTT, which has tags and entities as HTML has."""
    return Document(content, tuple(_passages(content, False)), TextFormat.HTML)


def _passages(content: str, gaps: bool) -> Iterator[Passage]:
    speech: list[Span] = []
    inside = False
    lines = lines_of(content)
    for line, following in zip(lines, [*lines[1:], Span(0, 0)], strict=True):
        text = content[line.start : line.end]
        timing = bool(_TIMING.match(text))
        before = bool(_TIMING.match(content[following.start : following.end])) and not timing
        if timing or not text or (before and (text.isdigit() or not inside)):
            yield from _speech(content, speech)
            speech = []
            inside = timing or (inside and gaps and not before)
        elif inside:
            if _DASH.search(content, line.start, _words(content, line)):
                yield from _speech(content, speech)
                speech = []
            speech.append(Span(_words(content, line), line.end))
    yield from _speech(content, speech)


def _words(content: str, line: Span) -> int:
    """Where the words of a line begin."""
    match = _BEFORE.match(content, line.start, line.end)
    return match.end() if match else line.start


def _speech(content: str, lines: list[Span]) -> Iterator[Passage]:
    """What one speaker says in a cue."""
    text = " ".join(_TIMESTAMP.sub("", content[line.start : line.end]) for line in lines)
    if is_text(text):
        yield Passage(text, tuple(lines))
