"""Korean particles whose form depends on the sound before them: 은/는, 이/가, 을/를, 으로/로, ...

Knows how the last letter of a word, a number or an acronym is read aloud. Standard Korean
orthography; foreign words by the rules of the Korean loanword orthography, about.
"""

import re
from enum import Enum, auto

_HANGUL, _LAST_HANGUL, _FINALS, _RIEUL = 0xAC00, 0xD7A3, 28, 8

# (after a consonant, after a vowel, where nobody knows)
_PAIRS = (
    ("은", "는", "은(는)"),
    ("이", "가", "이(가)"),
    ("을", "를", "을(를)"),
    ("과", "와", "와(과)"),
    ("으로", "로", "(으)로"),
    ("이나", "나", "(이)나"),
    ("이랑", "랑", "(이)랑"),
    ("이라", "라", "(이)라"),
    ("이며", "며", "(이)며"),
    ("이야", "야", "(이)야"),
    ("이에요", "예요", "이에요"),
    ("이었", "였", "이었"),
)
_FORMS = {form: pair for pair in _PAIRS for form in pair} | {
    "는(은)": _PAIRS[0],
    "가(이)": _PAIRS[1],
    "를(을)": _PAIRS[2],
    "과(와)": _PAIRS[3],
    "으로(로)": _PAIRS[4],
}
_PARTICLE = re.compile(
    r"""
    [은을]\([는를]\) | [는를]\([은을]\) | 이\(가\) | 가\(이\) | 와\(과\) | 과\(와\)
  | \(으\)로 | 으로\(로\)
  | (?: 은|는|이|가|을|를|과|와|이나|나|이랑|랑|이며|며|이야|야|이에요|예요 ) (?![가-힣])
  | (?: 으로|로 ) (?= (?: 서|써|부터|는|도|만|의|까지 )? (?![가-힣]) )
  | (?: 이라|라 ) (?= [고는면도] (?![가-힣]) )
  | (?: 이었|였 ) (?= [가-힣] )
    """,
    re.VERBOSE,
)
_ENDING = re.compile(
    r"""
    (?:
        (?: 들 )?
        (?: (?: 에서|에게|한테|께서|으로|로|까지|부터|처럼|보다|마다|에|와|과|만 )
            (?: 부터|까지|서|써 )? [는도만의은이을]?
          | [은는이가을를의도나랑] | 이나|이랑|조차|밖에|뿐
          | 이?라[고는도면]? | 이다|입니다|이에요|예요|이며|이고|이야|야|인
          | 이?었다 | 였다 )?
    )
    (?![가-힣])
    """,
    re.VERBOSE,
)
_NOTE = re.compile(r"(?<=.)\([^()]*\)$")
_READ = re.compile(r"[^\W_](?=[\W_]*$)")
_ACRONYM = re.compile(r"(?<![A-Za-z])[A-Z]+[^A-Za-z]*$")
_CLOSED = re.compile(
    r"""
    (?: [mn] | ng | [aeiou][mn]e | (?<![aeiou])[aeiou](?:[ptkcb]|ck) | ook ) $
    """,
    re.VERBOSE,
)
_LIQUID = re.compile(r"(?:l|le)$")


class Sound(Enum):
    """What a word ends in when it is read aloud."""

    VOWEL = auto()
    CONSONANT = auto()
    RIEUL = auto()
    """ㄹ, after which 로 stands as after a vowel."""


def ending_sound(word: str) -> Sound | None:
    """How a word ends; None if that cannot be known."""
    spoken = _NOTE.sub("", word)
    last = _READ.search(spoken)
    if last is None:
        return None
    letter, code = last[0], ord(last[0])
    if _HANGUL <= code <= _LAST_HANGUL:
        final = (code - _HANGUL) % _FINALS
        return Sound.VOWEL if final == 0 else Sound.RIEUL if final == _RIEUL else Sound.CONSONANT
    if letter in "178":
        return Sound.RIEUL
    if letter.isdecimal():
        return Sound.CONSONANT if letter in "036" else Sound.VOWEL
    if not letter.isascii():
        return None
    return _latin_sound(spoken[: last.end()])


def _latin_sound(word: str) -> Sound:
    if _ACRONYM.search(word):
        last = word[-1]
        return Sound.RIEUL if last in "LR" else Sound.CONSONANT if last in "MN" else Sound.VOWEL
    word = word.lower()
    if _LIQUID.search(word):
        return Sound.RIEUL
    return Sound.CONSONANT if _CLOSED.search(word) else Sound.VOWEL


def particle_at(text: str, start: int) -> str:
    """The particle with two forms that stands at `start`; "" if there is none."""
    found = _PARTICLE.match(text, start)
    return found[0] if found else ""


def agree(particle: str, word: str | None) -> str:
    """The form of a particle that follows a word; both forms if the word is not known."""
    after_consonant, after_vowel, unsure = _FORMS[particle]
    sound = ending_sound(word) if word is not None else None
    if sound is None:
        return unsure
    if sound is Sound.VOWEL or (sound is Sound.RIEUL and after_vowel == "로"):
        return after_vowel
    return after_consonant


def ending_at(text: str, start: int) -> str:
    """The particles and endings that a noun may carry which ends at `start`; "" if there are none
    or the word goes on."""
    found = _ENDING.match(text, start)
    return found[0] if found else ""


def ending_of(word: str) -> str:
    """The particles at the end of a word; at least one letter is left to the noun."""
    return next((found for at in range(1, len(word)) if (found := ending_at(word, at))), "")
