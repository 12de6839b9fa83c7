"""Cuts a text into the sentences to translate and the gaps between them, losing nothing.

Knows how sentences end in English and Korean, and how long one may be. It does not know what
translates the sentences, nor anything of requests, markup or tokens.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sentencex import get_sentence_boundaries

# sentencex panics with a BaseException on "J\u00a0." (a letter, then white space outside ASCII)
# and refuses lone surrogates; a plain space in their place keeps every index as it is.
_HARMFUL = re.compile(r"[\s\ud800-\udfff]")

OPAQUE = "\ue000"
"""Stands in a text for a character of something that has no letters and must not be cut."""

# Places where sentencex sees an end and a reader does not: an end inside or right after a match
# is dropped. Joining two sentences costs the translation little, tearing one apart ruins it.
_UNBROKEN = re.compile(
    r"""
    # A Korean date: 2024. 5. 1. or 2024.5.1.
      (?<![\d.]) (?: \d{1,4}\. (?:\s\d{1,2}\.)+ | \d{4}\.\d{1,2}\.\d{1,2}\. ) \s*
    # Hangul glued to a closing quote is a particle: "가겠다."고
    | [.!?…] ["'”’」』》〉]+ (?=[가-힣])
    # After a space only words that report speech go on; 고, 며, 는 also begin nouns.
    | [.!?…] ["'”’」』》〉]+ \s+ (?= (?: 이?라 | 하 ) (?: 고 | 며 | 면서 | 는 | 던 ) | [고며는]\s )
    # A Korean list counts 가. 나. 다. as others count a. b. c.
    | ^ \s* [가나다라마바사아자차카타파하] \. \s*
    # Closing quotes that sentencex does not know.
    | [.!?] (?=[”’」』》〉])
    # Abbreviations that never end a sentence, and those that do not before a number.
    | \b (?: [Ee]\.g | [Ii]\.e | Ms | Mx | Mmes | Profs ) \. \s*
    | \b (?i: approx | ch | chap | eqs? | figs | refs | rm | tel | vols? ) \. \s* (?=\d)
    # Names such as ASP.NET.
    | [A-Za-z0-9] \. (?=[A-Za-z])
    """,
    re.VERBOSE,
)

# A mark before white space needs no entry of its own, for the white space is the later border.
# Elsewhere only a letter may follow: "1,000" and "https://" are no clauses.
_BORDER = re.compile(r"\s|[,;:，；：、](?=[^\W\d])")

# Characters that continue the one before them without being marks: conjoining Hangul vowels and
# finals, the zero width joiner, skin tones, flag tags, second halves of surrogate pairs.
_CONTINUES = re.compile(
    "[\u1160-\u11ff\ud7b0-\ud7ff\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f\udc00-\udfff]"
)
_FLAG_HALVES = re.compile("[\U0001f1e6-\U0001f1ff]{2}")


class Splitting(StrEnum):
    """Where a text is cut."""

    OFF = "off"
    """Nowhere, unless it is too long: the text is one sentence."""
    SENTENCES = "sentences"
    """At the ends of sentences and at line breaks."""
    NO_NEWLINES = "nonewlines"
    """At the ends of sentences; a line break is white space."""


@dataclass(frozen=True, slots=True)
class Segmentation:
    """The sentences of a text, and the gaps before, between and after them.

    There is one gap more than there are sentences; woven together they are the text exactly.
    """

    sentences: tuple[str, ...]
    gaps: tuple[str, ...]

    def starts(self, translations: Sequence[str]) -> list[int]:
        """Where each translation begins in what `join` makes of them."""
        starts, position = [], 0
        for gap, translation in zip(self.gaps, translations, strict=False):
            position += len(gap)
            starts.append(position)
            position += len(translation)
        return starts

    def join(self, translations: Sequence[str]) -> str:
        """Weave translations, one for each sentence in order, into the gaps.

        Raises ValueError if there are more or fewer translations than sentences.
        """
        if len(translations) != len(self.sentences):
            raise ValueError(f"{len(translations)} translations, {len(self.sentences)} sentences")
        pairs = zip(translations, self.gaps[1:], strict=True)
        return self.gaps[0] + "".join(translation + gap for translation, gap in pairs)


def segment(
    text: str,
    language: str,
    max_characters: int = 600,
    splitting: Splitting = Splitting.SENTENCES,
) -> Segmentation:
    """Cut a text into sentences of at most max_characters (code points). `language` is a
    code as in "en"; sentencex knows many, what it is corrected by here is for English and Korean.

    Whatever has no letter in it goes into the gaps.
    Raises ValueError if max_characters is below 1.
    """
    if max_characters < 1:
        raise ValueError(f"max_characters must be at least 1, not {max_characters}")
    sentences, gaps, done = [], [], 0
    for start, end in _pieces(text, language, max_characters, splitting):
        if any(map(str.isalpha, text[start:end])):
            gaps.append(text[done:start])
            sentences.append(text[start:end])
            done = end
    return Segmentation(tuple(sentences), (*gaps, text[done:]))


def segment_to_fit(
    text: str,
    language: str,
    fits: Callable[[str], bool],
    splitting: Splitting = Splitting.SENTENCES,
    max_characters: int = 600,
) -> Segmentation:
    """As `segment`; a sentence that does not fit is cut again, at half its length, until it does.

    A single character is taken as it is.
    """
    whole = segment(text, language, max_characters, splitting)
    sentences: list[str] = []
    gaps = [whole.gaps[0]]
    for sentence, gap in zip(whole.sentences, whole.gaps[1:], strict=True):
        parts = Segmentation((sentence,), ("", ""))
        if len(sentence) > 1 and not fits(sentence):
            parts = segment_to_fit(sentence, language, fits, splitting, len(sentence) // 2)
        sentences += parts.sentences
        gaps[-1] += parts.gaps[0]
        gaps += parts.gaps[1:]
        gaps[-1] += gap
    return Segmentation(tuple(sentences), tuple(gaps))


def _pieces(
    text: str, language: str, limit: int, splitting: Splitting
) -> Iterator[tuple[int, int]]:
    """Yield where each sentence, or each part of a long one, starts and ends."""
    start = 0
    for stop in _ends(text, language, splitting):
        start, end = _trimmed(text, start, stop)
        while end - start > limit:
            cut = _cut(text, start, limit)
            yield _trimmed(text, start, cut)
            start = cut
            while start < end and text[start].isspace():
                start += 1
        yield start, end
        start = stop


def _ends(text: str, language: str, splitting: Splitting) -> Iterator[int]:
    """Yield the index after each sentence."""
    offset = 0
    if splitting is Splitting.OFF:
        yield len(text)
        return
    # Line by line, for sentencex lets a quote or a sentence run on over a line break.
    lines = text.splitlines(keepends=True) if splitting is Splitting.SENTENCES else [text]
    for line in lines:
        safe = _HARMFUL.sub(" ", line).replace(OPAQUE, "0")
        unbroken = {
            index
            for match in _UNBROKEN.finditer(safe)
            for index in range(match.start() + 1, match.end() + 1)
        }
        for boundary in get_sentence_boundaries(language, safe):
            if boundary["end_index"] not in unbroken:
                yield offset + boundary["end_index"]
        offset += len(line)
        yield offset


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    """Narrow a span to leave out the white space at its ends."""
    span = text[start:end]
    return end - len(span.lstrip()), start + len(span.rstrip())


def _cut(text: str, start: int, limit: int) -> int:
    """Find where to cut a sentence that starts at start and is longer than limit."""
    last = start + limit
    # One character more: white space may stand right after a part of full length.
    borders = [match.end() for match in _BORDER.finditer(text, start, last + 1)]
    if borders:
        return borders[-1]
    # A single character built of more than limit code points is cut all the same.
    cut = next((at for at in range(last, start, -1) if not _continues(text, at)), last)
    while cut < len(text) and text[cut - 1] == text[cut] == OPAQUE:
        cut += 1
    return cut


def _continues(text: str, at: int) -> bool:
    """Tell whether the code points around an index make one character to the reader."""
    return (
        unicodedata.category(text[at]).startswith("M")
        or _CONTINUES.match(text, at) is not None
        or text[at - 1] == "\u200d"
        or text[at - 1] == text[at] == OPAQUE
        or _FLAG_HALVES.match(text, at - 1) is not None
    )
