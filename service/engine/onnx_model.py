"""A model whose state goes in and out of the decoder at each step; the plain form of a bundle.

Knows no architecture: which tensors the state holds is read from the manifest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.engine.bundle import Bundle, StateSpec
from service.engine.model import Candidates, Ids, Scores, pad_rows
from service.engine.sessions import graph_faults, open_session
from service.errors import BundleError

Array = NDArray[np.generic]


@dataclass(frozen=True, slots=True)
class OnnxState:
    """The state tensors by name, rows on axis 0."""

    tensors: dict[str, Array]
    specs: dict[str, StateSpec]
    source_lengths: Ids  # [R] pieces

    def select(self, rows: Ids) -> "OnnxState":
        """Every tensor's rows `rows`, without padding that these do not need."""
        lengths = self.source_lengths[rows]
        tensors = {name: tensor[rows] for name, tensor in self.tensors.items()}
        for name, axis in self._source_axes():
            tensors[name] = tensors[name].take(range(lengths.max()), axis)
        return OnnxState(tensors, self.specs, lengths)

    def reorder(self, rows: Ids) -> "OnnxState":
        """Only what changes from step to step: the source's tensors are alike in these rows."""
        fixed = {name for name, spec in self.specs.items() if spec.kind == "source"}
        tensors = {n: t if n in fixed else t[rows] for n, t in self.tensors.items()}
        return OnnxState(tensors, self.specs, self.source_lengths)

    def join(self, newcomers: "OnnxState") -> "OnnxState":
        """Rows of both, their source tensors padded to the longer ones; only if `joinable`."""
        pairs = {name: [t, newcomers.tensors[name]] for name, t in self.tensors.items()}
        for name, axis in self._source_axes():
            longest = max(tensor.shape[axis] for tensor in pairs[name])
            pairs[name] = [_padded(tensor, axis, longest) for tensor in pairs[name]]
        tensors = {name: np.concatenate(both) for name, both in pairs.items()}
        lengths = np.concatenate([self.source_lengths, newcomers.source_lengths])
        return OnnxState(tensors, self.specs, lengths)

    def _source_axes(self) -> list[tuple[str, int]]:
        """The tensors that have a position for each source piece, and on which axis."""
        return [(n, spec.shape.index("S")) for n, spec in self.specs.items() if "S" in spec.shape]


class OnnxModel:
    """Encoder and decoder sessions. May be shared by threads: sessions keep no state.

    A `cache` of the manifest is a `step` tensor here that starts empty, so the aligner of a
    bundle with caches is such a model too. Raises BundleError when the graphs cannot be loaded
    or differ from the manifest.
    """

    def __init__(self, bundle: Bundle, decoder: str | None = None, threads: int = 1) -> None:
        manifest = bundle.manifest
        decoder = decoder or manifest.decoder
        self._pad_id = manifest.vocabulary.pad_id
        self._vocabulary_size = manifest.vocabulary.size
        self._encoded = [s.name for s in manifest.state if s.kind != "cache"]
        self._empty = [s for s in manifest.state if s.kind == "cache"]
        self._specs = {s.name: s for s in manifest.state}
        self._after = {f"next_{s.name}": s.name for s in manifest.state if s.kind != "source"}
        # A past grows with each step, and all rows must have one length.
        self.joinable = not any({"T", "M"} & set(s.shape) for s in manifest.state)
        self._encoder = open_session(bundle, manifest.encoder, threads)
        self._decoder = open_session(bundle, decoder, threads)
        outputs = {"candidate_ids", "candidate_log_probs", *self._after}
        if decoder == manifest.aligner:
            outputs.add("alignment")
        inputs = {"ids", "k", *(spec.name for spec in manifest.state)}
        faults = [
            *graph_faults(manifest.encoder, self._encoder, (), {"source_ids"}, {*self._encoded}),
            *graph_faults(decoder, self._decoder, manifest.state, inputs, outputs),
        ]
        if faults:
            raise BundleError(str(bundle.path), faults)

    @property
    def aligner(self) -> "OnnxModel":
        """The model that can say what it looked at: this one."""
        return self

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> OnnxState:
        """Pads the sources to [B, S] and runs the encoder; each row comes `beam_size` times."""
        ids = pad_rows(sources, self._pad_id)
        found = self._encoder.run(self._encoded, {"source_ids": ids})
        tensors = dict(zip(self._encoded, found, strict=True))
        tensors |= {spec.name: _empty(spec, len(sources)) for spec in self._empty}
        state = OnnxState(tensors, self._specs, np.array([len(source) for source in sources]))
        return state if beam_size == 1 else state.select(np.repeat(range(len(sources)), beam_size))

    def step(self, ids: Ids, state: OnnxState, k: int) -> tuple[Candidates, OnnxState]:
        """Runs the decoder on ids [R] and keeps the k likeliest pieces of each row."""
        k = min(k, self._vocabulary_size)
        found, following = self._run(["candidate_ids", "candidate_log_probs"], ids, state, k)
        return Candidates(*found), following

    def attend(self, ids: Ids, state: OnnxState) -> tuple[Scores, OnnxState]:
        """Runs the decoder for what it looks at; only if it is the bundle's aligner."""
        found, following = self._run(["alignment"], ids, state, 1)
        return found[0], following

    def feeds(self, ids: Ids, state: OnnxState, k: int) -> dict[str, Array]:
        """The decoder's inputs for a step."""
        return {"ids": ids, "k": np.array([k]), **state.tensors}

    def _run(
        self, outputs: list[str], ids: Ids, state: OnnxState, k: int
    ) -> tuple[list[Any], OnnxState]:
        found = self._decoder.run([*outputs, *self._after], self.feeds(ids, state, k))
        changed = dict(zip(self._after.values(), found[len(outputs) :], strict=True))
        return found[: len(outputs)], OnnxState(
            {**state.tensors, **changed}, self._specs, state.source_lengths
        )


def _padded(tensor: Array, axis: int, length: int) -> Array:
    more = [(0, length - tensor.shape[axis] if i == axis else 0) for i in range(tensor.ndim)]
    return np.pad(tensor, more)


def _empty(spec: StateSpec, rows: int) -> Array:
    sizes = {"R": rows, "M": 0}
    shape = [axis if isinstance(axis, int) else sizes[axis] for axis in spec.shape]
    return np.zeros(shape, dtype=spec.dtype)
