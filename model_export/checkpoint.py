"""Checkpoints that survive a kill at any instant, and their average."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from model_export.errors import ModelExportError

Weights = dict[str, Tensor]


class WeightsError(ModelExportError):
    """There are no weights, or they are another model's."""


def save_atomically(value: Any, path: Path) -> None:
    """Writes beside `path`, then renames: a reader sees the old file or the new one, whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + ".partial")
    torch.save(value, partial)
    os.replace(partial, path)


def load(path: Path) -> Any:
    """Reads tensors and plain values only; nothing in the file is executed."""
    return torch.load(path, map_location="cpu", weights_only=True)


def newest(folder: Path, count: int) -> list[Path]:
    """The newest `count` weight files of a folder, oldest first."""
    return sorted(folder.glob("weights-*.pt"))[-count:]


def prune(folder: Path, count: int) -> None:
    """Deletes all but the newest `count` weight files."""
    kept = newest(folder, count)
    for path in folder.glob("weights-*.pt"):
        if path not in kept:
            path.unlink()


def average(paths: Sequence[Path]) -> Weights:
    """The mean of several checkpoints' weights. Raises WeightsError when there is none."""
    if not paths:
        raise WeightsError("no checkpoint to average; train first")
    total: Weights = load(paths[0])
    for path in paths[1:]:
        for name, tensor in load(path).items():
            # Not in place: tied weights share their memory and would be added several times.
            total[name] = total[name] + tensor
    return {name: tensor / len(paths) for name, tensor in total.items()}


def load_into(model: nn.Module, weights: Weights) -> None:
    """Fills a model. A weight may go by one of its names only, when several are tied.

    Raises WeightsError for weights that are absent or that the model does not have.
    """
    absent, strange = model.load_state_dict(weights, strict=False)
    state = model.state_dict()
    filled = {state[name].data_ptr() for name in weights if name in state}
    absent = [name for name in absent if state[name].data_ptr() not in filled]
    if absent or strange:
        raise WeightsError(f"weights do not fit the model: absent {absent}, strange {strange}")
