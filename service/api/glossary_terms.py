"""Terms of stored glossaries: what they may be, and how a request gets them."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace

from service.access.keys import Caller
from service.api.checks import InvalidRequest, Problem
from service.api.texts import fault_in
from service.glossary_store import GlossaryStore
from service.text.glossary import Glossary, Term
from service.translation.request import TranslationRequest

LONGEST_TERM = 1024
LONGEST_NAME = 1024
_CONTROL = re.compile("[\x00-\x1f\x80-\x9f\u2028\u2029]")


def sound_terms(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Pairs of terms, trimmed. Raises ValueError that says which one cannot be kept, and why."""
    terms: dict[str, str] = {}
    for number, pair in enumerate(pairs, 1):
        source, target = (term.strip() for term in pair)
        for term in (source, target):
            if not term:
                raise ValueError(f"entry {number} has an empty term")
            if len(term) > LONGEST_TERM:
                raise ValueError(f"entry {number} is longer than {LONGEST_TERM} characters")
            if _CONTROL.search(term) or fault_in(term):
                raise ValueError(f"entry {number} contains a control character")
        if source in terms:
            raise ValueError(f"entry {number} has the source of an earlier one")
        terms[source] = target
    if not terms:
        raise ValueError("there are no entries")
    return terms


def sound_name(name: str) -> str:
    """A glossary's name. Raises ValueError."""
    if not name.strip():
        raise ValueError("the name is empty")
    if len(name) > LONGEST_NAME:
        raise ValueError(f"the name is longer than {LONGEST_NAME} characters")
    if fault := fault_in(name):
        raise ValueError(f"the name {fault}")
    return name


async def with_terms(
    wanted: TranslationRequest, store: GlossaryStore, caller: Caller, ids: Sequence[str]
) -> TranslationRequest:
    """The request with the terms of stored glossaries; of two with one term the first decides.

    Raises UnknownGlossary, StoreFailed, or InvalidRequest if a glossary has no terms for it.
    """
    if not ids:
        return wanted
    source, target = wanted.source, wanted.target
    if source is None:
        raise InvalidRequest([Problem("source", "must be given with a stored glossary")])
    terms: dict[str, str] = {term.source: term.target for term in wanted.glossary.terms}
    for glossary in ids:
        found = await asyncio.to_thread(store.entries, caller.name, glossary, source, target)
        if not found:
            message = f"{glossary} has no terms from {source} into {target}"
            raise InvalidRequest([Problem("glossary", message)])
        terms = found | terms
    return replace(wanted, glossary=Glossary(tuple(Term(*pair) for pair in terms.items())))
