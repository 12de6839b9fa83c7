"""Looks through a file that should be an ONNX graph before the runtime opens it.

Knows the wire format of protocol buffers and the few parts of ONNX that could reach outside the
file, bring foreign code, run for ever or claim memory that nothing in the file pays for. Whether
the graph makes sense is for the runtime to say.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

DOMAINS: Final = frozenset({"", "ai.onnx", "com.microsoft"})
"""Operators that come with the runtime."""
ENDLESS: Final = frozenset(
    {"Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"}
)
"""Operators that run a graph of their own as often as a number says."""
MAX_BYTES: Final = (1 << 31) - 1
"""No protocol buffer can be larger."""
MAX_PARTS: Final = 1_000_000
"""Fields that are looked at; the shipped models have a few thousand."""
MAX_DEPTH: Final = 16
"""Graphs inside graphs."""
MAX_FAULTS: Final = 20

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
# Numbers of fields, from onnx.proto.
_MODEL_GRAPH, _MODEL_OPSETS, _MODEL_TRAINING, _MODEL_FUNCTIONS = 7, 8, 20, 25
_GRAPH_NODES, _GRAPH_TENSORS, _GRAPH_SPARSE = 1, 5, 15
_NODE_TYPE, _NODE_ATTRIBUTES, _NODE_DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_ATTRIBUTE_ONCE = (5, 6)
_TENSOR_DIMS, _TENSOR_NAME, _TENSOR_EXTERNAL, _TENSOR_LOCATION = 1, 8, 13, 14
_OPSET_DOMAIN = 1


class NotAGraph(ValueError):
    """The bytes are no protocol buffer, or far too many parts of one."""


@dataclass(slots=True)
class _Reader:
    """Where the file is looked through; counts what it has seen."""

    parts: int = 0
    faults: dict[str, None] = field(default_factory=dict)

    def fields(self, data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
        """Number and value of each field of a message."""
        at = 0
        while at < len(data):
            self.parts += 1
            if self.parts > MAX_PARTS:
                raise NotAGraph(f"has more than {MAX_PARTS} parts")
            key, at = _varint(data, at)
            if key >> 32:  # the runtime would cut it down to the number of another field
                raise NotAGraph("is no ONNX graph")
            number, kind = key >> 3, key & 7
            value: int | memoryview
            if kind == _VARINT:
                value, at = _varint(data, at)
            elif kind in (_FIXED32, _FIXED64, _BYTES):
                size = 4 if kind == _FIXED32 else 8
                if kind == _BYTES:
                    size, at = _varint(data, at)
                if at + size > len(data):
                    raise NotAGraph("is cut off")
                value, at = data[at : at + size], at + size
            else:
                raise NotAGraph("is no ONNX graph")
            yield number, value

    def model(self, data: memoryview) -> None:
        graphs = 0
        for number, value in self.fields(data):
            if number == _MODEL_GRAPH:
                graphs += 1
                self.graph(_message(value), 0)
            elif number == _MODEL_OPSETS:
                for inner, domain in self.fields(_message(value)):
                    if inner == _OPSET_DOMAIN:
                        self.domain(domain)
            elif number in (_MODEL_TRAINING, _MODEL_FUNCTIONS):
                self.faults["brings functions or training steps of its own"] = None
        if graphs != 1:
            raise NotAGraph("is no ONNX graph")

    def graph(self, data: memoryview, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise NotAGraph(f"has graphs inside graphs, more than {MAX_DEPTH} deep")
        for number, value in self.fields(data):
            if number == _GRAPH_NODES:
                self.node(_message(value), depth)
            elif number == _GRAPH_TENSORS:
                self.tensor(_message(value))
            elif number == _GRAPH_SPARSE:
                self.sparse()

    def node(self, data: memoryview, depth: int) -> None:
        for number, value in self.fields(data):
            if number == _NODE_DOMAIN:
                self.domain(value)
            elif number == _NODE_TYPE and (name := _text(value)) in ENDLESS:
                self.faults[f"uses {name}, which may never end"] = None
            elif number == _NODE_ATTRIBUTES:
                self.attribute(_message(value), depth)

    def attribute(self, data: memoryview, depth: int) -> None:
        once = set()
        for number, value in self.fields(data):
            if number in _ATTRIBUTE_ONCE and number in once:
                raise NotAGraph("has a part twice, which the runtime would make one of")
            once.add(number)
            if number in _ATTRIBUTE_TENSORS:
                self.tensor(_message(value))
            elif number in _ATTRIBUTE_GRAPHS:
                self.graph(_message(value), depth + 1)
            elif number in _ATTRIBUTE_SPARSE:
                self.sparse()

    def sparse(self) -> None:
        # The runtime fills them up with zeros, as many as they say.
        self.faults["has a sparse tensor, which can unfold to any size"] = None

    def tensor(self, data: memoryview) -> None:
        name, elements, outside = "a tensor", 1, False
        for number, value in self.fields(data):
            if number == _TENSOR_DIMS:
                for size in [value] if isinstance(value, int) else _packed(value):
                    elements *= size
            elif number == _TENSOR_NAME:
                name = _text(value)
            elif number == _TENSOR_EXTERNAL or (number == _TENSOR_LOCATION and value == 1):
                outside = True
        if outside:
            self.faults[f"{name} is kept outside the file"] = None
        elif elements > 2 * len(data):  # the smallest numbers are half a byte
            self.faults[f"{name} claims more numbers than the file holds"] = None

    def domain(self, value: int | memoryview) -> None:
        if (name := _text(value)) not in DOMAINS:
            self.faults[f"uses operators of {name!r}, which are not known here"] = None


def graph_file_faults(path: Path) -> list[str]:
    """What forbids to open the file; the first faults, if there are many."""
    if path.stat().st_size > MAX_BYTES:
        return [f"is larger than {MAX_BYTES} bytes"]
    reader = _Reader()
    try:
        reader.model(memoryview(path.read_bytes()))
    except NotAGraph as error:
        reader.faults[str(error)] = None
    return list(reader.faults)[:MAX_FAULTS]


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise NotAGraph("is no ONNX graph")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at


def _packed(data: memoryview) -> Iterator[int]:
    at = 0
    while at < len(data):
        value, at = _varint(data, at)
        yield value


def _message(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise NotAGraph("is no ONNX graph")
    return value


def _text(value: int | memoryview) -> str:
    return bytes(_message(value)[:100]).decode("utf-8", "replace")
