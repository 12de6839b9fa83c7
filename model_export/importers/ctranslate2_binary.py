"""CTranslate2's model.bin: named arrays, some of them other names for the same.

Little-endian: version; name and revision of the spec; variables (name, axes, type, bytes); aliases.
Knows nothing of what the arrays mean.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.importers.bounds import too_many

VERSIONS = (4, 5, 6)
"""Binary versions that look like this."""
TYPES = ("float32", "int8", "int16", "int32", "float16", "bfloat16")
"""By the number that stands for a type."""
MOST_VARIABLES, MOST_AXES = 100_000, 4
INT16_SCALE = np.float32(1000)
"""That of int16 weights which are stored without one."""


class BinaryFault(ValueError):
    """The file is not what its format says."""


@dataclass(frozen=True, slots=True)
class Binary:
    """A file as it was read."""

    version: int
    spec: str
    revision: int
    variables: dict[str, NDArray[Any]]


class _Cursor:
    """Walks through bytes; never past their end."""

    def __init__(self, data: memoryview) -> None:
        self._data, self._at = data, 0

    def take(self, count: int) -> memoryview:
        """The next bytes."""
        if count > len(self._data) - self._at:
            raise BinaryFault(f"it ends at byte {len(self._data)}, {count} more were expected")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, kind: str) -> int:
        """A whole number of one of `struct`'s kinds."""
        return int(struct.unpack(f"<{kind}", self.take(struct.calcsize(kind)))[0])

    def text(self) -> str:
        """A length, the bytes, the last of them zero."""
        raw = bytes(self.take(self.number("H")))
        if raw[-1:] != b"\0":
            raise BinaryFault("a name does not end where it should")
        try:
            return raw[:-1].decode("utf-8")
        except UnicodeDecodeError as error:
            raise BinaryFault("a name is not UTF-8") from error

    @property
    def left(self) -> int:
        """Bytes that are left."""
        return len(self._data) - self._at


def read_binary(path: Path) -> Binary:
    """Raises BinaryFault or OSError."""
    if not path.stat().st_size:
        raise BinaryFault("it is empty")
    cursor = _Cursor(np.memmap(path, mode="r").data)
    version = cursor.number("I")
    if version not in VERSIONS:
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
        raise BinaryFault(f"binary version {version} is not supported; {known} are")
    spec, revision = cursor.text(), cursor.number("I")
    variables: dict[str, NDArray[Any]] = {}
    count = cursor.number("I")
    if count > MOST_VARIABLES:
        raise BinaryFault(f"it claims to have {count} variables")
    for _ in range(count):
        name = cursor.text()
        variables[name] = _read_variable(cursor, name)
    for _ in range(cursor.number("I")):
        alias, name = cursor.text(), cursor.text()
        if name not in variables:
            raise BinaryFault(f"{alias} is another name for {name}, which is missing")
        # An alias stands for the scale of integer weights too.
        for end in ("", "_scale"):
            if name + end in variables:
                variables[alias + end] = variables[name + end]
    if cursor.left:
        raise BinaryFault(f"{cursor.left} bytes are left over")
    if fault := too_many(array.size for array in variables.values()):
        raise BinaryFault(fault)
    return Binary(version, spec, revision, variables)


def _read_variable(cursor: _Cursor, name: str) -> NDArray[Any]:
    axes = cursor.number("B")
    if axes > MOST_AXES:
        raise BinaryFault(f"{name} has {axes} axes")
    shape = [cursor.number("I") for _ in range(axes)]
    number, size = cursor.number("B"), cursor.number("I")
    if number >= len(TYPES):
        raise BinaryFault(f"{name} is of unknown type {number}")
    kind = TYPES[number]
    # NumPy has no bfloat16: the upper half of a float32.
    dtype = np.dtype("<u2" if kind == "bfloat16" else kind)
    if size != math.prod(shape) * dtype.itemsize:
        raise BinaryFault(f"{name} has {size} bytes, not those of {kind} {shape}")
    array = np.frombuffer(cursor.take(size), dtype=dtype).reshape(shape)
    if kind == "bfloat16":
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array


def dequantised(variables: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Integer weights times their scale: one a row, or one of all. Scales go."""
    found = {}
    for name, array in variables.items():
        if name.endswith("_scale") and name.removesuffix("_scale") in variables:
            continue
        if name.endswith("weight") and array.dtype.kind == "i":
            scale = variables.get(f"{name}_scale", INT16_SCALE if array.itemsize == 2 else None)
            if scale is None:
                raise BinaryFault(f"{name} is {array.dtype} without a scale")
            if scale.ndim > 1 or (scale.ndim == 1 and scale.shape[0] != array.shape[0]):
                raise BinaryFault(f"{name} has {scale.shape} scales for {array.shape}")
            by_row = scale.reshape(-1, *[1] * (array.ndim - 1)) if scale.ndim else scale
            with np.errstate(all="ignore"):  # whoever takes it looks for what is no number
                array = array.astype(np.float32) / by_row.astype(np.float32)
        found[name] = array
    return found
