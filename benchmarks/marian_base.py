"""A CTranslate2 directory of the shape that most of OPUS-MT's models have, with random weights: it
translates nothing, but costs what they cost."""

import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ctranslate2.specs import common_spec, model_spec, transformer_spec

from benchmarks.shapes import extend_tokenizer
from model_export.importers.tokenizers import Kinds, Model

SPREAD = 0.05


@dataclass(frozen=True, slots=True)
class Shape:
    """What a model costs."""

    layers: int = 6
    """Of the encoder, and as many of the decoder."""
    width: int = 512
    feed_forward_width: int = 2048
    heads: int = 8
    pieces: int = 58_100
    """Of one vocabulary for both languages."""


def write_marian_base(folder: Path, tokenizer: Path, shape: Shape = Shape()) -> None:
    """Writes what CTranslate2's converter makes of a Marian model, and SentencePiece models beside
    it: `tokenizer` with more pieces, which no text contains."""
    folder.mkdir(parents=True)
    pieces = _write_tokenizers(tokenizer, folder, shape.pieces)
    spec = transformer_spec.TransformerSpec.from_config(
        shape.layers, shape.heads, pre_norm=False, activation=common_spec.Activation.SWISH
    )
    rng = np.random.default_rng(0)
    for name, value in spec.variables().items():
        if value is None:
            owner, _, part = name.rpartition("/")
            _fill(model_spec.index_spec(spec, owner), owner, part, rng, shape)
    table = spec.encoder.embeddings[0].weight
    spec.decoder.embeddings.weight = spec.decoder.projection.weight = table
    spec.decoder.projection.bias = np.zeros(shape.pieces, np.float32)
    spec.decoder.start_from_zero_embedding = True
    spec.config.add_source_eos = True
    spec.config.decoder_start_token = "</s>"
    spec.register_source_vocabulary(pieces)
    spec.register_target_vocabulary(pieces)
    spec.validate()
    spec.optimize()
    spec.save(str(folder))


def _fill(
    spec: model_spec.LayerSpec, name: str, part: str, rng: np.random.Generator, shape: Shape
) -> None:
    """Sets a norm, or the weight of a product and its bias."""
    width, inner = shape.width, shape.feed_forward_width
    sizes = {
        "self_attention/linear_0": (3 * width, width),
        "attention/linear_1": (2 * width, width),
        "ffn/linear_0": (inner, width),
        "ffn/linear_1": (width, inner),
    }
    if part != "weight":
        setattr(spec, part, np.full(width, part == "gamma", np.float32))
    elif "linear" in name:
        found = sizes.get("/".join(name.split("/")[-2:]), (width, width))
        spec.weight = rng.normal(0, SPREAD, found).astype(np.float32)
        spec.bias = np.zeros(found[0], np.float32)
    else:
        spec.weight = rng.normal(0, SPREAD, (shape.pieces, width)).astype(np.float32)


def _write_tokenizers(tokenizer: Path, folder: Path, count: int) -> list[str]:
    """As many pieces as there should be, those of Marian first."""
    special = [p for p in Model.FromString(tokenizer.read_bytes()).pieces if p.type != Kinds.NORMAL]
    source = folder / "source.spm"
    extend_tokenizer(tokenizer, source, count - 2 + len(special))
    shutil.copyfile(source, folder / "target.spm")
    pieces = Model.FromString(source.read_bytes()).pieces
    return ["</s>", "<unk>", *(each.piece for each in pieces if each.type == Kinds.NORMAL)]
