"""The RNN with attention of Bahdanau et al. 2015, whole.

A bidirectional encoder leaves one hidden state for each source piece: the keys and values. At
each time step the decoder's hidden state of the step before is the query; the values, weighted by
how well their keys fit it, are the context that goes into this step. So the decoder looks at the
whole source again and again, and no single vector has to hold it.
Shape letters: B sentences, R rows, S source length, T target length, V vocabulary, E width,
H hidden width.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from model_export.architectures.model import State, TranslationModel
from model_export.architectures.recurrent import (
    Cell,
    CellState,
    Recurrent,
    lengths_of,
    mirror,
    take,
)
from service.engine.bundle import StateSpec

Score = Literal["additive", "general", "dot"]


@dataclass(frozen=True, slots=True)
class RnnAttentionConfig:
    """Sizes and variants; one vocabulary for both sides."""

    vocabulary_size: int
    pad_id: int
    width: int = 256
    hidden_width: int = 512
    cell: Cell = "gru"
    score: Score = "additive"
    """"additive" is Bahdanau's; "general" and "dot" are those of Luong et al. 2015."""


class Attention(nn.Module):
    """Scores a query against all keys, and mixes the values by the scores' softmax."""

    def __init__(self, hidden_width: int, score: Score) -> None:
        super().__init__()
        self.score = score
        if score != "dot":
            self.query = nn.Linear(hidden_width, hidden_width, bias=False)
        if score == "additive":
            self.key = nn.Linear(hidden_width, hidden_width)
            self.energy = nn.Linear(hidden_width, 1, bias=False)

    def keys(self, encoded: Tensor) -> Tensor:
        """Encoder states [B, S, H] -> keys [B, S, H]; computed once, since the source is fixed."""
        return self.key(encoded) if self.score == "additive" else encoded

    def forward(
        self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`query` [R, H], `keys` and `values` [R, S, H], `mask` [R, S] -> context [R, H] and the
        weights [R, S]."""
        weights = self.weights(query, keys, mask)
        return (weights[:, None] @ values)[:, 0], weights

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """How much of each source piece: [R, S], every row sums to 1, padding has none."""
        if self.score == "additive":
            scores = self.energy(torch.tanh(self.query(query)[:, None] + keys))[..., 0]
        else:
            wanted = self.query(query) if self.score == "general" else query
            scores = (keys @ wanted[:, :, None])[..., 0]  # [R, S]
        return scores.masked_fill(~mask, -1e9).softmax(-1)


class RnnAttention(TranslationModel):
    """Bidirectional encoder, attention, decoder."""

    aligns = True

    def __init__(self, config: RnnAttentionConfig) -> None:
        super().__init__()
        if config.hidden_width % 2:
            raise ValueError(f"hidden_width {config.hidden_width} is odd; two directions share it")
        self.config = config
        width, hidden = config.width, config.hidden_width
        self.embedding = nn.Embedding(config.vocabulary_size, width)
        self.forward_encoder = Recurrent(config.cell, width, hidden // 2)
        self.backward_encoder = Recurrent(config.cell, width, hidden // 2)
        self.attention = Attention(hidden, config.score)
        self.decoder = Recurrent(config.cell, width + hidden, hidden)
        self.bridge = nn.Linear(hidden // 2, len(self.decoder.state_names) * hidden)
        self.readout = nn.Linear(2 * hidden + width, width)
        self.output = nn.Linear(width, config.vocabulary_size)
        self.output.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=width**-0.5)

    def read_source(self, source: Tensor) -> tuple[Tensor, Tensor, CellState]:
        """[B, S] ids -> encoder states [B, S, H], mask [B, S], the decoder's start state."""
        pad_id = self.config.pad_id
        backward = mirror(source, pad_id)  # [B, S]
        x = self.embedding(source)  # [B, S, E]
        ahead = self.forward_encoder(x)  # [B, S, H/2]
        mirrored = self.backward_encoder(take(x, backward))  # [B, S, H/2]
        encoded = torch.cat([ahead, take(mirrored, backward)], dim=-1)
        # The backward encoder has read everything when it reaches the first word.
        first_word = take(mirrored, lengths_of(source, pad_id)[:, None] - 1)[:, 0]  # [B, H/2]
        start = torch.tanh(self.bridge(first_word))
        states = start.chunk(len(self.decoder.state_names), dim=-1)
        return encoded, source != pad_id, states

    def look(
        self, word: Tensor, state: CellState, memory: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, Tensor, CellState]:
        """One time step: word [R, E], state, (keys, values, mask) -> context [R, H], weights
        [R, S], next state."""
        context, weights = self.attention(state[0], *memory)  # the query is the step before
        after = self.decoder.step(torch.cat([word, context], dim=-1), state)
        return context, weights, after

    def read_out(self, words: Tensor, contexts: Tensor, hidden: Tensor) -> Tensor:
        """[..., E], [..., H] and [..., H] -> [..., E] before `output`."""
        return torch.tanh(self.readout(torch.cat([hidden, contexts, words], dim=-1)))

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Training: [B, S] and [B, T] ids (shifted right) -> [B, T, E] before `output`."""
        values, mask, state = self.read_source(source)
        memory = self.attention.keys(values), values, mask
        words = self.embedding(target)  # [B, T, E]
        contexts, hidden = [], []
        for word in words.unbind(1):
            context, _, state = self.look(word, state, memory)
            contexts.append(context)
            hidden.append(state[0])
        return self.read_out(words, torch.stack(contexts, dim=1), torch.stack(hidden, dim=1))

    def encode(self, source: Tensor) -> State:
        """[B, S] ids -> keys, values, mask and the decoder's start state."""
        values, mask, state = self.read_source(source)
        memory = {"values": values, "source_mask": mask}
        if self.separate_keys:
            memory["keys"] = self.attention.keys(values)
        return memory | dict(zip(self.decoder.state_names, state, strict=True))

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """[R] ids and the state -> logits [R, V] and the next state."""
        logits, after, _ = self.attend(ids, state)
        return logits, after

    def attend(self, ids: Tensor, state: State) -> tuple[Tensor, State, Tensor]:
        """As `step`, and the attention weights [R, S]."""
        names = self.decoder.state_names
        values = state["values"]
        memory = state.get("keys", values), values, state["source_mask"]
        word = self.embedding(ids)  # [R, E]
        context, weights, after = self.look(word, tuple(state[name] for name in names), memory)
        logits = self.output(self.read_out(word, context, after[0]))  # [R, V]
        return logits, state | dict(zip(names, after, strict=True)), weights

    @property
    def separate_keys(self) -> bool:
        """Whether keys differ from values; Luong's scores compare the values themselves."""
        return self.config.score == "additive"

    def state_specs(self) -> tuple[StateSpec, ...]:
        """Keys and values stay, the hidden state moves on."""
        width = self.config.hidden_width
        return (
            StateSpec("values", "source", "float32", ("R", "S", width)),
            StateSpec("source_mask", "source", "bool", ("R", "S")),
            *([StateSpec("keys", "source", "float32", ("R", "S", width))] * self.separate_keys),
            *(StateSpec(n, "step", "float32", ("R", width)) for n in self.decoder.state_names),
        )
