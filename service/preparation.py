"""From texts to what the model reads: cut into sentences, sentences into ids. Knows no search."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from service.engine.bundle import Direction
from service.engine.engine import Engine
from service.text.segmentation import Segmentation, Splitting, segment_to_fit


@dataclass(frozen=True, slots=True)
class PreparedText:
    """A text cut into sentences, and the source ids of each."""

    segmentation: Segmentation
    sources: tuple[tuple[int, ...], ...]


def prepare(
    engine: Engine, direction: Direction, texts: Sequence[str], splitting: Splitting
) -> tuple[list[PreparedText], dict[str, float]]:
    """Segments and tokenises all texts; returns the seconds of both stages too."""
    vocabulary, target = engine.vocabulary, direction.target
    limit = engine.manifest.limits.max_source_length

    def fits(sentence: str) -> bool:
        return len(vocabulary.encode_source(sentence, target)) <= limit

    started = time.monotonic()
    segmentations = [segment_to_fit(text, direction.source, fits, splitting) for text in texts]
    segmented = time.monotonic()
    prepared = [
        PreparedText(s, tuple(tuple(vocabulary.encode_source(x, target)) for x in s.sentences))
        for s in segmentations
    ]
    tokenised = time.monotonic()
    return prepared, {"segment": segmented - started, "tokenise": tokenised - segmented}
