"""The plain sequence-to-sequence RNN of Sutskever et al. 2014 and Cho et al. 2014, whole.

An encoder RNN reads the source; its last state, a single context vector, starts the decoder RNN,
which goes from bos (sos) to eos. However long the source, that one vector must hold all of it.
Shape letters: B sentences, R rows, S source length, T target length, V vocabulary, E width,
H hidden width.
"""

from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class RnnSeq2seqConfig:
    """Sizes and variants; one vocabulary for both sides."""

    vocabulary_size: int
    pad_id: int
    width: int = 256
    hidden_width: int = 512
    cell: Cell = "gru"


class RnnSeq2seq(TranslationModel):
    """Encoder, context vector, decoder."""

    def __init__(self, config: RnnSeq2seqConfig) -> None:
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config.vocabulary_size, config.width)
        self.encoder = Recurrent(config.cell, config.width, config.hidden_width)
        self.decoder = Recurrent(config.cell, config.width, config.hidden_width)
        states = len(self.decoder.state_names)
        self.bridge = nn.Linear(config.hidden_width, states * config.hidden_width)
        self.readout = nn.Linear(config.hidden_width, config.width)
        self.output = nn.Linear(config.width, config.vocabulary_size)
        self.output.weight = self.embedding.weight
        nn.init.normal_(self.embedding.weight, std=config.width**-0.5)

    def read_source(self, source: Tensor) -> CellState:
        """[B, S] ids -> the state that the decoder starts from."""
        # Read backwards (Sutskever et al. 2014): the first words, which are said first, come last.
        backward = mirror(source, self.config.pad_id)  # [B, S]
        hidden = self.encoder(take(self.embedding(source), backward))  # [B, S, H]
        context = take(hidden, lengths_of(source, self.config.pad_id)[:, None] - 1)[:, 0]  # [B, H]
        return torch.tanh(self.bridge(context)).chunk(len(self.decoder.state_names), dim=-1)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """Training: [B, S] and [B, T] ids (shifted right) -> [B, T, E] before `output`."""
        hidden = self.decoder(self.embedding(target), self.read_source(source))  # [B, T, H]
        return torch.tanh(self.readout(hidden))

    def encode(self, source: Tensor) -> State:
        """[B, S] ids -> the decoder's start state; nothing else of the source is kept."""
        return dict(zip(self.decoder.state_names, self.read_source(source), strict=True))

    def step(self, ids: Tensor, state: State) -> tuple[Tensor, State]:
        """[R] ids and the state -> logits [R, V] and the next state."""
        names = self.decoder.state_names
        after = self.decoder.step(self.embedding(ids), tuple(state[name] for name in names))
        logits = self.output(torch.tanh(self.readout(after[0])))  # [R, V]
        return logits, dict(zip(names, after, strict=True))

    def state_specs(self) -> tuple[StateSpec, ...]:
        """The decoder's own state is all there is."""
        width = self.config.hidden_width
        return tuple(
            StateSpec(n, "step", "float32", ("R", width)) for n in self.decoder.state_names
        )
