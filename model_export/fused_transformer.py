"""The Transformer as two graphs of ONNX Runtime's fused attention operators, for speed.

Same weights and same results as `architectures/transformer.py`, which stays the reference. The
decoder's self-attention writes into a cache that is never copied; cross-attention reads the
encoder's keys and values once for all beams of a sentence.
Shape letters: B sentences, K beams, R = B * K rows, S source length, M cache capacity, E width.
"""

import math

import numpy as np
import onnx
import torch
from onnx import helper, numpy_helper

from model_export.architectures.transformer import (
    AddNorm,
    DecoderLayer,
    EncoderLayer,
    MultiHeadAttention,
    Transformer,
    sinusoidal_positions,
)
from model_export.graph_builder import MICROSOFT, GraphBuilder
from service.engine.bundle import StateSpec


def can_fuse(model: Transformer) -> bool:
    """Whether the fused graphs cover this model's variant; its plain graphs always work."""
    config = model.config
    # GroupQueryAttention wants heads of a multiple of 8.
    fits = (config.width // config.heads) % 8 == 0
    return fits and config.activation == "relu" and not config.norm_embeddings


class FusedTransformer:
    """Writes the graphs of one model; `longest` is the last position that it can be asked for."""

    def __init__(self, model: Transformer, longest: int) -> None:
        self.model = model.eval().cpu()
        self.config = model.config
        self.longest = longest
        self.names = {id(p): f"model.{n}" for n, p in model.named_parameters()}
        self.modules = {id(m): f"model.{n}" for n, m in model.named_modules()}
        self.graph = GraphBuilder()

    def state_specs(self) -> tuple[StateSpec, ...]:
        """What the decoder keeps: the source's tensors, a row a sentence, and the caches."""
        heads, width = self.config.heads, self.config.width
        layers = range(self.config.decoder_layers)
        cross = [f"cross_{part}_{i}" for i in layers for part in ("key", "value")]
        past = [f"self_{part}_{i}" for i in layers for part in ("key", "value")]
        return (
            StateSpec("source_mask", "source", "bool", ("R", "S")),
            *(StateSpec(n, "source", "float32", ("R", "S", width)) for n in cross),
            *(StateSpec(n, "cache", "float32", ("R", heads, "M", width // heads)) for n in past),
        )

    def encoder(self) -> onnx.ModelProto:
        """source_ids [B, S] -> source_mask [B, S] and cross keys and values [B, S, E]."""
        self.graph = g = GraphBuilder()
        width = self.config.width
        ids = g.input("source_ids", "int64", ["B", "S"])
        real = g("Not", g("Equal", ids, g.constant(self.config.pad_id, "int64")))  # [B, S]
        lengths = self.source_lengths(real)
        length = g("Gather", g("Shape", ids), g.constant(1, "int64"))
        places = g("Range", g.constant(0, "int64"), length, g.constant(1, "int64"))  # [S]
        x = self.embed(ids, places, self.model.source_embedding)  # [B, S, E]
        for layer in self.model.encoder_layers:
            attention = layer.self_attention
            read = self.before(layer.self_attention_norm, x)
            query, key, value = (self.project(read, attention, part, 1) for part in range(3))
            looked = self.attend(query, key, value, lengths)
            x = self.joined(layer.self_attention_norm, x, looked, layer.self_attention)
            x = self.feed_forward(layer, x)
        memory = self.final_norm(x, "encoder_norm")
        g.output(real, "source_mask", "bool", ["B", "S"])
        for i, decoder_layer in enumerate(self.model.decoder_layers):
            for part, name in enumerate(("key", "value"), start=1):
                value = self.project(memory, decoder_layer.cross_attention, part, 1)
                g.output(value, f"cross_{name}_{i}", "float32", ["B", "S", width])
        return g.model()

    def decoder(self) -> onnx.ModelProto:
        """One step: ids [R], lengths [R], total_length, beam_size [1] and the state ->
        log_probs [R, 1, V] and the caches, grown by one position."""
        self.graph = g = GraphBuilder()
        heads, width = self.config.heads, self.config.width
        size = width // heads
        ids = g.input("ids", "int64", ["R"])
        lengths = g.input("lengths", "int32", ["R"])  # pieces before this one
        total = g.input("total_length", "int32", [])
        beam_size = g.input("beam_size", "int64", [1])
        mask = g.input("source_mask", "bool", ["B", "S"])
        source_lengths = self.source_lengths(mask)
        said = self.embed(ids, lengths, self.model.target_embedding)  # [R, E]
        x = g("Unsqueeze", said, g.constant([1], "int64"))  # [R, 1, E]
        by_sentence = g(
            "Concat", g.constant([-1], "int64"), beam_size, g.constant([width], "int64"), axis=0
        )
        for i, layer in enumerate(self.model.decoder_layers):
            past = [
                g.input(f"self_{part}_{i}", "float32", ["R", heads, "M", size])
                for part in ("key", "value")
            ]
            memory = [
                g.input(f"cross_{part}_{i}", "float32", ["B", "S", width])
                for part in ("key", "value")
            ]
            read = self.before(layer.self_attention_norm, x)
            packed = self.project(read, layer.self_attention, 0, 3)
            looked = g(
                "GroupQueryAttention",
                packed,
                "",
                "",
                *past,
                lengths,
                total,
                outputs=3,
                domain=MICROSOFT,
                num_heads=heads,
                kv_num_heads=heads,
            )
            for part, name in zip(("key", "value"), (f"{looked}.1", f"{looked}.2"), strict=True):
                g.output(name, f"next_self_{part}_{i}", "float32", ["R", heads, "M", size])
            x = self.joined(layer.self_attention_norm, x, looked, layer.self_attention)
            x = self.look_at_source(layer, x, memory, source_lengths, by_sentence)
            x = self.feed_forward(layer, x)
        hidden = self.final_norm(x, "decoder_norm")
        output = self.model.output
        logits = g.linear(hidden, "model.output", output.weight, output.bias)
        vocabulary = self.config.target_vocabulary_size
        log_probs = g("LogSoftmax", logits, axis=-1)
        g.output(log_probs, "log_probs", "float32", ["R", 1, vocabulary])
        return g.model()

    def aligner(self, plain: onnx.ModelProto) -> onnx.ModelProto:
        """Changes the plain decoder so that it reads the keys and values of this encoder."""
        heads, width = self.config.heads, self.config.width
        graph = plain.graph
        sizes = np.array([0, 0, heads, width // heads])
        graph.initializer.append(numpy_helper.from_array(sizes, "by_head"))
        for value in [v for v in graph.input if v.name.startswith("cross_")]:
            name, shape = value.name, value.type.tensor_type.shape
            for node in graph.node:
                node.input[:] = [f"{name}.turned" if i == name else i for i in node.input]
            apart = helper.make_node("Reshape", [name, "by_head"], [f"{name}.apart"])
            turn = ([f"{name}.apart"], [f"{name}.turned"])  # [R, S, H, D] -> [R, H, S, D]
            graph.node.insert(0, helper.make_node("Transpose", *turn, perm=[0, 2, 1, 3]))
            graph.node.insert(0, apart)
            axes = [shape.dim[0].dim_param, shape.dim[2].dim_param, width]
            value.CopyFrom(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, axes))
        return plain

    def embed(self, ids: str, places: str, table: torch.nn.Embedding) -> str:
        """Pieces and their positions: ids and places, of any axes that broadcast -> [.., E]."""
        g, width = self.graph, self.config.width
        # A tied table goes by the name of the output that it is tied to, as in the reference.
        name = self.names[id(table.weight)]
        if table.weight is self.model.output.weight:
            name = "model.output.weight"
        x = g("Gather", g.weight(name, table.weight), ids)
        if self.config.scale_embeddings:
            x = g("Mul", x, g.constant(math.sqrt(width), "float32"))
        every = sinusoidal_positions(torch.arange(self.longest), width, self.config.position_layout)
        return g("Add", x, g("Gather", g.weight("positions", every), places))

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
        """LayerNormalization over the last axis."""
        if isinstance(norm, torch.nn.Identity):
            return x
        assert isinstance(norm, torch.nn.LayerNorm)
        name = self.modules[id(norm)]
        weight = self.graph.weight(f"{name}.weight", norm.weight)
        bias = self.graph.weight(f"{name}.bias", norm.bias)
        return self.graph("LayerNormalization", x, weight, bias, axis=-1, epsilon=norm.eps)

    def final_norm(self, x: str, name: str) -> str:
        """The norm at the end of a pre-norm stack."""
        return self.layer_norm(x, getattr(self.model, name))

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

    def attend(self, query: str, key: str, value: str, lengths: str) -> str:
        """Multi-head attention of [B, T, E] to the first `lengths` [B] of [B, S, E]."""
        heads = self.config.heads
        inputs = (query, key, value, "", "", "", lengths)
        return self.graph("Attention", *inputs, q_num_heads=heads, kv_num_heads=heads)

    def look_at_source(
        self, layer: DecoderLayer, x: str, memory: list[str], lengths: str, by_sentence: str
    ) -> str:
        """Cross-attention: the beams of a sentence are queries side by side, [B, K, E]."""
        g, width = self.graph, self.config.width
        read = self.before(layer.cross_attention_norm, x)
        query = self.project(read, layer.cross_attention, 0, 1)
        looked = self.attend(g("Reshape", query, by_sentence), memory[0], memory[1], lengths)
        looked = g("Reshape", looked, g.constant([-1, 1, width], "int64"))  # [R, 1, E]
        return self.joined(layer.cross_attention_norm, x, looked, layer.cross_attention)

    def feed_forward(self, layer: EncoderLayer | DecoderLayer, x: str) -> str:
        """Two products with a ReLU between."""
        g, norm = self.graph, layer.feed_forward_norm
        inner, outer = layer.feed_forward.inner, layer.feed_forward.outer
        y = g.linear(self.before(norm, x), self.modules[id(inner)], inner.weight, inner.bias)
        y = g.linear(g("Relu", y), self.modules[id(outer)], outer.weight, outer.bias)
        return self.after(norm, x, y)
