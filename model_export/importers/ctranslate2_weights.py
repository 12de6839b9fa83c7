"""The layout of a Transformer in CTranslate2's file: its weights by our names, and what it is."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from model_export.architectures.transformer import Activation, TransformerConfig
from model_export.importers.imported import Array, Side, Weights
from model_export.importers.tensors import Linear, Tensors, attention, linear, some

ACTIVATIONS: tuple[Activation, ...] = ("relu", "gelu_tanh", "swish", "gelu", "gelu_sigmoid")
"""By the number that stands for an activation."""
POSITIONS = 1024
PLAIN = {
    "multi_query_attention": 0,
    "alibi": 0,
    "alibi_use_positive_positions": 0,
    "scale_alibi": 0,
    "scale_outputs": 0,
}
"""Flags that are understood at one value only."""


class SpecReader:
    """Weights by the names of the spec. Sizes are those that the weights have."""

    def __init__(
        self,
        variables: Mapping[str, Any],
        sides: tuple[Side, Side],
        config: Mapping[str, Any],
        faults: list[str],
    ) -> None:
        self.variables, self.config, self.faults = variables, config, faults
        self.sides = sides
        self.tensors = Tensors(variables, faults)
        self.sizes = len(sides[0].pieces), len(sides[1].pieces)
        self.tables = (
            self.name("encoder/embeddings_0/weight", "encoder/embeddings/weight"),
            "decoder/embeddings/weight",
        )
        self.width = self.axis(self.tables[0], 1)
        self.inner = self.axis("encoder/layer_0/ffn/linear_0/weight", 0)
        self.heads = int(self.scalar("encoder/num_heads", 8))
        self.layers = [self.count(side) for side in ("encoder", "decoder")]
        self.pre = bool(self.scalar("encoder/pre_norm", 1))
        self.normed = "encoder/layernorm_embedding/gamma" in variables
        self.relative = self.axis("encoder/layer_0/self_attention/relative_position_keys", 0) // 2
        self.note_unsupported()

    def note_unsupported(self) -> None:
        """All options that are not understood, by their names."""
        faults = self.faults
        if not 0 < self.heads <= self.width or self.width % (2 * self.heads):
            faults.append(f"width {self.width} is not a multiple of twice the {self.heads} heads")
            self.heads = 1
        if not all(self.layers):
            faults.append("encoder or decoder has no layers")
        for side in ("encoder", "decoder"):
            for name, plain in PLAIN.items():
                if self.scalar(f"{side}/{name}", plain) != plain:
                    faults.append(f"option {side}/{name} is not supported")
            self.scalar(f"{side}/embeddings_merge", 0)
        for name, default in (("num_heads", 8), ("pre_norm", 1), ("activation", 0)):
            if len({self.scalar(f"{side}/{name}", default) for side in ("encoder", "decoder")}) > 1:
                faults.append(f"encoder and decoder have another {name}, which is not supported")
        if not 0 <= int(self.scalar("encoder/activation", 0)) < len(ACTIVATIONS):
            faults.append(f"activation {self.scalar('encoder/activation', 0)} is not supported")
        scale = self.scale("encoder")
        if scale != self.scale("decoder"):
            faults.append("encoder and decoder scale their embeddings otherwise: not supported")
        elif not any(math.isclose(scale, usual, rel_tol=1e-4) for usual in (1.0, self.root)):
            faults.append(f"embeddings are scaled by {scale:g}, which is not supported")
        if self.pre and "encoder/layer_norm/gamma" not in self.variables:
            faults.append("pre-norm without a norm at the end is not supported")

    def name(self, *names: str) -> str:
        """The first of these names that there is."""
        return next((name for name in names if name in self.variables), names[0])

    def axis(self, name: str, axis: int) -> int:
        """The size of a weight along an axis; 0 if there is none."""
        found = self.variables.get(name)
        return int(found.shape[axis]) if found is not None and found.ndim > axis else 0

    def scalar(self, name: str, default: float) -> float:
        """A number that the file holds."""
        self.tensors.ignore(name)
        found = self.variables.get(name)
        if found is None or not found.size:
            return default
        value = float(found.reshape(-1)[0])
        if not math.isfinite(value):
            self.faults.append(f"{name} is {value}, not a number")
            return default
        return value

    def count(self, side: str) -> int:
        """Layers of a side."""
        prefix = f"{side}/layer_"
        found = {n.split("/")[1] for n in self.variables if n.startswith(prefix)}
        return len({each for each in found if each.removeprefix("layer_").isdigit()})

    def scale(self, side: str) -> float:
        """What pieces' vectors are multiplied by: the root of their width if a flag says so, which
        is a whole number, or any other number."""
        names = f"{side}/scale_embeddings", f"{side}/embeddings/multiply_by_sqrt_depth"
        name = self.name(*names)
        self.tensors.ignore(*names)
        scale = self.scalar(name, 1)
        if name in self.variables and self.variables[name].dtype.kind == "f":
            return scale
        return self.root if scale else 1.0

    @property
    def root(self) -> float:
        """The square root of the width."""
        return math.sqrt(self.width)

    def start(self) -> str | None:
        """The target piece that decoding starts with."""
        piece = self.config["decoder_start_token"]
        if piece not in self.sides[1].pieces:
            self.faults.append(
                f"config.json: decoder_start_token {piece!r} is not in the vocabulary"
            )
        return str(piece)

    def alignment_heads(self) -> tuple[tuple[int, int], ...]:
        """The heads that the file says align."""
        layer = int(self.scalar("decoder/alignment_layer", -1)) % self.layers[1]
        count = min(int(self.scalar("decoder/alignment_heads", 1)) or self.heads, self.heads)
        return tuple((layer, head) for head in range(count))

    def transformer(self, tied: bool) -> TransformerConfig:
        """The spec in our words."""
        return TransformerConfig(
            source_vocabulary_size=self.sizes[0],
            target_vocabulary_size=self.sizes[1],
            pad_id=0,
            width=self.width,
            feed_forward_width=self.inner,
            heads=self.heads,
            encoder_layers=self.layers[0],
            decoder_layers=self.layers[1],
            activation=ACTIVATIONS[int(self.scalar("encoder/activation", 0))],
            norm_placement="pre" if self.pre else "post",
            norm_embeddings=self.normed,
            norm_epsilon=float(self.config["layer_norm_epsilon"] or 1e-5),
            position_layout="none" if self.relative else "table",
            positions=0 if self.relative else self.places("encoder").shape[0],
            relative_positions=self.relative,
            scale_embeddings=not math.isclose(self.scale("encoder"), 1.0, rel_tol=1e-4),
            share_embeddings=False,
            tie_output=tied,
            output_bias=True,
        )

    def places(self, side: str) -> Array:
        """The table of positions, or the sinusoids that stand for none: they count from 1."""
        name = f"{side}/position_encodings/encodings"
        rows = [self.axis(f"{s}/position_encodings/encodings", 0) for s in ("encoder", "decoder")]
        count = min([row for row in rows if row] + [POSITIONS])
        if name in self.variables:
            return self.tensors.take(name, self.axis(name, 0), self.width)[:count]
        half = self.width // 2
        frequency = np.exp(np.arange(half) * -(math.log(10000.0) / max(half - 1, 1)))
        angle = np.arange(1, count + 1)[:, None] * frequency[None, :]
        return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)

    def weights(self) -> Weights:
        """All weights by our names; what is missing or left over is a fault."""
        (source, target), width, tensors = self.sizes, self.width, self.tensors
        table = tensors.take(self.tables[1], target, width)
        output = tensors.take("decoder/projection/weight", target, width)
        bias = tensors.maybe("decoder/projection/bias", target)
        weights: Weights = {
            "source_embedding.weight": tensors.take(self.tables[0], source, width),
            "target_embedding.weight": table,
            "output.bias": np.zeros(target, np.float32) if bias is None else bias,
        }
        if not np.array_equal(table, output):
            weights["output.weight"] = output
        if not self.relative:
            weights["source_positions.weight"] = self.places("encoder")
            weights["target_positions.weight"] = self.places("decoder")
        for ours, side in (("source", "encoder"), ("target", "decoder")):
            if self.normed:
                weights |= self.norm(f"{ours}_norm", f"{side}/layernorm_embedding")
            if self.pre:
                weights |= self.norm(f"{side}_norm", f"{side}/layer_norm")
        for side, count in zip(("encoder", "decoder"), self.layers, strict=True):
            for number in range(count):
                weights |= self.layer(f"{side}.{number}", f"{side}/layer_{number}")
        tensors.ignore("decoder/start_from_zero_embedding")
        tensors.ignore("decoder/alignment_layer", "decoder/alignment_heads")
        self.faults += self.left_over()
        return weights

    def left_over(self) -> Iterator[str]:
        """Weights that belong to options which are not understood, by the options' names."""
        names = {name.split("/layer_")[-1].split("/", 1)[-1] for name in self.tensors.unread}
        if names:
            yield f"options or weights that are not supported: {some(sorted(names))}"

    def norm(self, ours: str, theirs: str) -> Weights:
        """Scale and shift."""
        take = self.tensors.take
        return linear(
            ours, (take(f"{theirs}/gamma", self.width), take(f"{theirs}/beta", self.width))
        )

    def product(self, name: str, *shape: int) -> Linear:
        """Weight and bias; a bias that is not there is zero."""
        bias = self.tensors.maybe(f"{name}/bias", shape[0])
        weight = self.tensors.take(f"{name}/weight", *shape)
        return weight, np.zeros(shape[0], np.float32) if bias is None else bias

    def layer(self, ours: str, theirs: str) -> Weights:
        """One layer of encoder or decoder."""
        width, inner, name = self.width, self.inner, f"{theirs}/self_attention"
        packed = self.product(f"{name}/linear_0", 3 * width, width)
        parts = [(packed[0][i : i + width], packed[1][i : i + width]) for i in self.thirds]
        output = self.product(f"{name}/linear_1", width, width)
        weights = attention(f"{ours}.self_attention", parts[0], parts[1], parts[2], output)
        weights |= self.norm(f"{ours}.self_attention_norm.norm", f"{name}/layer_norm")
        weights |= self.relative_tables(f"{ours}.self_attention.relative", name)
        self.check_scale(name)
        if ours.startswith("decoder"):
            weights |= self.cross_attention(ours, f"{theirs}/attention")
        return {
            **weights,
            **linear(
                f"{ours}.feed_forward.inner", self.product(f"{theirs}/ffn/linear_0", inner, width)
            ),
            **linear(
                f"{ours}.feed_forward.outer", self.product(f"{theirs}/ffn/linear_1", width, inner)
            ),
            **self.norm(f"{ours}.feed_forward_norm.norm", f"{theirs}/ffn/layer_norm"),
        }

    @property
    def thirds(self) -> range:
        """Where query, key and value begin that stand side by side."""
        return range(0, 3 * self.width, self.width or 1)

    def cross_attention(self, ours: str, name: str) -> Weights:
        """The decoder's attention to the source: key and value stand side by side."""
        width = self.width
        query = self.product(f"{name}/linear_0", width, width)
        packed = self.product(f"{name}/linear_1", 2 * width, width)
        key, value = ((packed[0][i : i + width], packed[1][i : i + width]) for i in (0, width))
        output = self.product(f"{name}/linear_2", width, width)
        self.check_scale(name)
        return {
            **attention(f"{ours}.cross_attention", query, key, value, output),
            **self.norm(f"{ours}.cross_attention_norm.norm", f"{name}/layer_norm"),
        }

    def relative_tables(self, ours: str, theirs: str) -> Weights:
        """Tables of relative positions, if the model has any."""
        if not self.relative:
            return {}
        shape = 2 * self.relative + 1, self.width // self.heads
        return {
            f"{ours}.{part}": self.tensors.take(f"{theirs}/relative_position_{part}", *shape)
            for part in ("keys", "values")
        }

    def check_scale(self, name: str) -> None:
        """An attention may have a scale of its own, which must be the usual one."""
        usual = (self.width // self.heads) ** -0.5
        if abs(self.scalar(f"{name}/queries_scale", usual) - usual) > 1e-6:
            self.faults.append(f"option {name}/queries_scale is not supported")
