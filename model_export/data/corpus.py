"""Pair files and the mixture drawn from them.

A pair file holds one `first<TAB>second` pair a line in UTF-8, plain or compressed (.gz, .xz).
"""

import gzip
import lzma
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

import numpy as np

from model_export.errors import ModelExportError
from model_export.recipe import CorpusFile

MAX_CHARACTERS = 400
MAX_RATIO = 6.0
Place = tuple[int, int, bool]
"""File, pair, and whether it is read from the second language into the first."""


class CorpusError(ModelExportError):
    """A pair file is missing or malformed; the message names the file and the line."""


@dataclass(frozen=True, slots=True)
class Example:
    """One training or dev example: text in `source` language and its translation."""

    source: str
    target: str
    source_text: str
    target_text: str


def read_pairs(path: Path) -> Iterator[tuple[str, str]]:
    """Yields the pairs of a file. Raises CorpusError on a line that is not one pair."""
    if not path.is_file():
        raise CorpusError(f"{path}: no such pair file")
    with open_text(path) as lines:
        for number, line in enumerate(lines, 1):
            fields = line.rstrip("\r\n").split("\t")
            if len(fields) != 2:
                raise CorpusError(f"{path}:{number}: {len(fields)} fields where a pair has 2")
            yield fields[0], fields[1]


def open_text(path: Path, mode: Literal["rt", "wt"] = "rt") -> TextIO:
    """A UTF-8 text file, compressed as its name says."""
    if path.suffix == ".gz":
        return gzip.open(path, mode, encoding="utf-8", newline="\n")
    if path.suffix == ".xz":
        return lzma.open(path, mode, encoding="utf-8", newline="\n")
    return path.open(mode, encoding="utf-8", newline="\n")


def normalised(text: str) -> str:
    """NFC, single spaces, on one line."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def clean(first: str, second: str) -> tuple[str, str] | None:
    """A normalised pair; None when it can't teach anything."""
    first, second = normalised(first), normalised(second)
    shorter, longer = sorted((len(first), len(second)))
    if shorter == 0 or longer > MAX_CHARACTERS or longer > MAX_RATIO * (shorter + 10):
        return None
    return (first, second)


def find(folders: Sequence[Path], path: str) -> Path:
    """A pair file in the first of the folders that has it. Raises CorpusError if none has."""
    for folder in folders:
        if (folder / path).is_file():
            return folder / path
    raise CorpusError(f"{path}: no such pair file in {', '.join(map(str, folders))}")


def load_pairs(folders: Sequence[Path], file: CorpusFile) -> list[tuple[str, str]]:
    """The clean, distinct pairs of one file, in file order."""
    pairs = (clean(*pair) for pair in read_pairs(find(folders, file.path)))
    return list(dict.fromkeys(pair for pair in pairs if pair is not None))


class Mixture:
    """Weighted pair files from which each epoch draws the same examples for the same seed."""

    def __init__(
        self, folders: Sequence[Path], files: Sequence[CorpusFile], languages: tuple[str, str]
    ) -> None:
        self.files = files
        self.languages = languages
        self.pairs = [load_pairs(folders, file) for file in files]

    def holdout(self, count: int, seed: int) -> list[tuple[str, str]]:
        """Takes `count` pairs out of the mixture for a dev set; reproducible."""
        rng = np.random.default_rng([seed, 0])
        places = [(f, i) for f, pairs in enumerate(self.pairs) for i in range(len(pairs))]
        chosen = [places[i] for i in rng.permutation(len(places))[:count]]
        held = list(dict.fromkeys(self.pairs[f][i] for f, i in sorted(chosen)))
        self.exclude(held)
        return held

    def exclude(self, pairs: Sequence[tuple[str, str]]) -> None:
        """Removes pairs by value, in whichever files they stand."""
        unwanted = set(pairs)
        self.pairs = [[pair for pair in file if pair not in unwanted] for file in self.pairs]

    def epoch(self, number: int, seed: int) -> list[Place]:
        """Draws epoch `number`, in file order.

        A weight of 2.5 takes every pair twice and a random half of them once more.
        """
        rng = np.random.default_rng([seed, number])
        drawn: list[Place] = []
        for f, (file, pairs) in enumerate(zip(self.files, self.pairs, strict=True)):
            for direction in file.directions:
                whole, part = divmod(file.weight, 1)
                extra = rng.permutation(len(pairs))[: round(part * len(pairs))]
                numbers = [*range(len(pairs))] * int(whole) + extra.tolist()
                backward = direction != "-".join(self.languages)
                drawn.extend((f, i, backward) for i in numbers)
        return drawn
