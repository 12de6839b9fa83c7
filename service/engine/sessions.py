"""ONNX Runtime sessions of a bundle's graphs, and whether a graph is what the manifest says."""

import os
from collections.abc import Sequence

# The runtime reports its use to its makers from the moment it is loaded, unless it is told first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

from service.engine.bundle import Bundle, StateSpec
from service.errors import BundleError

_ORT_TYPES = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(int64)": "int64"}


def open_session(bundle: Bundle, file: str, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises BundleError when the graph cannot be loaded."""
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A thread that spins takes the core from its neighbours.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # Add and LayerNormalization apart are several times faster here than as one operator.
    options.add_session_config_entry(
        "optimization.disable_specified_optimizers", "SkipLayerNormFusion"
    )
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            bundle.file(file), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        raise BundleError(str(bundle.path), [f"{file} cannot be loaded: {error}"]) from error


def graph_faults(
    file: str,
    session: onnxruntime.InferenceSession,
    specs: Sequence[StateSpec],
    inputs: set[str],
    outputs: set[str],
) -> list[str]:
    """What is wrong with a graph that should have these inputs and at least these outputs."""
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
