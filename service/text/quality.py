"""Signs that a translation cannot be right, found by looking at two sentences.

Cheap enough for every sentence, and shy: a false alarm costs a second decoding and the reader's
trust. Knows no model and no meaning.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from service.text.alignment import Span
from service.text.numerals import lost_numbers


class Fault(StrEnum):
    """What is wrong with a translated sentence."""

    EMPTY = "empty"
    REPETITION = "repetition"
    LENGTH_LIMIT = "length_limit"
    WRONG_SCRIPT = "wrong_script"
    COPIED_SOURCE = "copied_source"
    TOO_SHORT = "too_short"
    TOO_LONG = "too_long"
    LOST_PLACEHOLDER = "lost_placeholder"
    LOST_NUMBER = "lost_number"

    @property
    def message(self) -> str:
        """For people."""
        return _MESSAGES[self]


_MESSAGES = {
    Fault.EMPTY: "nothing came out",
    Fault.REPETITION: "the translation repeats itself",
    Fault.LENGTH_LIMIT: "the translation was cut off at the length limit",
    Fault.WRONG_SCRIPT: "the translation is not in the letters of its language",
    Fault.COPIED_SOURCE: "the sentence came back untranslated",
    Fault.TOO_SHORT: "the translation is far shorter than the sentence",
    Fault.TOO_LONG: "the translation is far longer than the sentence",
    Fault.LOST_PLACEHOLDER: "a placeholder, URL or e-mail address may be in the wrong place",
    Fault.LOST_NUMBER: "a number is lost or changed",
}
_WEIGHTS = {Fault.LOST_NUMBER: 2, Fault.TOO_SHORT: 2, Fault.TOO_LONG: 2, Fault.LENGTH_LIMIT: 2}
"""Of two bad sentences the one with less is better. Others weigh 3."""


@dataclass(frozen=True, slots=True)
class QualityWarning:
    """A sentence of a text that is translated, but cannot be right."""

    sentence: Span
    """The sentence in the source text."""
    reason: Fault

    @property
    def message(self) -> str:
        """For people."""
        return self.reason.message


_LATIN = "A-Za-z\u00aa-\u024f\u1e00-\u1eff"
_RANGES = {
    "ar": "\u0620-\u06ff",
    "bg": "\u0400-\u052f",
    "el": "\u0370-\u03ff\u1f00-\u1fff",
    "fa": "\u0620-\u06ff",
    "he": "\u05d0-\u05ea",
    "hi": "\u0900-\u097f",
    "ja": "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff",
    "ko": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3",
    "ru": "\u0400-\u052f",
    "th": "\u0e00-\u0e7f",
    "uk": "\u0400-\u052f",
    "zh": "\u3400-\u9fff\uf900-\ufaff",
    **dict.fromkeys(("cs", "de", "en", "es", "fi", "fr", "hu", "id", "it"), _LATIN),
    **dict.fromkeys(("nl", "no", "pl", "pt", "ro", "sv", "tr", "vi"), _LATIN),
}
"""The letters of languages. One that is not here is not judged by them."""
_LETTERS = {language: re.compile(f"[{ranges}]") for language, ranges in _RANGES.items()}

_KEPT = re.compile(
    r"""
      https?://[^\s<>"'”’)\]]*[\w/]
    | [\w.+-]+@[\w-]+(?:\.[\w-]+)+
    | \{\{[^{}\s]+\}\} | \{[^{}\s]*\} | %(?:\d+\$)?[sdif@] | %\([^()\s]+\)[sdif]
    | <x\ [^<>]*/>
    """,
    re.VERBOSE,
)
_MARKS = " \t.,;:!?…。！？\"'“”‘’"
_WIDE = re.compile("[\u1100-\u11ff\u3040-\ud7ff\uf900-\ufaff\uff00-\uffef]+")
_PLAIN_WORD = re.compile(r"\b[^\W\d_A-Z]{2,}\b")

# Measured: of 9,400 translations by people no sentence is 2.5 times as long as the other, or 0.4.
SHORT, SHORT_FROM = 0.3, 30
LONG, LONG_FROM = 3.0, 30
PLAIN_WORDS = 3
LONGEST_TURN = 40
"""Characters that are looked at as one turn of a circle."""
TURNS = {1: 5, 2: 4}
"""Times in a row that are too often for a turn of one or two letters; three for longer ones."""


def faults(
    source: str, translation: str, languages: tuple[str, str], cut_off: bool = False
) -> tuple[Fault, ...]:
    """All that is wrong with the translation of one sentence.

    `languages` are those of the source and of the translation; `cut_off` says that the model was
    stopped at the length limit.
    """
    return tuple(_faults(source, translation, languages, cut_off))


def severity(found: Iterable[Fault]) -> int:
    """How bad it is: 0 for a sentence without faults."""
    return sum(_WEIGHTS.get(fault, 3) for fault in found)


def _faults(
    source: str, translation: str, languages: tuple[str, str], cut_off: bool
) -> Iterator[Fault]:
    if not any(map(str.isalnum, translation)):
        if any(map(str.isalnum, source)):
            yield Fault.EMPTY
        return
    if runs_in_circles(source, translation):
        yield Fault.REPETITION
    if cut_off:
        yield Fault.LENGTH_LIMIT
    kept = _KEPT.findall(source)
    if any(each not in translation for each in kept):
        yield Fault.LOST_PLACEHOLDER
    if kept:  # is in no language
        source, translation = (_KEPT.sub(" ", text) for text in (source, translation))
    if _copied(source, translation):
        yield Fault.COPIED_SOURCE
    elif _foreign(source, translation, *languages):
        yield Fault.WRONG_SCRIPT
    before, after = _weight(source), _weight(translation)
    if after < before * SHORT and before >= SHORT_FROM:
        yield Fault.TOO_SHORT
    if after > before * LONG and after >= LONG_FROM:
        yield Fault.TOO_LONG
    if lost_numbers(source, translation, languages[1]):
        yield Fault.LOST_NUMBER


def runs_in_circles(source: str, translation: str) -> bool:
    """Whether something is said over and over that the source says less often."""
    return _turns(translation) > max(1, _turns(source) + 1)


def _turns(text: str) -> int:
    """How often in a row something is said that is said too often; 1 if nothing is."""
    # What is said three times has two groups of three letters again, and most sentences have not.
    if len({text[i : i + 3] for i in range(len(text) - 2)}) > len(text) - 4:
        return 1
    most, seen = 1, dict[str, int]()
    for place in range(len(text) - 2):
        start = seen.get(text[place : place + 3], -1)
        seen[text[place : place + 3]] = place
        length = place - start
        if start < 0 or length > LONGEST_TURN:
            continue
        turn, count = text[start:place], 1
        while text.startswith(turn, start + count * length):
            count += 1
        letters = sum(map(str.isalpha, turn))
        if letters and count >= TURNS.get(letters, 3):
            most = max(most, count)
    return most


def _copied(source: str, translation: str) -> bool:
    same = source.strip(_MARKS).casefold() == translation.strip(_MARKS).casefold()
    return same and _is_sentence(source)


def _foreign(source: str, translation: str, language: str, target: str) -> bool:
    """Whether the letters are not the target's, though the source is a sentence in other ones.

    Latin names are at home everywhere; of anything else a quarter is too much.
    """
    if target not in _LETTERS or _RANGES.get(language) == _RANGES[target]:
        return False
    ours = len(_LETTERS[target].findall(translation))
    if 2 * ours > len(translation):
        return False
    letters = sum(map(str.isalpha, translation))
    latin = len(_LETTERS["en"].findall(translation))
    alien = letters - (ours if _RANGES[target] == _LATIN else ours + latin)
    return (4 * ours < letters or 4 * alien > letters) and _is_sentence(source)


def _is_sentence(source: str) -> bool:
    """A name or a title may stay as it is; a sentence has words without capitals."""
    return len(_PLAIN_WORD.findall(source)) >= PLAIN_WORDS


def _weight(text: str) -> int:
    """Length, where a syllable or an ideograph counts as much as two letters."""
    return 2 * len(text) - len(_WIDE.sub("", text))
