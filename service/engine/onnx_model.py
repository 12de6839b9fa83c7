"""A bundle's two ONNX graphs as a StepModel.

Knows no architecture: which tensors the state holds is read from the manifest.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from service.engine.bundle import Bundle, StateSpec
from service.engine.model import Candidates, Ids, Scores, pad_rows
from service.errors import BundleError

Array = NDArray[np.generic]
_ORT_TYPES = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(int64)": "int64"}


@dataclass(frozen=True, slots=True)
class OnnxState:
    """The state tensors by name, rows on axis 0."""

    tensors: dict[str, Array]
    step_names: frozenset[str]

    def select(self, rows: Ids) -> "OnnxState":
        """Every tensor's rows `rows`."""
        return OnnxState({n: t[rows] for n, t in self.tensors.items()}, self.step_names)

    def reorder(self, rows: Ids) -> "OnnxState":
        """Only what changes from step to step: the source's tensors are alike in these rows."""
        tensors = {n: t[rows] if n in self.step_names else t for n, t in self.tensors.items()}
        return OnnxState(tensors, self.step_names)


class OnnxModel:
    """Encoder and decoder sessions. May be shared by threads: sessions keep no state.

    Raises BundleError when the graphs cannot be loaded or differ from the manifest.
    """

    def __init__(self, bundle: Bundle, intra_op_threads: int = 1) -> None:
        onnxruntime.disable_telemetry_events()
        manifest = bundle.manifest
        self._pad_id = manifest.vocabulary.pad_id
        self._vocabulary_size = manifest.vocabulary.size
        self._specs = manifest.state
        self._step_names = frozenset(s.name for s in self._specs if s.kind == "step")
        self._encoder = _open(bundle, manifest.encoder, intra_op_threads)
        self._decoder = _open(bundle, manifest.decoder, intra_op_threads)
        names = {spec.name for spec in self._specs}
        faults = [
            *_faults(manifest.encoder, self._encoder, self._specs, {"source_ids"}, names),
            *_faults(
                manifest.decoder,
                self._decoder,
                self._specs,
                {"ids", "k", *names},
                {
                    "candidate_ids",
                    "candidate_log_probs",
                    *(f"next_{name}" for name in self._step_names),
                    *(["alignment"] if manifest.alignment else []),
                },
            ),
        ]
        if faults:
            raise BundleError(str(bundle.path), faults)
        self._after = {f"next_{name}": name for name in sorted(self._step_names)}

    def encode(self, sources: Sequence[Sequence[int]]) -> OnnxState:
        """Pads the sources to [B, S] and runs the encoder."""
        ids = pad_rows(sources, self._pad_id)
        names = [spec.name for spec in self._specs]
        tensors = self._encoder.run(names, {"source_ids": ids})
        return OnnxState(dict(zip(names, tensors, strict=True)), self._step_names)

    def step(self, ids: Ids, state: OnnxState, k: int) -> tuple[Candidates, OnnxState]:
        """Runs the decoder on ids [R] and keeps the k likeliest pieces of each row."""
        k = min(k, self._vocabulary_size)
        found, following = self._run(["candidate_ids", "candidate_log_probs"], ids, state, k)
        return Candidates(*found), following

    def attend(self, ids: Ids, state: OnnxState) -> tuple[Scores, OnnxState]:
        """Runs the decoder for what it looks at; only for bundles whose manifest says so."""
        found, following = self._run(["alignment"], ids, state, 1)
        return found[0], following

    def _run(
        self, outputs: list[str], ids: Ids, state: OnnxState, k: int
    ) -> tuple[list[Any], OnnxState]:
        feeds = {"ids": ids, "k": np.array([k]), **state.tensors}
        found = self._decoder.run([*outputs, *self._after], feeds)
        changed = dict(zip(self._after.values(), found[len(outputs) :], strict=True))
        return found[: len(outputs)], OnnxState({**state.tensors, **changed}, self._step_names)


def _open(bundle: Bundle, file: str, threads: int) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins takes the core from its neighbours.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            bundle.file(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        raise BundleError(str(bundle.path), [f"{file} cannot be loaded: {error}"]) from error


def _faults(
    file: str,
    session: onnxruntime.InferenceSession,
    specs: Sequence[StateSpec],
    inputs: set[str],
    outputs: set[str],
) -> list[str]:
    has_inputs = {node.name: node for node in session.get_inputs()}
    has_outputs = {node.name for node in session.get_outputs()}
    faults = [f"{file} has no input {name}" for name in sorted(inputs - has_inputs.keys())]
    faults += [f"{file} has a strange input {n}" for n in sorted(has_inputs.keys() - inputs)]
    faults += [f"{file} has no output {name}" for name in sorted(outputs - has_outputs)]
    for spec in specs:
        node = has_inputs.get(spec.name)
        if node is not None and _ORT_TYPES.get(node.type) != spec.dtype:
            faults.append(f"{file}: {spec.name} is {node.type}, the manifest says {spec.dtype}")
        if node is not None and len(node.shape) != len(spec.shape):
            faults.append(f"{file}: {spec.name} has {len(node.shape)} axes, not {len(spec.shape)}")
    return faults
