"""The mixture as ids: an endless, reproducible stream of batches that can start anywhere."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from model_export.data.augmentation import Augmenter, concatenated
from model_export.data.batches import Batch, EncodedExample, make_batch, plan_batches
from model_export.data.corpus import Example, Mixture, Place
from model_export.data.segmentation import PieceSplitter
from model_export.recipe import AugmentationRecipe, TrainingRecipe
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

    def __init__(
        self,
        mixture: Mixture,
        vocabulary: Vocabulary,
        recipe: TrainingRecipe,
        augmentation: AugmentationRecipe,
    ) -> None:
        self.mixture = mixture
        self.vocabulary = vocabulary
        self.recipe = recipe
        self.augmenter = Augmenter(augmentation)
        self.concatenate = augmentation.concatenate
        self.splitter = PieceSplitter(vocabulary, augmentation.split_pieces)
        self.known: dict[Place, EncodedExample] = {}

    def example(self, place: Place) -> Example:
        """The example at a place, as text."""
        file, number, backward = place
        return both_ways(self.mixture.pairs[file][number], self.mixture.languages)[backward]

    def encoded(self, place: Place) -> EncodedExample:
        """The same as ids."""
        if place not in self.known:
            self.known[place] = self.encode(self.example(place), place)
        return self.known[place]

    def encode(self, example: Example, place: Place) -> EncodedExample:
        """Ids of an example made of what is at a place; a synthetic source gets its tag."""
        encoded = encode_examples([example], self.vocabulary)[0]
        if not self.mixture.files[place[0]].synthetic:
            return encoded
        # Nothing else uses this piece: with bytes to fall back on, no text has an unknown one.
        source = [encoded.source[0], self.vocabulary.unk_id, *encoded.source[1:]]
        return EncodedExample(source, encoded.target)

    def draw(self, number: int) -> list[EncodedExample]:
        """The examples of one epoch, a share of them changed or joined."""
        places = self.mixture.epoch(number, self.recipe.seed)
        rng = np.random.default_rng([self.recipe.seed, number, 2])
        drawn = []
        for place, chance in zip(places, rng.random(len(places)), strict=True):
            if chance < self.concatenate:
                file, _, backward = place
                other = file, int(rng.integers(len(self.mixture.pairs[file]))), backward
                joined = concatenated(self.example(place), self.example(other))
                drawn.append(self.encode(joined, place))
            elif chance < self.concatenate + self.augmenter.share:
                changed = self.augmenter.change(self.example(place), rng)
                drawn.append(self.encode(changed, place))
            else:
                drawn.append(self.encoded(place))
        if not self.splitter.share:
            return drawn
        split = self.splitter.split
        return [EncodedExample(split(e.source, rng), split(e.target, rng)) for e in drawn]

    def epoch(self, number: int) -> list[list[EncodedExample]]:
        """All batches of one epoch, in order."""
        drawn = self.draw(number)
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
