"""A trained module as two ONNX graphs with flat, named tensors. The module stays as it is.

encoder: source_ids [B, S] -> every state tensor.
decoder: ids [R], k [1] and every state tensor -> candidate_ids and candidate_log_probs [R, k],
`next_*` for each `step` tensor and, if the model has attention, alignment [R, S].
"""

import logging
import math
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from onnxscript import ir, optimizer
from torch import Tensor, nn
from torch.export import Dim

from model_export.architectures.model import TranslationModel
from service.engine.bundle import StateSpec

OPSET = 20
COMPACT_ABOVE = 1024
"""Tensors of fewer elements are not worth a Cast node."""
MODULE, HALF = "model.", ".half"
"""How a weight's name begins in a graph, and how it ends when it is stored as float16."""


class EncoderGraph(nn.Module):
    """`encode` with its state flattened into a tuple, in the order of the specs."""

    def __init__(self, model: TranslationModel, specs: Sequence[StateSpec]) -> None:
        super().__init__()
        self.model, self.specs = model, specs

    def forward(self, source_ids: Tensor) -> tuple[Tensor, ...]:
        """[B, S] -> state tensors."""
        state = self.model.encode(source_ids)
        return tuple(state[spec.name] for spec in self.specs)


class DecoderGraph(nn.Module):
    """`step` with flat state, and log-probabilities for logits."""

    def __init__(self, model: TranslationModel, specs: Sequence[StateSpec]) -> None:
        super().__init__()
        self.model, self.specs = model, specs

    def forward(self, ids: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """[R] and state tensors -> log_probs [R, V], the changed state tensors and, of a model
        with attention, alignment [R, S]."""
        names = [spec.name for spec in self.specs]
        before = dict(zip(names, state, strict=True))
        if self.model.aligns:
            logits, after, *alignment = self.model.attend(ids, before)
        else:
            logits, after, *alignment = self.model.step(ids, before)
        changed = (after[spec.name] for spec in self.specs if spec.kind == "step")
        return logits.log_softmax(-1), *changed, *alignment


def export_graphs(model: TranslationModel, encoder: Path, decoder: Path) -> None:
    """Writes both graphs, float32 throughout, with every varying axis named."""
    model = model.eval().cpu()
    specs = model.state_specs()
    names = [spec.name for spec in specs]
    source = torch.ones(2, 5, dtype=torch.int64)
    with torch.no_grad():
        state = model.encode(source)
        for _ in range(3):  # an example with some past, so that no axis looks constant
            _, state = model.step(torch.ones(2, dtype=torch.int64), state)
    _export(
        EncoderGraph(model, specs),
        (source,),
        encoder,
        ["source_ids"],
        names,
        ({0: Dim("R"), 1: Dim("S", min=2)},),
    )
    # "T" is what has been said so far, and 0 at the first step.
    letters: dict[str, Any] = {"R": Dim("R"), "S": Dim("S", min=2), "T": Dim("T", min=0)}
    axes = tuple(
        {axis: letters[letter] for axis, letter in enumerate(spec.shape) if letter in letters}
        for spec in specs
    )
    _export(
        DecoderGraph(model, specs),
        (torch.ones(2, dtype=torch.int64), tuple(state[name] for name in names)),
        decoder,
        ["ids", *names],
        [
            "log_probs",
            *(f"next_{spec.name}" for spec in specs if spec.kind == "step"),
            *(["alignment"] if model.aligns else []),
        ],
        ({0: letters["R"]}, axes),
    )


def _export(
    module: nn.Module,
    example: tuple[Any, ...],
    path: Path,
    inputs: list[str],
    outputs: list[str],
    axes: tuple[Any, ...],
) -> None:
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns of its own internals
        program = torch.onnx.export(
            module.eval(),
            example,
            input_names=inputs,
            output_names=outputs,
            dynamic_shapes=axes,
            opset_version=OPSET,
            dynamo=True,
            optimize=False,
            verbose=False,
        )
    if program is None:
        raise RuntimeError(f"{path}: the exporter gave no graph")
    # Weights are not folded, so they keep the names that the module gives them.
    optimizer.optimize_ir(program.model, should_fold=_is_not_weight)
    save_graph(strip(program.model_proto), path)


def save_graph(graph: onnx.ModelProto, path: Path) -> None:
    """Selects candidates if it is a decoder, stores weights small, checks and writes."""
    graph = compact(graph)
    if any(value.name == "log_probs" for value in graph.graph.output):
        select_candidates(graph)
    onnx.checker.check_model(graph)
    onnx.save(graph, path)


def _is_not_weight(node: ir.Node) -> bool | None:
    return False if node.op_type in ("Transpose", "Slice", "Split") else None


def strip(model: onnx.ModelProto) -> onnx.ModelProto:
    """Removes what the exporter notes of itself and of the machine, such as source paths; then
    the same weights give the same bytes."""
    graph = model.graph
    noted = [model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output]
    for part in noted:
        del part.metadata_props[:]
        part.doc_string = ""
    del graph.value_info[:]
    return model


def compact(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores large float32 constants that float16 holds exactly as such, with a Cast behind each.

    Those are the weights, which `round_weights` has rounded. The runtime folds the casts when it
    loads, so it computes in float32 as before.
    """
    casts = []
    for tensor in list(model.graph.initializer):
        if tensor.data_type != TensorProto.FLOAT or math.prod(tensor.dims) < COMPACT_ABOVE:
            continue
        weights = numpy_helper.to_array(tensor)
        half = weights.astype(np.float16)
        if (half.astype(np.float32) != weights).any():
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(half, f"{name}{HALF}"))
        casts.append(helper.make_node("Cast", [f"{name}{HALF}"], [name], to=TensorProto.FLOAT))
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)
    return model


def select_candidates(model: onnx.ModelProto) -> None:
    """Replaces the output log_probs [R, V] or [R, 1, V] by its k best, for an input `k` int64 [1].

    Two levels: the vocabulary is cut into groups, the k groups with the largest maxima hold the k
    largest of all, and only they are sorted. Several times faster than sorting everything.
    """
    graph = model.graph
    place = next(i for i, value in enumerate(graph.output) if value.name == "log_probs")
    vocabulary = graph.output[place].type.tensor_type.shape.dim[-1].dim_value
    width = max(w for w in range(1, math.isqrt(vocabulary) + 1) if vocabulary % w == 0)
    constants = {
        "groups_shape": [-1, vocabulary // width, width],
        "flat_shape": [0, -1],
        "group_width": [width],
        "group_count": [vocabulary // width],
        "last_axis": [-1],
        "axis_two": [2],
    }
    for name, values in constants.items():
        graph.initializer.append(numpy_helper.from_array(np.array(values, dtype=np.int64), name))
    node = helper.make_node
    graph.node.extend(
        [
            node("Reshape", ["log_probs", "groups_shape"], ["groups"]),  # [R, G, W]
            node("ReduceMax", ["groups", "last_axis"], ["maxima"], keepdims=0),  # [R, G]
            node("Min", ["k", "group_count"], ["group_k"]),
            node("TopK", ["maxima", "group_k"], ["group_maxima", "best_groups"], axis=-1),  # [R, k]
            node("Unsqueeze", ["best_groups", "axis_two"], ["group_index"]),  # [R, k, 1]
            node("GatherND", ["groups", "group_index"], ["members"], batch_dims=1),  # [R, k, W]
            node("Reshape", ["members", "flat_shape"], ["flat_members"]),  # [R, k * W]
            node("TopK", ["flat_members", "k"], ["candidate_log_probs", "places"], axis=-1),
            node("Div", ["places", "group_width"], ["rank"]),
            node("Mod", ["places", "group_width"], ["offset"]),
            node("GatherElements", ["best_groups", "rank"], ["group"], axis=1),
            node("Mul", ["group", "group_width"], ["first"]),
            node("Add", ["first", "offset"], ["candidate_ids"]),
        ]
    )
    del graph.output[place]
    graph.output.insert(
        0, helper.make_tensor_value_info("candidate_log_probs", TensorProto.FLOAT, ["R", "k"])
    )
    graph.output.insert(
        1, helper.make_tensor_value_info("candidate_ids", TensorProto.INT64, ["R", "k"])
    )
    graph.input.append(helper.make_tensor_value_info("k", TensorProto.INT64, [1]))


def round_weights(model: TranslationModel) -> None:
    """Rounds the weights that `compact` will store to float16, so that both wings agree."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.numel() >= COMPACT_ABOVE:
                parameter.copy_(parameter.half().float())


def graph_weights(path: Path) -> dict[str, Tensor]:
    """The module's weights out of a graph that was written here; the reverse of `compact`."""
    weights = {}
    for tensor in onnx.load(path).graph.initializer:
        if tensor.name.startswith(MODULE):
            name = tensor.name.removeprefix(MODULE).removesuffix(HALF)
            weights[name] = torch.from_numpy(numpy_helper.to_array(tensor).astype("float32"))
    return weights
