"""Terms whose translation the caller has chosen, and where they stand in a text."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from service.text.alignment import Span
from service.text.particles import ending_at

_HANGUL = "가-힣"
_LATIN = "A-Za-z0-9_"


@dataclass(frozen=True, slots=True)
class Term:
    """A word or words, and what they are to be in the translation; if both are equal, the term is
    not translated."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Glossary:
    """The terms of one direction."""

    terms: tuple[Term, ...] = ()

    def narrowed(self, text: str) -> "Glossary":
        """Without what cannot occur in a text, which is most of a large glossary; to know that is
        fast."""
        if not self.terms:
            return self
        folded = text.casefold()
        return Glossary(
            tuple(t for t in self.terms if t.source.strip() and _gist(t.source) in folded)
        )


NO_TERMS = Glossary()


@dataclass(frozen=True, slots=True)
class TermUse:
    """A term where it stands in a text."""

    span: Span
    term: Term


def find_terms(text: str, glossary: Glossary) -> tuple[TermUse, ...]:
    """The terms of a text in order, the longest first where they overlap."""
    found: list[TermUse] = []
    for term in sorted(glossary.narrowed(text).terms, key=lambda term: -len(term.source)):
        for span in occurrences(term.source, text):
            if not any(span.start < o.span.end and o.span.start < span.end for o in found):
                found.append(TermUse(span, term))
    return tuple(sorted(found, key=lambda use: use.span))


def occurrences(phrase: str, text: str) -> Sequence[Span]:
    """Where a phrase stands in a text as words of its own; a Korean noun may carry particles.

    A phrase without capital letters is found in any case.
    """
    words = phrase.split()
    if not words:
        return ()
    flags = re.IGNORECASE if phrase == phrase.lower() else 0
    pattern = r"\s+".join(map(re.escape, words))
    first, last = words[0][0], words[-1][-1]
    return [
        Span(*match.span())
        for match in re.finditer(_edge(first, before=True) + pattern + _edge(last), text, flags)
        if not _is_hangul(last) or _ends_noun(text, match.end())
    ]


def _gist(phrase: str) -> str:
    """A part of the phrase that is in every text that it is in, whatever the white space."""
    return phrase.split()[0].casefold()


def _edge(letter: str, before: bool = False) -> str:
    """What may not stand next to a letter at the edge of a word."""
    if _is_hangul(letter):
        return f"(?<![{_HANGUL}])" if before else ""
    if re.fullmatch(f"[{_LATIN}]", letter):
        return f"(?<![{_LATIN}])" if before else f"(?![{_LATIN}])"
    return ""


def _is_hangul(letter: str) -> bool:
    return "가" <= letter <= "힣"


def _ends_noun(text: str, end: int) -> bool:
    return not (end < len(text) and _is_hangul(text[end])) or bool(ending_at(text, end))
