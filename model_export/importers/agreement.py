"""Does the float32 bundle say what the original library says? Greedy, and beams of 2 and 4."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from model_export.importers.assemble import Assembled
from model_export.importers.imported import Imported
from model_export.importers.originals import Original, Said
from model_export.parity import ParityError
from service.engine.bundle import Bundle
from service.engine.model import StepModel
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions, FinishReason, Hypothesis
from service.engine.search import SearchInput
from service.engine.strategies import search
from service.engine.vocabulary import load_vocabulary

BEAM_SIZES = (1, 2, 4)
TOLERANCE = 1e-3
"""Nats that the scores of a best hypothesis may differ by."""
TOGETHER = 8


@dataclass(frozen=True, slots=True)
class Agreement:
    """Best hypotheses of all sentences and beam sizes, and how they compare."""

    hypotheses: int
    equal: int
    """Piece for piece; others are as good to within the tolerance."""
    max_score_difference: float


def original_agreement(
    bundle: Bundle,
    imported: Imported,
    assembled: Assembled,
    original: Original,
    texts: Sequence[tuple[str, str]],
    longest: int,
) -> Agreement:
    """Compares on (text, target language) pairs. Raises ParityError where they differ."""
    vocabulary, model = load_vocabulary(bundle), open_model(bundle)
    sources = [vocabulary.encode_source(*text) for text in texts]
    rows = [assembled.source.rows[source].tolist() for source in sources]
    equal, worst, faults = 0, 0.0, []
    for beam_size in BEAM_SIZES:
        ours = decode(bundle, model, sources, beam_size, longest)
        theirs: list[list[Said]] = []
        for start in range(0, len(rows), TOGETHER):
            theirs += original.decode(rows[start : start + TOGETHER], beam_size, longest)
        for text, mine, other in zip(texts, ours, theirs, strict=True):
            difference = abs(mine[0].score - other[0].score)
            equal += mine[0].ids == other[0].rows
            worst = max(worst, difference)
            if difference > TOLERANCE or not np.isfinite(difference):
                faults.append(f"beam {beam_size}, {text[0]!r}: scores differ by {difference:.2g}")
    if faults:
        raise ParityError(
            f"{len(faults)} hypotheses of {imported.origin.name} are not those of the original:\n"
            + "\n".join(f"- {fault}" for fault in faults[:5])
        )
    return Agreement(len(BEAM_SIZES) * len(texts), equal, worst)


def decode(
    bundle: Bundle,
    model: StepModel[Any],
    sources: Sequence[Sequence[int]],
    beam_size: int,
    longest: int,
) -> list[tuple[Hypothesis, ...]]:
    """All hypotheses of each source, ranked by the sum of their log-probabilities."""
    special = bundle.manifest.vocabulary
    options = DecodingOptions(beam_size, beam_size, length_penalty=0.0, max_target_length=longest)
    inputs = [SearchInput(source, options) for source in sources]
    found = dict(search(model, inputs, special.bos_id, special.eos_id))
    return [found[i] for i in range(len(sources))]


def smoke_faults(found: Sequence[Sequence[Hypothesis]]) -> list[str]:
    """What no working model does with ordinary sentences."""
    faults = []
    best = [hypotheses[0] for hypotheses in found]
    if any(not np.isfinite(hypothesis.score) for hypothesis in best):
        faults.append("scores are no numbers")
    if all(hypothesis.finish_reason is FinishReason.LENGTH for hypothesis in best):
        faults.append("no sentence comes to its end")
    if not any(hypothesis.ids for hypothesis in best):
        faults.append("nothing is said of any sentence")
    return faults
