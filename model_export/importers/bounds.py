"""How large a model may be: what claims to be larger was made to fill memory or a disk."""

import zipfile
from collections.abc import Iterable, Iterator
from typing import Any, TypeGuard

MOST_NUMBERS = 1 << 30
"""Weights of a model; one that stands under several names counts as often."""
MOST_BYTES = 4 * MOST_NUMBERS
"""The same as float32."""
MOST_RATIO = 100
"""Weights hardly grow when they are unpacked."""
MOST_SIZE = 2_000_000
"""Of a vocabulary; of nothing is there more."""
SMALL = 1 << 20
"""Bytes that anything may unpack to."""


def too_many(sizes: Iterable[int]) -> str | None:
    """What is wrong with tensors of so many numbers, all together."""
    total = sum(sizes)
    if total > MOST_NUMBERS:
        return f"it holds {total:,} numbers, more than {MOST_NUMBERS:,}"
    return None


def unpacking_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    """What is wrong with the sizes that a zip tells; reading stops there, whatever it holds."""
    total = 0
    for member in archive.infolist():
        size = member.file_size
        if size > SMALL and size > MOST_RATIO * member.compress_size:
            yield f"{member.filename!r} unpacks to {size:,} bytes: it is no model"
        total += size
    if total > MOST_BYTES:
        yield f"it unpacks to {total:,} bytes, more than {MOST_BYTES:,}"


def is_size(value: Any, most: int = MOST_SIZE, least: int = 1) -> TypeGuard[int]:
    """Whether a file tells a whole number that a size can be."""
    return type(value) is int and least <= value <= most
