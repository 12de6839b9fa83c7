"""HTML: what stands between the tags of blocks is a passage, with the inline tags in it.

A scanner and no tree, so that every byte that is not translated stays as it was, also of HTML that
is broken. What inline tags become in a translation is not decided here.
"""

import re
from collections.abc import Iterator

from service.documents.document import Document, Passage, is_text, trimmed
from service.text.markup import TextFormat

_TOKEN = re.compile(
    r"""
      <!--.*?(?:-->|\Z) | <!\[CDATA\[.*?(?:\]\]>|\Z) | <[!?][^>]*+(?:>|\Z)
    | <(?P<close>/?)(?P<name>[A-Za-z][^\s/>]*+)
      (?P<attributes>(?:[^>"']++|"[^"]*+(?:"|\Z)|'[^']*+(?:'|\Z))*+)(?:>|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
_INLINE = re.compile(
    "a|abbr|acronym|b|bdi|bdo|big|cite|code|data|del|dfn|em|font|i|img|ins|kbd|label|mark|q|rb|rp"
    "|rt|rtc|ruby|s|samp|small|span|strike|strong|sub|sup|time|tt|u|var|wbr"
)
_COPIED = re.compile("script|style|pre|textarea|svg|math|template|iframe|object|xmp|listing")
_VOID = re.compile("area|base|br|col|embed|hr|img|input|link|meta|param|source|track|wbr")
_UNTRANSLATED = re.compile(
    r"""\btranslate\s*=\s*["']?no\b|\bclass\s*=\s*["']?[^"'=]{0,500}\bnotranslate\b""", re.I
)
_LETTERLESS = re.compile(r"<[^<>]*+>|&[#\w]+;")
_BREAK = re.compile(r"(<[^<>]*+>)|\s*[\r\n]\s*")


def read(content: str) -> Document:
    """The text of every block that may be translated."""
    return Document(content, tuple(_passages(content)), TextFormat.HTML)


def _passages(content: str) -> Iterator[Passage]:
    start = 0
    copied, depth = "", 0  # the element that is not translated, and how often it is open
    for token in _TOKEN.finditer(content):
        name = (token["name"] or "").lower()
        if copied:
            if name == copied:
                depth += -1 if token["close"] else 1
                copied = copied if depth else ""
            start = token.end()
        elif not _INLINE.fullmatch(name) and not token[0].startswith("<!--"):
            yield from _passage(content, start, token.start())
            start = token.end()
            if _is_copied(token, name):
                copied, depth = name, 1
    if not copied:
        yield from _passage(content, start, len(content))


def _is_copied(token: re.Match[str], name: str) -> bool:
    opens = bool(name) and not token["close"] and not _VOID.fullmatch(name)
    if not opens or token["attributes"].endswith("/"):
        return False
    if _COPIED.fullmatch(name):
        return True
    return _UNTRANSLATED.search(token["attributes"]) is not None


def _passage(content: str, start: int, end: int) -> Iterator[Passage]:
    place = trimmed(content, start, end)
    raw = content[place.start : place.end]
    if is_text(_LETTERLESS.sub("", raw)):
        # A line break is a space to the reader, and must not end a sentence.
        yield Passage(_BREAK.sub(lambda match: match[1] or " ", raw), (place,))
