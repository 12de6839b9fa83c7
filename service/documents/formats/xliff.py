"""XLIFF 1.2 and 2: `<source>` is translated into `<target>` where that is missing, empty or said to
be untranslated.

Tags are found where they stand, and all that is not translated is copied, so that nothing of the
file changes. Inline elements inside a text are left to whoever translates it.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from xml.parsers import expat

from service.documents.document import Document, Passage, is_text
from service.errors import UnreadableDocument
from service.text.alignment import Span
from service.text.markup import TextFormat

_TOKEN = re.compile(
    r"""
      <!--.*?--> | <!\[CDATA\[.*?\]\]> | <[!?][^>]*>
    | <(?P<close>/?)(?P<name>[^\s/>]+)(?P<attributes>(?:[^>"']|"[^"]*"|'[^']*')*+)>
    """,
    re.VERBOSE | re.DOTALL,
)
_UNITS = ("trans-unit", "segment")
_STATE = re.compile(r"""(?<=\sstate=)(["'])(?:new|initial|needs-translation|needs-l10n)\1""")
_MACHINE = '"needs-review-translation"'
"""What XLIFF 1.2 calls a translation that nobody has looked at yet; 2 has no such state."""
_TRANSLATE = re.compile(r"""\stranslate\s*=\s*["'](yes|no)""")
_LETTERLESS = re.compile(r"<[^>]*>|&#?\w+;")
_ENCODING = re.compile(r"""<\?xml[^>]*\sencoding\s*=\s*["']([^"']*)""")


@dataclass(slots=True)
class _Element:
    """A tag, the content after it, and the end of both."""

    tag: re.Match[str]
    ends: int
    closes: int

    @property
    def content(self) -> Span:
        """What stands between its tags."""
        return Span(self.tag.end(), self.ends)


@dataclass(slots=True)
class _Open:
    """An element that has begun; a unit collects what stands directly in it."""

    name: str
    tag: re.Match[str]
    translate: bool
    children: dict[str, _Element]


def read(content: str) -> Document:
    """Raises UnreadableDocument if it is no XLIFF, or not XML at all."""
    _check(content)
    passages = tuple(p for unit in _units(content) for p in _passages(content, unit))
    return Document(content, passages, TextFormat.XML)


def _check(content: str) -> None:
    """What is well formed can be scanned tag by tag."""
    declared = _ENCODING.match(content)
    if declared and declared[1].upper() not in ("UTF-8", "UTF8", "ASCII", "US-ASCII"):
        raise UnreadableDocument(f"the encoding {declared[1]} is not supported; use UTF-8")
    roots: list[str] = []
    parser = expat.ParserCreate("UTF-8")
    parser.StartElementHandler = lambda name, _: roots.append(name)
    parser.EntityDeclHandler = _refuse
    try:
        parser.Parse(content.encode(), True)
    except expat.ExpatError as error:
        raise UnreadableDocument(f"not valid XML: {error}") from error
    if roots[0].split(":")[-1] != "xliff":
        raise UnreadableDocument(f"not XLIFF: the root element is {roots[0]}")


def _refuse(*_: object) -> None:
    raise UnreadableDocument("entity declarations are not supported")


def _units(content: str) -> Iterator[_Open]:
    """Every unit that may be translated, once it has ended."""
    stack: list[_Open] = []
    for token in _TOKEN.finditer(content):
        if token["name"] is None:
            continue
        name = token["name"].split(":")[-1]
        empty = token["attributes"].endswith("/")
        if not token["close"]:
            said = _TRANSLATE.search(token["attributes"])
            translate = said[1] == "yes" if said else not stack or stack[-1].translate
            stack.append(_Open(name, token, translate, {}))
        if token["close"] or empty:
            element = stack.pop()
            ends = token.end() if empty else token.start()
            if stack and stack[-1].name in _UNITS:
                stack[-1].children[name] = _Element(element.tag, ends, token.end())
            if name in _UNITS and element.translate:
                yield element


def _passages(content: str, unit: _Open) -> Iterator[Passage]:
    source, target = unit.children.get("source"), unit.children.get("target")
    if source is None:
        return
    text = content[source.content.start : source.content.end]
    if not is_text(_LETTERLESS.sub("", text)):
        return
    if target is None:
        after = unit.children.get("seg-source", source).closes
        name = source.tag["name"].removesuffix("source") + "target"
        write = partial(_target, f"{_line_start(content, source)}<{name}>", name)
        yield Passage(text, (Span(after, after),), write, in_place=False)
        return
    tag, name = target.tag[0], target.tag["name"]
    said = content[target.content.start : target.content.end].strip()
    if not said or _STATE.search(tag) or _STATE.search(unit.tag[0]):
        opened = _STATE.sub(_MACHINE, tag.removesuffix("/>") + ">" if tag.endswith("/>") else tag)
        place = Span(target.tag.start(), target.closes)
        yield Passage(text, (place,), partial(_target, opened, name), in_place=False)


def _line_start(content: str, source: _Element) -> str:
    """Where `<source>` begins a line: a line break and its indentation."""
    end = source.tag.start()
    start = content.rfind("\n", 0, end)
    if start < 0 or content[start:end].strip():
        return ""
    return content[start - content.startswith("\r", start - 1) : end]


def _target(before: str, name: str, translation: str) -> str:
    return f"{before}{translation}</{name}>"
