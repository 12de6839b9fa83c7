"""From texts to translations: identify languages, choose models, decode. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
from service.engine.request import Decoded, Progress
from service.engine.search import SearchInput
from service.engine.waiting import Standing
from service.errors import LimitExceeded, NoAlignment, UnknownModel, UnsupportedDirection
from service.lifecycle.model import Model
from service.lifecycle.served import ServedModels
from service.metrics import STAGES
from service.pivot import first_choice, joined, pivots
from service.preparation import PreparedText, Sentence, prepare
from service.review import Review, Reviewed
from service.scoring import calibration, score_sentences, text_confidence
from service.text.cutting import Cutting
from service.text.glossary import NO_TERMS, Glossary
from service.text.language import Detection, LanguageIdentifier
from service.text.markup import PLAIN_MARKUP, MarkupOptions, TextFormat
from service.text.segmentation import Segmentation, Splitting

ResultT = TypeVar("ResultT")
SHORT = 1000
"""Characters. Longer requests are segmented and tokenised in another thread, so that the event
loop only waits; for shorter ones changing threads would take longer than the work."""


Listener = Callable[[Callable[[], str]], None]
"""Told by a greedy search, while it translates a text of one sentence, how to spell what it has
said so far. It is called in a worker's thread after each step, so it must return at once."""


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
    listener: Listener | None = None

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
    """Translates with the models that are served now, or with engines that stay as they are; the
    first that serves a direction is its default."""

    def __init__(
        self,
        models: ServedModels | Iterable[Engine],
        identifier: LanguageIdentifier | None = None,
        max_sentences: int = 10_000,
        second_tries: bool = True,
        pivot: bool = False,
    ) -> None:
        self.served = models if isinstance(models, ServedModels) else ServedModels.of(models)
        self._identifier = identifier
        self._max_sentences = max_sentences
        self._second_tries = second_tries
        self._pivot = pivot

    @property
    def models(self) -> Mapping[str, Model]:
        """Every model, by the name that requests use."""
        return self.served.by_name

    async def translate(self, request: TranslationRequest) -> TranslationResult:
        """Translates all texts. Raises RequestError, Overloaded or EngineFailed.

        Cancelling it takes the sentences out of the queue and out of running batches.
        """
        started = time.monotonic()
        detected = await self.identify(request)
        parts = divide(request, detected)
        done = await _all_of([self._go(part, request) for part in parts])
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
        languages = sorted({direction.source for direction in self.directions()})
        if self._identifier is None:
            return [Detection(language, 0.0) for language in languages]
        return self._identifier.identify(text, languages)

    async def _go(self, part: Part, request: TranslationRequest) -> TranslatedPart:
        """Translates a part in one step, or in two if it takes two."""
        middle = self.middle(request.model, part.direction, request.alignment)
        if middle is None:
            return await self._translate(part, request)
        if request.glossary.terms:
            raise UnsupportedDirection(
                "glossary", f"{part.direction} goes by way of {middle}; a glossary needs one step"
            )
        source, target = part.direction.source, part.direction.target
        to_middle = replace(part, direction=Direction(source, middle))
        plain = replace(request, decoding=first_choice(request.decoding), listener=None)
        first = await self._translate(to_middle, plain)
        texts = tuple(each.hypotheses[0].text for each in first.translations)
        onwards = Part(Direction(middle, target), texts, part.places)
        second = await self._translate(onwards, request)
        return TranslatedPart(
            joined(part.texts, first.translations, second.translations, middle),
            first.source_tokens,
            {stage: first.timings[stage] + second.timings[stage] for stage in second.timings},
        )

    async def _translate(self, part: Part, request: TranslationRequest) -> TranslatedPart:
        with self.served.hold() as holding:
            model = self.choose(request.model, part.direction, request.alignment)
            return await self._translate_with(await holding.take(model), part, request)

    async def _translate_with(
        self, engine: Engine, part: Part, request: TranslationRequest
    ) -> TranslatedPart:
        started = time.monotonic()
        options = resolve_decoding(request.decoding, engine.manifest, engine.vocabulary)
        texts, timings = await _run(
            request, lambda: prepare(engine, part.direction, part.texts, request.cutting)
        )
        sentences = [sentence for text in texts for sentence in text.sentences]
        self.check_amount(len(sentences))
        able = engine.manifest.aligner is not None
        progress = _progress(request.listener, engine, sentences)
        inputs = [
            SearchInput(
                sentence.source,
                for_sentence(options, sentence.source, place == 0),
                able and (request.alignment or sentence.needs_alignment),
                progress,
            )
            for text in texts
            for place, sentence in enumerate(text.sentences)
        ]
        standing = Standing.BULK if request.bulk else Standing.INTERACTIVE
        decoded = await engine.decode(inputs, standing)
        look = Review(engine, part.direction, self._second_tries)
        reviewed = await look.of([each.shown for each in sentences], inputs, decoded)
        decoded = [each.decoded for each in reviewed]
        for stage, seconds in stages_of(decoded).items():
            for each in seconds:
                engine.metrics.stage(stage, each)
            timings[stage] = max(seconds, default=0.0)
        result = await _run(
            request, lambda: finish(engine, part, request, texts, reviewed, timings)
        )
        timings["total"] = time.monotonic() - started
        for stage in ("segment", "tokenise", "detokenise", "total"):
            engine.metrics.stage(stage, timings[stage])
        return result

    async def cut(self, request: TranslationRequest, direction: Direction) -> Segmentation:
        """The sentences that the request's first text would be translated in."""
        with self.served.hold() as holding:
            middle = self.middle(request.model, direction, request.alignment)
            if middle is not None:
                direction = Direction(direction.source, middle)
            model = self.choose(request.model, direction, request.alignment)
            engine = await holding.take(model)
            work = partial(prepare, engine, direction, request.texts[:1], request.cutting)
            ((prepared,), _) = await _run(request, work)
        return prepared.segmentation

    def check_amount(self, sentences: int) -> None:
        """Raises LimitExceeded if there are too many for one request."""
        if sentences > self._max_sentences:
            most = self._max_sentences
            raise LimitExceeded("text", f"{sentences} sentences in one request; at most {most}")

    def sources(self, model: str | None, target: str) -> tuple[str, ...]:
        """The languages that are translated into `target`. Raises UnknownModel."""
        served = self.directions(model)
        return tuple(dict.fromkeys(d.source for d in served if d.target == target))

    def directions(self, model: str | None = None) -> Mapping[Direction, str | None]:
        """What is served, by one model or by all; a direction of two steps with the language in
        the middle. Raises UnknownModel."""
        served = [d for each in self.asked(model) for d in each.manifest.directions]
        steps = pivots(served) if self._pivot and model is None else {}
        return {**dict.fromkeys(served), **steps}

    def middle(
        self, model: str | None, direction: Direction, alignment: bool = False
    ) -> str | None:
        """The language in the middle if a direction takes two steps, None if a model does it in
        one. Raises RequestError if nothing does."""
        middle = self.directions(model).get(direction)
        if middle is None:
            self.choose(model, direction, alignment)
        elif alignment:
            raise NoAlignment(
                "alignment", f"{direction} goes by way of {middle}, so words cannot be linked"
            )
        return middle

    def asked(self, name: str | None) -> Sequence[Model]:
        """The named model, or all that are a default. Raises UnknownModel."""
        if name is None:
            return self.served.defaults
        model = self.served.find(name)
        if model is None:
            listing = _listing("model", self.models)
            raise UnknownModel("model", f"unknown model {name!r}; {listing}")
        return [model]

    def choose(self, name: str | None, direction: Direction, alignment: bool = False) -> Model:
        """The named model, or the direction's first. Raises RequestError that lists what is."""
        asked = self.asked(name)
        serving = [model for model in asked if direction in model.manifest.directions]
        if not serving:
            served = dict.fromkeys(str(d) for model in asked for d in model.manifest.directions)
            raise UnsupportedDirection(
                "target", f"cannot translate {direction}; {_listing('direction', served)}"
            )
        fitting = [model for model in serving if model.manifest.aligner or not alignment]
        if not fitting:
            able = [each for each, model in self.models.items() if model.manifest.aligner]
            raise NoAlignment(
                "alignment",
                f"{serving[0].manifest.name} has no attention to show; models with alignment: "
                f"{', '.join(able) or 'none'}",
            )
        return fitting[0]


def stages_of(decoded: Sequence[Decoded]) -> dict[str, list[float]]:
    """The seconds that each sentence spent in the engine, by stage."""
    return {
        "queue": [sentence.queue_seconds for sentence in decoded],
        "encode": [sentence.encode_seconds for sentence in decoded],
        "decode": [sentence.decode_seconds for sentence in decoded],
    }


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


def _progress(
    listener: Listener | None, engine: Engine, sentences: Sequence[Sentence]
) -> Progress | None:
    """What hears of a lone sentence; not of one that makes sense only when all is put back."""
    if listener is None or len(sentences) != 1 or sentences[0].needs_alignment:
        return None
    return lambda said: listener(lambda: engine.vocabulary.decode(said))


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
