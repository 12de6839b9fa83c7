"""Markdown: paragraphs, headings, list items and cells of tables; code, HTML and front matter stay.

markdown-it says which lines hold text. In it, what has a meaning of its own becomes a tag: `**a**`
is translated as `<m1>a</m1>`, a code span as `<m2/>`. Afterwards each tag becomes what it was.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from html import escape

from markdown_it import MarkdownIt
from markdown_it.token import Token

from service.documents.document import Document, Passage, is_text
from service.text.alignment import Span
from service.text.markup import TextFormat

_LINE = re.compile(r"([^\r\n]*)(?:\r\n|\r|\n|\Z)")
_FRONT_MATTER = re.compile(
    r"(---|\+\+\+)[ \t]*\r?\n.*?^\1[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE
)
_TASK = re.compile(r"\[[ xX]\]\s+")
_HARD_BREAK = re.compile(r"(?:\\|[ ]{2,})\Z")
_INLINE = re.compile(
    r"""
    (?P<whole>
        (?P<ticks>`+)(?!`).{1,500}?(?<!`)(?P=ticks)(?!`)
      | !\[[^\]]{0,200}\](?:\([^)\s]{0,500}(?:\s+"[^"]{0,200}")?\)|\[[^\]]{0,200}\])
      | <(?:!|[A-Za-z]\w*:|[A-Za-z][^<>@]{0,64}@)[^<>]{0,500}>
      | \[\^[^\]]{1,100}\]
      | \$[^$\s](?:[^$\n]{0,200}[^$\s])?\$(?!\d)
      | \\[!-/:-@\[-`{-~] | \{[{%\#.:][^{}]{0,200}\}\}? | &\#?\w{1,40};
    )
    | <(?P<slash>/?)(?P<tag>[A-Za-z][\w-]{0,40})[^<>]{0,500}>
    | (?P<bracket>\[)(?=[^\[\]]{0,300}(?:\[[^\[\]]{0,200}\][^\[\]]{0,300}){0,3}\][(\[])
    | (?P<address>\](?:
        \((?:[^()\s]|\([^()\s]{0,200}\)){0,500}(?:\s+(?:"[^"]{0,200}"|'[^']{0,200}'))?\)
      | \[[^\]]{0,200}\]
      ))
    | (?P<mark>\*{1,3}|_{1,3}|~~)
    """,
    re.VERBOSE,
)
"""Everything has a longest length, so that no text takes much longer than others."""
DEEPEST = 20
"""How many openers are looked back at for one that fits."""
_TAG = re.compile(r"<(/?m\d+/?)>|&(amp|lt|gt);")
_MEANS = {"amp": "&", "lt": "<", "gt": ">"}


@dataclass(frozen=True, slots=True)
class _Marked:
    """A text with tags in the place of its inline syntax, and what each stands for."""

    text: str
    syntax: Mapping[str, str]


def read(content: str) -> Document:
    """The text of every block that is no code and no HTML."""
    return Document(content, tuple(_passages(content)), TextFormat.XML)


def _passages(content: str) -> Iterator[Passage]:
    front = _FRONT_MATTER.match(content)
    body = front.end() if front else 0
    lines = [Span(*match.span(1)) for match in _LINE.finditer(content, body)]
    # What is inside of blocks is looked for here, where it stands.
    reader = MarkdownIt("commonmark").enable("table").disable(["inline", "text_join"])
    done = body
    for token in reader.parse(content[body:]):
        if token.type == "inline" and token.map:
            for place in _places(content, lines, token, done):
                done = place[-1].end
                yield from _passage(content, place)


def _places(content: str, lines: list[Span], token: Token, done: int) -> Iterator[tuple[Span, ...]]:
    """Where the text of a block stands, without what stands before it in its lines; a hard line
    break ends a part. Nothing where it cannot be found as it is."""
    part: list[Span] = []
    first, last = token.map or (0, 0)
    for line, text in zip(lines[first:last], token.content.split("\n"), strict=False):
        words = _HARD_BREAK.sub("", text).strip()
        start = content.find(words, max(line.start, done), line.end)
        if start < 0:
            return
        task = _TASK.match(words) if not part else None
        part.append(Span(start + (task.end() if task else 0), start + len(words)))
        if _HARD_BREAK.search(text):
            yield tuple(part)
            part = []
    if part:
        yield tuple(part)


def _passage(content: str, lines: tuple[Span, ...]) -> Iterator[Passage]:
    marked = mark(" ".join(content[line.start : line.end] for line in lines))
    if is_text(_TAG.sub("", marked.text)):
        yield Passage(marked.text, lines, partial(unmark, marked.syntax))


def mark(text: str) -> _Marked:
    """Tags for inline syntax; letters that mean something in XML are escaped."""
    found = list(_INLINE.finditer(text))
    names = _pairs(text, found)
    syntax: dict[str, str] = {}
    pieces, done = [], 0
    for number, match in enumerate(found):
        if number not in names and not (match["whole"] or match["tag"]):
            continue
        name = names.get(number, f"m{number}/")
        syntax[name] = match[0]
        pieces += [escape(text[done : match.start()], quote=False), f"<{name}>"]
        done = match.end()
    return _Marked("".join([*pieces, escape(text[done:], quote=False)]), syntax)


def unmark(syntax: Mapping[str, str], text: str) -> str:
    """Inline syntax in the place of its tags."""
    return _TAG.sub(lambda m: syntax.get(m[1], "") if m[1] else _MEANS[m[2]], text)


def _pairs(text: str, found: list[re.Match[str]]) -> dict[int, str]:
    """The names of openers and closers that belong together; what has no partner is a letter."""
    names: dict[int, str] = {}
    waiting: list[int] = []
    for number, match in enumerate(found):
        if match["whole"]:
            continue
        closes = match["mark"] is None or _can_close(text, match)
        near = reversed(waiting[-DEEPEST:])
        partner = next((w for w in near if _fits(found[w], match)), None)
        if closes and partner is not None:
            names[partner], names[number] = f"m{partner}", f"/m{partner}"
            del waiting[waiting.index(partner) :]
        elif match["mark"] is None or _can_open(text, match):
            waiting.append(number)
    return names


def _fits(opener: re.Match[str], closer: re.Match[str]) -> bool:
    """Whether one ends what the other has begun: a link, an element of HTML, an emphasis."""
    if closer["address"]:
        return opener["bracket"] is not None
    if closer["slash"]:
        return opener["tag"] == closer["tag"] and not opener["slash"]
    return closer["mark"] is not None and opener["mark"] == closer["mark"]


def _can_open(text: str, match: re.Match[str]) -> bool:
    before, after = _around(text, match)
    inside_word = match[0][0] == "_" and before.isalnum()
    return bool(after) and not after.isspace() and not inside_word


def _can_close(text: str, match: re.Match[str]) -> bool:
    before, after = _around(text, match)
    inside_word = match[0][0] == "_" and after.isalnum()
    return bool(before) and not before.isspace() and not inside_word


def _around(text: str, match: re.Match[str]) -> tuple[str, str]:
    """The letters on both sides; empty at the ends."""
    start, end = match.span()
    return text[max(start - 1, 0) : start], text[end : end + 1]
