"""Weights out of a file by name, with every missing one and every wrong shape noted."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from model_export.importers.imported import Array, Weights

MOST_NAMES = 8
"""Of a list of names so many are told."""


class Tensors:
    """Reads some arrays, and notes in `faults` what they lack."""

    def __init__(self, arrays: Mapping[str, NDArray[Any]], faults: list[str]) -> None:
        self._arrays, self._faults = arrays, faults
        self._read: set[str] = set()

    def __contains__(self, name: str) -> bool:
        return name in self._arrays

    def take(self, name: str, *shape: int) -> Array:
        """An array as float32; zeros where there is none like it. A shape of ones is dropped."""
        self._read.add(name)
        found = self._arrays.get(name)
        if found is None:
            self._faults.append(f"weight {name} is missing")
        elif found.dtype.kind not in "fiu":
            self._faults.append(f"weight {name} is of type {found.dtype}")
        elif found.shape == shape or (found.ndim > len(shape) and found.size == np.prod(shape)):
            values: Array = found.astype(np.float32).reshape(shape)
            if np.isfinite(values).all():
                return values
            self._faults.append(f"weight {name} has values that are no numbers")
        else:
            self._faults.append(f"weight {name} has shape {list(found.shape)}, not {list(shape)}")
        return np.broadcast_to(np.float32(0), shape)

    def first(self, names: Sequence[str], *shape: int) -> Array:
        """The first of these that is there."""
        self._read |= set(names)
        return self.take(next((n for n in names if n in self._arrays), names[0]), *shape)

    def maybe(self, name: str, *shape: int) -> Array | None:
        """An array that a model may lack."""
        return self.take(name, *shape) if name in self._arrays else None

    def ignore(self, *names: str) -> None:
        """Says of arrays that nothing depends on them."""
        self._read |= set(names)

    @property
    def unread(self) -> list[str]:
        """What nobody has asked for."""
        return sorted(self._arrays.keys() - self._read)


def some(names: Sequence[str]) -> str:
    """The first few of many names."""
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


Linear = tuple[Array, Array]
"""Weight [out, in] and bias [out]."""


def attention(name: str, query: Linear, key: Linear, value: Linear, output: Linear) -> Weights:
    """An attention's weights by our names."""
    return {
        f"{name}.query_key_value.weight": _stacked(query[0], key[0], value[0]),
        f"{name}.query_key_value.bias": _stacked(query[1], key[1], value[1]),
        **linear(f"{name}.output", output),
    }


def _stacked(*arrays: Array) -> Array:
    """One below the other. What is missing takes no memory, whatever size the files claim."""
    if all(any(array.strides) for array in arrays):
        return np.concatenate(arrays)
    return np.broadcast_to(np.float32(0), (sum(map(len, arrays)), *arrays[0].shape[1:]))


def linear(name: str, found: Linear) -> Weights:
    """Weight and bias of a product, or scale and shift of a norm."""
    return {f"{name}.weight": found[0], f"{name}.bias": found[1]}


def sinusoids(count: int, width: int) -> Array:
    """Marian's positions: all sines, then all cosines; computed in double precision."""
    frequency = 10000.0 ** (-np.arange(width // 2) / (width // 2))
    angle = np.arange(count)[:, None] * frequency[None, :]
    return np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)
