"""JSON: the strings that are values. Keys, numbers, white space and order are not touched."""

import json
import re
from collections.abc import Iterator
from functools import partial

from service.documents.document import Document, Passage, is_text
from service.errors import UnreadableDocument
from service.text.alignment import Span

_STRING = re.compile(r'"(?:[^"\\]|\\.)*+"(?P<key>\s*:)?', re.DOTALL)


def read(content: str) -> Document:
    """Raises UnreadableDocument with the place where it is no JSON."""
    try:
        json.loads(content)
    except RecursionError as error:
        raise UnreadableDocument("the JSON is nested too deeply") from error
    except ValueError as error:
        raise UnreadableDocument(f"not valid JSON: {error}") from error
    return Document(content, tuple(_passages(content)))


def _passages(content: str) -> Iterator[Passage]:
    # Who has written all other letters as escapes has a reason.
    ascii_only = "\\u" in content and content.isascii()
    for match in _STRING.finditer(content):
        if match["key"] is None and is_text(text := json.loads(match[0])):
            write = partial(_quoted, ascii_only=ascii_only)
            yield Passage(text, (Span(*match.span()),), write)


def _quoted(text: str, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)
