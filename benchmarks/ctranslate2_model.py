"""Our Transformer's weights as a CTranslate2 model, so that both engines run the same network."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
from ctranslate2.specs import common_spec, transformer_spec
from numpy.typing import NDArray
from onnx import numpy_helper

from model_export.recipe import TransformerRecipe

Weights = dict[str, NDArray[np.float32]]


def read_weights(bundle: Path) -> Weights:
    """The float32 weights of a bundle's graphs by their names in the PyTorch module."""
    weights: Weights = {}
    for name in ("encoder.onnx", "decoder.onnx"):
        for tensor in onnx.load(bundle / name).graph.initializer:
            if tensor.name.startswith("model."):
                plain = tensor.name.removeprefix("model.").removesuffix(".half")
                weights[plain] = numpy_helper.to_array(tensor).astype(np.float32)
    return weights


def positions(length: int, width: int) -> NDArray[np.float32]:
    """Sines and cosines of section 3.5 of "Attention Is All You Need", alternating."""
    frequency = np.exp(np.arange(width // 2) * (-np.log(10000.0) * 2 / width))
    angle = np.arange(length)[:, None] * frequency[None, :]
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1).reshape(length, width).astype("f4")


def convert(
    weights: Weights, architecture: TransformerRecipe, pieces: Sequence[str], to: Path
) -> None:
    """Writes a CTranslate2 model directory, float32; other types are made of it as it is opened."""
    table = weights["output.weight"]
    width, pre = table.shape[1], architecture.norm_placement == "pre"
    layers = architecture.encoder_layers, architecture.decoder_layers
    spec = transformer_spec.TransformerSpec.from_config(layers, architecture.heads, pre_norm=pre)
    for side, count in (("encoder", layers[0]), ("decoder", layers[1])):
        part = getattr(spec, side)
        embeddings = part.embeddings[0] if side == "encoder" else part.embeddings
        embeddings.weight = table
        part.scale_embeddings = True
        part.position_encodings.encodings = positions(512, width)
        if pre:  # a post-norm stack ends with a norm anyway
            _norm(part.layer_norm, weights, f"{side}_norm")
        for i in range(count):
            layer, name = part.layer[i], f"{side}.{i}"
            _attention(layer.self_attention, weights, f"{name}.self_attention", split=False)
            if side == "decoder":
                _attention(layer.attention, weights, f"{name}.cross_attention", split=True)
            _norm(layer.ffn.layer_norm, weights, f"{name}.feed_forward_norm.norm")
            _linear(layer.ffn.linear_0, weights, f"{name}.feed_forward.inner")
            _linear(layer.ffn.linear_1, weights, f"{name}.feed_forward.outer")
    spec.decoder.projection.weight = table
    spec.register_source_vocabulary(list(pieces))
    spec.register_target_vocabulary(list(pieces))
    spec.config.bos_token, spec.config.eos_token = pieces[2], pieces[3]
    spec.config.unk_token = pieces[1]
    spec.config.decoder_start_token = pieces[2]
    spec.config.add_source_bos = spec.config.add_source_eos = False
    spec.validate()
    spec.optimize(quantization=None)
    to.mkdir(parents=True, exist_ok=True)
    spec.save(str(to))


def _norm(spec: common_spec.LayerNormSpec, weights: Weights, name: str) -> None:
    spec.gamma, spec.beta = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _linear(spec: common_spec.LinearSpec, weights: Weights, name: str) -> None:
    spec.weight, spec.bias = weights[f"{name}.weight"], weights[f"{name}.bias"]


def _attention(spec: object, weights: Weights, name: str, split: bool) -> None:
    packed = weights[f"{name}.query_key_value.weight"]
    bias = weights[f"{name}.query_key_value.bias"]
    width = packed.shape[1]
    cuts = [(0, width), (width, 3 * width)] if split else [(0, 3 * width)]
    for linear, (start, end) in zip(spec.linear, cuts, strict=False):  # type: ignore[attr-defined]
        linear.weight, linear.bias = packed[start:end], bias[start:end]
    _linear(spec.linear[-1], weights, f"{name}.output")  # type: ignore[attr-defined]
    _norm(spec.layer_norm, weights, f"{name}_norm.norm")  # type: ignore[attr-defined]
