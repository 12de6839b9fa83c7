"""A translation told while it is made: sentence by sentence, in the order of the texts.

Each sentence is a request of its own to the Translator, a few at a time. So nothing is decided here
of how one is translated, and a long text takes no more room in the queue than a short one.
"""

import asyncio
import time
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field, replace

from service.engine.bundle import Direction
from service.text.alignment import Span, WordLink
from service.text.language import Detection
from service.text.markup import TextFormat
from service.text.segmentation import Segmentation, Splitting
from service.translation.flights import Flights, Sleep
from service.translation.pieces import shift_pieces
from service.translation.request import TranslationRequest
from service.translation.result import (
    SentenceAlignment,
    SentenceScores,
    Summary,
    Translation,
)
from service.translation.translator import Translator


@dataclass(frozen=True, slots=True)
class PartOfSentence:
    """What a greedy search has said of the next sentence so far."""

    text: int
    sentence: int
    translation: str


@dataclass(frozen=True, slots=True)
class StreamedSentence:
    """A sentence and its translation, and where they are. All spans count in the whole text and in
    its whole translation."""

    text: int
    sentence: int
    before: str
    """What stands between the sentence before and this one."""
    source: Span
    target: Span
    translation: Translation


@dataclass(frozen=True, slots=True)
class StreamedText:
    """The end of a text."""

    text: int
    after: str
    """What stands behind its last sentence."""
    source: str
    model: str | None
    """None if there was nothing to translate."""
    detected: Detection | None


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """The end of all texts."""

    summary: Summary


StreamEvent = PartOfSentence | StreamedSentence | StreamedText | StreamEnd


@dataclass(frozen=True, slots=True)
class Plan:
    """A text taken apart, and a request for each sentence."""

    source: str
    detected: Detection | None
    segmentation: Segmentation
    requests: tuple[TranslationRequest, ...]


@dataclass(slots=True)
class _Sums:
    """What was used so far."""

    started: float
    characters: int
    source_tokens: int = 0
    target_tokens: int = 0
    model: str | None = None
    timings: dict[str, float] = field(default_factory=dict)

    def add(self, took: Summary) -> None:
        self.source_tokens += took.source_tokens
        self.target_tokens += took.target_tokens
        self.model = self.model or took.model
        # Sentences are translated side by side: of each stage the longest counts.
        for stage, seconds in took.timings.items():
            self.timings[stage] = max(seconds, self.timings.get(stage, 0.0))

    def summary(self) -> Summary:
        timings = self.timings | {"total": time.monotonic() - self.started}
        return Summary(self.model, self.characters, self.source_tokens, self.target_tokens, timings)


async def stream(
    translator: Translator, request: TranslationRequest, sleep: Sleep = asyncio.sleep
) -> AsyncGenerator[StreamEvent, None]:
    """Translates as Translator.translate does, and raises what that raises; Overloaded only before
    the first event, later it waits for room. To close it takes its sentences out of the queue."""
    sums = _Sums(time.monotonic(), request.characters)
    plans = await make_plans(translator, request)
    flights = Flights(translator, (each for plan in plans for each in plan.requests), sleep)
    try:
        for text, plan in enumerate(plans):
            model, end = None, 0
            places = zip(plan.segmentation.gaps, _spans(plan.segmentation), strict=False)
            for sentence, (before, span) in enumerate(places):
                flight = flights.next()
                async for said in flight.said():
                    yield PartOfSentence(text, sentence, said)
                result = await flight.result()
                sums.add(result.summary)
                (translation,) = result.translations
                model = model or translation.model
                start = end + len(before)
                end = start + len(translation.hypotheses[0].text)
                place = Span(start, end)
                translation = placed(translation, span.start, start)
                yield StreamedSentence(text, sentence, before, span, place, translation)
            after = plan.segmentation.gaps[-1]
            yield StreamedText(text, after, plan.source, model, plan.detected)
        yield StreamEnd(sums.summary())
    finally:
        await flights.close()


async def make_plans(translator: Translator, request: TranslationRequest) -> list[Plan]:
    """Takes all texts apart. Raises RequestError or EngineFailed."""
    detected = await translator.identify(request)
    found = detected or [None] * len(request.texts)
    plans = [
        await _plan(translator, replace(request, texts=(text,)), detection)
        for text, detection in zip(request.texts, found, strict=True)
    ]
    translator.check_amount(sum(len(plan.requests) for plan in plans))
    return plans


async def _plan(
    translator: Translator, request: TranslationRequest, detected: Detection | None
) -> Plan:
    (text,) = request.texts
    source = request.source or (detected.language if detected else "")
    if detected is not None and source == request.target:
        return Plan(source, detected, Segmentation((), (text,)), ())
    segmentation = Segmentation((text,), ("", ""))
    if request.format is TextFormat.TEXT:  # else only the whole text shows where a tag belongs
        segmentation = await translator.cut(request, Direction(source, request.target))
    return Plan(source, detected, segmentation, tuple(_requests(request, source, segmentation)))


def _requests(
    request: TranslationRequest, source: str, segmentation: Segmentation
) -> Iterable[TranslationRequest]:
    """One for each sentence, which is not to be cut again; the prefix is for the first of them."""
    for number, sentence in enumerate(segmentation.sentences):
        decoding = request.decoding
        if number:
            decoding = replace(decoding, target_prefix=None)
        splitting = Splitting.OFF if request.format is TextFormat.TEXT else request.splitting
        yield replace(
            request, texts=(sentence,), source=source, decoding=decoding, splitting=splitting
        )


def _spans(segmentation: Segmentation) -> Sequence[Span]:
    sentences = segmentation.sentences
    starts = segmentation.starts(sentences)
    pairs = zip(starts, sentences, strict=True)
    return [Span(start, start + len(sentence)) for start, sentence in pairs]


def placed(translation: Translation, source: int, target: int) -> Translation:
    """The same as a part of a longer text: it begins at `source` there, and at `target` in the
    whole translation. All spans count from there."""
    alignments, scores = translation.alignments, translation.scores
    return replace(
        translation,
        warnings=tuple(
            replace(each, sentence=each.sentence.shifted(source)) for each in translation.warnings
        ),
        alignments=alignments and tuple(_aligned(each, source, target) for each in alignments),
        scores=scores and tuple(_scored(each, source, target) for each in scores),
    )


def _aligned(found: SentenceAlignment, source: int, target: int) -> SentenceAlignment:
    return replace(
        found,
        source=found.source.shifted(source),
        target=found.target.shifted(target),
        source_pieces=shift_pieces(found.source_pieces, source),
        target_pieces=shift_pieces(found.target_pieces, target),
        words=tuple(
            WordLink(link.source.shifted(source), link.target.shifted(target))
            for link in found.words
        ),
    )


def _scored(found: SentenceScores, source: int, target: int) -> SentenceScores:
    return replace(
        found,
        source=found.source.shifted(source),
        target=found.target.shifted(target),
        pieces=shift_pieces(found.pieces, target),
    )
