"""A document through a scripted engine, and one that never ends."""

import asyncio

import pytest

from service.documents.jobs import Doubt
from service.documents.reading import read_document
from service.documents.translating import portions, translate_document
from service.errors import EngineFailed, Overloaded
from service.text.quality import Fault
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests.fakes import EOS, EchoModel, make_engine

WANTED = TranslationRequest((), "en", "ko")


@pytest.fixture
def translator():
    """Echoes what it reads."""
    engine = make_engine(cache_bytes=1_000_000)
    yield Translator([engine])
    engine.close()


class Busy(Translator):
    """Has no room at first."""

    def __init__(self, engines, refusals):
        super().__init__(engines)
        self.refusals, self.seen = refusals, []

    async def translate(self, request):
        """Notes the request."""
        if self.refusals:
            raise self.refusals.pop()
        self.seen.append(request)
        return await super().translate(request)


def test_portions_are_bounded_and_complete():
    """A text that is larger alone; none is lost, none cut."""
    texts = ["a" * 4, "b" * 4, "c" * 20, "d", "e" * 9]
    assert list(portions(texts, 10)) == [("aaaa", "bbbb"), ("c" * 20,), ("d", "eeeeeeeee")]
    assert list(portions([], 10)) == []


async def test_a_document_comes_back_translated(translator):
    """With progress up to its end, and what cannot be right: the model only repeats."""
    reports = []
    document = read_document("a.txt", b"Hello there.\n\n  12\nBye. See you soon, friends.\n")
    found = await translate_document(translator, document, WANTED, lambda *r: reports.append(r))
    assert found == document.content.encode()
    ((characters, found),) = reports
    assert characters == sum(map(len, document.texts))
    copied = Fault.COPIED_SOURCE
    assert found == [Doubt("See you soon, friends.", copied, copied.message)]


async def test_a_long_document_waits_for_others(translator):
    """It is in the queue a little at a time, as bulk, and comes again when the queue is full."""
    busy = Busy(translator.catalogue.served, [Overloaded(3), Overloaded(2)])
    document = read_document("a.txt", b"word " * 100 + b"\n" + b"text\n" * 3000)
    slept, reports = [], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    found = await translate_document(busy, document, WANTED, lambda *r: reports.append(r[0]), sleep)
    assert found == document.content.encode()
    assert slept == [2, 3]
    assert len(busy.seen) == 2
    assert all(request.bulk for request in busy.seen)
    assert reports == sorted(reports)
    assert reports[-1] == sum(map(len, document.texts))


async def test_a_text_without_translation_stays():
    """A blank would be worse: nobody could see what is missing."""

    class Silent(EchoModel):
        def distribution(self, source, said):
            row = super().distribution(source, said)
            row[EOS] = 0
            return row

    engine = make_engine(Silent())
    document = read_document("a.md", b"# Title\n\nText.\n")
    try:
        found = await translate_document(Translator([engine]), document, WANTED, lambda *_: None)
    finally:
        engine.close()
    assert found == document.content.encode()


async def test_other_errors_end_it(translator):
    """Waiting would not help."""
    busy = Busy(translator.catalogue.served, [EngineFailed("broken")])
    document = read_document("a.txt", b"Hello")
    with pytest.raises(EngineFailed):
        await translate_document(busy, document, WANTED, lambda *_: None, asyncio.sleep)
