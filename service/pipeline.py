"""From texts to translations: identify languages, choose models, decode. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, TypeVar

from service.assembly import (
    Translation,
    align_sentences,
    join_sentences,
    spell,
    untranslated,
    warn,
)
from service.decoding import MODEL_DEFAULTS, DecodingChoice, for_sentence, resolve_decoding
from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.search import SearchInput
from service.errors import LimitExceeded, NoAlignment, UnknownModel, UnsupportedDirection
from service.metrics import STAGES
from service.preparation import PreparedText, prepare
from service.review import Review, Reviewed
from service.scoring import calibration, score_sentences, text_confidence
from service.text.cutting import Cutting
from service.text.glossary import NO_TERMS, Glossary
from service.text.language import Detection, LanguageIdentifier
from service.text.markup import PLAIN_MARKUP, MarkupOptions, TextFormat
from service.text.segmentation import Splitting

ResultT = TypeVar("ResultT")
SHORT = 1000
"""Characters. Longer requests are segmented and tokenised in another thread, so that the event
loop only waits; for shorter ones changing threads would take longer than the work."""


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """Texts to translate into one language."""

    texts: tuple[str, ...]
    source: str | None
    """The language of the texts; None finds out for each."""
    target: str
    model: str | None = None
    decoding: DecodingChoice = MODEL_DEFAULTS
    alignment: bool = False
    """Whether the best hypotheses come with what the model looked at."""
    bulk: bool = False
    """Whether others may go first."""
    format: TextFormat = TextFormat.TEXT
    markup: MarkupOptions = PLAIN_MARKUP
    splitting: Splitting = Splitting.SENTENCES
    glossary: Glossary = NO_TERMS
    token_scores: bool = False
    """Whether the best hypotheses come with the scores of their sentences and pieces."""

    @property
    def cutting(self) -> Cutting:
        """How the texts are taken apart."""
        return Cutting(self.format, self.markup, self.splitting, self.glossary)


@dataclass(frozen=True, slots=True)
class TranslationResult:
    """The answer to a request. `timings` maps a stage to seconds."""

    translations: tuple[Translation, ...]
    characters: int
    source_tokens: int
    target_tokens: int
    timings: Mapping[str, float]

    @property
    def model(self) -> str | None:
        """The model that translated, the first of several; None if there was nothing to do."""
        return next((t.model for t in self.translations if t.model is not None), None)


@dataclass(frozen=True, slots=True)
class Part:
    """The texts of a request that are in one language, and their places among all texts."""

    direction: Direction
    texts: tuple[str, ...]
    places: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TranslatedPart:
    """The answer to a part."""

    translations: list[Translation]
    source_tokens: int
    timings: dict[str, float]


class Translator:
    """Holds the engines by name; the first that serves a direction is its default."""

    def __init__(
        self,
        engines: Sequence[Engine],
        identifier: LanguageIdentifier | None = None,
        max_sentences: int = 10_000,
        second_tries: bool = True,
    ) -> None:
        self.engines = {engine.manifest.name: engine for engine in engines}
        self._identifier = identifier
        self._max_sentences = max_sentences
        self._second_tries = second_tries

    async def translate(self, request: TranslationRequest) -> TranslationResult:
        """Translates all texts. Raises RequestError, Overloaded or EngineFailed.

        Cancelling it takes the sentences out of the queue and out of running batches.
        """
        started = time.monotonic()
        detected = await self.identify(request)
        parts = divide(request, detected)
        done = await _all_of([self._translate(part, request) for part in parts])
        found: dict[int, Translation] = {}
        for part, translated in zip(parts, done, strict=True):
            found |= zip(part.places, translated.translations, strict=True)
        if detected is not None:
            for place, (text, detection) in enumerate(zip(request.texts, detected, strict=True)):
                known = found.get(place)
                found[place] = (
                    replace(known, detected=detection) if known else untranslated(text, detection)
                )
        timings = {
            stage: max((each.timings[stage] for each in done), default=0.0) for stage in STAGES
        }
        timings["total"] = time.monotonic() - started
        return TranslationResult(
            tuple(found[place] for place in range(len(request.texts))),
            sum(map(len, request.texts)),
            sum(each.source_tokens for each in done),
            sum(translation.hypotheses[0].tokens for translation in found.values()),
            timings,
        )

    async def identify(self, request: TranslationRequest) -> tuple[Detection, ...] | None:
        """The likeliest language of each text, unless the caller has said; those are considered
        that are translated into the target, and the target itself."""
        if request.source is not None:
            return None
        sources = self.sources(request.model, request.target)
        identifier = self._identifier
        if identifier is None or not sources:
            raise UnsupportedDirection(
                "source",
                f"the language of a text to be translated into {request.target!r} "
                "cannot be found out",
            )
        languages = (*sources, request.target)
        return await _run(
            request,
            lambda: tuple(identifier.identify(text, languages)[0] for text in request.texts),
        )

    def detections(self, text: str) -> list[Detection]:
        """All source languages, the one that the text is likeliest in first."""
        served = (d.source for e in self.engines.values() for d in e.manifest.directions)
        languages = sorted(set(served))
        if self._identifier is None:
            return [Detection(language, 0.0) for language in languages]
        return self._identifier.identify(text, languages)

    async def _translate(self, part: Part, request: TranslationRequest) -> TranslatedPart:
        started = time.monotonic()
        engine = self.choose(request.model, part.direction, request.alignment)
        options = resolve_decoding(request.decoding, engine.manifest, engine.vocabulary)
        texts, timings = await _run(
            request, lambda: prepare(engine, part.direction, part.texts, request.cutting)
        )
        sentences = [sentence for text in texts for sentence in text.sentences]
        if len(sentences) > self._max_sentences:
            most, found = self._max_sentences, len(sentences)
            raise LimitExceeded("text", f"{found} sentences in one request; at most {most}")
        able = engine.manifest.aligner is not None
        inputs = [
            SearchInput(
                sentence.source,
                for_sentence(options, sentence.source, place == 0),
                able and (request.alignment or sentence.needs_alignment),
            )
            for text in texts
            for place, sentence in enumerate(text.sentences)
        ]
        decoded = await engine.decode(inputs, request.bulk)
        look = Review(engine, part.direction, request.bulk, self._second_tries)
        reviewed = await look.of([each.shown for each in sentences], inputs, decoded)
        decoded = [each.decoded for each in reviewed]
        for sentence in decoded:
            engine.metrics.stage("queue", sentence.queue_seconds)
            engine.metrics.stage("decode", sentence.decode_seconds)
        timings["queue"] = max((d.queue_seconds for d in decoded), default=0.0)
        timings["decode"] = max((d.decode_seconds for d in decoded), default=0.0)
        result = await _run(
            request, lambda: finish(engine, part, request, texts, reviewed, timings)
        )
        timings["total"] = time.monotonic() - started
        for stage in ("segment", "tokenise", "detokenise", "total"):
            engine.metrics.stage(stage, timings[stage])
        return result

    def sources(self, model: str | None, target: str) -> tuple[str, ...]:
        """The languages that are translated into `target`. Raises UnknownModel."""
        served = [d for engine in self.asked(model) for d in engine.manifest.directions]
        return tuple(dict.fromkeys(d.source for d in served if d.target == target))

    def asked(self, model: str | None) -> list[Engine]:
        """The named engine, or all. Raises UnknownModel."""
        if model is None:
            return list(self.engines.values())
        if model not in self.engines:
            raise UnknownModel(
                "model", f"unknown model {model!r}; {_listing('model', self.engines)}"
            )
        return [self.engines[model]]

    def choose(self, model: str | None, direction: Direction, alignment: bool = False) -> Engine:
        """The named engine, or the direction's first. Raises RequestError that lists what is."""
        asked = self.asked(model)
        serving = [engine for engine in asked if direction in engine.manifest.directions]
        if not serving:
            served = dict.fromkeys(str(d) for engine in asked for d in engine.manifest.directions)
            raise UnsupportedDirection(
                "target", f"cannot translate {direction}; {_listing('direction', served)}"
            )
        fitting = [engine for engine in serving if engine.manifest.aligner or not alignment]
        if not fitting:
            able = [name for name, e in self.engines.items() if e.manifest.aligner]
            raise NoAlignment(
                "alignment",
                f"{serving[0].manifest.name} has no attention to show; models with alignment: "
                f"{', '.join(able) or 'none'}",
            )
        return fitting[0]


async def _run(request: TranslationRequest, work: Callable[[], ResultT]) -> ResultT:
    """Does the work here and now, or in another thread if there is much of it."""
    if sum(map(len, request.texts)) > SHORT:
        return await asyncio.to_thread(work)
    return work()


async def _all_of(work: Sequence[Coroutine[Any, Any, ResultT]]) -> Sequence[ResultT]:
    """All results; if one fails, the others are cancelled before that is told."""
    if len(work) == 1:
        return [await work[0]]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _listing(what: str, names: Iterable[str]) -> str:
    return f"available {what}s: {', '.join(names) or 'none'}"


def divide(request: TranslationRequest, detected: Sequence[Detection] | None) -> list[Part]:
    """Texts by language; those that are in the target language already are in no part."""
    if detected is None:
        direction = Direction(request.source or "", request.target)
        return [Part(direction, request.texts, tuple(range(len(request.texts))))]
    places: dict[str, list[int]] = {}
    for place, detection in enumerate(detected):
        if detection.language != request.target:
            places.setdefault(detection.language, []).append(place)
    return [
        Part(Direction(language, request.target), tuple(request.texts[p] for p in of), tuple(of))
        for language, of in places.items()
    ]


def finish(
    engine: Engine,
    part: Part,
    request: TranslationRequest,
    texts: Sequence[PreparedText],
    reviewed: Sequence[Reviewed],
    timings: dict[str, float],
) -> TranslatedPart:
    """Turns ids back into text, sentence by sentence, and joins the sentences of each text."""
    started = time.monotonic()
    left = iter(reviewed)
    direction = part.direction
    translations = [
        assemble(engine, direction, request, text, list(islice(left, len(text.sentences))))
        for text in texts
    ]
    timings["detokenise"] = time.monotonic() - started
    source_tokens = sum(len(each.source) for text in texts for each in text.sentences)
    target_tokens = sum(translation.hypotheses[0].tokens for translation in translations)
    characters = sum(map(len, part.texts))
    engine.metrics.translated(str(direction), source_tokens, target_tokens, characters)
    return TranslatedPart(translations, source_tokens, timings)


def assemble(
    engine: Engine,
    direction: Direction,
    request: TranslationRequest,
    text: PreparedText,
    reviewed: Sequence[Reviewed],
) -> Translation:
    """The translation of one text, of its sentences."""
    vocabulary, target = engine.vocabulary, direction.target
    decoded = [each.decoded for each in reviewed]
    spelt = spell(vocabulary, target, text, decoded, request.decoding.target_prefix or "")
    best = [hypotheses[0] for hypotheses in spelt]
    spec = calibration(engine.manifest, direction)
    return Translation(
        direction.source,
        engine.manifest.name,
        join_sentences(text, decoded, spelt),
        align_sentences(vocabulary, target, text, decoded, best) if request.alignment else None,
        warnings=warn(text.segmentation, [each.faults for each in reviewed]),
        confidence=text_confidence(spec, text.segmentation.sentences, decoded),
        scores=score_sentences(vocabulary, spec, text, decoded, best)
        if request.token_scores
        else None,
    )
