"""BLEU and chrF of a bundle on pair files, through the service's own pipeline.

The model's own first answers are measured, not what a second try makes of the bad ones.
"""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from os import cpu_count
from pathlib import Path

from sacrebleu.metrics import BLEU, CHRF
from tqdm import tqdm

from model_export.data.corpus import read_pairs
from service.engine.bundle import Direction, Score
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.metrics import Metrics
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.translator import Translator

TEXTS_PER_REQUEST = 64
_LIMITS = SchedulerLimits()


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric's value and the signature that makes it repeatable."""

    metric: str
    value: float
    signature: str


def metrics(language: str) -> dict[str, BLEU | CHRF]:
    """BLEU, chrF2 and chrF2++. BLEU counts characters in Korean, whose words sacreBLEU's plain
    tokenizers do not cut."""
    return {
        "BLEU": BLEU(tokenize="char" if language == "ko" else "13a"),
        "chrF2": CHRF(),
        "chrF2++": CHRF(word_order=2),
    }


def signatures(language: str) -> str:
    """The metrics' signatures, for a log."""
    return ", ".join(f"{name} {_signature(m)}" for name, m in metrics(language).items())


def _signature(metric: BLEU | CHRF) -> str:
    # The number of references is known only once something has been scored.
    metric.corpus_score(["a"], [["a"]])
    return str(metric.get_signature())


def figures(hypotheses: Sequence[str], references: Sequence[str], language: str) -> list[Figure]:
    """All metrics of a list of translations."""
    found = []
    for name, metric in metrics(language).items():
        value = metric.corpus_score(hypotheses, [references]).score
        found.append(Figure(name, value, str(metric.get_signature())))
    return found


async def translate_all(
    translator: Translator, texts: Sequence[str], direction: Direction, decoding: DecodingChoice
) -> list[str]:
    """Translations of all texts, with a progress bar."""
    found: list[str] = []
    with tqdm(total=len(texts), desc=str(direction), unit="text") as progress:
        for start in range(0, len(texts), TEXTS_PER_REQUEST):
            some = tuple(texts[start : start + TEXTS_PER_REQUEST])
            request = TranslationRequest(
                some, direction.source, direction.target, decoding=decoding
            )
            result = await translator.translate(request)
            found += [translation.hypotheses[0].text for translation in result.translations]
            progress.update(len(some))
    return found


def decoding_choice(beam_size: int) -> DecodingChoice:
    """Beam search, or greedy for a beam of 1."""
    return DecodingChoice("greedy" if beam_size == 1 else "beam", beam_size)


def decoding_label(decoding: DecodingChoice) -> str:
    """As a score names it."""
    return f"beam {decoding.beam_size}" if decoding.strategy == "beam" else "greedy"


@contextmanager
def opened(bundle: Path, limits: SchedulerLimits = _LIMITS) -> Iterator[Engine]:
    """A bundle's engine on all cores; it closes in the end. Raises BundleError."""
    engine = Engine.load(bundle, limits, Metrics(), cpu_count() or 1)
    try:
        yield engine
    finally:
        engine.close()


def evaluate(
    translator: Translator,
    data: str,
    pairs: Sequence[tuple[str, str]],
    languages: tuple[str, str],
    decoding: DecodingChoice,
) -> Iterator[Score]:
    """Scores on one pair file, whose columns are in the languages' order; of both directions, if
    both are served."""
    label = decoding_label(decoding)
    for source, target in ((0, 1), (1, 0)):
        direction = Direction(languages[source], languages[target])
        if direction.source not in translator.catalogue.sources(None, direction.target):
            continue
        texts = [pair[source] for pair in pairs]
        references = [pair[target] for pair in pairs]
        hypotheses = asyncio.run(translate_all(translator, texts, direction, decoding))
        for figure in figures(hypotheses, references, direction.target):
            value = round(figure.value, 2)
            yield Score(data, str(direction), label, figure.metric, value, figure.signature)


def evaluate_bundle(
    bundle: Path, files: Sequence[Path], beam_size: int, limit: int = 0
) -> Iterator[Score]:
    """Scores of a bundle on pair files; `limit` pairs of each, 0 for all."""
    with opened(bundle) as engine:
        first = engine.manifest.directions[0]
        for path in files:
            pairs = list(read_pairs(path))[: limit or None]
            name = path.name.split(".")[0]
            languages = first.source, first.target
            choice = decoding_choice(beam_size)
            translator = Translator([engine], second_tries=False)
            yield from evaluate(translator, name, pairs, languages, choice)
