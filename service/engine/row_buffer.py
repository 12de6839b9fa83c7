"""Memory for tensors whose rows come, go and grow while a model runs over them."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from service.engine.model import Ids

Array = NDArray[np.generic]


class Moves(NamedTuple):
    """Rows that change places, and how many there are afterwards."""

    to: Ids
    origin: Ids
    """From where, all before anything moves."""
    rows: int


def moves_of(rows: Ids) -> Moves:
    """Row i becomes the former row `rows[i]`; most stay where they are."""
    to = np.flatnonzero(rows != np.arange(len(rows)))
    return Moves(to, rows[to], len(rows))


class RowBuffer:
    """Rows on axis 0, their positions on another axis: [R, .., L, ..].

    Row r is the r-th in memory, and there is room for more rows behind the last one, so rows join
    without a copy of the others. Rows that are shorter than L are filled up with zeros.
    """

    def __init__(self, array: Array, axis: int) -> None:
        self._memory = array
        self._axis = axis
        self.rows = len(array)

    @property
    def array(self) -> Array:
        """The rows in use, a view of the memory."""
        return self._memory[: self.rows]

    @property
    def length(self) -> int:
        """L, the positions that there is room for."""
        return int(self._memory.shape[self._axis])

    def write(self, rows: Ids, values: Array) -> None:
        """Sets rows that are still zero; `values` may have fewer positions."""
        self._memory[self._at(rows, values.shape[self._axis])] = values

    def move(self, moves: Moves, length: int) -> None:
        """Rearranges the rows, of whose positions the first `length` count."""
        if len(moves.to):
            self._memory[self._at(moves.to, length)] = self._memory[self._at(moves.origin, length)]
        self.rows = moves.rows

    def resize(self, length: int, used: int) -> None:
        """Makes room for `length` positions, of which the first `used` count."""
        self._allocate(self.rows, length, used)

    def append(self, newcomers: "RowBuffer", used: int) -> None:
        """Adds rows, behind those here, of whose positions the first `used` count."""
        first, count = self.rows, self.rows + newcomers.rows
        length = max(self.length, newcomers.length)
        if count > len(self._memory) or length > self.length:
            # Twice the rows: a buffer that grows again and again copies little.
            room = count if count <= len(self._memory) else 2 * count
            self._allocate(room, length, used)
        new = slice(first, count)
        self._memory[new] = 0
        self._memory[self._at(new, newcomers.length)] = newcomers.array
        self.rows = count

    def _allocate(self, rows: int, length: int, used: int) -> None:
        shape = list(self._memory.shape)
        shape[0], shape[self._axis] = rows, length
        memory = np.zeros(shape, dtype=self._memory.dtype)
        kept = slice(self.rows)
        memory[self._at(kept, used)] = self._memory[self._at(kept, used)]
        self._memory = memory

    def _at(self, rows: Ids | slice, length: int) -> tuple[Ids | slice, ...]:
        between = (slice(None),) * (self._axis - 1)
        return (rows, *between, slice(length))
