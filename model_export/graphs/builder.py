"""A small language for writing ONNX graphs: one call a node, names made on the way."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor

MICROSOFT = "com.microsoft"
OPSET = 24

DTYPES = {
    "float32": TensorProto.FLOAT,
    "int64": TensorProto.INT64,
    "int32": TensorProto.INT32,
    "bool": TensorProto.BOOL,
}


class GraphBuilder:
    """Collects nodes and constants; `model` makes a graph of them."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, onnx.TensorProto] = {}
        self.inputs: list[onnx.ValueInfoProto] = []
        self.outputs: list[onnx.ValueInfoProto] = []

    def input(self, name: str, dtype: str, shape: Sequence[str | int]) -> str:
        """Declares an input of the graph."""
        self.inputs.append(helper.make_tensor_value_info(name, DTYPES[dtype], list(shape)))
        return name

    def output(self, value: str, name: str, dtype: str, shape: Sequence[str | int]) -> None:
        """Gives a value to the outside, under a name of its own."""
        self.nodes.append(helper.make_node("Identity", [value], [name]))
        self.outputs.append(helper.make_tensor_value_info(name, DTYPES[dtype], list(shape)))

    def weight(self, name: str, value: Tensor) -> str:
        """A constant that keeps the name that the module gives it."""
        return self._keep(name, value.detach().cpu().numpy())

    def constant(self, value: NDArray[np.generic] | Sequence[int] | float, dtype: str) -> str:
        """A small constant."""
        array = np.array(value, dtype=dtype)
        return self._keep(
            f"constant_{dtype}_{'_'.join(map(str, array.ravel().tolist()))}_{array.ndim}", array
        )

    def _keep(self, name: str, value: NDArray[np.generic]) -> str:
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.array(value, order="C"), name)
        return name

    def __call__(
        self, kind: str, *inputs: str, outputs: int = 1, domain: str = "", **attributes: Any
    ) -> str:
        """Adds a node -> its first output; the others are `result.1`, `result.2`."""
        name = f"{kind.lower()}_{len(self.nodes)}"
        names = [name, *(f"{name}.{i}" for i in range(1, outputs))]
        self.nodes.append(helper.make_node(kind, list(inputs), names, domain=domain, **attributes))
        return name

    def linear(self, x: str, name: str, weight: Tensor, bias: Tensor | None) -> str:
        """x @ weight.T + bias; the weight keeps its name and is transposed by the graph."""
        # Stored as the module stores it, so that a graph's weights can be read back.
        transposed = self("Transpose", self.weight(f"{name}.weight", weight), perm=[1, 0])
        y = self("MatMul", x, transposed)
        return y if bias is None else self("Add", y, self.weight(f"{name}.bias", bias))

    def model(self) -> onnx.ModelProto:
        """The finished graph."""
        graph = helper.make_graph(
            self.nodes, "graph", self.inputs, self.outputs, list(self.constants.values())
        )
        opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=11)
