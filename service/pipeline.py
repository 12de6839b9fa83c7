"""From texts to translations: choose a model, cut into sentences, decode. Knows no HTTP."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Literal, TypeVar

from service.assembly import PreparedText, Translation, join_sentences
from service.engine.bundle import Direction, Manifest
from service.engine.engine import Engine
from service.engine.request import Decoded, DecodingOptions
from service.engine.search import SearchInput
from service.errors import LimitExceeded, NoAlignment, UnknownModel, UnsupportedDirection
from service.lifecycle.model import Model
from service.lifecycle.served import ServedModels
from service.text.segmentation import segment_to_fit

ResultT = TypeVar("ResultT")
SHORT = 1000
"""Characters. Longer requests are segmented and tokenised in another thread, so that the event
loop only waits; for shorter ones changing threads would take longer than the work."""


@dataclass(frozen=True, slots=True)
class DecodingChoice:
    """What a caller says about decoding; None leaves it to the model's defaults."""

    strategy: Literal["greedy", "beam"] | None = None
    beam_size: int | None = None
    n_best: int | None = None
    length_penalty: float | None = None
    max_target_length: int | None = None


@dataclass(frozen=True, slots=True)
class TranslationRequest:
    """Texts to translate in one direction."""

    texts: tuple[str, ...]
    direction: Direction
    model: str | None = None
    decoding: DecodingChoice = DecodingChoice()
    alignment: bool = False
    """Whether the best hypotheses come with what the model looked at."""


@dataclass(frozen=True, slots=True)
class TranslationResult:
    """The answer to a request. `timings` maps a stage to seconds."""

    model: str
    translations: tuple[Translation, ...]
    characters: int
    source_tokens: int
    target_tokens: int
    timings: Mapping[str, float]


class Translator:
    """Translates with the models that are served now, or with engines that stay as they are; the
    first that serves a direction is its default."""

    def __init__(self, models: ServedModels | Iterable[Engine]) -> None:
        self.served = models if isinstance(models, ServedModels) else ServedModels.of(models)

    @property
    def models(self) -> Mapping[str, Model]:
        """Every model, by the name that requests use."""
        return self.served.by_name

    async def translate(self, request: TranslationRequest) -> TranslationResult:
        """Translates all texts. Raises RequestError, Overloaded or EngineFailed.

        Cancelling it takes the sentences out of the queue and out of running batches.
        """
        with self.served.hold() as holding:
            model = self.choose(request.model, request.direction, request.alignment)
            return await self._translate(await holding.take(model), request)

    async def _translate(self, engine: Engine, request: TranslationRequest) -> TranslationResult:
        started = time.monotonic()
        options = resolve_decoding(request.decoding, engine.manifest)
        run = _apart if sum(map(len, request.texts)) > SHORT else _here
        texts, timings = await run(lambda: prepare(engine, request))
        tickets = engine.submit(
            [
                SearchInput(source, replace(options, max_target_length=length), request.alignment)
                for text in texts
                for source in text.sources
                for length in [min(options.max_target_length, longest_sensible(len(source)))]
            ]
        )
        try:
            decoded = await asyncio.gather(*(asyncio.wrap_future(t.future) for t in tickets))
        finally:
            for ticket in tickets:
                if ticket.future.cancel():
                    engine.metrics.abandoned("cancelled")
        for stage, seconds in stages_of(decoded).items():
            for each in seconds:
                engine.metrics.stage(stage, each)
            timings[stage] = max(seconds, default=0.0)
        result = await run(lambda: finish(engine, request, texts, decoded, timings))
        timings["total"] = time.monotonic() - started
        for stage in ("segment", "tokenise", "detokenise", "total"):
            engine.metrics.stage(stage, timings[stage])
        return result

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
            able = [name for name, model in self.models.items() if model.manifest.aligner]
            raise NoAlignment(
                "alignment",
                f"{serving[0].manifest.name} has no attention to show; models with alignment: "
                f"{', '.join(able) or 'none'}",
            )
        return fitting[0]

    def asked(self, name: str | None) -> Sequence[Model]:
        """The named model, or all that are a default. Raises UnknownModel."""
        if name is None:
            return self.served.defaults
        model = self.served.find(name)
        if model is None:
            listing = _listing("model", self.models)
            raise UnknownModel("model", f"unknown model {name!r}; {listing}")
        return [model]


def stages_of(decoded: Sequence[Decoded]) -> dict[str, list[float]]:
    """The seconds that each sentence spent in the engine, by stage."""
    return {
        "queue": [sentence.queue_seconds for sentence in decoded],
        "encode": [sentence.encode_seconds for sentence in decoded],
        "decode": [sentence.decode_seconds for sentence in decoded],
    }


async def _here(work: Callable[[], ResultT]) -> ResultT:
    return work()


async def _apart(work: Callable[[], ResultT]) -> ResultT:
    return await asyncio.to_thread(work)


def _listing(what: str, names: Iterable[str]) -> str:
    return f"available {what}s: {', '.join(names) or 'none'}"


def resolve_decoding(choice: DecodingChoice, manifest: Manifest) -> DecodingOptions:
    """Fills a caller's choice up with the model's defaults. Raises LimitExceeded."""
    defaults, limit = manifest.decoding, manifest.limits.max_target_length
    if choice.strategy == "greedy":
        beam_size = 1
    else:
        beam_size = choice.beam_size or max(defaults.beam_size, choice.n_best or 1)
    if choice.max_target_length is not None and choice.max_target_length > limit:
        raise LimitExceeded(
            "decoding.max_target_length",
            f"max_target_length {choice.max_target_length} is above this model's {limit}",
        )
    penalty = choice.length_penalty
    return DecodingOptions(
        beam_size=beam_size,
        n_best=choice.n_best or 1,
        length_penalty=defaults.length_penalty if penalty is None else penalty,
        max_target_length=choice.max_target_length or limit,
    )


def longest_sensible(source_length: int) -> int:
    """Target pieces beyond which a hypothesis can only be running in circles."""
    return 3 * source_length + 16


def prepare(
    engine: Engine, request: TranslationRequest
) -> tuple[list[PreparedText], dict[str, float]]:
    """Segments and tokenises all texts; returns the seconds of both stages too."""
    vocabulary, target = engine.vocabulary, request.direction.target
    limit = engine.manifest.limits.max_source_length

    def fits(sentence: str) -> bool:
        return len(vocabulary.encode_source(sentence, target)) <= limit

    started = time.monotonic()
    segmentations = [segment_to_fit(t, request.direction.source, fits) for t in request.texts]
    segmented = time.monotonic()
    texts = [
        PreparedText(s, tuple(tuple(vocabulary.encode_source(x, target)) for x in s.sentences))
        for s in segmentations
    ]
    tokenised = time.monotonic()
    return texts, {"segment": segmented - started, "tokenise": tokenised - segmented}


def finish(
    engine: Engine,
    request: TranslationRequest,
    texts: Sequence[PreparedText],
    decoded: Sequence[Decoded],
    timings: dict[str, float],
) -> TranslationResult:
    """Turns ids back into text, sentence by sentence, and joins the sentences of each text."""
    started = time.monotonic()
    left = iter(decoded)
    translations = tuple(
        join_sentences(
            engine.vocabulary, request.direction.target, text, list(islice(left, len(text.sources)))
        )
        for text in texts
    )
    timings["detokenise"] = time.monotonic() - started
    source_tokens = sum(len(source) for text in texts for source in text.sources)
    target_tokens = sum(translation.hypotheses[0].tokens for translation in translations)
    characters = sum(map(len, request.texts))
    engine.metrics.translated(str(request.direction), source_tokens, target_tokens, characters)
    name = engine.manifest.name
    return TranslationResult(name, translations, characters, source_tokens, target_tokens, timings)
