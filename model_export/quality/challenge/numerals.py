"""Every way to write one number in English and Korean: is it in a text?

Only for numbers that are known, so that nothing has to be read out of a text: in Korean a syllable
that is a number is often a particle or part of a word.
"""

import re
from collections.abc import Iterator

_ENGLISH = (
    "one first once|two second twice both couple pair|three third|four|five fifth|six|seven|eight"
    " eighth|nine ninth|ten|eleven|twelve twelfth|thirteen|fourteen|fifteen|sixteen|seventeen"
    "|eighteen|nineteen"
)
_ENGLISH_TENS = "twenty|thirty|forty|fifty|sixty|seventy|eighty|ninety"

_DIGITS = "일이삼사오육칠팔구"
_POWERS = ("", "십", "백", "천")
_NATIVE = (
    "하나 한 하루 첫|둘 두 이틀|셋 세 석 서 사흘|넷 네 넉 나흘|다섯 닷새|여섯 엿새 유월|일곱 이레"
    "|여덟 여드레|아홉 아흐레|열 열흘 시월"
)
_NATIVE_TENS = "열|스물|서른|마흔|쉰|예순|일흔|여든|아흔"
_BEFORE_COUNTERS = "한두세석서네넉첫"
_COUNTERS = "개곳군권달대마명배번벌병분살시잔장주줄째척층켤통판"
"""First syllables of what native numbers count."""
_COUNTED = "월|일|년|분|층|번|호|개월|주|학년|도|쪽|원|퍼센트|프로|인분"
"""What follows a single Sino-Korean digit that is a number, and not a particle."""


def mentions(number: int, text: str, language: str) -> bool:
    """Whether a text has the number, in digits or in words of `language`."""
    return any(
        re.search(pattern, text, re.IGNORECASE)
        for pattern in (_in_digits(number), *_WORDS[language](number))
    )


def _in_digits(number: int) -> str:
    """Whole, not a part of a longer one; with or without commas."""
    digits = re.sub("(?<=.),", ",?", f"{number:,}")
    return rf"(?<!\d)(?<!\d[.,]){digits}(?!\d|[.,]\d)"


def _english(number: int) -> Iterator[str]:
    small = [group.split() for group in _ENGLISH.split("|")]
    words = ["an?"] if number == 1 else []
    if number <= len(small):
        words += small[number - 1]
    elif number < 100:
        tens, ones = _ENGLISH_TENS.split("|")[number // 10 - 2], number % 10
        words += [f"{tens}[- ]{one}" for one in small[ones - 1]] if ones else [tens]
    for size, name in ((10**3, "thousand"), (10**6, "million")):
        count = number / size
        if count >= 1:
            words.append(rf"{count:g}\s{name}")
        if count.is_integer() and 1 <= count <= len(small):
            words.append(rf"{small[int(count) - 1][0]}\s{name}")
    return (rf"\b{word}(?:th)?\b" for word in words)


def _korean(number: int) -> Iterator[str]:
    for word in _native(number):
        counted = rf"(?=\s|[{_COUNTERS}])" if word in _BEFORE_COUNTERS else ""
        yield rf"(?<![가-힣]){word}{counted}"
    if number < 10:
        yield rf"(?<![가-힣]){_DIGITS[number - 1]}\s?(?:{_COUNTED})"
        return
    yield rf"(?<![{_DIGITS}십백천만])" + r"\s?".join(_sino(number)) + f"(?![{_DIGITS}십백천만])"
    high, low = divmod(number, 10_000)
    if high:
        if high % 100 == 0:
            yield rf"(?<!\d){high // 100}백\s?만"
        rest = rf"\s?{low // 1000}천" if low and low % 1000 == 0 else rf"\s?{low}" if low else ""
        yield rf"(?<!\d){high}\s?만{rest}"
    elif number % 1000 == 0:
        yield rf"(?<!\d){number // 1000}\s?천"


def _native(number: int) -> list[str]:
    ones = [group.split() for group in _NATIVE.split("|")]
    if number <= 10:
        return ones[number - 1]
    if number >= 100:
        return []
    tens, rest = _NATIVE_TENS.split("|")[number // 10 - 1], number % 10
    if rest:
        return [rf"{tens}\s?{one}" for one in ones[rest - 1]]
    return [tens, "스무"] if number == 20 else [tens]


def _sino(number: int) -> str:
    """Without the 일 before a power of ten, as it is said."""
    high, low = divmod(number, 10_000)
    if high:
        return ("" if high == 1 else _sino(high)) + "만" + (_sino(low) if low else "")
    said = ""
    for power, digit in zip(reversed(_POWERS), f"{number:04}", strict=True):
        if digit != "0":
            said += ("" if digit == "1" and power else _DIGITS[int(digit) - 1]) + power
    return said


_WORDS = {"en": _english, "ko": _korean}
