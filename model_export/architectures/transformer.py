"""The Transformer of Vaswani et al. 2017, "Attention Is All You Need", whole.

Bottom-up: positions, attention, feed-forward, layers, model. `forward` is for training (all target
positions at once); `encode` and `step` are for decoding, one target token at a time with a cache.
Shape letters: B sentences, R rows, S source length, T target length, V vocabulary, H heads,
D head size, E model width, F feed-forward width.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from model_export.architectures.dropout import dropout
from model_export.architectures.model import State, TranslationModel
from service.engine.bundle import StateSpec

Activation = Literal["relu", "gelu", "gelu_tanh", "gelu_sigmoid", "swish"]


@dataclass(frozen=True, slots=True)
class TransformerConfig:
    """Sizes and variants. The defaults besides the sizes are those of the paper.

    The variants cover Marian, OPUS-MT and OpenNMT models too: `position_layout="table"`,
    `activation="swish"`, `output_bias=True`, and separate source and target vocabularies.
    """

    source_vocabulary_size: int
    target_vocabulary_size: int
    pad_id: int
    width: int = 512
    feed_forward_width: int = 2048
    heads: int = 8
    encoder_layers: int = 6
    decoder_layers: int = 6
    activation: Activation = "relu"
    norm_placement: Literal["post", "pre"] = "post"
    norm_embeddings: bool = False
    norm_epsilon: float = 1e-5
    position_layout: Literal["interleaved", "halves", "table", "none"] = "interleaved"
    """"table" has a row of weights for each position, as many as `positions`."""
    positions: int = 0
    relative_positions: int = 0
    """Largest distance between two pieces that self-attention tells apart (Shaw et al. 2018,
    "Self-Attention with Relative Position Representations"); 0 is without."""
    scale_embeddings: bool = True
    share_embeddings: bool = True
    """Source and target read the same embedding table (needs one vocabulary)."""
    tie_output: bool = True
    """The output projection is the target embedding table, transposed (Press & Wolf 2017)."""
    output_bias: bool = False
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of heads {self.heads}")
        if self.width % 2:
            raise ValueError(f"width {self.width} is odd; sinusoidal positions need pairs")
        if self.share_embeddings and self.source_vocabulary_size != self.target_vocabulary_size:
            raise ValueError("share_embeddings needs one vocabulary for source and target")


def position_table(config: TransformerConfig) -> nn.Embedding | None:
    """A vector of weights for each position, if these are not computed."""
    if config.position_layout != "table":
        return None
    return nn.Embedding(config.positions, config.width)


def sinusoidal_positions(positions: Tensor, width: int, layout: str) -> Tensor:
    """Positional encoding of section 3.5 of the paper: [T] positions -> [T, E] float32.

    "interleaved" alternates sine and cosine as in the paper; "halves" puts all sines first, then
    all cosines, as Marian does.
    """
    pair = torch.arange(width // 2, device=positions.device, dtype=torch.float32)
    if layout == "interleaved":
        frequency = torch.exp(pair * (-math.log(10000.0) * 2 / width))
    else:
        frequency = torch.exp(pair * (-math.log(10000.0) / (width // 2)))
    angle = positions.to(torch.float32)[:, None] * frequency[None, :]  # [T, E/2]
    sine, cosine = torch.sin(angle), torch.cos(angle)
    if layout == "interleaved":
        return torch.stack([sine, cosine], dim=-1).flatten(1)  # [T, E]
    return torch.cat([sine, cosine], dim=-1)  # [T, E]


def scaled_dot_product_attention(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False
) -> Tensor:
    """softmax(Q K^T / sqrt(D)) V, section 3.2.1 of the paper.

    `query` [B, H, T, D], `key` and `value` [B, H, S, D]; `mask` is True where a key may be looked
    at and broadcasts to [B, H, T, S]. Returns [B, H, T, D].
    """
    if torch.is_autocast_enabled("cpu"):  # its backward pass in bfloat16 is slow on a CPU
        with torch.autocast("cpu", enabled=False):
            parts = query.float(), key.float(), value.float()
            return functional.scaled_dot_product_attention(*parts, mask, is_causal=causal)
    return functional.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)


class RelativePositions(nn.Module):
    """What self-attention knows of the distance between query and key (Shaw et al. 2018)."""

    def __init__(self, longest: int, head_size: int) -> None:
        super().__init__()
        self.longest = longest
        self.keys = nn.Parameter(torch.empty(2 * longest + 1, head_size))
        self.values = nn.Parameter(torch.empty(2 * longest + 1, head_size))

    def distances(self, queries: Tensor, keys: Tensor) -> Tensor:
        """Positions [T] and [S] -> rows of the tables [T, S]."""
        apart = keys[None, :] - queries[:, None]
        return apart.clamp(-self.longest, self.longest) + self.longest

    def attend(self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> Tensor:
        """As `scaled_dot_product_attention`; the queries stand at the last T of S positions."""
        length, start = key.shape[2], key.shape[2] - query.shape[2]
        places = torch.arange(length, device=key.device)
        rows = self.distances(places[start:], places)  # [T, S]
        near = torch.einsum("bhtd,tsd->bhts", query, self.keys[rows])
        scores = (query @ key.transpose(2, 3) + near) / math.sqrt(query.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, -1e9)
        weights = scores.softmax(-1)  # [B, H, T, S]
        return weights @ value + torch.einsum("bhts,tsd->bhtd", weights, self.values[rows])


class MultiHeadAttention(nn.Module):
    """H attentions side by side, each on its own projection (section 3.2.2 of the paper)."""

    def __init__(self, width: int, heads: int, relative_positions: int = 0) -> None:
        super().__init__()
        self.heads = heads
        self.query_key_value = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)
        self.relative = (
            RelativePositions(relative_positions, width // heads) if relative_positions else None
        )

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, causal: bool = False
    ) -> Tensor:
        """Self-attention [B, H, T, D], with relative positions where there are any."""
        if self.relative is None:
            return scaled_dot_product_attention(query, key, value, mask, causal)
        if causal:
            size = query.shape[2], key.shape[2]
            mask = torch.ones(size, dtype=torch.bool, device=query.device).tril()
        return self.relative.attend(query, key, value, mask)

    def split_heads(self, x: Tensor) -> Tensor:
        """[B, T, E] -> [B, H, T, D]."""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def merge_heads(self, x: Tensor) -> Tensor:
        """[B, H, T, D] -> [B, T, E], through the output projection."""
        return self.output(x.transpose(1, 2).flatten(2))

    def project_self(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Query, key and value [B, H, T, D] of one sequence, in one matrix product."""
        query, key, value = self.query_key_value(x).chunk(3, dim=-1)
        return self.split_heads(query), self.split_heads(key), self.split_heads(value)

    def project_query(self, x: Tensor) -> Tensor:
        """Query [B, H, T, D] alone, for cross-attention."""
        width = x.shape[-1]
        weight, bias = self.query_key_value.weight[:width], self.query_key_value.bias[:width]
        return self.split_heads(functional.linear(x, weight, bias))

    def project_memory(self, memory: Tensor) -> tuple[Tensor, Tensor]:
        """Key and value [B, H, S, D] of the encoder's output, for cross-attention."""
        width = memory.shape[-1]
        weight, bias = self.query_key_value.weight[width:], self.query_key_value.bias[width:]
        key, value = functional.linear(memory, weight, bias).chunk(2, dim=-1)
        return self.split_heads(key), self.split_heads(value)


GELU_SIGMOID = 1.702
"""Makes x * sigmoid(1.702 x) nearly GELU (Hendrycks & Gimpel 2016, section 2)."""

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "gelu": functional.gelu,
    "gelu_tanh": lambda x: functional.gelu(x, approximate="tanh"),
    "gelu_sigmoid": lambda x: x * torch.sigmoid(GELU_SIGMOID * x),
    "swish": functional.silu,
}


class FeedForward(nn.Module):
    """Two linear maps with an activation between, at each position (section 3.3)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.inner = nn.Linear(config.width, config.feed_forward_width)
        self.outer = nn.Linear(config.feed_forward_width, config.width)
        self.activation = ACTIVATIONS[config.activation]

    def forward(self, x: Tensor) -> Tensor:
        return self.outer(self.activation(self.inner(x)))  # [B, T, E] -> F -> E


class AddNorm(nn.Module):
    """The residual connection and layer normalisation around a sublayer.

    Post-norm, as in the paper: norm(x + sublayer(x)). Pre-norm: x + sublayer(norm(x)).
    """

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config.width, config.norm_epsilon)
        self.pre = config.norm_placement == "pre"
        self.dropout = config.dropout

    def before(self, x: Tensor) -> Tensor:
        """What the sublayer reads."""
        return self.norm(x) if self.pre else x

    def after(self, x: Tensor, y: Tensor) -> Tensor:
        """Joins the sublayer's output `y` with its input's residual `x`."""
        if self.training and self.dropout:
            y = dropout(y, self.dropout)
        return x + y if self.pre else self.norm(x + y)


class EncoderLayer(nn.Module):
    """Self-attention over the source, then feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(
            config.width, config.heads, config.relative_positions
        )
        self.self_attention_norm = AddNorm(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = AddNorm(config)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """`x` [B, S, E], `mask` [B, 1, 1, S] -> [B, S, E]."""
        attention = self.self_attention
        query, key, value = attention.project_self(self.self_attention_norm.before(x))
        attended = attention.attend(query, key, value, mask)  # [B, H, S, D]
        x = self.self_attention_norm.after(x, attention.merge_heads(attended))
        y = self.feed_forward(self.feed_forward_norm.before(x))
        return self.feed_forward_norm.after(x, y)


class DecoderLayer(nn.Module):
    """Self-attention over the target so far, cross-attention to the source, feed-forward."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.self_attention = MultiHeadAttention(
            config.width, config.heads, config.relative_positions
        )
        self.self_attention_norm = AddNorm(config)
        self.cross_attention = MultiHeadAttention(config.width, config.heads)
        self.cross_attention_norm = AddNorm(config)
        self.feed_forward = FeedForward(config)
        self.feed_forward_norm = AddNorm(config)

    def forward(self, x: Tensor, memory: tuple[Tensor, Tensor], source_mask: Tensor) -> Tensor:
        """All positions at once: `x` [B, T, E], `memory` key and value [B, H, S, D]."""
        return self.look_at_source(self.look_at_itself(x), memory, source_mask)

    def look_at_itself(self, x: Tensor) -> Tensor:
        """Causal self-attention of all positions: [B, T, E]."""
        query, key, value = self.self_attention.project_self(self.self_attention_norm.before(x))
        attended = self.self_attention.attend(query, key, value, None, causal=True)
        return self.self_attention_norm.after(x, self.self_attention.merge_heads(attended))

    def look_back(
        self, x: Tensor, past: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Self-attention of one position: `x` [R, 1, E], `past` key and value [R, H, T, D] ->
        `x` and key and value of T + 1."""
        query, key, value = self.self_attention.project_self(self.self_attention_norm.before(x))
        key = torch.cat([past[0], key], dim=2)  # [R, H, T+1, D]
        value = torch.cat([past[1], value], dim=2)  # [R, H, T+1, D]
        attended = self.self_attention.attend(query, key, value, None)  # [R, H, 1, D]
        x = self.self_attention_norm.after(x, self.self_attention.merge_heads(attended))
        return x, (key, value)

    def source_weights(self, x: Tensor, key: Tensor, mask: Tensor) -> Tensor:
        """What cross-attention looks at: `x` [B, T, E] after self-attention -> [B, H, T, S]."""
        query = self.cross_attention.project_query(self.cross_attention_norm.before(x))
        scores = query @ key.transpose(2, 3) / math.sqrt(query.shape[-1])
        return scores.masked_fill(~mask, -1e9).softmax(-1)

    def look_at_source(self, x: Tensor, memory: tuple[Tensor, Tensor], mask: Tensor) -> Tensor:
        """Cross-attention and feed-forward, the part that training and decoding share."""
        query = self.cross_attention.project_query(self.cross_attention_norm.before(x))
        attended = scaled_dot_product_attention(query, *memory, mask)  # [B, H, T, D]
        x = self.cross_attention_norm.after(x, self.cross_attention.merge_heads(attended))
        y = self.feed_forward(self.feed_forward_norm.before(x))
        return self.feed_forward_norm.after(x, y)


class Transformer(TranslationModel):
    """Encoder and decoder. The output projection is apart, so that a loss can be chunked."""

    aligns = True

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.config = config
        # (layer, head) pairs whose mean attention is the alignment; all of the last layer until
        # somebody finds out which align best.
        last = config.decoder_layers - 1
        self.alignment_heads = tuple((last, head) for head in range(config.heads))
        self.source_embedding = nn.Embedding(config.source_vocabulary_size, config.width)
        if config.share_embeddings:
            self.target_embedding = self.source_embedding
        else:
            self.target_embedding = nn.Embedding(config.target_vocabulary_size, config.width)
        self.encoder = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))
        self.decoder = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        sizes = config.width, config.norm_epsilon
        embedding_norm = nn.LayerNorm if config.norm_embeddings else nn.Identity
        self.source_norm, self.target_norm = embedding_norm(*sizes), embedding_norm(*sizes)
        # A pre-norm stack leaves its sum unnormalised, so each side ends with one more norm.
        final = nn.LayerNorm if config.norm_placement == "pre" else nn.Identity
        self.encoder_norm, self.decoder_norm = final(*sizes), final(*sizes)
        self.source_positions = position_table(config)
        self.target_positions = position_table(config)
        self.output = nn.Linear(config.width, config.target_vocabulary_size, config.output_bias)
        if config.tie_output:
            self.output.weight = self.target_embedding.weight
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Glorot for matrices; embeddings so that they enter the stack with unit variance."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for table in {self.source_embedding, self.target_embedding}:
            nn.init.normal_(table.weight, std=self.config.width**-0.5)
        for module in self.modules():
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    @property
    def encoder_layers(self) -> list[EncoderLayer]:
        """The encoder's layers, first to last."""
        return cast("list[EncoderLayer]", list(self.encoder))

    @property
    def decoder_layers(self) -> list[DecoderLayer]:
        """The decoder's layers, first to last."""
        return cast("list[DecoderLayer]", list(self.decoder))

    @property
    def sides(self) -> dict[str, tuple[nn.Embedding, nn.Embedding | None, nn.Module]]:
        """Of source and target: the pieces' table, the positions' table, the norm after both."""
        return {
            "source": (self.source_embedding, self.source_positions, self.source_norm),
            "target": (self.target_embedding, self.target_positions, self.target_norm),
        }

    def embed(self, side: Literal["source", "target"], ids: Tensor, first: int) -> Tensor:
        """[B, T] ids whose first stands at position `first` -> [B, T, E]."""
        pieces, places, norm = self.sides[side]
        layout = self.config.position_layout
        x = pieces(ids)
        if self.config.scale_embeddings:
            x = x * math.sqrt(self.config.width)
        positions = torch.arange(first, first + ids.shape[1], device=ids.device)
        if places is not None:
            x = x + places(positions)
        elif layout in ("interleaved", "halves"):
            x = x + sinusoidal_positions(positions, x.shape[-1], layout)
        x = norm(x)
        if self.training and self.config.dropout:
            x = dropout(x, self.config.dropout)
        return x

    def read_source(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """[B, S] ids -> encoder output [B, S, E] and mask [B, 1, 1, S], True at real pieces."""
        mask = (source != self.config.pad_id)[:, None, None, :]
        x = self.embed("source", source, 0)
        for layer in self.encoder_layers:
            x = layer(x, mask)
        return self.encoder_norm(x), mask

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Training: [B, S] and [B, T] ids (target shifted right) -> hidden states [B, T, E]."""
        memory, mask = self.read_source(source)
        x = self.embed("target", target, 0)
        for layer in self.decoder_layers:
            x = layer(x, layer.cross_attention.project_memory(memory), mask)
        return self.decoder_norm(x)

    def encode(self, source: Tensor) -> State:
        """Decoding begins: [B, S] ids -> every state tensor of `state_specs`, caches empty."""
        memory, mask = self.read_source(source)
        head_size = self.config.width // self.config.heads
        empty = (source.shape[0], self.config.heads, 0, head_size)
        state = {"source_mask": mask[:, 0, 0]}  # [B, S]
        for i, layer in enumerate(self.decoder_layers):
            key, value = layer.cross_attention.project_memory(memory)
            state |= {f"cross_key_{i}": key, f"cross_value_{i}": value}
            for name in (f"self_key_{i}", f"self_value_{i}"):
                state[name] = memory.new_zeros(empty)
        return state

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """One target token: [R] ids and the state -> logits [R, V] and the next state."""
        logits, after, _ = self.attend(ids, state)
        return logits, after

    def attend(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """As `step`, and the mean attention [R, S] of the alignment heads."""
        mask = state["source_mask"][:, None, None, :]  # [R, 1, 1, S]
        done = state["self_key_0"].shape[2]
        x = self.embed("target", ids[:, None], done)  # [R, 1, E]
        after = dict(state)
        looked = []
        for i, layer in enumerate(self.decoder_layers):
            x, present = layer.look_back(x, (state[f"self_key_{i}"], state[f"self_value_{i}"]))
            after |= {f"self_key_{i}": present[0], f"self_value_{i}": present[1]}
            key, value = state[f"cross_key_{i}"], state[f"cross_value_{i}"]
            if heads := [head for number, head in self.alignment_heads if number == i]:
                looked.append(layer.source_weights(x, key, mask)[:, heads, 0])  # [R, heads, S]
            x = layer.look_at_source(x, (key, value), mask)
        weights = torch.cat(looked, dim=1).mean(1)  # [R, S]
        return self.output(self.decoder_norm(x[:, 0])), after, weights

    def source_weights(self, source: Tensor, target: Tensor) -> list[Tensor]:
        """All cross-attention of [B, S] and [B, T] ids (shifted right): [B, H, T, S] a layer."""
        memory, mask = self.read_source(source)
        x = self.embed("target", target, 0)
        weights = []
        for layer in self.decoder_layers:
            key, value = layer.cross_attention.project_memory(memory)
            x = layer.look_at_itself(x)
            weights.append(layer.source_weights(x, key, mask))
            x = layer.look_at_source(x, (key, value), mask)
        return weights

    def state_specs(self) -> tuple[StateSpec, ...]:
        """What `encode` and `step` pass on, for the bundle's manifest."""
        heads, size = self.config.heads, self.config.width // self.config.heads
        mask = StateSpec("source_mask", "source", "bool", ("R", "S"))
        layers = range(self.config.decoder_layers)
        cross = [f"cross_{part}_{i}" for i in layers for part in ("key", "value")]
        past = [f"self_{part}_{i}" for i in layers for part in ("key", "value")]
        return (
            mask,
            *(StateSpec(n, "source", "float32", ("R", heads, "S", size)) for n in cross),
            *(StateSpec(n, "step", "float32", ("R", heads, "T", size)) for n in past),
        )
