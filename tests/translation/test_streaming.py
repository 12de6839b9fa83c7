"""A translation told sentence by sentence."""

import asyncio
from contextlib import aclosing
from dataclasses import replace

import pytest

from service.errors import EngineFailed, LimitExceeded, Overloaded
from service.text.markup import TextFormat
from service.translation.decoding import DecodingChoice
from service.translation.flights import AT_ONCE
from service.translation.request import TranslationRequest
from service.translation.streaming import (
    PartOfSentence,
    StreamedSentence,
    StreamedText,
    StreamEnd,
    stream,
)
from service.translation.translator import Translator
from tests.fakes import FIRST, EchoModel, Gate, make_engine

GREEDY = DecodingChoice(strategy="greedy")
TEXT = "  One here. Two there!\n\n123\nThree é\t"


class BlockingModel(EchoModel):
    """Cannot go on while it has a sentence with this letter, until the gate is opened."""

    def __init__(self, letter: str, gate: Gate):
        super().__init__(vocabulary_size=300)
        self.letter, self.gate = ord(letter) + FIRST, gate

    def encode(self, sources, beam_size=1):
        """Waits here, so that others of the batch are not begun either."""
        if any(self.letter in source for source in sources):
            self.gate(0)
        return super().encode(sources, beam_size)


@pytest.fixture
def translator():
    """Echoes what it reads."""
    engine = make_engine(EchoModel(300))
    yield Translator([engine])
    engine.close()


async def told(translator, request, **options):
    """All events but the parts of sentences."""
    async with aclosing(stream(translator, request, **options)) as events:
        return [event async for event in events if not isinstance(event, PartOfSentence)]


def rebuilt(events, text=0):
    """A whole translation out of its events."""
    pieces = []
    for event in events:
        if isinstance(event, StreamedSentence) and event.text == text:
            assert event.target.start == len("".join([*pieces, event.before]))
            pieces += [event.before, event.translation.hypotheses[0].text]
            assert event.target.end == len("".join(pieces))
        if isinstance(event, StreamedText) and event.text == text:
            pieces.append(event.after)
    return "".join(pieces)


@pytest.mark.parametrize(
    "options",
    [{}, {"decoding": GREEDY}, {"decoding": DecodingChoice(n_best=2)}],
)
async def test_the_events_are_the_plain_answer(translator, options):
    """Texts, spans, usage and model, in the order of the texts; white space included."""
    texts = (TEXT, "!!!", "Four is here.")
    request = TranslationRequest(texts, "en", "ko", **options)
    plain = await translator.translate(request)
    events = await told(translator, request)
    for number, text in enumerate(texts):
        assert rebuilt(events, number) == plain.translations[number].hypotheses[0].text
        for event in events:
            if isinstance(event, StreamedSentence) and event.text == number:
                said = event.translation.hypotheses[0].text
                assert text[event.source.start : event.source.end] == said
    assert [event.text for event in events if isinstance(event, StreamedText)] == [0, 1, 2]
    assert isinstance(events[-1], StreamEnd)
    took = events[-1].summary
    assert took.timings.keys() == plain.summary.timings.keys()
    assert replace(took, timings={}) == replace(plain.summary, timings={})
    hypotheses = [e.translation.hypotheses for e in events if isinstance(e, StreamedSentence)]
    assert {len(each) for each in hypotheses} == {request.decoding.n_best or 1}


async def test_the_first_sentence_comes_before_the_last_is_decoded():
    """The model is stopped before the last; the first is told all the same."""
    gate = Gate()
    engine = make_engine(BlockingModel("Z", gate), batch_rows=1)
    text = "A is first. " * 3 + "Z is last."
    try:
        request = TranslationRequest((text,), "en", "ko", decoding=GREEDY)
        async with aclosing(stream(Translator([engine]), request)) as events:
            heard = []
            async for event in events:
                if isinstance(event, StreamedSentence):
                    heard.append(event.translation.hypotheses[0].text)
                    if len(heard) == 3:
                        assert not gate.opened.is_set()
                        gate.opened.set()
        assert heard == ["A is first."] * 3 + ["Z is last."]
    finally:
        gate.opened.set()
        engine.close()


async def test_two_thousand_sentences_come_complete_and_in_order():
    """A few are in the queue at a time, although it has room for all; the plain answer is equal."""
    waiting = []
    engine = make_engine(
        EchoModel(300, lambda _: waiting.append(engine.scheduler.waiting[0])), batch_rows=32
    )
    sentences = [f"N{number}." for number in range(2000)]
    request = TranslationRequest((" ".join(sentences),), "en", "ko", decoding=GREEDY)
    try:
        events = await told(Translator([engine]), request)
        found = [event for event in events if isinstance(event, StreamedSentence)]
        assert [event.translation.hypotheses[0].text for event in found] == sentences
        assert [event.sentence for event in found] == list(range(2000))
        assert rebuilt(events) == request.texts[0]
        assert max(waiting) <= AT_ONCE
        plain = await Translator([engine]).translate(request)
        assert plain.translations[0].hypotheses[0].text == request.texts[0]
    finally:
        engine.close()


async def test_greedy_search_tells_parts_of_the_next_sentence():
    """Each is a beginning of the sentence, and they grow."""
    gate = Gate()
    engine = make_engine(EchoModel(300, lambda step: gate(step) if step == 5 else None))
    try:
        request = TranslationRequest(("Hello there. Bye.",), "en", "ko", decoding=GREEDY)
        parts = []
        async with aclosing(stream(Translator([engine]), request)) as events:
            async for event in events:
                if isinstance(event, PartOfSentence):
                    parts.append((event.sentence, event.translation))
                    gate.opened.set()
        assert parts[0][0] == 0
        for sentence, part in parts:
            assert ["Hello there.", "Bye."][sentence].startswith(part)
    finally:
        gate.opened.set()
        engine.close()


@pytest.mark.parametrize("kind", [TextFormat.HTML, TextFormat.XML])
async def test_a_text_with_tags_is_told_as_a_whole(translator, kind):
    """Where a tag belongs is known of the whole text only."""
    texts = ("<p>One. <b>Two.</b></p>", "Three. Four.")
    request = TranslationRequest(texts, "en", "ko", format=kind)
    plain = await translator.translate(request)
    events = await told(translator, request)
    assert [event.text for event in events if isinstance(event, StreamedSentence)] == [0, 1]
    for number, translation in enumerate(plain.translations):
        assert rebuilt(events, number) == translation.hypotheses[0].text


async def test_the_prefix_is_for_the_first_sentence(translator):
    """As in the plain answer."""
    decoding = DecodingChoice(strategy="greedy", target_prefix="Yes")
    request = TranslationRequest(("One. Two.",), "en", "ko", decoding=decoding)
    plain = await translator.translate(request)
    assert rebuilt(await told(translator, request)) == plain.translations[0].hypotheses[0].text


async def test_a_full_queue_turns_a_stream_away_only_at_its_beginning(translator):
    """Later it waits, as it has said something already."""

    class Busy(Translator):
        refusals = 0

        async def translate(self, request):
            if request.texts[0] in self.full and self.refusals < 3:
                self.refusals += 1
                raise Overloaded(7)
            return await super().translate(request)

    slept = []

    async def sleep(seconds):
        slept.append(seconds)

    busy = Busy(translator.catalogue.served)
    request = TranslationRequest(("One. Two.",), "en", "ko", decoding=GREEDY)
    busy.full = ("Two.",)
    assert rebuilt(await told(busy, request, sleep=sleep)) == "One. Two."
    assert slept == [7, 7, 7]
    busy.full, busy.refusals = ("One.",), 0
    with pytest.raises(Overloaded):
        await told(busy, request, sleep=sleep)


async def test_too_many_sentences_are_refused_at_once(translator):
    """As in the plain answer."""
    few = Translator(translator.catalogue.served, max_sentences=2)
    with pytest.raises(LimitExceeded, match="3 sentences in one request; at most 2"):
        await told(few, TranslationRequest(("One. Two. Three.",), "en", "ko"))


async def test_what_ends_a_sentence_ends_the_stream():
    """After those before it."""

    class Broken(EchoModel):
        def encode(self, sources, beam_size=1):
            if any(ord("Z") + FIRST in source for source in sources):
                raise RuntimeError("broken")
            return super().encode(sources, beam_size)

    engine = make_engine(Broken(300), batch_rows=1)
    try:
        request = TranslationRequest(("One. Z.",), "en", "ko", decoding=GREEDY)
        with pytest.raises(EngineFailed):
            await told(Translator([engine]), request)
    finally:
        engine.close()


async def test_closing_takes_the_sentences_out_of_the_queue():
    """Whoever does not listen any more leaves the workers to others."""
    gate = Gate()
    model = EchoModel(300, gate)
    engine = make_engine(model, batch_rows=1)
    try:
        request = TranslationRequest(("One. " * 200,), "en", "ko", decoding=GREEDY)
        events = stream(Translator([engine]), request)
        first = asyncio.ensure_future(anext(events))
        await asyncio.to_thread(gate.reached.wait, 10)
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await events.aclose()
        gate.opened.set()
    finally:
        gate.opened.set()
        engine.close()
    assert len(model.rows_seen) < 50
