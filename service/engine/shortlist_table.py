"""The table of a vocabulary shortlist: its file, its faults, and what it allows a sentence to say.

Shape letters: V vocabulary, D directions.
"""

import math
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from service.engine.model import Ids
from service.engine.row_buffer import Array

ARRAYS = ("tags", "offsets", "pieces")
MAX_BYTES = 1 << 29
"""Of all arrays, unfolded. A table for 64,000 pieces and 100 likely ones for each takes a tenth."""

PACKINGS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclass(frozen=True, slots=True)
class ShortlistTable:
    """For each direction and each source piece, target pieces: a file of plain numbers.

    A direction is known by its control symbol, the first piece of a source; what may always be
    said in it stands at that symbol.
    """

    tags: Ids  # [D]
    offsets: Ids  # [D, V + 1]
    pieces: Ids  # those of direction d and piece p: pieces[offsets[d, p] : offsets[d, p + 1]]

    def allowed(self, source: Sequence[int]) -> Ids:
        """What may be said of a source, in any order, perhaps twice; everything in a direction
        that is not here."""
        directions = np.flatnonzero(self.tags == source[0])
        if not len(directions):
            return np.arange(self.offsets.shape[1] - 1)
        direction = directions[0]
        known = np.array(source)
        starts, ends = self.offsets[direction, known], self.offsets[direction, known + 1]
        spans = zip(starts.tolist(), ends.tolist(), strict=True)
        return np.concatenate([self.pieces[start:end] for start, end in spans])

    def save(self, path: Path) -> None:
        """Writes the file, the same bytes for the same table."""
        np.savez_compressed(path, tags=self.tags, offsets=self.offsets, pieces=self.pieces)


def load_table(path: Path, vocabulary_size: int, eos_id: int) -> ShortlistTable:
    """Reads a table. Raises ValueError with its faults, a line each."""
    try:
        _check_size(path)
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:  # each packing has errors of its own
        raise ValueError(f"is no file of arrays: {error}") from error
    faults = [*_table_faults(arrays, vocabulary_size, eos_id)]
    if faults:
        raise ValueError("\n".join(faults))
    return ShortlistTable(*(arrays[name].astype(np.int64) for name in ARRAYS))


def _check_size(path: Path) -> None:
    """Raises ValueError where little says that it is much: a small file can unfold without end,
    and an array can claim more numbers than the file has."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > MAX_BYTES:
            raise ValueError(f"unfolds to more than {MAX_BYTES} bytes")
        for member in archive.infolist():
            if member.compress_type not in PACKINGS:  # LZMA may ask for 4 GiB to unfold a byte
                raise ValueError(f"{member.filename} is packed in a way that is not read here")
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = np.lib.format.read_array_header_1_0
                if version != (1, 0):
                    read = np.lib.format.read_array_header_2_0
                shape, _, kind = read(file)
            if math.prod(shape) * max(1, kind.itemsize) > member.file_size:
                raise ValueError(f"{member.filename} claims more numbers than it has")


def _table_faults(arrays: Mapping[str, Array], size: int, eos_id: int) -> Iterator[str]:
    if {*arrays} != {*ARRAYS}:
        yield f"has the arrays {', '.join(sorted(arrays))}, not {', '.join(ARRAYS)}"
        return
    tags, offsets, pieces = (arrays[name] for name in ARRAYS)
    if any(array.dtype.kind not in "iu" for array in (tags, offsets, pieces)):
        yield "has numbers that are not whole"
    elif tags.ndim != 1 or pieces.ndim != 1 or offsets.shape != (len(tags), size + 1):
        yield f"does not fit a vocabulary of {size} pieces"
    elif len(pieces) and not (pieces.min() >= 0 and pieces.max() < size):
        yield "has pieces outside the vocabulary"
    elif (np.diff(offsets.astype(np.int64)) < 0).any() or not (
        offsets.min(initial=0) >= 0 and offsets.max(initial=0) <= len(pieces)
    ):
        yield "has offsets that do not fit its pieces"
    else:
        for tag, row in zip(tags.tolist(), offsets, strict=True):
            if not 0 <= tag < size or eos_id not in pieces[row[tag] : row[tag + 1]]:
                yield f"does not always allow the end of a sentence at control symbol {tag}"
