"""A document through the pipeline, a little at a time, behind all who wait for their answers.

Knows no format.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import replace

from service.documents.document import Document
from service.documents.jobs import Doubt, Report
from service.translation.flights import Sleep, patiently
from service.translation.request import TranslationRequest
from service.translation.result import Translation
from service.translation.translator import Translator

AT_ONCE = 8000
"""Characters that are in the queue at a time: enough to keep the workers busy, and few beside what
the queue takes."""
SAMPLE = 1000
"""Characters that the language is told by."""


async def translate_document(
    translator: Translator,
    document: Document,
    wanted: TranslationRequest,
    report: Report,
    sleep: Sleep = asyncio.sleep,
) -> bytes:
    """The translated file; `wanted` says how, its texts do not matter. A full queue is waited for.

    Raises RequestError or EngineFailed.
    """
    wanted = replace(wanted, format=document.format, bulk=True)
    # As a whole: a heading of one word could be in any language.
    found = await translator.identify(replace(wanted, texts=(_beginning(document.texts),)))
    if found is not None:
        wanted = replace(wanted, source=found[0].language)
    if wanted.source == wanted.target:
        return document.write(document.texts)
    done: list[str] = []
    characters = 0
    for texts in portions(document.texts):
        result = await patiently(translator, replace(wanted, texts=texts), sleep)
        said = [translation.hypotheses[0].text for translation in result.translations]
        # Where a model has nothing to say, the reader is better off with the text itself.
        done += [new if new.strip() else old for new, old in zip(said, texts, strict=True)]
        characters += sum(map(len, texts))
        report(characters, doubts(texts, result.translations))
    return await asyncio.to_thread(document.write, done)


def doubts(texts: Sequence[str], translations: Sequence[Translation]) -> list[Doubt]:
    """The sentences whose translations cannot be right."""
    return [
        Doubt(text[each.sentence.start : each.sentence.end], each.reason, each.message)
        for text, translation in zip(texts, translations, strict=True)
        for each in translation.warnings
    ]


def portions(texts: Sequence[str], at_once: int = AT_ONCE) -> Iterator[tuple[str, ...]]:
    """Texts in a row of so many characters together; a longer one comes alone."""
    some: list[str] = []
    room = at_once
    for text in texts:
        if some and len(text) > room:
            yield tuple(some)
            some, room = [], at_once
        some.append(text)
        room -= len(text)
    if some:
        yield tuple(some)


def _beginning(texts: Sequence[str]) -> str:
    taken: list[str] = []
    for text in texts:
        if sum(map(len, taken)) > SAMPLE:
            break
        taken.append(text)
    return " ".join(taken)
