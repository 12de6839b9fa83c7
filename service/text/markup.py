"""Texts with tags in them, as HTML or XML: what of them is text, and what stands where in it.

A scanner and no tree: nothing is written anew that was not translated, and broken markup is taken
as it comes. How tags find their places in a translation is for `markup_projection.py`.
"""

import html
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, StrEnum, auto

from service.text.alignment import Span
from service.text.protection import Kind, Protected
from service.text.rewriting import Edit, Rewriting


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


class TagKind(Enum):
    """What a tag does to the text around it."""

    OPEN = auto()
    CLOSE = auto()
    POINT = auto()
    """It stands where it stands: a void element, a comment, something that has no text."""


@dataclass(frozen=True, slots=True)
class Tag:
    """A tag within a text; `at` counts in the text without tags."""

    raw: str
    name: str
    kind: TagKind
    at: int
    start: int
    """Where it is in the text with tags."""


@dataclass(frozen=True, slots=True)
class Run:
    """Text without a border in it, and the inline tags that it has. All places count in the run."""

    start: int
    """Where it is in the whole."""
    edits: tuple[Edit, ...]
    """What makes plain text of it."""
    rewriting: Rewriting
    tags: tuple[Tag, ...] = ()
    protected: tuple[Protected, ...] = ()
    """What is not translated, in the plain text."""
    pairs: Mapping[int, int] = field(default_factory=dict)
    """Where the other tag of an element is that has two; by the start of each."""


_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
_BLOCK = re.compile(
    "address|article|aside|audio|base|blockquote|body|br|canvas|caption|center|col|colgroup|dd|details"
    "|dialog|dir|div|dl|dt|fieldset|figcaption|figure|footer|form|frame|frameset|h[1-6]|head|header"
    "|hgroup|hr|html|iframe|legend|li|link|main|menu|meta|nav|noscript|object|ol|optgroup|option|p|pre"
    "|script|search|section|select|source|style|summary|table|tbody|td|template|textarea|tfoot|th|thead"
    "|title|tr|track|ul|video"
)
_COPIED = re.compile("code|kbd|math|pre|samp|script|style|svg|var")
_XML_ENTITIES = frozenset(["&amp;", "&lt;", "&gt;", "&quot;", "&apos;"])

_TOKEN = re.compile(
    r"""
    # What never ends takes the rest of the text with it, as in HTML; so it is looked for once only.
    (?P<other> <!-- (?: -?> | .*? (?: --> | \Z ) ) | <!\[CDATA\[ .*? (?: \]\]> | \Z )
      | <\? [^>]*+ >? | <![A-Za-z] [^>]*+ >? )
  | (?P<tag> <(?P<close>/)? (?P<name>[A-Za-z][^\s<>/]*)
      (?: [^<>"']++ | "[^"]{0,5000}" | '[^']{0,5000}' | ["'] )*+ > )
  | (?P<entity> & (?: \#[0-9]{1,7} | \#[xX][0-9a-fA-F]{1,6} | [A-Za-z][A-Za-z0-9]{1,31} ) ; )
    """,
    re.VERBOSE | re.DOTALL,
)
_NO_TRANSLATION = re.compile(
    r"""\stranslate\s*=\s*["']?no\b | \sclass\s*=\s*(?:"[^"]*?|'[^']*?|)\bnotranslate\b""",
    re.VERBOSE | re.IGNORECASE,
)
_MARKUP_LIKE = re.compile(r"&\#?\w+;|<[A-Za-z/!?]")


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How tags of a format are to be read."""

    is_html: bool
    options: MarkupOptions

    def name(self, match: re.Match[str]) -> str:
        return match["name"].lower() if self.is_html else match["name"]

    def kind(self, match: re.Match[str]) -> TagKind:
        if match["close"]:
            return TagKind.CLOSE
        alone = match[0].endswith("/>") or self._is(_VOID, self.name(match))
        return TagKind.POINT if alone else TagKind.OPEN

    def _is(self, kind: re.Pattern[str], name: str) -> bool:
        return self.is_html and kind.fullmatch(name) is not None

    def splits(self, name: str) -> bool:
        """Whether a tag ends a sentence."""
        if name in self.options.non_splitting_tags:
            return False
        return name in self.options.splitting_tags or self._is(_BLOCK, name)

    def is_copied(self, match: re.Match[str]) -> bool:
        """Whether an element's content is not translated."""
        name = self.name(match)
        copied = name in self.options.ignore_tags or self._is(_COPIED, name)
        return copied or _NO_TRANSLATION.search(match[0]) is not None

    def decoded(self, entity: str) -> str:
        """What an entity stands for; itself, if nobody knows."""
        known = self.is_html or entity in _XML_ENTITIES or entity[1] == "#"
        return html.unescape(entity) if known else entity


@dataclass(slots=True)
class _RunBuilder:
    """A run that grows."""

    start: int
    edits: list[Edit] = field(default_factory=list)
    tags: list[Tag] = field(default_factory=list)
    kept: list[Protected] = field(default_factory=list)
    shrunk: int = 0

    def replace(self, start: int, end: int, text: str) -> int:
        """Puts plain text in the place of some markup -> where that is in the plain text."""
        self.edits.append(Edit(start - self.start, end - self.start, text))
        at = start - self.start - self.shrunk
        self.shrunk += end - start - len(text)
        return at

    def mark(self, raw: str, name: str, kind: TagKind, start: int) -> None:
        """A tag, which is no text."""
        at = self.replace(start, start + len(raw), "")
        self.tags.append(Tag(raw, name, kind, at, start - self.start))

    def keep(self, raw: str, text: str, start: int) -> None:
        """Something that is copied, and counts as this text; without any, it stands for something
        itself."""
        kind = Kind.LITERAL if text.strip() else Kind.PLACEHOLDER
        shown = text if text.strip() else raw
        at = self.replace(start, start + len(raw), shown)
        self.kept.append(Protected(Span(at, at + len(shown)), kind))

    def run(self, raw: str, end: int) -> Run:
        """As it is now, up to `end`."""
        edits = tuple(self.edits)
        rewriting = Rewriting(raw[self.start : end], edits)
        tags = tuple(self.tags)
        return Run(self.start, edits, rewriting, tags, tuple(self.kept), _pairs(tags))


def _pairs(tags: Sequence[Tag]) -> dict[int, int]:
    pairs: dict[int, int] = {}
    stack: list[Tag] = []
    names: Counter[str] = Counter()
    for tag in tags:
        if tag.kind is TagKind.OPEN:
            stack.append(tag)
            names[tag.name] += 1
        elif tag.kind is TagKind.CLOSE and names[tag.name]:
            opening = stack.pop()
            while opening.name != tag.name:
                names[opening.name] -= 1
                opening = stack.pop()
            names[tag.name] -= 1
            pairs[opening.start], pairs[tag.start] = tag.start, opening.start
    return pairs


def read(raw: str, text_format: TextFormat, options: MarkupOptions) -> list[Run]:
    """The runs of a text; what is between them is copied."""
    if text_format is TextFormat.TEXT or not ("<" in raw or "&" in raw):
        return [Run(0, (), Rewriting(raw))]
    return list(_runs(raw, _Dialect(text_format is TextFormat.HTML, options)))


def _runs(raw: str, dialect: _Dialect) -> Iterator[Run]:
    tokens = list(_TOKEN.finditer(raw))
    builder, place = _RunBuilder(0), 0
    outline = _outline(tokens, dialect, raw)
    closings = _closings(tokens, dialect)
    while place < len(tokens):
        token = tokens[place]
        place += 1
        if token["entity"]:
            text = dialect.decoded(token[0])
            if text == token[0]:
                builder.keep(token[0], text, token.start())
            else:
                builder.replace(token.start(), token.end(), text)
            continue
        if token["other"]:
            builder.mark(token[0], "", TagKind.POINT, token.start())
            continue
        name, kind, last = dialect.name(token), dialect.kind(token), place - 1
        copied = kind is not TagKind.CLOSE and dialect.is_copied(token)
        if copied:
            last = closings.get(last, last)
        end = tokens[last].end()
        if dialect.splits(name) or token.start() in outline:
            yield builder.run(raw, token.start())
            builder = _RunBuilder(end)
        elif copied and (kind is TagKind.POINT or last >= place):
            content = raw[token.end() : tokens[last].start()]
            builder.keep(raw[token.start() : end], _text_of(content, dialect), token.start())
        else:
            builder.mark(token[0], name, kind, token.start())
        place = max(place, last + 1)
    yield builder.run(raw, len(raw))


def _closings(tokens: Sequence[re.Match[str]], dialect: _Dialect) -> dict[int, int]:
    """Where the element ends that a tag opens, for all that end, by their places among the
    tokens."""
    closings: dict[int, int] = {}
    open_tags: dict[str, list[int]] = {}
    for place, token in enumerate(tokens):
        if not token["tag"]:
            continue
        kind, name = dialect.kind(token), dialect.name(token)
        if kind is TagKind.OPEN:
            open_tags.setdefault(name, []).append(place)
        elif kind is TagKind.CLOSE and open_tags.get(name):
            closings[open_tags[name].pop()] = place
    return closings


def _outline(tokens: Sequence[re.Match[str]], dialect: _Dialect, raw: str) -> frozenset[int]:
    """The XML tags that hold other elements and no text of their own: they are structure, and so
    are their children."""
    if dialect.is_html or not dialect.options.outline_detection:
        return frozenset()
    structure: set[int] = set()
    # Start, name, starts of the children's tags, signs of text; the whole is the first.
    stack: list[tuple[int, str, list[int], list[bool]]] = [(-1, "", [], [])]
    done = 0
    for token in tokens:
        if not token["tag"]:
            continue
        if raw[done : token.start()].strip():
            stack[-1][3].append(True)
        done = token.end()
        kind, name = dialect.kind(token), dialect.name(token)
        if name in dialect.options.non_splitting_tags:
            continue
        if kind is TagKind.OPEN:
            stack.append((token.start(), name, [], []))
        elif kind is TagKind.CLOSE and len(stack) > 1 and stack[-1][1] == name:
            start, _, children, has_text = stack.pop()
            if children and not has_text:
                structure |= {start, token.start(), *children}
            stack[-1][2].extend((start, token.start()))
    if not stack[0][3] and not raw[done:].strip():
        structure |= {*stack[0][2]}
    return frozenset(structure)


def _text_of(raw: str, dialect: _Dialect) -> str:
    """The text of some markup."""
    return _TOKEN.sub(lambda m: dialect.decoded(m[0]) if m["entity"] else "", raw)


def escapes(text: str, source: str) -> Iterator[Edit]:
    """Writes plain text as markup, in the manner of its `source`: entities where that has entities,
    and bare marks where it has bare marks."""
    written = {html.unescape(m[0]): m[0] for m in _TOKEN.finditer(source) if m["entity"]}
    bare = _TOKEN.sub("", source)
    named = {"&": "&amp;", "<": "&lt;", ">": "&gt;", **written}
    signs = {sign: name for sign, name in named.items() if len(sign) == 1 and sign not in bare}
    for at, sign in enumerate(text):
        if sign in signs:
            yield Edit(at, at + 1, signs[sign])
        elif _MARKUP_LIKE.match(text, at):
            yield Edit(at, at + 1, html.escape(sign))
