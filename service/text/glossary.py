"""Terms whose translation the caller has chosen."""

from dataclasses import dataclass


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


NO_TERMS = Glossary()
