"""A Transformer's aligner: a plain decoder that tells what it looked at.

It reads the same state as the fused decoder, but its caches grow by concatenation, all rows at the
same length. Shape letters: R rows, S source length, T target length so far, E width, V vocabulary.
"""

import onnx

from model_export.architectures.transformer import MultiHeadAttention
from model_export.graphs.attention import attend, bar
from model_export.graphs.builder import GraphBuilder
from model_export.graphs.transformer import TransformerGraph


class AlignerGraph(TransformerGraph):
    """Writes the aligner of one model."""

    def aligner(self) -> onnx.ModelProto:
        """One step: ids [R] and the state -> log_probs [R, 1, V], the longer pasts, and
        alignment [R, S]."""
        self.graph = g = GraphBuilder()
        ids = g.input("ids", "int64", ["R"])
        mask = g.input("source_mask", "bool", ["R", "S"])
        barred = bar(g, g("Unsqueeze", mask, g.constant([1, 2], "int64")))  # [R, 1, 1, S]
        pasts = [self.past_inputs(i, "T") for i in range(self.config.decoder_layers)]
        done = g("Gather", g("Shape", pasts[0][0]), g.constant([2], "int64"))  # [1]
        said = self.embed("target", ids, done)  # [R, E]
        x = g("Unsqueeze", said, g.constant([1], "int64"))
        seen: list[str] = []  # of some heads [R, heads, 1, S]
        for i, layer in enumerate(self.model.decoder_layers):
            memory = self.memory_inputs(i, "R")
            read = self.before(layer.self_attention_norm, x)
            looked = self.grow_past(i, layer.self_attention, read, pasts[i], done)
            x = self.joined(layer.self_attention_norm, x, looked, layer.self_attention)
            attention = layer.cross_attention
            read = self.before(layer.cross_attention_norm, x)
            parts = self.by_head(self.project(read, attention, 0, 1), *memory)
            looked, weights = attend(g, parts, self.head_size, barred)
            x = self.joined(layer.cross_attention_norm, x, looked, attention)
            if chosen := [head for number, head in self.model.alignment_heads if number == i]:
                seen.append(g("Gather", weights, g.constant(chosen, "int64"), axis=1))
            x = self.feed_forward(layer, x)
        g.output(self.log_probs(x), "log_probs", "float32", ["R", 1, self.vocabulary])
        together = seen[0] if len(seen) == 1 else g("Concat", *seen, axis=1)
        alignment = g("ReduceMean", together, g.constant([1, 2], "int64"), keepdims=0)
        g.output(alignment, "alignment", "float32", ["R", "S"])
        return g.model()

    def grow_past(
        self, number: int, attention: MultiHeadAttention, read: str, past: list[str], done: str
    ) -> str:
        """Self-attention of the next piece where all rows have said equally much, `done` [1]."""
        g = self.graph
        parts = self.by_head(*(self.project(read, attention, part, 1) for part in range(3)))
        key, value = (
            g("Concat", before, new, axis=2) for before, new in zip(past, parts[1:], strict=True)
        )
        self.present_outputs(number, key, value, "T + 1")
        every = self.count(g("Gather", g("Shape", key), g.constant(2, "int64")))  # [T + 1]
        near = self.near(attention, g("Reshape", done, g.constant([1, 1, 1], "int64")), every)
        return attend(g, (parts[0], key, value), self.head_size, near=near)[0]
