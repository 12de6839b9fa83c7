"""The Transformer as two graphs of ONNX Runtime's fused attention operators, for speed.

Same weights and same results as `architectures/transformer.py`, which stays the reference. The
decoder's self-attention writes into a cache that is never copied; cross-attention reads the
encoder's keys and values once for all beams of a sentence. What the fused operators cannot express
is spelled out (`attention_graph.py`).
Shape letters: B sentences, K beams, R = B * K rows, S source length, T target length so far,
M cache capacity, H heads, D head size, E width, V vocabulary.
"""

import onnx

from model_export.architectures.transformer import DecoderLayer, MultiHeadAttention
from model_export.graphs.attention import attend, bar
from model_export.graphs.builder import MICROSOFT, GraphBuilder
from model_export.graphs.transformer import TransformerGraph
from service.engine.bundle import StateSpec

HEAD_STEP = 8
"""The fused self-attention with a cache wants heads of a multiple of this size."""


class FusedTransformer(TransformerGraph):
    """Writes encoder and decoder of one model."""

    def state_specs(self) -> tuple[StateSpec, ...]:
        """What the decoder keeps: the source's tensors, a row a sentence, and the caches."""
        heads, width = self.config.heads, self.config.width
        layers = range(self.config.decoder_layers)
        cross = [f"cross_{part}_{i}" for i in layers for part in ("key", "value")]
        past = [f"self_{part}_{i}" for i in layers for part in ("key", "value")]
        return (
            StateSpec("source_mask", "source", "bool", ("R", "S")),
            *(StateSpec(n, "source", "float32", ("R", "S", width)) for n in cross),
            *(StateSpec(n, "cache", "float32", ("R", heads, "M", self.head_size)) for n in past),
        )

    def encoder(self) -> onnx.ModelProto:
        """source_ids [B, S] -> source_mask [B, S] and cross keys and values [B, S, E]."""
        self.graph = g = GraphBuilder()
        width = self.config.width
        ids = g.input("source_ids", "int64", ["B", "S"])
        real = g("Not", g("Equal", ids, g.constant(self.config.pad_id, "int64")))  # [B, S]
        places = self.count(g("Gather", g("Shape", ids), g.constant(1, "int64")))  # [S]
        x = self.embed("source", ids, places)  # [B, S, E]
        lengths = self.source_lengths(real)
        for layer in self.model.encoder_layers:
            attention = layer.self_attention
            read = self.before(layer.self_attention_norm, x)
            query, key, value = (self.project(read, attention, part, 1) for part in range(3))
            if attention.relative is None:
                looked = self.attend(query, key, value, lengths)
            else:
                barred = bar(g, g("Unsqueeze", real, g.constant([1, 2], "int64")))  # [B, 1, 1, S]
                queries = g("Unsqueeze", places, g.constant([0, 2], "int64"))  # [1, S, 1]
                near = self.near(attention, queries, places)
                looked, _ = attend(g, self.by_head(query, key, value), self.head_size, barred, near)
            x = self.joined(layer.self_attention_norm, x, looked, attention)
            x = self.feed_forward(layer, x)
        memory = self.layer_norm(x, self.model.encoder_norm)
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
        ids = g.input("ids", "int64", ["R"])
        lengths = g.input("lengths", "int32", ["R"])  # pieces before this one
        total = g.input("total_length", "int32", [])
        beam_size = g.input("beam_size", "int64", [1])
        mask = g.input("source_mask", "bool", ["B", "S"])
        source_lengths = self.source_lengths(mask)
        by_sentence = g(
            "Concat",
            g.constant([-1], "int64"),
            beam_size,
            g.constant([self.config.width], "int64"),
            axis=0,
        )
        x = g("Unsqueeze", self.embed("target", ids, lengths), g.constant([1], "int64"))
        for i, layer in enumerate(self.model.decoder_layers):
            past, memory = self.past_inputs(i, "M"), self.memory_inputs(i, "B")
            read = self.before(layer.self_attention_norm, x)
            if layer.self_attention.relative is None and self.head_size % HEAD_STEP == 0:
                looked = self.look_back(i, layer.self_attention, read, past, (lengths, total))
            else:
                looked = self.spell_out_past(i, layer.self_attention, read, past, lengths)
            x = self.joined(layer.self_attention_norm, x, looked, layer.self_attention)
            x = self.look_at_source(layer, x, memory, source_lengths, by_sentence)
            x = self.feed_forward(layer, x)
        g.output(self.log_probs(x), "log_probs", "float32", ["R", 1, self.vocabulary])
        return g.model()

    def attend(self, query: str, key: str, value: str, lengths: str) -> str:
        """Multi-head attention of [B, T, E] to the first `lengths` [B] of [B, S, E]."""
        heads = self.config.heads
        inputs = (query, key, value, "", "", "", lengths)
        return self.graph("Attention", *inputs, q_num_heads=heads, kv_num_heads=heads)

    def look_back(
        self,
        number: int,
        attention: MultiHeadAttention,
        read: str,
        past: list[str],
        lengths: tuple[str, str],
    ) -> str:
        """Self-attention with the cache written in place, all in one operator."""
        g, heads = self.graph, self.config.heads
        packed = self.project(read, attention, 0, 3)
        inputs = (packed, "", "", *past, *lengths)
        sizes = {"num_heads": heads, "kv_num_heads": heads}
        looked = g("GroupQueryAttention", *inputs, outputs=3, domain=MICROSOFT, **sizes)
        self.present_outputs(number, f"{looked}.1", f"{looked}.2", "M")
        return looked

    def spell_out_past(
        self, number: int, attention: MultiHeadAttention, read: str, past: list[str], lengths: str
    ) -> str:
        """The same in plain operators. Where a cache comes out in the memory in which it went in,
        the runtime writes the new position only."""
        g = self.graph
        parts = self.by_head(*(self.project(read, attention, part, 1) for part in range(3)))
        places = g("Cast", lengths, to=onnx.TensorProto.INT64)
        place = g("Reshape", places, g.constant([-1, 1, 1, 1], "int64"))
        where = g("Expand", place, g("Shape", parts[1]))  # [R, H, 1, D]
        key, value = (
            g("ScatterElements", before, where, new, axis=2)
            for before, new in zip(past, parts[1:], strict=True)
        )
        self.present_outputs(number, key, value, "M")
        every = self.count(g("Gather", g("Shape", key), g.constant(2, "int64")))  # [M]
        barred = bar(g, g("LessOrEqual", every, place))  # [R, 1, 1, M]
        near = self.near(attention, g("Squeeze", place, g.constant([3], "int64")), every)
        return attend(g, (parts[0], key, value), self.head_size, barred, near)[0]

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
