"""What every importer makes of its files, and the error that lists all that is wrong with them.

Weights go by the names of our own Transformer. A source and a target have embedding tables of their
own even where the model has one for both: the graphs are two files anyway.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from model_export.architectures.transformer import TransformerConfig
from model_export.errors import ModelExportError
from service.engine.bundle import DecodingDefaults, Origin, SourceLayout

Array = NDArray[np.float32]
Weights = dict[str, Array]


class ImportFaults(ModelExportError):
    """A model cannot be imported; nothing was written. `faults` are all that were found."""

    def __init__(self, path: Path, faults: Iterable[str]) -> None:
        self.faults = tuple(dict.fromkeys(faults))
        super().__init__(f"cannot import {path}:\n" + "\n".join(f"- {f}" for f in self.faults))


@dataclass(frozen=True, slots=True)
class Asked:
    """What a caller says about a model that its files may not say. Languages are ISO 639 codes."""

    sources: tuple[str, ...] = ()
    targets: tuple[str, ...] = ()
    licence: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """The pieces of a source or a target: which piece each row of its table stands for."""

    tokenizer: Path
    """The SentencePiece model that cuts text into pieces."""
    pieces: tuple[str, ...]
    unknown: str
    eos: str


@dataclass(frozen=True, slots=True)
class Imported:
    """A model as it was read."""

    config: TransformerConfig
    """Vocabulary sizes are those of the files; `pad_id` is not used yet."""
    weights: Weights
    source: Side
    target: Side
    sources: tuple[str, ...]
    """Languages that it reads."""
    targets: Mapping[str, str | None]
    """Languages that it writes, each with the source piece that asks for it, if one does."""
    layout: SourceLayout
    origin: Origin
    pad: str | None = None
    """A source piece that fills up rows; None makes one."""
    start: str | None = None
    """The target piece that decoding starts with; None is a vector of zeros."""
    forbidden: frozenset[str] = frozenset()
    """Target pieces that are never said."""
    library_ends: bool = False
    """Whether the library that it was made for puts eos behind a source by itself."""
    alignment_heads: tuple[tuple[int, int], ...] = ()
    """Decoder layer and head; empty is all heads of the last layer."""
    decoding: DecodingDefaults = field(default_factory=DecodingDefaults)
    version: str = "1"
