"""Which format a file has, and its content as text. The formats are listed here alone."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import PurePath

from service.documents.document import Document
from service.documents.formats import (
    gettext,
    hypertext,
    json_strings,
    markdown,
    plain,
    subtitles,
    xliff,
)
from service.errors import UnreadableDocument, UnsupportedDocument

BYTE_ORDER_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class DocumentFormat:
    """A kind of file: how it is called, known by its suffixes, and read."""

    name: str
    media_type: str
    suffixes: tuple[str, ...]
    read: Callable[[str], Document]


FORMATS = (
    DocumentFormat("text", "text/plain", (".txt",), plain.read),
    DocumentFormat("markdown", "text/markdown", (".md", ".markdown"), markdown.read),
    DocumentFormat("html", "text/html", (".html", ".htm"), hypertext.read),
    DocumentFormat("srt", "application/x-subrip", (".srt",), subtitles.read_srt),
    DocumentFormat("vtt", "text/vtt", (".vtt",), subtitles.read_vtt),
    DocumentFormat("json", "application/json", (".json",), json_strings.read),
    DocumentFormat("po", "text/x-gettext-translation", (".po", ".pot"), gettext.read),
    DocumentFormat("xliff", "application/xliff+xml", (".xlf", ".xliff"), xliff.read),
)
SUFFIXES = tuple(suffix for each in FORMATS for suffix in each.suffixes)
_BY_SUFFIX = {suffix: each for each in FORMATS for suffix in each.suffixes}


def format_of(name: str) -> DocumentFormat:
    """The format of a file with this name. Raises UnsupportedDocument that lists what there is."""
    suffix = PurePath(name).suffix.lower()
    if suffix not in _BY_SUFFIX:
        raise UnsupportedDocument(
            f"{suffix or 'a name without a suffix'} is not supported; "
            f"supported: {', '.join(SUFFIXES)}"
        )
    return _BY_SUFFIX[suffix]


def read_document(name: str, data: bytes) -> Document:
    """A file as a document. Raises UnsupportedDocument or UnreadableDocument."""
    kind = format_of(name)
    try:
        content = data.decode()
    except UnicodeDecodeError as error:
        raise UnreadableDocument(
            f"the file is not UTF-8 (byte {error.start}); save it as UTF-8"
        ) from error
    if "\0" in content:
        raise UnreadableDocument("the file contains the character NUL, so it is no text")
    mark = BYTE_ORDER_MARK if content.startswith(BYTE_ORDER_MARK) else ""
    return replace(kind.read(content.removeprefix(mark)), before=mark)
