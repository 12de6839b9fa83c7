"""Encoded examples and batches of similar length under a token budget."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from service.engine.model import pad_rows


@dataclass(frozen=True, slots=True)
class EncodedExample:
    """Ids without padding: `source` ends with eos; `target` starts with bos and ends with eos."""

    source: list[int]
    target: list[int]


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded ids. The decoder reads `target_in` [B, T] and has to say `target_out` [B, T].

    What a training step asks about the batch is said here, so that no step waits for a GPU.
    """

    source: Tensor  # [B, S]
    target_in: Tensor  # [B, T]
    target_out: Tensor  # [B, T]
    real: Tensor
    """Places in the flat `target_out` that are no padding [N]."""

    @property
    def tokens(self) -> int:
        """Target tokens, N."""
        return len(self.real)

    @property
    def padded(self) -> int:
        """Tokens of the longer side, padding included: what a budget counts."""
        return max(self.source.numel(), self.target_in.numel())

    def to(self, device: str) -> "Batch":
        """The same on another device; from pinned memory nobody waits for it."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> "Batch":
        """The same in memory that a GPU reads by itself; DataLoader asks for it by this name."""
        return self._each(Tensor.pin_memory)

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        return Batch(*map(change, (self.source, self.target_in, self.target_out, self.real)))


def plan_batches(
    source_lengths: Sequence[int],
    target_lengths: Sequence[int],
    tokens: int,
    rng: np.random.Generator,
) -> list[NDArray[np.int64]]:
    """Groups examples of similar length; each group times its longest side stays under `tokens`.

    Equal lengths are shuffled before the sort and the groups after it, so batches differ from
    epoch to epoch and follow no order of length.
    """
    source, target = np.asarray(source_lengths), np.asarray(target_lengths)
    order = rng.permutation(len(source))
    # A little noise on the length mixes neighbours, at the price of little padding.
    length = np.maximum(source, target) + rng.uniform(0, 2, len(source))
    order = order[np.argsort(length[order], kind="stable")]
    groups: list[NDArray[np.int64]] = []
    group: list[int] = []
    longest = 0
    for i in order:
        longest_with = max(longest, int(source[i]), int(target[i]))
        if group and longest_with * (len(group) + 1) > tokens:
            groups.append(np.array(group))
            group, longest_with = [], max(int(source[i]), int(target[i]))
        group.append(i)
        longest = longest_with
    if group:
        groups.append(np.array(group))
    return [groups[i] for i in rng.permutation(len(groups))]


def make_batch(examples: Sequence[EncodedExample], pad_id: int) -> Batch:
    """Pads the examples into one batch."""

    def padded(rows: list[list[int]]) -> Tensor:
        return torch.from_numpy(pad_rows(rows, pad_id))

    said = padded([e.target[1:] for e in examples])
    return Batch(
        source=padded([e.source for e in examples]),
        target_in=padded([e.target[:-1] for e in examples]),
        target_out=said,
        real=(said != pad_id).flatten().nonzero()[:, 0],
    )


def dev_batches(examples: Sequence[EncodedExample], tokens: int, pad_id: int) -> Iterator[Batch]:
    """All examples once, in a fixed order."""
    lengths = [len(e.source) for e in examples], [len(e.target) for e in examples]
    for group in plan_batches(*lengths, tokens, np.random.default_rng(0)):
        yield make_batch([examples[i] for i in group], pad_id)
