"""What of a text is not translated: placeholders, addresses, code; and emoji, which no model knows.

Finds them and hides them from the model; how they come back is for `restoration.py`.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import count

from service.text.alignment import Span
from service.text.rewriting import Edit, Rewriting
from service.text.segmentation import OPAQUE

PICTURES = "\u203c\u2049\u2190-\u21ff\u2300-\u23ff\u2500-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"
_HINT = re.compile(rf"[{{%`<@\u20e3{PICTURES}]|\.[a-z]|://|[:;]-?[()DPp]")
"""A text without any of this has nothing to protect, and to know that is cheap."""

_PICTURE = rf"[{PICTURES}][\ufe0e\ufe0f\u20e3\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f]*"
_EMOJI = rf"(?: [0-9\#*]\ufe0f?\u20e3 | {_PICTURE} (?:\u200d{_PICTURE})* )"
_EMOTICON = r"(?<!\S) [:;]-?[()DPp] (?!\S)"
_PLACEHOLDER = r"""
    \{\{ [^{}]* \}\}
  | [$%\#]? \{ [^{}\s]* \}
  | (?<!\d) % (?: \(\w+\) | \d+\$ )? [-+0\#]? \d* (?:\.\d+)? (?:hh?|ll?)? [sdiufxX@] (?![A-Za-z0-9])
"""
_PATH = r"[!#-;=?-_a-z{|}~]* [A-Za-z0-9/_~=\#&+-]"  # marks at the end belong to the sentence
_NAME = r"[A-Za-z0-9-]+ (?: \. [A-Za-z0-9-]+ )*"
_ADDRESS = rf"""
    (?<![A-Za-z]) (?: [A-Za-z][A-Za-z0-9+.-]{{0,63}} :// | www\. ) {_PATH}
  | (?<![A-Za-z0-9._+-]) [A-Za-z0-9._+-]++ @ {_NAME} \. [A-Za-z]{{2,}}
  | (?<![\w.-]) (?: [A-Za-z0-9-]+\. )+ (?: com|org|net|io|dev|kr|edu|gov ) (?![A-Za-z0-9-])
    (?: / (?: {_PATH} )? )?
  | (?<![\w@]) @ [A-Za-z0-9_]+
"""
_CODE = r"(?P<ticks>`{1,9}) [^`]+ (?P=ticks)"
_TAG = r"< /? [A-Za-z] [^<>]* > | <!-- .{0,500}? -->"


class Kind(Enum):
    """How the model sees something that is protected."""

    LITERAL = auto()
    """It is a word of its sentence: the model reads a stand-in."""
    PLACEHOLDER = auto()
    """As a literal; nobody knows how what will be there is read aloud."""
    PICTURE = auto()
    """The sentence is whole without it: the model does not see it."""


_FINDER = re.compile(
    rf"(?P<picture> {_EMOJI} (?: \s? {_EMOJI} )* | {_EMOTICON} )"
    rf"| (?P<placeholder> {_PLACEHOLDER} | {_TAG} ) | (?P<literal> {_CODE} | {_ADDRESS} )",
    re.VERBOSE,
)
_MASKED = re.compile(f"{OPAQUE}+")
_KINDS = {"picture": Kind.PICTURE, "placeholder": Kind.PLACEHOLDER, "literal": Kind.LITERAL}


@dataclass(frozen=True, slots=True)
class Protected:
    """A part of a text that comes back to the letter."""

    span: Span
    kind: Kind


def find_protected(text: str) -> tuple[Protected, ...]:
    """Everything to protect in a plain text, in order; tags are what they are in plain text."""
    if not _HINT.search(text):
        return ()
    found: list[Protected] = []
    for match in _FINDER.finditer(text):
        kind = next(kind for name, kind in _KINDS.items() if match[name] is not None)
        span = Span(*match.span())
        if (
            found
            and found[-1].span.end == span.start
            and Kind.PICTURE not in (kind, found[-1].kind)
        ):
            # What stands together stays together: <x id="7"></x>
            span, kind = Span(found.pop().span.start, span.end), Kind.PLACEHOLDER
        found.append(Protected(span, kind))
    return tuple(found)


def copies(said: str) -> list[Span]:
    """Everything in a translation that may have become of a stand-in."""
    return [Span(*m.span()) for m in _FINDER.finditer(said) if m["picture"] is None]


def mask(text: str, protected: Sequence[Protected]) -> str:
    """The text, as long as it was, with everything protected made opaque, that is without letters
    and without borders of sentences. Pictures are no letters; a sentence may end after one."""
    edits = [
        Edit(each.span.start, each.span.end, OPAQUE * (each.span.end - each.span.start))
        for each in protected
        if each.kind is not Kind.PICTURE
    ]
    return Rewriting(text, edits).after if edits else text


def unmask(masked: str) -> str:
    """About what the model will read of a masked text."""
    if OPAQUE not in masked:
        return masked
    numbers = count(1)
    return _MASKED.sub(lambda _: stand_in(next(numbers)), masked)


def stand_in(number: int) -> str:
    """What the model reads in place of the first, second, ... literal of a sentence."""
    return f"{{{number}}}"


@dataclass(frozen=True, slots=True)
class Hidden:
    """Something protected of a sentence: what it was, with white space that went with it."""

    span: Span
    text: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Shielded:
    """A sentence as the model reads it, and what it does not read; literals in the order of their
    stand-ins."""

    rewriting: Rewriting
    literals: tuple[Hidden, ...] = ()
    pictures: tuple[Hidden, ...] = ()


def shield(sentence: str, protected: Sequence[Protected]) -> Shielded:
    """Puts stand-ins in the place of literals and takes pictures out."""
    literals = [
        Hidden(each.span, sentence[each.span.start : each.span.end], each.kind)
        for each in protected
        if each.kind is not Kind.PICTURE
    ]
    edits = [Edit(h.span.start, h.span.end, stand_in(n)) for n, h in enumerate(literals, 1)]
    pictures = []
    for edit in _without_pictures(sentence, protected):
        edits.append(edit)
        taken = sentence[edit.start : edit.end]
        pictures.append(Hidden(Span(edit.start, edit.end), taken, Kind.PICTURE))
    return Shielded(Rewriting(sentence, edits), tuple(literals), tuple(pictures))


def _without_pictures(sentence: str, protected: Sequence[Protected]) -> Iterator[Edit]:
    """Takes a space along where two would be left over, and leaves one where words would meet."""
    for each in protected:
        if each.kind is not Kind.PICTURE:
            continue
        start, end = each.span.start, each.span.end
        before, after = sentence[start - 1 : start], sentence[end : end + 1]
        if before.isspace() and not after.isalnum():
            start -= 1
        glued = before.isalnum() and after.isalnum() and start == each.span.start
        yield Edit(start, end, " " if glued else "")
