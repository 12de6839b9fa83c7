"""How sure a model may be: its scores against translations by people, sentence by sentence.

What is learnt is two numbers a direction (Platt 1999), which the service turns scores into
confidence with. On the way the quality checks are counted, and their false alarms.
"""

import asyncio
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import CHRF
from tqdm import tqdm

from model_export.data.corpus import read_pairs
from model_export.errors import ModelExportError
from model_export.model_card import write_described
from model_export.quality.evaluation import opened
from service.engine.bundle import (
    ConfidenceSpec,
    Direction,
    load_bundle,
)
from service.engine.engine import Engine
from service.engine.search import SearchInput
from service.text.quality import faults
from service.translation.decoding import MODEL_DEFAULTS, for_sentence, resolve_decoding
from service.translation.review import Review
from service.translation.scoring import mean_score

SENTENCES_TOGETHER = 256
FOLDS, BINS = 5, 10
THRESHOLDS = {"ja": 25.0, "ko": 25.0, "zh": 25.0}
"""chrF2 from which a sentence counts as good. Where a character is a syllable or a word, fewer
sequences of characters are shared by two good translations."""
THRESHOLD = 40.0
"""For other languages."""

Array = NDArray[np.float64]


class CalibrationError(ModelExportError):
    """There is too little to learn from."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One sentence: the mean log-probability of its translation, and how good that is."""

    mean: float
    chrf: float
    faulty: bool
    """Whether the service would warn of it, after the second try."""
    false_alarm: bool
    """Whether it would warn of the translation by people."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What one direction has come to."""

    spec: ConfidenceSpec
    good: float
    """Share of sentences at or above the threshold."""
    warnings: float
    false_alarms: float


def calibrate(bundle: Path, files: Sequence[Path], limit: int = 0) -> Iterator[Calibration]:
    """Translates pair files as the service does and learns from it, both ways; the columns are
    those of the bundle's first direction. `limit` pairs of each file, 0 for all.

    Raises CalibrationError.
    """
    pairs = [pair for path in files for pair in list(read_pairs(path))[: limit or None]]
    with opened(bundle) as engine:
        first = engine.manifest.directions[0]
        for direction in engine.manifest.directions:
            if direction == first:
                yield learn(direction, asyncio.run(_sample(engine, direction, pairs)))
            elif (direction.target, direction.source) == (first.source, first.target):
                turned = [(b, a) for a, b in pairs]
                yield learn(direction, asyncio.run(_sample(engine, direction, turned)))


async def _sample(
    engine: Engine, direction: Direction, pairs: Sequence[tuple[str, str]]
) -> list[Sample]:
    """What the model makes of all sentences that are not too long for it."""
    chrf, samples = CHRF(), list[Sample]()
    vocabulary, languages = engine.vocabulary, (direction.source, direction.target)
    options = resolve_decoding(MODEL_DEFAULTS, engine.manifest, vocabulary)
    longest = engine.manifest.limits.max_source_length
    encoded = [(vocabulary.encode_source(a, direction.target), a, b) for a, b in pairs]
    fitting = [each for each in encoded if len(each[0]) <= longest]
    starts = range(0, len(fitting), SENTENCES_TOGETHER)
    for start in tqdm(starts, desc=str(direction), unit="batch"):
        some = fitting[start : start + SENTENCES_TOGETHER]
        inputs = [SearchInput(ids, for_sentence(options, ids, True)) for ids, _, _ in some]
        decoded = await engine.decode(inputs)
        sources = [source for _, source, _ in some]
        reviewed = await Review(engine, direction).of(sources, inputs, decoded)
        for (_, source, reference), each in zip(some, reviewed, strict=True):
            best = each.decoded.hypotheses[0]
            score = chrf.sentence_score(vocabulary.decode(best.ids), [reference]).score
            alarm = bool(faults(source, reference, languages))
            samples.append(Sample(mean_score(best), score, bool(each.faults), alarm))
    return samples


def learn(direction: Direction, samples: Sequence[Sample]) -> Calibration:
    """Fits the two numbers, and measures them on sentences that they were not fitted to."""
    threshold = THRESHOLDS.get(direction.target, THRESHOLD)
    means = np.array([each.mean for each in samples])
    good = np.array([each.chrf >= threshold for each in samples], dtype=float)
    if len(samples) < FOLDS * BINS or good.min() == good.max():
        raise CalibrationError(
            f"{direction}: {len(samples)} sentences, {int(good.sum())} of them good, are too few "
            "to learn from"
        )
    fold = np.arange(len(samples)) % FOLDS
    held_out = np.empty(len(samples))
    for number in range(FOLDS):
        known = fold != number
        held_out[~known] = likelihood(means[~known], *fit(means[known], good[known]))
    bias, slope = fit(means, good)
    error = calibration_error(held_out, good)
    name = str(direction)
    numbers = round(bias, 4), round(slope, 4), len(samples), round(error, 4)
    return Calibration(
        ConfidenceSpec(name, threshold, *numbers),
        float(good.mean()),
        float(np.mean([each.faulty for each in samples])),
        float(np.mean([each.false_alarm for each in samples])),
    )


def likelihood(means: Array, bias: float, slope: float) -> Array:
    """The chance of being good, for each mean log-probability."""
    chance: Array = 0.5 + 0.5 * np.tanh(0.5 * (bias + slope * means))
    return chance


def fit(means: Array, good: Array) -> tuple[float, float]:
    """Logistic regression by Newton's method -> bias and slope; the slope is not negative."""
    inputs = np.stack([np.ones(len(means)), means], axis=1)
    weights = np.zeros(2)
    for _ in range(50):
        chance = likelihood(means, *weights)
        gradient = inputs.T @ (good - chance) - 1e-3 * weights
        hessian = (inputs * (chance * (1 - chance))[:, None]).T @ inputs + 1e-3 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        weights += np.clip(step, -5, 5)
        if np.abs(step).max() < 1e-9:
            break
    return float(weights[0]), max(0.0, float(weights[1]))


def calibration_error(chances: Array, good: Array) -> float:
    """The expected difference of what was promised and what came, in bins of equal size."""
    bins = np.array_split(np.argsort(chances, kind="stable"), BINS)
    gaps = [len(each) * abs(chances[each].mean() - good[each].mean()) for each in bins]
    return float(sum(gaps) / len(chances))


def record_confidence(bundle: Path, specs: Sequence[ConfidenceSpec]) -> None:
    """Puts the calibration into a bundle's manifest and card, in place of an older one."""
    manifest = replace(load_bundle(bundle).manifest, confidence=tuple(specs))
    write_described(bundle, manifest)
