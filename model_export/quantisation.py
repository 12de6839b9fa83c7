"""From a float32 bundle to an int8 one: calibrate, rewrite, compare, and refuse what got worse."""

import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from model_export.errors import ModelExportError
from model_export.export import record_scores
from model_export.graphs.module import compact
from model_export.graphs.quantise import Feeds, folded, measure_ranges, quantise
from model_export.model_card import write_described
from model_export.quality.evaluation import evaluate_bundle
from service.engine.bundle import (
    Bundle,
    Direction,
    Score,
    describe_file,
    load_bundle,
)
from service.engine.cached_model import CachedModel
from service.engine.model import Candidates, Ids, StepModel, pad_rows
from service.engine.model_loader import open_model
from service.engine.onnx_model import OnnxModel
from service.engine.request import DecodingOptions
from service.engine.search import SearchInput
from service.engine.strategies import search
from service.engine.vocabulary import load_vocabulary

BATCH = 16
KEEP_EVERY = 5
"""Of the decoder's steps every fifth is enough."""
METRIC = "chrF2++"
PAST_END = -1
"""Fills up hypotheses that are shorter than others of their batch."""


class QualityError(ModelExportError):
    """A bundle would be worse than allowed, or not what is asked for; nothing was written."""


@dataclass(frozen=True, slots=True)
class Loss:
    """One score before and after; `loss` is positive where int8 is worse."""

    before: Score
    after: Score

    @property
    def loss(self) -> float:
        """Points lost."""
        return self.before.value - self.after.value

    def __str__(self) -> str:
        before, after = self.before, self.after
        return (
            f"{before.data} {before.direction}: {after.metric} {before.value} -> {after.value} "
            f"({-self.loss:+.2f})"
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How often int8 would say the piece that float32 says, after the same beginning."""

    pieces: int
    equal: int

    @property
    def share(self) -> float:
        """0 to 1; of no pieces, 1."""
        return self.equal / self.pieces if self.pieces else 1.0


class RecordingModel:
    """Passes everything on to a float32 model and keeps what its graphs were fed."""

    def __init__(self, model: OnnxModel | CachedModel, pad_id: int) -> None:
        self.model, self.pad_id = model, pad_id
        self.aligner, self.joinable = None, False
        self.encoder: list[Feeds] = []
        self.decoder: list[Feeds] = []
        self.steps = 0

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> Any:
        """Keeps the padded sources."""
        self.encoder.append({"source_ids": pad_rows(sources, self.pad_id)})
        return self.model.encode(sources, beam_size)

    def step(self, ids: Ids, state: Any, k: int) -> tuple[Candidates, Any]:
        """Keeps the inputs of some steps."""
        # The first steps have the shortest pasts and may not be missed; later ones are alike.
        if self.steps < KEEP_EVERY or self.steps % KEEP_EVERY == 0:
            self.decoder.append(self.model.feeds(ids, state, k))
        self.steps += 1
        return self.model.step(ids, state, k)


def record_feeds(
    bundle: Bundle, model: OnnxModel | CachedModel, texts: Sequence[tuple[str, str]]
) -> RecordingModel:
    """Translates (text, target language) pairs greedily and records feeds on the way."""
    manifest = bundle.manifest
    vocabulary = load_vocabulary(bundle)
    recording = RecordingModel(model, manifest.vocabulary.pad_id)
    sources = sorted((vocabulary.encode_source(*text) for text in texts), key=len)
    sources = [s for s in sources if len(s) <= manifest.limits.max_source_length]
    options = DecodingOptions(max_target_length=manifest.limits.max_target_length // 2)
    for start in range(0, len(sources), BATCH):
        inputs = [SearchInput(source, options) for source in sources[start : start + BATCH]]
        for _ in search(recording, inputs, vocabulary.bos_id, vocabulary.eos_id):
            pass
    return recording


def calibration_feeds(bundle: Bundle, texts: Sequence[tuple[str, str]]) -> dict[str, list[Feeds]]:
    """What each graph of a bundle reads when it translates some texts."""
    manifest = bundle.manifest
    model = open_model(bundle)
    recording = record_feeds(bundle, model, texts)
    feeds = {manifest.encoder: recording.encoder, manifest.decoder: recording.decoder}
    if isinstance(model, CachedModel) and model.aligner is not None and manifest.aligner:
        feeds[manifest.aligner] = record_feeds(bundle, model.aligner, texts).decoder
    return feeds


def quantise_bundle(
    source: Path,
    target: Path,
    texts: Sequence[tuple[str, str]],
    pairs: Sequence[Path],
    percentile: float,
    tolerance: float,
    report: Callable[[Loss], Any],
) -> None:
    """Writes the int8 bundle `target` of the float32 bundle `source`.

    `texts` calibrate the ranges, cut at `percentile`; `pairs` are pair files on which both
    bundles are evaluated greedily. Raises QualityError if chrF2++ drops by more than
    `tolerance` points anywhere, and then writes nothing.
    """
    bundle = load_bundle(source)
    manifest = bundle.manifest
    if manifest.precision != "float32":
        raise QualityError(f"{source} is {manifest.precision}; only float32 is quantised")
    feeds = calibration_feeds(bundle, texts)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as name:
        folder = Path(name) / target.name
        folder.mkdir()
        for file in manifest.files:
            if file in feeds:
                _quantise_file(bundle.file(file), folder / file, feeds[file], percentile)
            else:
                shutil.copyfile(bundle.file(file), folder / file)
        files = {file: describe_file(folder / file) for file in manifest.files}
        changed = replace(manifest, precision="int8", files=files, scores=(), confidence=())
        write_described(folder, changed)
        record_scores(folder, compare_quality(source, folder, pairs, tolerance, report))
        target.mkdir(exist_ok=True)
        for path in folder.iterdir():
            path.replace(target / path.name)


def served_texts(
    pairs: Sequence[tuple[str, str]], served: Sequence[Direction]
) -> list[tuple[str, str]]:
    """Pairs, columns as in the first direction -> (text, target language), the first columns and
    then, if they are translated back, the second."""
    first = served[0]
    texts = [(a, first.target) for a, _ in pairs]
    if Direction(first.target, first.source) in served:
        texts += [(b, first.source) for _, b in pairs]
    return texts


def token_agreement(
    before: StepModel[Any],
    after: StepModel[Any],
    sources: Sequence[Sequence[int]],
    special_ids: tuple[int, int],
    max_target_length: int,
) -> Agreement:
    """Decodes greedily with one model and walks the other along the same hypotheses."""
    pieces = equal = 0
    options = DecodingOptions(max_target_length=max_target_length)
    for start in range(0, len(sources), BATCH):
        inputs = [SearchInput(source, options) for source in sources[start : start + BATCH]]
        found = dict(search(before, inputs, *special_ids))
        said = pad_rows([(*found[i][0].ids, special_ids[1]) for i in range(len(inputs))], PAST_END)
        state = after.encode([each.source for each in inputs])
        ids: Ids = np.full(len(inputs), special_ids[0], dtype=np.int64)
        for column in said.T:
            candidates, state = after.step(ids, state, k=1)
            here = column != PAST_END
            pieces += int(here.sum())
            equal += int((candidates.ids[here, 0] == column[here]).sum())
            ids = np.where(here, column, special_ids[1])
    return Agreement(pieces, equal)


def bundle_agreement(before: Path, after: Path, texts: Sequence[tuple[str, str]]) -> Agreement:
    """Of two bundles of the same model, on (text, target language) pairs."""
    bundle = load_bundle(before)
    vocabulary, limits = load_vocabulary(bundle), bundle.manifest.limits
    sources = sorted((vocabulary.encode_source(*text) for text in texts), key=len)
    return token_agreement(
        open_model(bundle),
        open_model(load_bundle(after)),
        [source for source in sources if len(source) <= limits.max_source_length],
        (vocabulary.bos_id, vocabulary.eos_id),
        limits.max_target_length,
    )


def _quantise_file(source: Path, target: Path, feeds: Sequence[Feeds], percentile: float) -> None:
    model = folded(source)
    model = compact(quantise(model, measure_ranges(model, feeds, percentile)))
    onnx.checker.check_model(model)
    onnx.save(model, target)


def compare_quality(
    before: Path,
    after: Path,
    pairs: Sequence[Path],
    tolerance: float,
    report: Callable[[Loss], Any],
) -> tuple[Score, ...]:
    """Scores of the bundle `after`, whose losses against `before` are reported one by one.

    Raises QualityError if one is above `tolerance` points of chrF2++.
    """
    scores = tuple(evaluate_bundle(after, pairs, beam_size=1))
    losses = [
        Loss(a, b)
        for a, b in zip(evaluate_bundle(before, pairs, beam_size=1), scores, strict=True)
        if a.metric == METRIC
    ]
    for loss in losses:
        report(loss)
    worst = max(losses, key=lambda loss: loss.loss, default=None)
    if worst is not None and worst.loss > tolerance:
        raise QualityError(
            f"{METRIC} of {worst.before.data} {worst.before.direction} falls from "
            f"{worst.before.value} to {worst.after.value}; at most {tolerance} is allowed"
        )
    return scores
