"""From what an importer read to a Transformer and its tokenizers, in one numbering of pieces."""

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.architectures.transformer import Transformer
from model_export.importers.imported import Array, Imported
from model_export.importers.tokenizers import EMPTY, Table, source_table, target_table

NEVER = -np.inf
"""The output bias of a piece that is not said."""


@dataclass(frozen=True, slots=True)
class Assembled:
    """A model that can be run and exported, and its tokenizers."""

    model: Transformer
    source: Table
    target: Table


def assemble(imported: Imported) -> Assembled:
    """Both tables in the order of the rewritten tokenizers, and everything else as it is."""
    target = target_table(imported.target, imported.pad, imported.start)
    tags = {language: tag for language, tag in imported.targets.items() if tag is not None}
    source = source_table(imported.source, imported.pad, target.pad_id, tags)
    config = dataclasses.replace(
        imported.config,
        source_vocabulary_size=len(source.rows),
        target_vocabulary_size=len(target.rows),
        pad_id=target.pad_id,
        dropout=0.0,
    )
    weights = dict(imported.weights)
    for name, table in (("source_embedding.weight", source), ("target_embedding.weight", target)):
        weights[name] = _rows(weights[name], table.rows)
    if config.tie_output:
        weights["output.weight"] = weights["target_embedding.weight"]
    else:
        weights["output.weight"] = _rows(weights["output.weight"], target.rows)
    bias = _rows(weights["output.bias"], target.rows)
    bias[target.rows == EMPTY] = NEVER
    bias[[target.ids[piece] for piece in imported.forbidden]] = NEVER
    weights["output.bias"] = bias
    with torch.device("meta"):
        model = Transformer(config)
    state = {name: torch.from_numpy(np.array(value, order="C")) for name, value in weights.items()}
    model.load_state_dict(state, assign=True)
    if config.tie_output:
        model.output.weight = model.target_embedding.weight
    if imported.alignment_heads:
        model.alignment_heads = imported.alignment_heads
    return Assembled(model.eval().requires_grad_(False), source, target)


def _rows(table: Array, rows: NDArray[np.int64]) -> Array:
    """Rows of a table; zeros for EMPTY."""
    found: Array = np.array(table[np.maximum(rows, 0)])
    found[rows == EMPTY] = 0
    return found
