"""What a translation of a challenge sentence has kept. Knows English and Korean; no model.

A check that passes is no proof of a good translation; one that fails nearly always shows a bad one.
"""

import re
from collections.abc import Iterator
from enum import StrEnum

from model_export.quality.challenge.numerals import mentions
from model_export.quality.challenge.sentences import Alternatives, Sentence
from service.engine.bundle import Direction
from service.text.quality import Fault, faults


class Check(StrEnum):
    """What is looked at, as tables name it."""

    NOT_EMPTY = "not empty"
    NO_REPETITION = "no repetition"
    TRANSLATED = "no word left"
    LENGTH = "length"
    NUMBERS = "numbers"
    NAMES = "names"
    KEPT = "signs"
    NEGATION = "negation"
    QUESTION = "question"
    POLITENESS = "politeness"
    MEANING = "key words"


SOUND = (Check.NOT_EMPTY, Check.NO_REPETITION, Check.TRANSLATED)
"""Without these a translation is no use at all."""

# Which faults of the service's own look at a translation fail a check.
_FAULTS = {
    Check.NOT_EMPTY: {Fault.EMPTY},
    Check.NO_REPETITION: {Fault.REPETITION},
    Check.TRANSLATED: {Fault.COPIED_SOURCE, Fault.WRONG_SCRIPT},
    Check.LENGTH: {Fault.TOO_SHORT, Fault.TOO_LONG},
}
_WORDS = {"en": re.compile("[A-Za-z]{2,}"), "ko": re.compile("[ㄱ-ㆎ가-힣]+")}
_NEGATED = {
    "en": re.compile(
        r"""
          n['’]t\b
        | \b(?: no | not | never | none | nothing | nobody | nowhere | nor | neither | cannot
             | cant | dont | without | hardly | unable | stop | avoid | refrain | prohibited
             | forbidden )\b
        | \b(?: too\s[\w\s]+ | hard\s | difficult\s )to\b
        """,
        re.VERBOSE | re.IGNORECASE,
    ),
    "ko": re.compile(
        r"""
          (?<![가-힣])안(?:\s|[돼되됩된될]) | (?<![연잘])못 | 않 | 없 | 지\s?(?:마|말)
        | 아니 | 아닙 | 아닌 | 모르 | 몰라 | 몰랐 | 모릅 | 금지 | 싫 | 빼고
        """,
        re.VERBOSE,
    ),
}
_ASKS = {
    "en": re.compile(
        r"""
          \?
        | ^(?: what | where | when | who | whose | why | how | which | do | does | did | is | are
            | was | were | can | could | will | would | have | has | may | shall | should )\b
        """,
        re.VERBOSE | re.IGNORECASE,
    ),
    "ko": re.compile(
        r"""
          \? | (?: 까 | 나요 | 가요 | 니 | 냐 )\W*$
        | 어디 | 언제 | 누[구가] | 뭐 | 무[엇슨] | 왜 | 몇
        """,
        re.VERBOSE,
    ),
}
_POLITE = {
    "en": re.compile(
        r"\b(?: please | could | would | can | may | might | thank | thanks | excuse | sorry | sir"
        r" | madam | ma'am | let\s(?:me|us) | like\sto )\b",
        re.VERBOSE | re.IGNORECASE,
    ),
    "ko": re.compile(r"(?: 요 | 니다 | 니까 | 시오 | 죠 )\W*$", re.VERBOSE),
}
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+")
_EXCLAMATION = 3
"""Characters up to which a Korean sentence needs no verb, and so no polite ending."""


def judge(sentence: Sentence, translation: str, direction: Direction) -> dict[Check, bool]:
    """Whether each check that applies has passed."""
    return dict(_judge(sentence, translation, direction))


def _judge(
    sentence: Sentence, translation: str, direction: Direction
) -> Iterator[tuple[Check, bool]]:
    languages = direction.source, direction.target
    found = set(faults(sentence.source, translation, languages))
    for check, wrong in _FAULTS.items():
        fine = not wrong & found
        if check is Check.TRANSLATED:
            fine = fine and not left_over(sentence, translation, direction.source)
        yield check, fine
    demands = {
        Check.NUMBERS: sentence.numbers,
        Check.NAMES: sentence.names,
        Check.KEPT: sentence.kept,
        Check.MEANING: sentence.meaning,
    }
    for check, wanted in demands.items():
        if wanted:
            yield check, all(_has(any_of, translation, direction.target) for any_of in wanted)
    if "not" in sentence.marks:
        yield Check.NEGATION, _NEGATED[direction.target].search(translation) is not None
    yield from _question(sentence, translation, direction.target)
    if "polite" in sentence.marks:
        yield Check.POLITENESS, polite(translation, direction.target)


def _question(sentence: Sentence, translation: str, language: str) -> Iterator[tuple[Check, bool]]:
    """A question asks; a plain statement does not. A request may be put either way."""
    if "question" in sentence.marks:
        asks = any(map(_ASKS[language].search, _SENTENCE_END.split(translation)))
        yield Check.QUESTION, asks
    elif "polite" not in sentence.marks and sentence.source.endswith("."):
        yield Check.QUESTION, "?" not in translation


def left_over(sentence: Sentence, translation: str, language: str) -> list[str]:
    """Words in the source's script that have no reason to be there."""
    groups = (sentence.names, sentence.kept, sentence.untranslated)
    for word in (word for group in groups for any_of in group for word in any_of):
        translation = re.sub(re.escape(word), " ", translation, flags=re.IGNORECASE)
    return _WORDS[language].findall(translation)


def polite(translation: str, language: str) -> bool:
    """Whether every Korean sentence ends politely; whether English has a word of courtesy."""
    if language != "ko":
        return _POLITE[language].search(translation) is not None
    sentences = _SENTENCE_END.split(translation)
    whole = [each for each in sentences if len(each) > _EXCLAMATION] or sentences
    return all(_POLITE[language].search(each) for each in whole)


def _has(any_of: Alternatives, translation: str, language: str) -> bool:
    return any(_mentions(each, translation, language) for each in any_of)


def _mentions(wanted: str, translation: str, language: str) -> bool:
    """Korean words carry particles, English ones endings; Minsu is also written Min-su."""
    if wanted.isdecimal():
        return mentions(int(wanted), translation, language)
    wanted, translation = wanted.casefold(), translation.casefold()
    start = r"\b" if language == "en" and wanted[0].isalpha() else ""
    pattern = start + re.escape(wanted)
    return any(re.search(pattern, text) for text in (translation, translation.replace("-", "")))
