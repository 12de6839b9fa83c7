"""How much memory a bundle takes, by estimate, and giving it back once it is closed."""

import ctypes
import gc
import sys
from collections.abc import Iterable, Iterator

from service.engine.bundle import Manifest
from service.engine.sessions import shrink_memory
from service.lifecycle.model import Model

LOADED_BYTES = 2.5
"""Memory for each byte of a bundle's files once it is loaded: weights that are stored as float16 or
int8 are unfolded and packed. Measured with the shipped models; docs/operations.md has the table."""


def resident_bytes(manifest: Manifest) -> int:
    """What an engine will take, about, without what runs in it and the sentences it keeps."""
    return round(LOADED_BYTES * sum(file.bytes for file in manifest.files.values()))


def least_recently_used(models: Iterable[Model], bytes_to_free: int) -> Iterator[Model]:
    """Loaded models, the one that was asked for longest ago first, until so much is freed."""
    for model in sorted((m for m in models if m.loaded), key=lambda m: m.used):
        if bytes_to_free <= 0:
            return
        bytes_to_free -= model.bytes
        yield model


def give_back() -> None:
    """Returns freed memory to the system; the runtime and the C library would keep it for later."""
    gc.collect()
    shrink_memory()
    if sys.platform == "linux":
        trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # musl has none
        if trim is not None:
            trim(0)
