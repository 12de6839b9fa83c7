"""How sure the sentences of a translation are: confidence, and the scores of their pieces."""

import math
from collections.abc import Sequence

from service.engine.bundle import ConfidenceSpec, Direction, Manifest
from service.engine.request import Decoded, Hypothesis
from service.engine.vocabulary import Vocabulary
from service.text.alignment import Span
from service.text.rewriting import Chain
from service.translation.pieces import moved, shift_pieces
from service.translation.preparation import PreparedText
from service.translation.result import SentenceScores


def calibration(manifest: Manifest, direction: Direction) -> ConfidenceSpec | None:
    """What the bundle says of the confidence in one direction."""
    name = str(direction)
    return next((spec for spec in manifest.confidence if spec.direction == name), None)


def mean_score(hypothesis: Hypothesis) -> float:
    """The mean log-probability of what the model was free to say."""
    scores = hypothesis.token_scores
    # A forced prefix has exact zeros.
    forced = next((i for i, score in enumerate(scores) if score), 0)
    return sum(scores) / max(1, len(scores) - forced)


def confidence(spec: ConfidenceSpec, hypothesis: Hypothesis) -> float:
    """How likely it is that a sentence is as good as the calibration asks for, 0 to 1."""
    # The logistic function, which as a tanh cannot overflow.
    return 0.5 + 0.5 * math.tanh(0.5 * (spec.bias + spec.slope * mean_score(hypothesis)))


def text_confidence(
    spec: ConfidenceSpec | None, sentences: Sequence[str], decoded: Sequence[Decoded]
) -> float | None:
    """The part of a text that is likely to be as good: the mean of its sentences by their length.
    None without a calibration, or if there was nothing to translate."""
    if spec is None or not decoded:
        return None
    lengths = [max(1, len(sentence)) for sentence in sentences]
    pairs = zip(lengths, decoded, strict=True)
    total = sum(length * confidence(spec, each.hypotheses[0]) for length, each in pairs)
    return total / sum(lengths)


def score_sentences(
    vocabulary: Vocabulary,
    spec: ConfidenceSpec | None,
    text: PreparedText,
    decoded: Sequence[Decoded],
    spelt: Sequence[Chain],
) -> tuple[SentenceScores, ...]:
    """Scores and confidence of each sentence of a text; `spelt` are the best hypotheses."""
    segmentation = text.segmentation
    translated = [each.after for each in spelt]
    starts = segmentation.starts(segmentation.sentences), segmentation.starts(translated)
    found = []
    for sentence, rewriting, each, source, target in zip(
        segmentation.sentences, spelt, decoded, *starts, strict=True
    ):
        hypothesis = each.hypotheses[0]
        pieces = moved(vocabulary.target_pieces(hypothesis.ids), rewriting.forward)
        found.append(
            SentenceScores(
                Span(source, source + len(sentence)),
                Span(target, target + len(rewriting.after)),
                hypothesis.score,
                None if spec is None else confidence(spec, hypothesis),
                shift_pieces(pieces, target)[: len(hypothesis.token_scores)],
                hypothesis.token_scores,
            )
        )
    return tuple(found)
