"""ONNX Runtime sessions of a bundle's graphs: their memory, and whether a graph is what the
manifest says. A graph may come from anywhere, so it is looked through before it is opened.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# The runtime reports its use to its makers from the moment it is loaded, unless it is told first.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import numpy as np
import onnxruntime

from service.engine.bundle import Bundle, StateSpec
from service.engine.graph_file import graph_file_faults
from service.errors import BundleError

_ORT_TYPES = {"tensor(float)": "float32", "tensor(bool)": "bool", "tensor(int64)": "int64"}
_PROVIDERS: Final = ["CPUExecutionProvider"]
FOLDING: Final = 4
"""What the runtime computes of a graph when it loads may be so many times as large as the file:
twice when float16 becomes float32."""
_IDENTITY: Final = bytes.fromhex(
    "08083a370a100a017812017922084964656e746974791201675a0f0a0178120a0a08080112040a02080162"
    "0f0a0179120a0a08080112040a02080142040a001011"
)
"""A graph that gives back its one number, x."""


def bound_memory(max_bytes: int) -> None:
    """Models that are loaded from now on share so much, weights included. What would exceed it
    fails, a bundle or a step, and not the process."""
    kinds, types = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
    place = onnxruntime.OrtMemoryInfo("Cpu", kinds.ORT_ARENA_ALLOCATOR, 0, types.DEFAULT)
    default = -1
    arena = {
        "max_mem": max_bytes,
        "arena_extend_strategy": default,
        "initial_chunk_size_bytes": default,
        "max_dead_bytes_per_chunk": default,
    }
    onnxruntime.create_and_register_allocator(place, onnxruntime.OrtArenaCfg(arena))


def shrink_memory() -> None:
    """Gives back what no model uses any more; the runtime would keep it for the next."""
    session = onnxruntime.InferenceSession(_IDENTITY, _options(), providers=_PROVIDERS)
    run = onnxruntime.RunOptions()
    run.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    session.run(None, {"x": np.zeros(1, np.float32)}, run)


def open_session(bundle: Bundle, file: str, threads: int) -> onnxruntime.InferenceSession:
    """A session on the CPU. Raises BundleError when the graph may not or cannot be loaded."""
    path = bundle.file(file)
    if faults := graph_file_faults(path):
        raise BundleError(str(bundle.path), [f"{file} {fault}" for fault in faults])
    try:
        return onnxruntime.InferenceSession(path, _options(threads, path), providers=_PROVIDERS)
    except Exception as error:  # ONNX Runtime's errors share no class of their own
        raise BundleError(str(bundle.path), [f"{file} cannot be loaded: {error}"]) from error


def _options(threads: int = 1, path: Path | None = None) -> onnxruntime.SessionOptions:
    onnxruntime.disable_telemetry_events()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    size = 0 if path is None else path.stat().st_size
    entries = {
        # A thread that spins takes the core from its neighbours.
        "session.intra_op.allow_spinning": "0",
        # Add and LayerNormalization apart are several times faster here than as one operator.
        "optimization.disable_specified_optimizers": "SkipLayerNormFusion",
        "optimization.constant_folding_max_output_size_in_bytes": str(FOLDING * size),
        "session.use_env_allocators": "1",  # those of bound_memory, if there are any
        "session.load_model_format": "ONNX",  # no other, whatever the file begins with
    }
    for name, value in entries.items():
        options.add_session_config_entry(name, value)
    return options


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
