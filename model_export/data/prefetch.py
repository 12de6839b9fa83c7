"""Batches made in another process while a GPU works, so that it never waits for text.

A thread would not do: it shares the interpreter with the one that starts the GPU's work.
"""

from collections.abc import Iterator

import torch
from torch.utils.data import DataLoader, IterableDataset

from model_export.data.batches import Batch
from model_export.data.dataset import Position, TrainingStream

Placed = tuple[Batch, Position]
AHEAD = 32
"""Batches, for the seconds in which the next epoch is drawn."""


class _FromHere(IterableDataset[Placed]):
    def __init__(self, stream: TrainingStream, start: Position) -> None:
        self.stream, self.start = stream, start

    def __iter__(self) -> Iterator[Placed]:
        return self.stream.batches(self.start)


def batches_ahead(stream: TrainingStream, start: Position, pinned: bool) -> Iterator[Placed]:
    """What `stream.batches(start)` yields, in the same order; `pinned` for a GPU."""
    loader = DataLoader(
        _FromHere(stream, start),
        batch_size=None,
        num_workers=1,
        prefetch_factor=AHEAD,
        pin_memory=pinned,
        generator=torch.Generator(),  # the global one is for dropout, and part of a checkpoint
    )
    yield from loader
