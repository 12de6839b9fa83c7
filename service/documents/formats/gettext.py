"""Gettext PO: `msgid` is translated into `msgstr` where that is empty.

What somebody has translated already stays, fuzzy or not, and so do comments, contexts and the
header. A plural form gets the translation of `msgid_plural`, the first of several that of `msgid`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from service.documents.document import Document, Passage, is_text
from service.errors import UnreadableDocument
from service.text.alignment import Span

_QUOTED = r'"(?:[^"\\\r\n]|\\.)*+"'
_PART = re.compile(
    rf"^(?P<keyword>msgctxt|msgid|msgid_plural|msgstr(?:\[\d+\])?)"
    rf"[ \t]+(?P<strings>{_QUOTED}(?:\s*+{_QUOTED})*+)",
    re.MULTILINE,
)
_STRING = re.compile(_QUOTED)
_STRANGE = re.compile(r"^[ \t]*[^#\s].*", re.MULTILINE)
"""Outside of all parts there are comments and nothing else."""
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9a-fA-F]{1,2})|(.))")
_MEANS = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}
_WRITTEN = str.maketrans({value: f"\\{key}" for key, value in _MEANS.items()}) | str.maketrans(
    {"\\": "\\\\", '"': '\\"'}
)
_CHARSET = re.compile(r"charset=([\w.:-]+)")


@dataclass(frozen=True, slots=True)
class _Part:
    """A keyword with its strings: where they stand, and what they say together."""

    keyword: str
    place: Span
    text: str


def read(content: str) -> Document:
    """Raises UnreadableDocument with the line that is no part of a PO file."""
    passages = tuple(p for message in _messages(content) for p in _passages(message))
    return Document(content, passages)


def _messages(content: str) -> Iterator[list[_Part]]:
    """The parts of each message; a context or an id begins the next."""
    message: list[_Part] = []
    done = 0
    for match in _PART.finditer(content):
        _check(content, done, match.start())
        done = match.end()
        strings = _STRING.findall(match["strings"])
        text = "".join(_ESCAPE.sub(_unescaped, string[1:-1]) for string in strings)
        part = _Part(match["keyword"], Span(*match.span("strings")), text)
        begun = message and message[-1].keyword != "msgctxt"
        if part.keyword == "msgctxt" or (part.keyword == "msgid" and begun):
            yield message
            message = []
        message.append(part)
    _check(content, done, len(content))
    yield message


def _check(content: str, start: int, end: int) -> None:
    if strange := _STRANGE.search(content, start, end):
        line = content.count("\n", 0, strange.start()) + 1
        raise UnreadableDocument(f"line {line} is no part of a PO file")


def _passages(message: list[_Part]) -> Iterator[Passage]:
    """One for each empty msgstr."""
    said = {part.keyword: part.text for part in message}
    single = said.get("msgid", "")
    if not single:
        _check_header(said.get("msgstr", ""))
        return
    forms = [part for part in message if part.keyword.startswith("msgstr")]
    for number, part in enumerate(forms):
        several = number > 0 or len(forms) == 1
        text = said.get("msgid_plural", single) if several else single
        if not part.text and is_text(text):
            yield Passage(text, (part.place,), _quoted, in_place=False)


def _check_header(header: str) -> None:
    charset = _CHARSET.search(header)
    if charset and charset[1].upper() not in ("UTF-8", "UTF8", "CHARSET", "ASCII", "US-ASCII"):
        raise UnreadableDocument(f"the charset {charset[1]} is not supported; use UTF-8")


def _unescaped(match: re.Match[str]) -> str:
    octal, hexadecimal, letter = match.groups()
    if octal or hexadecimal:
        return chr(int(octal or hexadecimal, 8 if octal else 16))
    return _MEANS.get(letter, letter)


def _quoted(text: str) -> str:
    return f'"{text.translate(_WRITTEN)}"'
