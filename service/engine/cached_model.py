"""A model whose decoder writes into caches in place; the fast form of a bundle.

Inputs and outputs of the decoder are bound once for a set of rows: a step changes a few numbers
in place and runs. The source's tensors have a row a sentence, whatever the beam size.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.engine.bundle import Bundle, StateSpec
from service.engine.model import Candidates, Ids, pad_rows
from service.engine.onnx_model import OnnxModel
from service.engine.sessions import graph_faults, open_session
from service.errors import BundleError

Array = NDArray[np.generic]
GROW_BY = 32
"""Positions that a cache grows by; shapes that repeat let the runtime reuse its memory."""


class Bound:
    """A decoder session with all inputs and outputs at fixed places, for so many rows."""

    def __init__(
        self,
        session: onnxruntime.InferenceSession,
        source: dict[str, Array],
        caches: dict[str, Array],
        beam_size: int,
        k: int,
    ) -> None:
        rows = len(next(iter(caches.values())))
        self.k = k
        self.ids = np.zeros(rows, dtype=np.int64)
        self.lengths = np.zeros(rows, dtype=np.int32)
        self.total_length = np.zeros((), dtype=np.int32)
        self.candidates = Candidates(
            np.zeros((rows, k), dtype=np.int64), np.zeros((rows, k), dtype=np.float32)
        )
        self._session = session
        self._binding = session.io_binding()
        inputs: dict[str, Array] = {
            "ids": self.ids,
            "lengths": self.lengths,
            "total_length": self.total_length,
        }
        inputs |= {"beam_size": np.array([beam_size]), "k": np.array([k])}
        outputs: dict[str, Array] = {
            "candidate_ids": self.candidates.ids,
            "candidate_log_probs": self.candidates.log_probs,
        }
        # The runtime does not keep numpy's memory alive, this does.
        self._kept = [inputs, outputs, source, caches]
        for name, array in {**inputs, **source}.items():
            self._binding.bind_ortvalue_input(name, _shared(array))
        for name, array in outputs.items():
            self._binding.bind_ortvalue_output(name, _shared(array))
        for name, array in caches.items():
            value = _shared(array)
            self._binding.bind_ortvalue_input(name, value)
            self._binding.bind_ortvalue_output(f"next_{name}", value)

    def run(self, ids: Ids, length: int) -> Candidates:
        """One step of all rows, which have all said `length` pieces before."""
        self.ids[:] = ids
        self.lengths[:] = length
        self.total_length[...] = length + 1
        self._session.run_with_iobinding(self._binding)
        return self.candidates


class CachedState:
    """The rows of one batch. `step` changes it in place, so an older one is not to be used."""

    def __init__(
        self, source: dict[str, Array], caches: dict[str, Array], beam_size: int, length: int
    ) -> None:
        self.source = source  # a row a sentence
        self.caches = caches  # [R, H, M, D]
        self.beam_size = beam_size
        self.length = length
        self.bound: Bound | None = None

    @property
    def capacity(self) -> int:
        """Positions that the caches have room for, M."""
        capacity: int = next(iter(self.caches.values())).shape[2]
        return capacity

    def select(self, rows: Ids) -> Self:
        """Whole sentences: the rows of one stand together, `beam_size` of them."""
        sentences = rows[:: self.beam_size] // self.beam_size
        source = {name: np.ascontiguousarray(t[sentences]) for name, t in self.source.items()}
        caches = {name: self._copy(t, rows, self.capacity) for name, t in self.caches.items()}
        return type(self)(source, caches, self.beam_size, self.length)

    def reorder(self, rows: Ids) -> Self:
        """Rows within their sentences; in place."""
        moved = np.flatnonzero(rows != np.arange(len(rows)))
        if len(moved):
            for cache in self.caches.values():
                cache[moved, :, : self.length] = cache[rows[moved], :, : self.length]
        return self

    def grow(self) -> None:
        """Makes room for more positions."""
        everything = np.arange(len(next(iter(self.caches.values()))))
        capacity = self.capacity + GROW_BY
        self.caches = {n: self._copy(t, everything, capacity) for n, t in self.caches.items()}
        self.bound = None

    def _copy(self, cache: Array, rows: Ids, capacity: int) -> Array:
        copy = np.zeros((len(rows), cache.shape[1], capacity, cache.shape[3]), cache.dtype)
        copy[:, :, : self.length] = cache[rows, :, : self.length]
        return copy


class CachedModel:
    """Encoder and decoder sessions. May be shared by threads: sessions keep no state.

    Raises BundleError when the graphs cannot be loaded or differ from the manifest.
    """

    def __init__(self, bundle: Bundle, threads: int = 1) -> None:
        manifest = bundle.manifest
        self._pad_id = manifest.vocabulary.pad_id
        self._vocabulary_size = manifest.vocabulary.size
        self._source = [spec.name for spec in manifest.state if spec.kind == "source"]
        self._caches = [spec for spec in manifest.state if spec.kind == "cache"]
        self._encoder = open_session(bundle, manifest.encoder, threads)
        self._decoder = open_session(bundle, manifest.decoder, threads)
        self.aligner = OnnxModel(bundle, manifest.aligner, threads) if manifest.aligner else None
        inputs = {"ids", "k", "lengths", "total_length", "beam_size"}
        inputs |= {spec.name for spec in manifest.state}
        outputs = {"candidate_ids", "candidate_log_probs"}
        outputs |= {f"next_{spec.name}" for spec in self._caches}
        faults = [
            *graph_faults(manifest.encoder, self._encoder, (), {"source_ids"}, {*self._source}),
            *graph_faults(manifest.decoder, self._decoder, manifest.state, inputs, outputs),
        ]
        if faults:
            raise BundleError(str(bundle.path), faults)

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> CachedState:
        """Pads the sources to [B, S] and runs the encoder; the caches are made for B * K rows."""
        found = self._encoder.run(self._source, {"source_ids": pad_rows(sources, self._pad_id)})
        rows = len(sources) * beam_size
        caches = {spec.name: _room(spec, rows) for spec in self._caches}
        return CachedState(dict(zip(self._source, found, strict=True)), caches, beam_size, 0)

    def step(self, ids: Ids, state: CachedState, k: int) -> tuple[Candidates, CachedState]:
        """One step; the candidates are valid until the next one."""
        k = min(k, self._vocabulary_size)
        if state.length == state.capacity:
            state.grow()
        if state.bound is None or state.bound.k != k:
            state.bound = Bound(self._decoder, state.source, state.caches, state.beam_size, k)
        candidates = state.bound.run(ids, state.length)
        state.length += 1
        return candidates, state

    def feeds(self, ids: Ids, state: CachedState, k: int) -> dict[str, Array]:
        """Copies of the decoder's inputs for a step, for whoever studies its graph."""
        return {
            "ids": ids.copy(),
            "k": np.array([k]),
            "lengths": np.full(len(ids), state.length, dtype=np.int32),
            "total_length": np.array(state.length + 1, dtype=np.int32),
            "beam_size": np.array([state.beam_size]),
            **state.source,
            **{name: cache.copy() for name, cache in state.caches.items()},
        }


def _room(spec: StateSpec, rows: int) -> Array:
    sizes = {"R": rows, "M": GROW_BY}
    shape = [axis if isinstance(axis, int) else sizes[axis] for axis in spec.shape]
    return np.zeros(shape, dtype=spec.dtype)


def _shared(array: Array) -> onnxruntime.OrtValue:
    """The runtime's view of an array's own memory."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
