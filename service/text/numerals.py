"""Numbers that a sentence has in digits and its translation has not.

Languages write numbers in their own ways (2,000만 and 20 million, 12월 and December, 스물 and 20),
so only a number that no such way explains is lost.
"""

import re

_NUMBER = re.compile(r"\d+(?:[,\u00a0\u202f]\d{3})*")
_SEPARATORS = re.compile(r"[,\u00a0\u202f]")
# What follows a number that another language may write with other digits, or none: powers of ten,
# months, hours of the day.
_CONVERTED = re.compile(
    r"""
    \s* (?: [십백천만억조] | 여?\s?[만억조] | 월 | 시 | [:.] \d
          | (?i: hundred | thousand | million | billion | trillion | [kmb]n?\b | [ap]\.?m\b
               | dozen | o'clock ) )
    """,
    re.VERBOSE,
)
_WORDS = {
    "ko": re.compile(
        r"[\d일이삼사오육칠팔구수몇] \s? [십백천만억조] | 열 | 스[물무] | 서른 | 마흔 | 쉰 | 예순"
        r"| 일흔 | 여든 | 아흔 | 백 | 천 | 절반",
        re.VERBOSE,
    ),
    "en": re.compile(
        r"\b (?: ten | eleven | twelve | \w+teen | (?: twen | thir | for | fif | six | seven | eigh"
        r"| nine ) t(?:y|ies) | dozens? | decades? | hundreds? | thousands? | [mb]illions? | noon"
        r"| midnight | half | January | February | March | April | May | June | July | August"
        r"| September | October | November | December ) \b",
        re.VERBOSE | re.IGNORECASE,
    ),
}


def lost_numbers(source: str, translation: str, target: str) -> bool:
    """Whether a number of two digits or more is not in the translation into `target`, in no form
    that could be told from its words."""
    expected = [
        _plain(match[0])
        for match in _NUMBER.finditer(source)
        if len(match[0]) > 1 and not _converted(source, match)
    ]
    words = _WORDS.get(target)
    if not expected or (words is not None and words.search(translation)):
        return False
    found = [_plain(match[0]) for match in _NUMBER.finditer(translation)]
    # '85 may become 1985.
    return not all(any(each.endswith(number) for each in found) for number in expected)


def _converted(source: str, number: re.Match[str]) -> bool:
    """Whether it may become other digits, or none: minutes too, of a full hour."""
    minutes = source[: number.start()].endswith(":") and not number[0].strip("0")
    return minutes or _CONVERTED.match(source, number.end()) is not None


def _plain(number: str) -> str:
    return _SEPARATORS.sub("", number)
