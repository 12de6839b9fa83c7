"""What all graphs of a Transformer share: embeddings, projections, feed-forward, norms, and what
goes in and out. Every weight keeps the name that the module gives it.

Shape letters: A rows, T positions, B sentences, S source length, H heads, D head size, E width,
F feed-forward width, V vocabulary.
"""

import math

import onnx
import torch

from model_export.architectures.transformer import (
    GELU_SIGMOID,
    AddNorm,
    DecoderLayer,
    EncoderLayer,
    MultiHeadAttention,
    Transformer,
    sinusoidal_positions,
)
from model_export.graphs.attention import Relative, relative, split_heads
from model_export.graphs.builder import GraphBuilder


class TransformerGraph:
    """Writes parts of one model; `longest` is the last position that it can be asked for."""

    def __init__(self, model: Transformer, longest: int) -> None:
        self.model = model.eval().cpu()
        self.config = model.config
        self.longest = longest
        self.names = {id(p): f"model.{n}" for n, p in model.named_parameters()}
        self.modules = {id(m): f"model.{n}" for n, m in model.named_modules()}
        self.graph = GraphBuilder()

    def embed(self, side: str, ids: str, places: str) -> str:
        """Pieces and their positions: ids and places, of any axes that broadcast -> [.., E]."""
        g, width, layout = self.graph, self.config.width, self.config.position_layout
        pieces, positions, norm = self.model.sides[side]
        # A tied table goes by the name of the output that it is tied to, as in the reference.
        name = self.names[id(pieces.weight)]
        if pieces.weight is self.model.output.weight:
            name = "model.output.weight"
        x = g("Gather", g.weight(name, pieces.weight), ids)
        if self.config.scale_embeddings:
            x = g("Mul", x, g.constant(math.sqrt(width), "float32"))
        if positions is not None:
            name = f"{self.modules[id(positions)]}.weight"
            x = g("Add", x, g("Gather", g.weight(name, positions.weight), places))
        elif layout != "none":
            every = sinusoidal_positions(torch.arange(self.longest), width, layout)
            x = g("Add", x, g("Gather", g.weight("positions", every), places))
        return self.layer_norm(x, norm)

    def before(self, norm: AddNorm, x: str) -> str:
        """What a sublayer reads."""
        return self.layer_norm(x, norm.norm) if norm.pre else x

    def joined(self, norm: AddNorm, x: str, looked: str, attention: MultiHeadAttention) -> str:
        """An attention's output projection, added to the residual (and normalised, if post)."""
        name = self.modules[id(attention.output)]
        y = self.graph.linear(looked, name, attention.output.weight, attention.output.bias)
        return self.after(norm, x, y)

    def after(self, norm: AddNorm, x: str, y: str) -> str:
        """Add & Norm. Apart on purpose: fused into one operator it is slower on CPUs."""
        total = self.graph("Add", x, y)
        return total if norm.pre else self.layer_norm(total, norm.norm)

    def layer_norm(self, x: str, norm: torch.nn.Module) -> str:
        """LayerNormalization over the last axis; nothing where the model has none."""
        if isinstance(norm, torch.nn.Identity):
            return x
        assert isinstance(norm, torch.nn.LayerNorm)
        name = self.modules[id(norm)]
        weight = self.graph.weight(f"{name}.weight", norm.weight)
        bias = self.graph.weight(f"{name}.bias", norm.bias)
        return self.graph("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.eps)

    def project(self, x: str, attention: MultiHeadAttention, first: int, count: int) -> str:
        """`count` of query, key and value, from `first` on, side by side: [A, T, count * E].

        Products apart are cheaper than to split what one product gives, if rows are many.
        """
        g, packed, width = self.graph, attention.query_key_value, self.config.width
        name = self.modules[id(packed)]
        weight = g.weight(f"{name}.weight", packed.weight)
        bias = g.weight(f"{name}.bias", packed.bias)
        if count < 3:
            start, end = first * width, (first + count) * width
            span = (
                g.constant([start], "int64"),
                g.constant([end], "int64"),
                g.constant([0], "int64"),
            )
            weight, bias = g("Slice", weight, *span), g("Slice", bias, *span)
        y = g("MatMul", x, g("Transpose", weight, perm=[1, 0]))
        return g("Add", y, bias)

    def source_lengths(self, mask: str) -> str:
        """`mask` [B, S], True at real pieces, which come first -> how many they are, int64 [B]."""
        g = self.graph
        ones = g("Cast", mask, to=onnx.TensorProto.INT64)
        return g("ReduceSum", ones, g.constant([1], "int64"), keepdims=0)

    def feed_forward(self, layer: EncoderLayer | DecoderLayer, x: str) -> str:
        """Two products with an activation between."""
        g, norm = self.graph, layer.feed_forward_norm
        inner, outer = layer.feed_forward.inner, layer.feed_forward.outer
        y = g.linear(self.before(norm, x), self.modules[id(inner)], inner.weight, inner.bias)
        y = g.linear(self.activate(y), self.modules[id(outer)], outer.weight, outer.bias)
        return self.after(norm, x, y)

    def activate(self, x: str) -> str:
        """The activation [A, T, F]; the runtime makes one operator of a product with a sigmoid."""
        g = self.graph
        match self.config.activation:
            case "relu":
                return g("Relu", x)
            case "gelu":
                return g("Gelu", x)
            case "gelu_tanh":
                return g("Gelu", x, approximate="tanh")
            case "swish":
                return g("Mul", x, g("Sigmoid", x))
            case "gelu_sigmoid":
                steeper = g("Mul", x, g.constant(GELU_SIGMOID, "float32"))
                return g("Mul", x, g("Sigmoid", steeper))

    def log_probs(self, x: str) -> str:
        """The output layer: [A, T, E] -> [A, T, V]."""
        hidden = self.layer_norm(x, self.model.decoder_norm)
        output = self.model.output
        logits = self.graph.linear(hidden, "model.output", output.weight, output.bias)
        return self.graph("LogSoftmax", logits, axis=-1)

    @property
    def head_size(self) -> int:
        """D."""
        return self.config.width // self.config.heads

    @property
    def vocabulary(self) -> int:
        """V."""
        return self.config.target_vocabulary_size

    def past_inputs(self, number: int, length: str) -> list[str]:
        """Keys and values of what has been said, [R, H, `length`, D]."""
        shape: list[str | int] = ["R", self.config.heads, length, self.head_size]
        return [
            self.graph.input(f"self_{part}_{number}", "float32", shape) for part in ("key", "value")
        ]

    def memory_inputs(self, number: int, rows: str) -> list[str]:
        """Keys and values of the source, [`rows`, S, E]."""
        shape: list[str | int] = [rows, "S", self.config.width]
        return [
            self.graph.input(f"cross_{part}_{number}", "float32", shape)
            for part in ("key", "value")
        ]

    def present_outputs(self, number: int, key: str, value: str, length: str) -> None:
        """What has been said, with the piece of this step."""
        shape: list[str | int] = ["R", self.config.heads, length, self.head_size]
        for part, name in (("key", key), ("value", value)):
            self.graph.output(name, f"next_self_{part}_{number}", "float32", shape)

    def count(self, length: str) -> str:
        """Positions 0, 1, .. before `length`, an int64 without axes."""
        g = self.graph
        return g("Range", g.constant(0, "int64"), length, g.constant(1, "int64"))

    def by_head(self, query: str, key: str, value: str) -> tuple[str, str, str]:
        """[A, T, E] each -> [A, H, T, D]."""
        query, key, value = (
            split_heads(self.graph, x, self.config.heads) for x in (query, key, value)
        )
        return query, key, value

    def near(self, attention: MultiHeadAttention, queries: str, keys: str) -> Relative | None:
        """Relative positions of queries [A or 1, T, 1] and keys [S], if the model has any."""
        found = attention.relative
        if found is None:
            return None
        return relative(self.graph, self.modules[id(found)], found, queries, keys)
