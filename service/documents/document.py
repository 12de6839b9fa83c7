"""A document: its content, and the passages of it that are translated. All else stays as it is.

So nothing can get lost that a format does not know. Knows no format and no model.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from service.documents.wrapping import wrap
from service.text.alignment import Span
from service.text.markup import TextFormat


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a document that is translated as one text."""

    text: str
    """As it is translated: without the format's escapes, its lines joined."""
    lines: tuple[Span, ...]
    """Where the translation is put, line by line; what stands between the lines stays."""
    write: Callable[[str], str] = str
    """Puts a translation into the format's terms."""
    in_place: bool = True
    """Whether the lines hold the text itself. Then a translation that is equal to it changes
    nothing, not even how something was escaped."""

    def rendered(self, translation: str) -> Iterator[tuple[Span, str]]:
        """What replaces which part of the content; nothing if all is to stay."""
        if self.in_place and translation == self.text:
            return
        found = wrap(self.write(translation), len(self.lines))
        # A translation with fewer words than there were lines has no use for the last ones.
        last = Span(self.lines[len(found) - 1].start, self.lines[-1].end)
        yield from zip((*self.lines[: len(found) - 1], last), found, strict=True)


@dataclass(frozen=True, slots=True)
class Document:
    """Passages stand in the order of the content and do not overlap."""

    content: str
    passages: tuple[Passage, ...]
    format: TextFormat = TextFormat.TEXT
    """What tags are in its texts."""
    before: str = ""
    """What stands before the content: a byte order mark or nothing."""

    @property
    def texts(self) -> tuple[str, ...]:
        """What is to be translated."""
        return tuple(passage.text for passage in self.passages)

    def write(self, translations: Sequence[str]) -> bytes:
        """The file with a translation in the place of each text.

        Raises ValueError if there are more or fewer translations than texts.
        """
        pieces, done = [self.before], 0
        for passage, translation in zip(self.passages, translations, strict=True):
            for span, line in passage.rendered(translation):
                pieces += [self.content[done : span.start], line]
                done = span.end
        return "".join([*pieces, self.content[done:]]).encode()


def is_text(text: str) -> bool:
    """Whether there is anything to translate, and nothing that is no character."""
    return any(map(str.isalpha, text)) and not any(
        c == "\0" or "\ud800" <= c <= "\udfff" for c in text
    )


def trimmed(content: str, start: int, end: int) -> Span:
    """The part of a span that is left without white space at its ends."""
    part = content[start:end]
    if not part.strip():
        return Span(start, start)
    return Span(end - len(part.lstrip()), start + len(part.rstrip()))
