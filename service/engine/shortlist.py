"""A vocabulary shortlist: for each source sentence the target pieces that may translate it.

The output layer then scores the union of what the sentences of a batch may say, not the whole
vocabulary, and each sentence chooses among its own pieces. The idea is that of Jean et al. 2015,
"On Using Very Large Target Vocabulary for Neural Machine Translation". Knows no tokenizer.
Shape letters: B sentences, C columns (pieces that are scored), V vocabulary, D directions.
"""

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from service.engine.bundle import Bundle, ShortlistSpec
from service.engine.model import Ids, Scores
from service.engine.row_buffer import Array, Moves, RowBuffer
from service.engine.sessions import open_session
from service.engine.shortlist_table import load_table
from service.errors import BundleError

COLUMNS: Final = 64
"""C is a multiple of this; the decoder chooses candidates in groups of as many."""
ROOM = 64
"""Columns more than needed when there are too few, so that the next sentence finds room."""
SHRINK_BELOW = 0.7
"""Columns are packed again when less than this part of them is needed."""


class Shortlist:
    """The table of a bundle and its output layer by columns. May be shared by threads.

    Raises BundleError when the files do not fit each other or the manifest.
    """

    def __init__(self, bundle: Bundle, spec: ShortlistSpec, threads: int = 1) -> None:
        vocabulary = bundle.manifest.vocabulary
        self.size = vocabulary.size
        try:
            self.table = load_table(bundle.file(spec.table), vocabulary.size, vocabulary.eos_id)
        except ValueError as error:
            faults = [f"{spec.table} {line}" for line in str(error).splitlines()]
            raise BundleError(str(bundle.path), faults) from error
        self._session = open_session(bundle, spec.weights, threads)
        self.names = [node.name for node in self._session.get_outputs()]
        if [node.name for node in self._session.get_inputs()] != ["shortlist"]:
            fault = f"{spec.weights} should have one input, shortlist"
            raise BundleError(str(bundle.path), [fault])
        # A new selection begins with what its first sentence may always say.
        self._always = {tag: Columns(self) for tag in self.table.tags.tolist()}
        for tag, columns in self._always.items():
            columns.fit(self.bars([[tag]]))

    def weights(self, pieces: Ids) -> dict[str, Array]:
        """The output layer for these pieces [C]: arrays with C as last axis."""
        found = self._session.run(self.names, {"shortlist": pieces})
        return dict(zip(self.names, found, strict=True))

    def bars(self, sources: Sequence[Sequence[int]]) -> Scores:
        """What is added to log-probabilities: 0 for a sentence's own pieces, -inf for others.

        [B, V + 1]; the last one, which is no piece, stands for a column without one.
        """
        bars = np.full((len(sources), self.size + 1), -np.inf, dtype=np.float32)
        for row, source in zip(bars, sources, strict=True):
            row[self.table.allowed(source)] = 0
        return bars

    def select(self, sources: Sequence[Sequence[int]]) -> "Selection":
        """What some sentences may say."""
        columns = self._always.get(sources[0][0])
        return Selection(self.bars(sources), columns or Columns(self))


class Columns:
    """Pieces and their part of the output layer, side by side; changes only by `fit`."""

    def __init__(self, shortlist: Shortlist) -> None:
        self._shortlist = shortlist
        self.pieces: Ids = np.empty(0, dtype=np.int64)  # [C], V in a column without a piece
        self.weights = shortlist.weights(self.pieces)  # [.., C]

    def copy(self) -> "Columns":
        """The same columns in memory of their own."""
        copy = Columns.__new__(Columns)
        copy._shortlist, copy.pieces = self._shortlist, self.pieces.copy()
        copy.weights = {name: array.copy() for name, array in self.weights.items()}
        return copy

    def fit(self, bars: Array) -> None:
        """Makes sure of a column for every piece that a sentence may say, given `bars`.

        Pieces keep their columns; new ones take the columns of those that nobody needs now.
        """
        needed = bars.max(axis=0) == 0  # [V + 1]
        missing = needed.copy()
        missing[self.pieces] = False
        count = int(needed.sum())
        most = _round_up(count + ROOM)
        if count > len(self.pieces):
            self._resize(np.arange(len(self.pieces)), most)
        elif most < SHRINK_BELOW * len(self.pieces):
            self._resize(np.flatnonzero(needed[self.pieces]), most)
        new = np.flatnonzero(missing)
        if len(new):
            places = np.flatnonzero(~needed[self.pieces])[: len(new)]
            self.pieces[places] = new
            for name, array in self._shortlist.weights(new).items():
                self.weights[name][..., places] = array

    def _resize(self, kept: NDArray[np.int64], count: int) -> None:
        pieces = np.full(count, self._shortlist.size, dtype=np.int64)
        pieces[: len(kept)] = self.pieces[kept]
        self.pieces = pieces
        for name, array in self.weights.items():
            weights = np.zeros((*array.shape[:-1], count), dtype=array.dtype)
            weights[..., : len(kept)] = array.take(kept, axis=-1)
            self.weights[name] = weights


class Selection:
    """What the sentences of a state may say, and the columns for it."""

    def __init__(self, bars: Scores, columns: Columns) -> None:
        self._bars = RowBuffer(bars, 1)  # [B, V + 1]
        self._columns = columns
        self._shared = True
        """Whether the columns are still those of the shortlist, not to be changed."""
        self._barred: RowBuffer | None = None  # [B, C]; None when the columns may have to change
        self._fitted = 0
        """Sentences when the columns were last fitted."""

    def select(self, moves: Moves) -> None:
        """Rearranges the sentences; the columns stay until half of the sentences have left."""
        self._bars.move(moves, self._bars.length)
        if self._barred is not None:
            self._barred.move(moves, self._barred.length)
        if 2 * self._bars.rows < self._fitted:
            self._barred = None

    def join(self, newcomers: "Selection") -> None:
        """Adds sentences."""
        self._bars.append(newcomers._bars, self._bars.length)
        self._barred = None

    def inputs(self) -> dict[str, Array]:
        """What the decoder reads: `shortlist` [C], `barred` [B, C] and the output layer."""
        if self._shared:
            self._columns, self._shared = self._columns.copy(), False
        columns = self._columns
        if self._barred is None:
            columns.fit(self._bars.array)
            self._barred = RowBuffer(self._bars.array.take(columns.pieces, axis=1), 1)
            self._fitted = self._bars.rows
        return {
            # Columns without a piece are barred; any piece will do for their name.
            "shortlist": np.minimum(columns.pieces, self._bars.length - 2),
            "barred": self._barred.array,
            **columns.weights,
        }


def _round_up(count: int) -> int:
    return -(-count // COLUMNS) * COLUMNS
