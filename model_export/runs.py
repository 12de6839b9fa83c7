"""Puts the parts of a training run together: recipe, corpora and run folder in, trainer out."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch

from model_export import checkpoint
from model_export.architectures import build_model
from model_export.architectures.transformer import Transformer
from model_export.data.corpus import Mixture, load_pairs
from model_export.data.dataset import TrainingStream, both_ways, encode_examples
from model_export.data.tokenizer import train_tokenizer
from model_export.export import TOKENIZER, Run, bundle_weights, remember_start
from model_export.graphs.alignment_heads import choose_heads
from model_export.quality.evaluation import figures
from model_export.recipe import Recipe
from model_export.torch_model import TorchModel
from model_export.training import Trainer
from service.engine.bundle import DataSet
from service.engine.request import DecodingOptions
from service.engine.search import SearchInput
from service.engine.strategies import search
from service.engine.vocabulary import Vocabulary

Pairs = list[tuple[str, str]]
SCORED_PAIRS = 100
HELD_OUT = 500


def load_data(recipe: Recipe, corpora: Sequence[Path]) -> tuple[Mixture, Pairs]:
    """The training mixture and the dev pairs; without a dev file, pairs held out of the mixture."""
    mixture = Mixture(corpora, recipe.train, recipe.languages)
    dev = [pair for file in recipe.dev for pair in load_pairs(corpora, file)]
    if not dev:
        return mixture, mixture.holdout(HELD_OUT, recipe.training.seed)
    mixture.exclude(dev)
    return mixture, dev


def make_tokenizer(recipe: Recipe, corpora: Sequence[Path], run: Path) -> Path:
    """Trains the tokenizer on the texts of one epoch."""
    mixture, _ = load_data(recipe, corpora)
    drawn = mixture.epoch(1, recipe.training.seed)
    texts = (text for f, i, _ in drawn for text in mixture.pairs[f][i])
    train_tokenizer(texts, recipe.tokenizer, recipe.languages, run / TOKENIZER)
    return run / TOKENIZER


def make_trainer(
    recipe: Recipe, corpora: Sequence[Path], run: Path, start_from: Path | None = None
) -> tuple[Trainer, Pairs]:
    """A trainer that continues the run if it was begun, and the dev pairs.

    A new run can start from the weights and the tokenizer of a bundle. Raises BundleError, or
    WeightsError when they do not fit.
    """
    if start_from is not None and not (run / TOKENIZER).exists():
        remember_start(run, start_from)
    vocabulary = Vocabulary(run / TOKENIZER)
    mixture, dev = load_data(recipe, corpora)
    torch.manual_seed(recipe.training.seed)  # the first weights are part of the recipe too
    model = build_model(recipe.architecture, len(vocabulary), vocabulary.pad_id)
    stream = TrainingStream(mixture, vocabulary, recipe.training, recipe.augmentation)
    trainer = Trainer(model, stream, recipe.training, run)
    trainer.score = dev_scorer(trainer, dev[:SCORED_PAIRS], recipe)
    if not trainer.resume() and start_from is not None:
        checkpoint.load_into(trainer.model, bundle_weights(start_from))
    return trainer, dev


def train(
    trainer: Trainer,
    dev: Pairs,
    on_evaluation: Callable[[Trainer], None],
    deadline: float = math.inf,
) -> None:
    """Runs to the end or past a deadline, evaluating on the dev pairs in both directions."""
    languages = trainer.stream.mixture.languages
    examples = [example for pair in dev for example in both_ways(pair, languages)]
    encoded = encode_examples(examples, trainer.stream.vocabulary)
    trainer.train(encoded, lambda _: on_evaluation(trainer), deadline)


def dev_scorer(trainer: Trainer, pairs: Pairs, recipe: Recipe) -> Callable[[], dict[str, float]]:
    """Greedy BLEU and chrF2++ of the model in training, by direction."""

    def score() -> dict[str, float]:
        vocabulary = trainer.stream.vocabulary
        options = DecodingOptions(max_target_length=recipe.training.max_length)
        scores = {}
        for source, target in recipe.directions:
            order = recipe.languages.index(source)
            inputs = [
                SearchInput(vocabulary.encode_source(pair[order], target), options)
                for pair in pairs
            ]
            texts = [""] * len(pairs)
            model = TorchModel(trainer.model, vocabulary.pad_id)
            for index, found in search(model, inputs, vocabulary.bos_id, vocabulary.eos_id):
                texts[index] = vocabulary.decode(found[0].ids)
            references = [pair[1 - order] for pair in pairs]
            for figure in figures(texts, references, target):
                scores[f"{figure.metric} {source}-{target}"] = round(figure.value, 2)
        return scores

    return score


def data_sets(recipe: Recipe, corpora: Sequence[Path]) -> Iterator[DataSet]:
    """What the recipe trains on, for the manifest and the model card."""
    for file in recipe.train:
        yield DataSet(file.path, file.licence, len(load_pairs(corpora, file)))


def choose_alignment(trained: Run, pairs: Pairs) -> str:
    """Lets a Transformer align by its best heads; says what was chosen."""
    if not isinstance(trained.model, Transformer):
        return "alignment: the model's own attention" if trained.model.aligns else "no attention"
    examples = [e for pair in pairs for e in both_ways(pair, trained.recipe.languages)]
    accuracy = choose_heads(trained.model, encode_examples(examples, trained.vocabulary))
    heads = ", ".join(f"{head} of layer {layer}" for layer, head in trained.model.alignment_heads)
    return f"alignment: head {heads}; the best finds {accuracy:.0%} of the pieces that both share"
