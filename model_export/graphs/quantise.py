"""Rewrites a float32 graph for int8: u8 activations with fixed ranges, s8 weights by column.

Fixed ranges make a row's result independent of its neighbours in the batch. Every product with
constant weights becomes QuantizeLinear and MatMulIntegerToFloat; what follows stays float32.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import NodeProto, helper, numpy_helper
from onnxscript import ir, optimizer

MICROSOFT = "com.microsoft"
SAMPLES = 4096
"""Values kept of one tensor in one run; enough for a percentile."""

SMALL_TABLE = 1024
"""Tables of fewer rows, such as positions, stay as they are."""

Feeds = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, slots=True)
class Range:
    """What an activation reaches; always contains 0, which must be exact."""

    low: float
    high: float

    @property
    def scale(self) -> float:
        """The step between two of 256 values."""
        return max(self.high - self.low, 1e-6) / 255

    @property
    def zero_point(self) -> int:
        """The value that stands for 0."""
        return round(-self.low / self.scale)


@dataclass(frozen=True, slots=True)
class Product:
    """`output = x @ weights + bias`, in one node or two."""

    nodes: tuple[NodeProto, ...]
    x: str
    weights: NDArray[np.float32]  # [K, N]
    bias: str
    output: str


def folded(path: Path) -> onnx.ModelProto:
    """A graph of ours with its weights as plain float32 matrices, the way products read them."""
    model = ir.load(path)
    kinds = {"Cast": True, "Transpose": True, "Slice": True, "Split": False}
    optimizer.optimize_ir(
        model,
        input_size_limit=1 << 40,
        output_size_limit=1 << 40,
        should_fold=lambda node: kinds.get(node.op_type),
    )
    return ir.to_proto(model)


def products(model: onnx.ModelProto) -> Iterator[Product]:
    """All products with constant weights, each with the bias that is added to it."""
    constants = {t.name: t for t in model.graph.initializer}
    readers: dict[str, list[NodeProto]] = {}
    for node in model.graph.node:
        for name in node.input:
            readers.setdefault(name, []).append(node)
    for node in model.graph.node:
        if node.op_type not in ("MatMul", "Gemm") or node.input[1] not in constants:
            continue
        weights = numpy_helper.to_array(constants[node.input[1]])
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        if attributes.get("transB"):
            weights = weights.T
        output, bias = node.output[0], ""
        nodes: tuple[NodeProto, ...] = (node,)
        if len(node.input) > 2:
            bias = node.input[2]
        elif len(after := readers.get(output, [])) == 1 and after[0].op_type == "Add":
            other = next(name for name in after[0].input if name != output)
            if other in constants and constants[other].dims == [weights.shape[1]]:
                bias, nodes, output = other, (node, after[0]), after[0].output[0]
        yield Product(nodes, node.input[0], weights, bias, output)


def measure_ranges(
    model: onnx.ModelProto, feeds: Sequence[Feeds], percentile: float
) -> dict[str, Range]:
    """Runs the float graph and cuts what products read at a percentile of its magnitude.

    `percentile` is in percent and counts from both ends; 100 keeps the extremes.
    """
    names = sorted({product.x for product in products(model)})
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    known = {value.name for value in probed.graph.output}
    probed.graph.output.extend(onnx.ValueInfoProto(name=n) for n in names if n not in known)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(probed.SerializeToString(), options)
    rng = np.random.default_rng(0)
    samples: dict[str, list[NDArray[np.float32]]] = {name: [] for name in names}
    for feed in feeds:
        for name, values in zip(names, session.run(names, dict(feed)), strict=True):
            flat = values.ravel()
            extremes = np.array([flat.min(), flat.max()])
            kept = flat if len(flat) <= SAMPLES else rng.choice(flat, SAMPLES, replace=False)
            samples[name].append(kept if percentile < 100 else extremes)
    return {
        name: Range(
            min(0.0, float(np.percentile(np.concatenate(found), 100 - percentile))),
            max(0.0, float(np.percentile(np.concatenate(found), percentile))),
        )
        for name, found in samples.items()
    }


def quantise(model: onnx.ModelProto, ranges: Mapping[str, Range]) -> onnx.ModelProto:
    """Replaces every product of `ranges`; the embedding table becomes int8 by row as well."""
    graph = model.graph
    replaced: dict[str, list[NodeProto]] = {}  # by a node's first output
    quantised: set[str] = set()
    for number, product in enumerate(list(products(model))):
        replacement = []
        if product.x not in quantised:
            quantised.add(product.x)
            replacement.append(_quantise_input(graph, product.x, ranges[product.x]))
        replacement.append(_integer_product(graph, product, f"product_{number}"))
        replaced |= {node.output[0]: [] for node in product.nodes}
        replaced[product.nodes[0].output[0]] = replacement
    changed = [new for node in graph.node for new in replaced.get(node.output[0], [node])]
    del graph.node[:]
    graph.node.extend(changed)
    _quantise_embeddings(graph)
    drop_unread(graph)
    if all(domain.domain != MICROSOFT for domain in model.opset_import):
        model.opset_import.append(helper.make_opsetid(MICROSOFT, 1))
    return model


def _constant(graph: onnx.GraphProto, name: str, value: NDArray[np.generic]) -> str:
    graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
    return name


def _quantise_input(graph: onnx.GraphProto, name: str, found: Range) -> NodeProto:
    _constant(graph, f"{name}.scale", np.array(found.scale, dtype=np.float32))
    _constant(graph, f"{name}.zero", np.array(found.zero_point, dtype=np.uint8))
    inputs = [name, f"{name}.scale", f"{name}.zero"]
    return helper.make_node("QuantizeLinear", inputs, [f"{name}.u8"])


def _integer_product(graph: onnx.GraphProto, product: Product, name: str) -> NodeProto:
    scale = np.maximum(np.abs(product.weights).max(0), 1e-8) / 127  # [N]
    weights = np.round(product.weights / scale).astype(np.int8)  # [K, N]
    inputs = [
        f"{product.x}.u8",
        _constant(graph, f"{name}.weights", weights),
        f"{product.x}.scale",
        _constant(graph, f"{name}.scale", scale.astype(np.float32)),
        f"{product.x}.zero",
        "",
        product.bias,
    ]
    while not inputs[-1]:
        inputs.pop()
    return helper.make_node(
        "MatMulIntegerToFloat", inputs, [product.output], domain=MICROSOFT, name=name
    )


def _quantise_embeddings(graph: onnx.GraphProto) -> None:
    """Tables become int8, with a scale for each row; a factor that follows goes into the scale."""
    constants = {t.name: t for t in graph.initializer}
    readers = Counter(name for node in graph.node for name in node.input)
    factors = {
        node.input[0]: node
        for node in graph.node
        if node.op_type == "Mul" and _factor(node, constants) and readers[node.input[0]] == 1
    }
    nodes, done = [], set()
    for node in graph.node:
        table = constants.get(node.input[0]) if node.op_type == "Gather" else None
        if table is None or len(table.dims) != 2 or table.dims[0] < SMALL_TABLE:
            if node.output[0] not in done:
                nodes.append(node)
            continue
        values = numpy_helper.to_array(table)  # [V, E]
        name, output = node.input[0], node.output[0]
        if output in factors:
            factor = factors[output]
            values = values * numpy_helper.to_array(constants[factor.input[1]])
            output = factor.output[0]
            done.add(output)
        scale = np.maximum(np.abs(values).max(1, keepdims=True), 1e-8) / 127  # [V, 1]
        _constant(graph, f"{name}.rows", np.round(values / scale).astype(np.int8))
        _constant(graph, f"{name}.row_scale", scale.astype(np.float32))
        nodes += [
            helper.make_node("Gather", [f"{name}.rows", node.input[1]], [f"{output}.s8"]),
            helper.make_node("Cast", [f"{output}.s8"], [f"{output}.float"], to=1),
            helper.make_node(
                "Gather", [f"{name}.row_scale", node.input[1]], [f"{output}.row_scale"]
            ),
            helper.make_node("Mul", [f"{output}.float", f"{output}.row_scale"], [output]),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _factor(node: NodeProto, constants: Mapping[str, onnx.TensorProto]) -> bool:
    """Whether a product is one with a constant number, as second input."""
    return node.input[1] in constants and not constants[node.input[1]].dims


def drop_unread(graph: onnx.GraphProto) -> None:
    read = {name for node in graph.node for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in read]
    del graph.initializer[:]
    graph.initializer.extend(kept)
