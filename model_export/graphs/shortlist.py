"""Takes the output layer out of an int8 decoder: its columns become inputs.

Of the graph that `quantise_graph` wrote two are made: one gives the output layer's columns for
some pieces, the other is the decoder that scores only these. Knows no table.
"""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from model_export.errors import ModelExportError
from model_export.graphs.quantise import drop_unread
from service.engine.row_buffer import Array
from service.engine.shortlist import COLUMNS

WEIGHTS, SCALE, BIAS = "output_weights", "output_scale", "output_bias"


class ShortlistGraphError(ModelExportError):
    """The decoder is not an int8 decoder with caches, as this exporter writes it."""


def split_output_layer(model: onnx.ModelProto) -> tuple[onnx.ModelProto, onnx.ModelProto]:
    """-> (the graph of the output layer's columns, the decoder that reads them).

    Raises ShortlistGraphError.
    """
    product = _output_product(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    named = {WEIGHTS: product.input[1], SCALE: product.input[3]}
    if len(product.input) > 6:
        named[BIAS] = product.input[6]
    arrays = {name: numpy_helper.to_array(constants[kept]) for name, kept in named.items()}
    decoder = onnx.ModelProto()
    decoder.CopyFrom(model)
    _shorten(decoder.graph, arrays)
    return _columns(model, arrays), decoder


def _output_product(model: onnx.ModelProto) -> NodeProto:
    by_output = {name: node for node in model.graph.node for name in node.output}
    inputs = {value.name for value in model.graph.input}
    softmax = [node for node in model.graph.node if node.op_type == "LogSoftmax"]
    product = by_output.get(softmax[0].input[0]) if len(softmax) == 1 else None
    if product is None or product.op_type != "MatMulIntegerToFloat" or "beam_size" not in inputs:
        raise ShortlistGraphError("a shortlist needs an int8 decoder with caches")
    return product


def _columns(model: onnx.ModelProto, arrays: Mapping[str, Array]) -> onnx.ModelProto:
    """shortlist [C] -> the arrays' last axis at these pieces."""
    nodes, constants = [], []
    for name, array in arrays.items():
        # Rows lie together in memory, columns do not.
        table = numpy_helper.from_array(np.ascontiguousarray(array.T), f"{name}_table")
        constants.append(table)
        nodes.append(helper.make_node("Gather", [table.name, "shortlist"], [f"{name}_rows"]))
        nodes.append(helper.make_node("Transpose", [f"{name}_rows"], [name]))
    graph = helper.make_graph(
        nodes,
        "columns",
        [helper.make_tensor_value_info("shortlist", TensorProto.INT64, ["C"])],
        _infos(arrays),
        constants,
    )
    return helper.make_model(
        graph, opset_imports=list(model.opset_import), ir_version=model.ir_version
    )


def _infos(arrays: Mapping[str, Array]) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(
            name, helper.np_dtype_to_tensor_dtype(array.dtype), [*array.shape[:-1], "C"]
        )
        for name, array in arrays.items()
    ]


def _shorten(graph: onnx.GraphProto, arrays: Mapping[str, Array]) -> None:
    """Rewrites the end of a decoder: inputs for constants, bars, candidates by column."""
    info, node = helper.make_tensor_value_info, helper.make_node
    graph.input.extend(
        [
            info("shortlist", TensorProto.INT64, ["C"]),
            info("barred", TensorProto.FLOAT, ["B", "C"]),
            *_infos(arrays),
        ]
    )
    # What depended on the size of the vocabulary is computed from the number of columns.
    sized = {"groups_shape", "group_count", "group_width"}
    kept = [tensor for tensor in graph.initializer if tensor.name not in sized]
    del graph.initializer[:]
    graph.initializer.extend(kept)
    constants = {"group_width": [COLUMNS], "any_size": [-1], "axis_one": [1]}
    graph.initializer.extend(
        numpy_helper.from_array(np.array(value, dtype=np.int64), name)
        for name, value in constants.items()
    )
    first = [
        node("Shape", ["ids"], ["row_count"]),
        node("Shape", ["shortlist"], ["column_count"]),
        node("Div", ["column_count", "group_width"], ["group_count"]),
        node("Concat", ["any_size", "beam_size", "column_count"], ["by_sentence_shape"], axis=0),
        node("Concat", ["row_count", "any_size", "group_width"], ["groups_shape"], axis=0),
        node("Unsqueeze", ["barred", "axis_one"], ["bars"]),  # [B, 1, C]
    ]
    changed: list[NodeProto] = []
    for each in graph.node:
        if each.op_type == "LogSoftmax":
            product = next(made for made in changed if each.input[0] in made.output)
            for place, name in ((1, WEIGHTS), (3, SCALE), (6, BIAS)):
                if name in arrays:
                    product.input[place] = name
            changed += [
                node("Reshape", [each.input[0], "by_sentence_shape"], ["by_sentence"]),  # [B, K, C]
                node("Add", ["by_sentence", "bars"], ["own_logits"]),
                node("LogSoftmax", ["own_logits"], list(each.output), axis=-1),
            ]
            continue
        if each.output[0] == "candidate_ids":
            each.output[0] = "candidate_columns"
        changed.append(each)
    changed.append(node("Gather", ["shortlist", "candidate_columns"], ["candidate_ids"]))
    del graph.node[:]
    graph.node.extend([*first, *changed])
    drop_unread(graph)
