"""From texts to translations: identify languages, choose models, decode. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.engine.request import Decoded, Progress
from service.engine.search import SearchInput
from service.engine.waiting import Standing
from service.errors import LimitExceeded, UnsupportedDirection
from service.lifecycle.served import ServedModels
from service.metrics import STAGES
from service.text.language import Detection, LanguageIdentifier
from service.text.segmentation import Segmentation
from service.translation.assembly import assemble
from service.translation.catalogue import Catalogue
from service.translation.decoding import for_sentence, resolve_decoding
from service.translation.parts import Part, TranslatedPart, divide, unite
from service.translation.pivot import first_choice, joined
from service.translation.preparation import PreparedText, Sentence, prepare
from service.translation.request import Listener, TranslationRequest
from service.translation.result import Summary, TranslationResult
from service.translation.review import Review, Reviewed

ResultT = TypeVar("ResultT")
SHORT = 1000
"""Characters. Longer requests are segmented and tokenised in another thread, so that the event
loop only waits; for shorter ones changing threads would take longer than the work."""


class Translator:
    """Translates with the models that are served now, or with engines that stay as they are."""

    def __init__(
        self,
        models: ServedModels | Iterable[Engine],
        identifier: LanguageIdentifier | None = None,
        max_sentences: int = 10_000,
        second_tries: bool = True,
        pivot: bool = False,
    ) -> None:
        served = models if isinstance(models, ServedModels) else ServedModels.of(models)
        self.catalogue = Catalogue(served, pivot)
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
        done = await _all_of([self._go(part, request) for part in parts])
        translations = unite(request, detected, parts, done)
        # Parts are translated side by side: of each stage the longest counts.
        timings = {
            stage: max((each.timings[stage] for each in done), default=0.0) for stage in STAGES
        }
        timings["total"] = time.monotonic() - started
        summary = Summary(
            next((each.model for each in translations if each.model is not None), None),
            request.characters,
            sum(each.source_tokens for each in done),
            sum(each.hypotheses[0].tokens for each in translations),
            timings,
        )
        return TranslationResult(translations, summary)

    async def identify(self, request: TranslationRequest) -> tuple[Detection, ...] | None:
        """The likeliest language of each text, unless the caller has said; those are considered
        that are translated into the target, and the target itself."""
        if request.source is not None:
            return None
        sources = self.catalogue.sources(request.model, request.target)
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
        languages = sorted({direction.source for direction in self.catalogue.directions()})
        if self._identifier is None:
            return [Detection(language, 0.0) for language in languages]
        return self._identifier.identify(text, languages)

    async def cut(self, request: TranslationRequest, direction: Direction) -> Segmentation:
        """The sentences that the request's first text would be translated in."""
        with self.catalogue.served.hold() as holding:
            middle = self.catalogue.middle(request.model, direction, request.alignment)
            if middle is not None:
                direction = Direction(direction.source, middle)
            model = self.catalogue.choose(request.model, direction, request.alignment)
            engine = await holding.take(model)
            work = partial(prepare, engine, direction, request.texts[:1], request.cutting)
            ((prepared,), _) = await _run(request, work)
        return prepared.segmentation

    def check_amount(self, sentences: int) -> None:
        """Raises LimitExceeded if there are too many for one request."""
        if sentences > self._max_sentences:
            most = self._max_sentences
            raise LimitExceeded("text", f"{sentences} sentences in one request; at most {most}")

    async def _go(self, part: Part, request: TranslationRequest) -> TranslatedPart:
        """Translates a part in one step, or in two if it takes two."""
        middle = self.catalogue.middle(request.model, part.direction, request.alignment)
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
        with self.catalogue.served.hold() as holding:
            model = self.catalogue.choose(request.model, part.direction, request.alignment)
            return await self._translate_with(await holding.take(model), part, request)

    async def _translate_with(
        self, engine: Engine, part: Part, request: TranslationRequest
    ) -> TranslatedPart:
        started = time.monotonic()
        texts, timings = await _run(
            request, lambda: prepare(engine, part.direction, part.texts, request.cutting)
        )
        sentences = [sentence for text in texts for sentence in text.sentences]
        self.check_amount(len(sentences))
        inputs = _inputs(engine, request, texts)
        standing = Standing.BULK if request.bulk else Standing.INTERACTIVE
        decoded = await engine.decode(inputs, standing)
        look = Review(engine, part.direction, self._second_tries)
        reviewed = await look.of([each.shown for each in sentences], inputs, decoded)
        for stage, seconds in stages_of([each.decoded for each in reviewed]).items():
            for each in seconds:
                engine.metrics.stage(stage, each)
            timings[stage] = max(seconds, default=0.0)
        result = await _run(
            request, lambda: _finish(engine, part, request, texts, reviewed, timings)
        )
        timings["total"] = time.monotonic() - started
        for stage in ("segment", "tokenise", "detokenise", "total"):
            engine.metrics.stage(stage, timings[stage])
        return result


def _inputs(
    engine: Engine, request: TranslationRequest, texts: Sequence[PreparedText]
) -> list[SearchInput]:
    """What the engine is to decode: every sentence, with the options that it has there."""
    options = resolve_decoding(request.decoding, engine.manifest, engine.vocabulary)
    able = engine.manifest.aligner is not None
    progress = _progress(request.listener, engine, [s for text in texts for s in text.sentences])
    return [
        SearchInput(
            sentence.source,
            for_sentence(options, sentence.source, place == 0),
            able and (request.alignment or sentence.needs_alignment),
            progress,
        )
        for text in texts
        for place, sentence in enumerate(text.sentences)
    ]


def _progress(
    listener: Listener | None, engine: Engine, sentences: Sequence[Sentence]
) -> Progress | None:
    """What hears of a lone sentence; not of one that makes sense only when all is put back."""
    if listener is None or len(sentences) != 1 or sentences[0].needs_alignment:
        return None
    return lambda said: listener(lambda: engine.vocabulary.decode(said))


def stages_of(decoded: Sequence[Decoded]) -> dict[str, list[float]]:
    """The seconds that each sentence spent in the engine, by stage."""
    return {
        "queue": [sentence.queue_seconds for sentence in decoded],
        "encode": [sentence.encode_seconds for sentence in decoded],
        "decode": [sentence.decode_seconds for sentence in decoded],
    }


def _finish(
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
    translations = [
        assemble(engine, part.direction, request, text, list(islice(left, len(text.sentences))))
        for text in texts
    ]
    timings["detokenise"] = time.monotonic() - started
    source_tokens = sum(len(each.source) for text in texts for each in text.sentences)
    target_tokens = sum(translation.hypotheses[0].tokens for translation in translations)
    characters = sum(map(len, part.texts))
    engine.metrics.translated(str(part.direction), source_tokens, target_tokens, characters)
    return TranslatedPart(translations, source_tokens, timings)


async def _run(request: TranslationRequest, work: Callable[[], ResultT]) -> ResultT:
    """Does the work here and now, or in another thread if there is much of it."""
    if request.characters > SHORT:
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
