"""The models that are measured: the shipped one, and standard shapes with random weights.

A random model takes the way of a trained one, fused graphs and calibrated quantisation. It
translates nothing, but its products are as large and its graphs are the same.
"""

from dataclasses import dataclass
from pathlib import Path

import torch

from model_export.architectures import build_model
from model_export.architectures.model import TranslationModel
from model_export.architectures.transformer import Transformer
from model_export.checkpoint import load_into
from model_export.export import (
    DECODER,
    ENCODER,
    TOKENIZER,
    Run,
    bundle_weights,
    make_manifest,
)
from model_export.graphs.fused_transformer import FusedTransformer
from model_export.graphs.module import round_weights, save_graph
from model_export.importers.tokenizers import Model
from model_export.quantisation import quantise_bundle
from model_export.recipe import Recipe, TrainingRecipe, TransformerRecipe, load_recipe
from service.engine.bundle import load_bundle, write_manifest
from service.engine.vocabulary import Vocabulary

RECIPES = Path("model_export/recipes")
PIECES = 16_000
LONGEST = 64
PERCENTILE = 99.99


@dataclass(frozen=True, slots=True)
class Measured:
    """One model in its three forms, which hold the same weights."""

    name: str
    architecture: TransformerRecipe
    float32: Path
    int8: Path
    module: TranslationModel


def describe(measured: Measured) -> str:
    """Its sizes in words."""
    a = measured.architecture
    pieces = load_bundle(measured.int8).manifest.vocabulary.size
    return (
        f"{a.encoder_layers} + {a.decoder_layers} layers, width {a.width}, feed-forward "
        f"{a.feed_forward_width}, {a.heads} heads, {pieces:,} pieces, {a.norm_placement}-norm"
    )


def shipped(weights: Path, bundle: Path) -> Measured:
    """A trained Transformer, its module filled from the bundle."""
    recipe = load_recipe(RECIPES / load_bundle(weights).manifest.provenance.recipe)
    assert isinstance(recipe.architecture, TransformerRecipe)
    vocabulary = Vocabulary(weights / TOKENIZER)
    module = build_model(recipe.architecture, len(vocabulary), vocabulary.pad_id)
    load_into(module, bundle_weights(weights))
    return Measured("shipped", recipe.architecture, weights, bundle, module.eval())


def standard(
    decoder_layers: int, tokenizer: Path, texts: list[tuple[str, str]], folder: Path
) -> Measured:
    """The base model of "Attention Is All You Need" with random weights, 6 encoder layers.

    `tokenizer` is extended to PIECES pieces; (text, target language) pairs calibrate int8.
    """
    name = f"base-6-{decoder_layers}"
    architecture = TransformerRecipe(
        "transformer",
        width=512,
        feed_forward_width=2048,
        heads=8,
        encoder_layers=6,
        decoder_layers=decoder_layers,
    )
    training = TrainingRecipe(updates=1, max_length=LONGEST)
    recipe = Recipe(name, "1", ("en", "ko"), training, architecture, train=())
    float32, int8 = folder / name / "float32", folder / name / "int8"
    float32.mkdir(parents=True)
    extend_tokenizer(tokenizer, float32 / TOKENIZER)
    vocabulary = Vocabulary(float32 / TOKENIZER)
    torch.manual_seed(1)
    module = build_model(architecture, len(vocabulary), vocabulary.pad_id).eval()
    assert isinstance(module, Transformer)
    round_weights(module)
    # Without the plain graph for alignment, whose export takes the longest.
    fused = FusedTransformer(module, longest=2 * LONGEST + 1)
    save_graph(fused.encoder(), float32 / ENCODER)
    save_graph(fused.decoder(), float32 / DECODER)
    run = Run(recipe, vocabulary, module, 0, 0, float32)
    write_manifest(float32, make_manifest(run, float32, fused.state_specs(), None))
    quantise_bundle(
        float32,
        int8,
        texts,
        pairs=(),
        percentile=PERCENTILE,
        tolerance=0.0,
        report=lambda _: None,
    )
    return Measured(name, architecture, float32, int8, module)


def extend_tokenizer(tokenizer: Path, to: Path, pieces: int = PIECES) -> None:
    """A SentencePiece model with more pieces, which no text contains."""
    model = Model.FromString(tokenizer.read_bytes())
    for number in range(len(model.pieces), pieces):
        model.pieces.add(piece=f"unused {number}", score=-100.0)
    to.write_bytes(model.SerializeToString())
