"""What both recurrent architectures are built of: a cell that reads a sequence or one step."""

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

Cell = Literal["gru", "lstm"]
CellState = tuple[Tensor, ...]
"""Hidden state [R, H]; an LSTM has its cell state [R, H] beside it."""


class Recurrent(nn.Module):
    """A GRU (Cho et al. 2014) or an LSTM (Hochreiter & Schmidhuber 1997) of one layer."""

    def __init__(self, cell: Cell, input_width: int, hidden_width: int) -> None:
        super().__init__()
        kind = {"gru": nn.GRU, "lstm": nn.LSTM}[cell]
        self.cell = cell
        self.rnn = kind(input_width, hidden_width, batch_first=True)
        self.state_names = {"gru": ("hidden",), "lstm": ("hidden", "cell")}[cell]

    def forward(self, x: Tensor, start: CellState | None = None) -> Tensor:
        """A whole sequence: [B, T, I] -> hidden states [B, T, H]; starts from zeros or `start`."""
        if torch.compiler.is_exporting():
            return self._as_onnx(x)
        outputs: Tensor = self.rnn(x, None if start is None else self._pack(start))[0]
        return outputs

    def _as_onnx(self, x: Tensor) -> Tensor:
        # The exporter would unroll the example's time steps. ONNX has operators of its own for
        # both cells; only the order of their gates differs from PyTorch's.
        gates = {"gru": (1, 0, 2), "lstm": (0, 3, 1, 2)}[self.cell]

        def reorder(weight: Tensor) -> Tensor:
            parts = weight.chunk(len(gates))
            return torch.cat([parts[gate] for gate in gates])[None]

        weights = [reorder(getattr(self.rnn, name)) for name in ("weight_ih_l0", "weight_hh_l0")]
        biases = [reorder(getattr(self.rnn, name)) for name in ("bias_ih_l0", "bias_hh_l0")]
        hidden_width = self.rnn.hidden_size
        attributes = {"hidden_size": hidden_width}
        if self.cell == "gru":
            attributes["linear_before_reset"] = 1
        outputs = torch.onnx.ops.symbolic(
            self.cell.upper(),
            [x.transpose(0, 1), *weights, torch.cat(biases, dim=1)],
            attributes,
            dtype=x.dtype,
            shape=(x.shape[1], 1, x.shape[0], hidden_width),
        )
        return outputs[:, 0].transpose(0, 1)  # [T, 1, B, H] -> [B, T, H]

    def step(self, x: Tensor, state: CellState) -> CellState:
        """One time step: [R, I] and the state -> the next state."""
        if torch.compiler.is_exporting():
            return self._gates(x, state)
        after = self.rnn(x[:, None], self._pack(state))[1]
        return (after[0],) if torch.is_tensor(after) else (after[0][0], after[1][0])

    def _gates(self, x: Tensor, state: CellState) -> CellState:
        """The same step written out: two matrix products, which int8 graphs can compute as such,
        where ONNX's operators are float32 only."""
        hidden = state[0]
        read = linear(x, self.rnn.weight_ih_l0, self.rnn.bias_ih_l0)
        kept = linear(hidden, self.rnn.weight_hh_l0, self.rnn.bias_hh_l0)
        if self.cell == "gru":
            reset_x, update_x, new_x = read.chunk(3, dim=-1)
            reset_h, update_h, new_h = kept.chunk(3, dim=-1)
            update = torch.sigmoid(update_x + update_h)
            new = torch.tanh(new_x + torch.sigmoid(reset_x + reset_h) * new_h)
            return ((1 - update) * new + update * hidden,)
        in_gate, forget, new, out = (read + kept).chunk(4, dim=-1)
        cell = torch.sigmoid(forget) * state[1] + torch.sigmoid(in_gate) * torch.tanh(new)
        return torch.sigmoid(out) * torch.tanh(cell), cell

    @staticmethod
    def _pack(state: CellState) -> Tensor | tuple[Tensor, Tensor]:
        # PyTorch counts layers on axis 0.
        return state[0][None] if len(state) == 1 else (state[0][None], state[1][None])


def lengths_of(source: Tensor, pad_id: int) -> Tensor:
    """[B, S] ids padded on the right -> [B] lengths."""
    return (source != pad_id).sum(1)


def mirror(source: Tensor, pad_id: int) -> Tensor:
    """[B, S] ids -> [B, S] positions that turn each sequence around; padding stays behind."""
    positions = torch.arange(source.shape[1], device=source.device)[None]  # [1, S]
    mirrored = lengths_of(source, pad_id)[:, None] - 1 - positions  # [B, S], below 0 at padding
    return torch.where(mirrored >= 0, mirrored, positions)


def take(x: Tensor, positions: Tensor) -> Tensor:
    """[B, S, H] at positions [B, P] -> [B, P, H]."""
    return x.gather(1, positions[:, :, None].expand(-1, -1, x.shape[2]))
