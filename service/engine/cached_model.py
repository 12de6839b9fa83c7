"""A model whose decoder writes into caches in place; the fast form of a bundle.

Inputs and outputs of the decoder are bound once for a set of rows: a step changes a few numbers
in place and runs. Every row has its own length, so rows join and leave between steps. The source's
tensors have a row a sentence, whatever the beam size.
"""

from collections.abc import Sequence
from typing import Self

import numpy as np
import onnxruntime

from service.engine.bundle import Bundle, StateSpec
from service.engine.model import Candidates, Ids, pad_rows
from service.engine.onnx_model import OnnxModel
from service.engine.row_buffer import Array, Moves, RowBuffer, moves_of
from service.engine.sessions import graph_faults, open_session
from service.engine.shortlist import Selection, Shortlist
from service.errors import BundleError

GROW_BY = 32
"""Positions that a cache grows by; shapes that repeat let the runtime reuse its memory."""
ENCODE_TOGETHER = 8
"""Sources that the encoder reads at a time."""
COPY_SHARES = (0.25, 0.5, 1.0)
"""Rows of caches are copied as far as one of these parts of the longest."""
TRIM_BELOW = 0.75
"""Source tensors are packed again when the longest source needs less than this part of them."""


class Bound:
    """A decoder session with all inputs and outputs at fixed places, for the rows of a state."""

    def __init__(self, session: onnxruntime.InferenceSession, state: "CachedState", k: int) -> None:
        rows = len(state.lengths)
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
            "beam_size": np.array([state.beam_size]),
            "k": np.array([k]),
            **{name: buffer.array for name, buffer in state.source.items()},
            **(state.selection.inputs() if state.selection else {}),
        }
        outputs: dict[str, Array] = {
            "candidate_ids": self.candidates.ids,
            "candidate_log_probs": self.candidates.log_probs,
        }
        caches = {name: buffer.array for name, buffer in state.caches.items()}
        # The runtime does not keep numpy's memory alive, this does.
        self._kept = [inputs, outputs, caches]
        for name, array in inputs.items():
            self._binding.bind_ortvalue_input(name, _shared(array))
        for name, array in outputs.items():
            self._binding.bind_ortvalue_output(name, _shared(array))
        for name, array in caches.items():
            value = _shared(array)
            self._binding.bind_ortvalue_input(name, value)
            self._binding.bind_ortvalue_output(f"next_{name}", value)

    def run(self, ids: Ids, state: "CachedState") -> Candidates:
        """One step of all rows."""
        self.ids[:] = ids
        self.lengths[:] = state.lengths
        self.total_length[...] = state.longest + 1
        self._session.run_with_iobinding(self._binding)
        return self.candidates


class CachedState:
    """The rows that run. Everything changes it in place, so an older one is not to be used.

    A sentence's rows stand together, `beam_size` of them; its source tensors have one row.
    """

    def __init__(
        self,
        source: dict[str, RowBuffer],
        source_lengths: Ids,
        caches: dict[str, RowBuffer],
        beam_size: int,
        selection: Selection | None = None,
    ) -> None:
        self.source = source
        self.source_lengths = source_lengths  # [B] pieces
        self.caches = caches
        self.beam_size = beam_size
        self.selection = selection
        self.lengths = np.zeros(len(source_lengths) * beam_size, dtype=np.int32)  # [R] pieces said
        self.longest = 0
        """The largest of `lengths`."""
        self.bound: Bound | None = None

    @property
    def capacity(self) -> int:
        """Positions that the caches have room for, M."""
        return next(iter(self.caches.values())).length

    def select(self, rows: Ids) -> Self:
        """Whole sentences; padding that only those that leave had needed goes with them."""
        sentences = rows[:: self.beam_size] // self.beam_size
        self.source_lengths = self.source_lengths[sentences]
        tight = int(self.source_lengths.max())
        moves = moves_of(sentences)
        for buffer in self.source.values():
            buffer.move(moves, buffer.length)
            if tight < TRIM_BELOW * buffer.length:
                buffer.resize(tight, tight)
        if self.selection:
            self.selection.select(moves)
        self._move(rows)
        self.lengths = self.lengths[rows]
        self.longest = int(self.lengths.max())
        self.bound = None
        return self

    def reorder(self, rows: Ids) -> Self:
        """Rows within their sentences."""
        self._move(rows)
        return self

    def join(self, newcomers: Self) -> Self:
        """Rows of any lengths; those that are here already stay where they are."""
        for name, buffer in self.source.items():
            buffer.append(newcomers.source[name], buffer.length)
        for name, buffer in self.caches.items():
            buffer.append(newcomers.caches[name], self.longest)
        if self.selection and newcomers.selection:
            self.selection.join(newcomers.selection)
        self.source_lengths = np.concatenate([self.source_lengths, newcomers.source_lengths])
        self.lengths = np.concatenate([self.lengths, newcomers.lengths])
        self.longest = max(self.longest, newcomers.longest)
        self.bound = None
        return self

    def make_room(self) -> None:
        """Sees to it that every row can say one more piece."""
        if self.longest == self.capacity:
            for buffer in self.caches.values():
                buffer.resize(self.longest + GROW_BY, self.longest)
            self.bound = None

    def _move(self, rows: Ids) -> None:
        """Row i of the caches becomes the former row `rows[i]`."""
        moves = moves_of(rows)
        lengths = self.lengths[moves.origin]
        # In parts, so that short rows are not copied as far as the longest reaches. A sentence's
        # rows have one length, and what another sentence's rows move to is not needed any more.
        below = -1
        for share in COPY_SHARES:
            limit = int(share * self.longest)
            part = (lengths > below) & (lengths <= limit)
            below = limit
            for buffer in self.caches.values():
                buffer.move(Moves(moves.to[part], moves.origin[part], moves.rows), limit)


class CachedModel:
    """Encoder and decoder sessions. May be shared by threads: sessions keep no state.

    With a shortlist, each sentence chooses among its own pieces. Raises BundleError when the
    graphs cannot be loaded or differ from the manifest.
    """

    joinable = True

    def __init__(self, bundle: Bundle, threads: int = 1, use_shortlist: bool = True) -> None:
        manifest = bundle.manifest
        decoder, self._shortlist = manifest.decoder, None
        if use_shortlist and manifest.shortlist is not None:
            decoder = manifest.shortlist.decoder
            self._shortlist = Shortlist(bundle, manifest.shortlist, threads)
        self._pad_id = manifest.vocabulary.pad_id
        self._vocabulary_size = manifest.vocabulary.size
        self._source = [spec for spec in manifest.state if spec.kind == "source"]
        self._caches = [spec for spec in manifest.state if spec.kind == "cache"]
        self._encoder = open_session(bundle, manifest.encoder, threads)
        self._decoder = open_session(bundle, decoder, threads)
        self.aligner = OnnxModel(bundle, manifest.aligner, threads) if manifest.aligner else None
        inputs = {"ids", "k", "lengths", "total_length", "beam_size"}
        inputs |= {spec.name for spec in manifest.state}
        if self._shortlist is not None:
            inputs |= {"shortlist", "barred", *self._shortlist.names}
        outputs = {"candidate_ids", "candidate_log_probs"}
        outputs |= {f"next_{spec.name}" for spec in self._caches}
        encoded = {spec.name for spec in self._source}
        faults = [
            *graph_faults(manifest.encoder, self._encoder, (), {"source_ids"}, encoded),
            *graph_faults(decoder, self._decoder, manifest.state, inputs, outputs),
        ]
        if faults:
            raise BundleError(str(bundle.path), faults)

    def encode(self, sources: Sequence[Sequence[int]], beam_size: int = 1) -> CachedState:
        """Pads the sources to [B, S]; the caches are made for B * K rows.

        The encoder reads a few sources of similar length at a time: that pads little, and what
        it works on stays near the processor.
        """
        lengths = np.array([len(source) for source in sources])
        source = {
            spec.name: RowBuffer(_zeros(spec, len(sources), int(lengths.max())), _ragged(spec))
            for spec in self._source
        }
        names = list(source)
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), ENCODE_TOGETHER):
            group = order[start : start + ENCODE_TOGETHER]
            ids = pad_rows([sources[i] for i in group], self._pad_id)
            for name, array in zip(
                names, self._encoder.run(names, {"source_ids": ids}), strict=True
            ):
                source[name].write(group, array)
        rows = len(sources) * beam_size
        caches = {
            spec.name: RowBuffer(_zeros(spec, rows, GROW_BY), _ragged(spec))
            for spec in self._caches
        }
        selection = self._shortlist.select(sources) if self._shortlist is not None else None
        return CachedState(source, lengths, caches, beam_size, selection)

    def step(self, ids: Ids, state: CachedState, k: int) -> tuple[Candidates, CachedState]:
        """One step; the candidates are valid until the next one."""
        k = min(k, self._vocabulary_size)
        state.make_room()
        if state.bound is None or state.bound.k != k:
            state.bound = Bound(self._decoder, state, k)
        candidates = state.bound.run(ids, state)
        state.lengths += 1
        state.longest += 1
        return candidates, state

    def feeds(self, ids: Ids, state: CachedState, k: int) -> dict[str, Array]:
        """Copies of the decoder's inputs for a step, for whoever studies its graph."""
        state.make_room()
        buffers = {**state.source, **state.caches}
        return {
            "ids": ids.copy(),
            "k": np.array([k]),
            "lengths": state.lengths.copy(),
            "total_length": np.array(state.longest + 1, dtype=np.int32),
            "beam_size": np.array([state.beam_size]),
            **{name: buffer.array.copy() for name, buffer in buffers.items()},
        }


def _zeros(spec: StateSpec, rows: int, length: int) -> Array:
    sizes = {"R": rows, "S": length, "M": length}
    shape = [axis if isinstance(axis, int) else sizes[axis] for axis in spec.shape]
    return np.zeros(shape, dtype=spec.dtype)


def _ragged(spec: StateSpec) -> int:
    """The axis of positions."""
    return next(i for i, axis in enumerate(spec.shape) if axis in ("S", "M"))


def _shared(array: Array) -> onnxruntime.OrtValue:
    """The runtime's view of an array's own memory."""
    return onnxruntime.OrtValue.ortvalue_from_numpy(array)
