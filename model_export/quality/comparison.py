"""Several bundles side by side on the same pairs, by length of the source.

All go through the service's own pipeline, one after the other.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

from model_export.data.corpus import read_pairs
from model_export.errors import ModelExportError
from model_export.quality.evaluation import decoding_choice, figures, opened, translate_all
from service.engine.bundle import Bundle, Direction, load_bundle
from service.engine.engine import Engine
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.result import TranslationResult
from service.translation.translator import Translator

BUCKETS = ((1, 5), (6, 10), (11, 15), (16, 20), (21, 30), (31, None))
"""First and last number of words; the last bucket is open."""

Pairs = Sequence[tuple[str, str]]
Clock = Callable[[], float]


class ComparisonError(ModelExportError):
    """These bundles cannot be compared, or there is no place for the result."""


@dataclass(frozen=True, slots=True)
class LengthScore:
    """Scores of the pairs whose sources have a like number of words; of none, no scores."""

    words: str
    pairs: int
    bleu: float | None
    chrf: float | None
    """chrF2++."""


@dataclass(frozen=True, slots=True)
class DirectionScores:
    """One model's scores in one direction: over all pairs, and by words of the source."""

    direction: Direction
    overall: LengthScore
    by_length: tuple[LengthScore, ...]


@dataclass(frozen=True, slots=True)
class ModelScores:
    """One model: its size, how fast it went through all texts, and how well."""

    name: str
    architecture: str
    parameters: int
    bundle_bytes: int
    texts_per_second: float
    target_tokens_per_second: float
    directions: tuple[DirectionScores, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All models on the same pairs; at least one."""

    data: tuple[tuple[str, int], ...]
    """Name of each pair file, and how many of its pairs were translated."""
    beam_size: int
    cores: int
    """Of the machine; each ran one worker."""
    models: tuple[ModelScores, ...]


class CountingTranslator(Translator):
    """Counts the target pieces that it says."""

    target_tokens = 0

    async def translate(self, request: TranslationRequest) -> TranslationResult:
        """As Translator."""
        result = await super().translate(request)
        self.target_tokens += result.summary.target_tokens
        return result


def bucket_of(text: str) -> str:
    """The label of the bucket that a source belongs to, by its words."""
    words = len(text.split())
    for first, last in BUCKETS:
        if last is None or words <= last:
            return bucket_label(first, last)
    raise AssertionError("the last bucket is open")


def bucket_label(first: int, last: int | None) -> str:
    """As a reader sees it, such as 6-10 or 31+."""
    return f"{first}+" if last is None else f"{first}-{last}"


def score_lengths(
    direction: Direction, sources: Sequence[str], hypotheses: Sequence[str], references: list[str]
) -> DirectionScores:
    """Corpus scores of all translations, and of those in each bucket."""

    def score(words: str, chosen: list[int]) -> LengthScore:
        if not chosen:
            return LengthScore(words, 0, None, None)
        said, meant = [hypotheses[i] for i in chosen], [references[i] for i in chosen]
        found = {f.metric: f.value for f in figures(said, meant, direction.target)}
        return LengthScore(words, len(chosen), found["BLEU"], found["chrF2++"])

    labels = [bucket_of(source) for source in sources]
    return DirectionScores(
        direction,
        score("all", list(range(len(sources)))),
        tuple(
            score(label, [i for i, other in enumerate(labels) if other == label])
            for label in (bucket_label(*bucket) for bucket in BUCKETS)
        ),
    )


def measure(
    engine: Engine,
    pairs: Pairs,
    directions: Sequence[Direction],
    decoding: DecodingChoice,
    clock: Clock = time.monotonic,
) -> ModelScores:
    """Translates all pairs in all directions. `pairs` have the first direction's columns."""
    manifest, translator = engine.manifest, CountingTranslator([engine], second_tries=False)
    scores, seconds = [], 0.0
    for direction in directions:
        order = 0 if direction.source == directions[0].source else 1
        sources, references = [p[order] for p in pairs], [p[1 - order] for p in pairs]
        started = clock()
        hypotheses = asyncio.run(translate_all(translator, sources, direction, decoding))
        seconds += clock() - started
        scores.append(score_lengths(direction, sources, hypotheses, references))
    return ModelScores(
        name=manifest.name,
        architecture=manifest.architecture,
        parameters=manifest.parameters,
        bundle_bytes=sum(file.bytes for file in manifest.files.values()),
        texts_per_second=len(pairs) * len(directions) / seconds,
        target_tokens_per_second=translator.target_tokens / seconds,
        directions=tuple(scores),
    )


def common_directions(bundles: Sequence[Bundle]) -> tuple[Direction, ...]:
    """What all bundles translate, in the first one's order. Raises ComparisonError."""
    names = [bundle.manifest.name for bundle in bundles]
    if len(set(names)) < len(names):
        raise ComparisonError(f"two bundles have the same name: {', '.join(names)}")
    first = bundles[0].manifest.directions[0]
    common = tuple(
        direction
        for direction in (first, Direction(first.target, first.source))
        if all(direction in bundle.manifest.directions for bundle in bundles)
    )
    if first not in common:
        raise ComparisonError(f"not every bundle translates {first}: {', '.join(names)}")
    return common


def pair_files(paths: Sequence[Path]) -> list[Path]:
    """Pair files as they are, and in place of a folder those in it."""
    return [
        file
        for path in paths
        for file in (sorted(path.glob("*.tsv*")) if path.is_dir() else [path])
    ]


def compare_bundles(
    paths: Sequence[Path], pairs_at: Sequence[Path], beam_size: int, limit: int = 0
) -> Comparison:
    """Measures the bundles one after the other on pair files or folders of them; `limit` pairs of
    each file, 0 for all.

    Raises BundleError, CorpusError or ComparisonError before the first text is translated.
    """
    directions = common_directions([load_bundle(path) for path in paths])
    data = [
        (file.name.split(".")[0], list(read_pairs(file))[: limit or None])
        for file in pair_files(pairs_at)
    ]
    pairs = [pair for _, some in data for pair in some]
    if not pairs:
        raise ComparisonError(f"no pairs in {', '.join(map(str, pairs_at))}")
    models = []
    for path in paths:
        with opened(path) as engine:
            models.append(measure(engine, pairs, directions, decoding_choice(beam_size)))
    sizes = tuple((name, len(some)) for name, some in data)
    return Comparison(sizes, beam_size, cpu_count() or 1, tuple(models))
