"""The mixture as ids: an endless, reproducible stream of batches that can start anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_export.batches import Batch, EncodedExample, make_batch, plan_batches
from model_export.corpus import Example, Mixture
from model_export.recipe import TrainingRecipe
from service.engine.vocabulary import Vocabulary


@dataclass(frozen=True, slots=True)
class Position:
    """A place in the stream: the next batch to read."""

    epoch: int = 1
    batch: int = 0


def encode_examples(examples: Sequence[Example], vocabulary: Vocabulary) -> list[EncodedExample]:
    """Ids of examples, exactly as the service makes them."""
    return [
        EncodedExample(
            vocabulary.encode_source(e.source_text, e.target),
            vocabulary.encode_target(e.target_text),
        )
        for e in examples
    ]


class TrainingStream:
    """Batches of the mixture, epoch after epoch; each text is encoded once and kept."""

    def __init__(self, mixture: Mixture, vocabulary: Vocabulary, recipe: TrainingRecipe) -> None:
        self.mixture = mixture
        self.vocabulary = vocabulary
        self.recipe = recipe
        self.known: dict[tuple[int, int, bool], EncodedExample] = {}

    def encoded(self, place: tuple[int, int, bool]) -> EncodedExample:
        """The example at (file, pair, reversed)."""
        if place not in self.known:
            file, number, backward = place
            pair = self.mixture.pairs[file][number]
            example = both_ways(pair, self.mixture.languages)[backward]
            self.known[place] = encode_examples([example], self.vocabulary)[0]
        return self.known[place]

    def epoch(self, number: int) -> list[list[EncodedExample]]:
        """All batches of one epoch, in order."""
        drawn = [self.encoded(p) for p in self.mixture.epoch(number, self.recipe.seed)]
        limit = self.recipe.max_length
        drawn = [e for e in drawn if max(len(e.source), len(e.target)) <= limit]
        groups = plan_batches(
            [len(e.source) for e in drawn],
            [len(e.target) for e in drawn],
            self.recipe.tokens_per_batch,
            np.random.default_rng([self.recipe.seed, number, 1]),
        )
        return [[drawn[i] for i in group] for group in groups]

    def batches(self, start: Position) -> Iterator[tuple[Batch, Position]]:
        """Yields each batch with the position after it, without end."""
        number, first = start.epoch, start.batch
        while True:
            groups = self.epoch(number)
            for i in range(first, len(groups)):
                yield make_batch(groups[i], self.vocabulary.pad_id), Position(number, i + 1)
            number, first = number + 1, 0


def both_ways(pair: tuple[str, str], languages: tuple[str, str]) -> tuple[Example, Example]:
    """A pair as an example in the languages' order, and reversed."""
    (first, second), (a, b) = languages, pair
    return Example(first, second, a, b), Example(second, first, b, a)
