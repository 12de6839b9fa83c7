"""Where finished documents lie until they are fetched: in files if there is a directory, otherwise
in memory."""

import shutil
from pathlib import Path
from typing import Protocol

from service.errors import StoreFailed


class Shelf(Protocol):
    """Bytes by name. Methods block, but for no longer than a file takes."""

    def put(self, name: str, data: bytes) -> None:
        """Keeps it. Raises StoreFailed."""

    def get(self, name: str) -> bytes:
        """What was put there. Raises StoreFailed."""

    def drop(self, name: str) -> None:
        """Keeps it no longer; there may be nothing."""


class MemoryShelf:
    """Takes as much memory as there is on it."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        self._held[name] = data

    def get(self, name: str) -> bytes:
        return self._held[name]

    def drop(self, name: str) -> None:
        self._held.pop(name, None)


class DirectoryShelf:
    """A directory of its own, emptied at the start: the jobs of a process end with it."""

    def __init__(self, directory: Path) -> None:
        """Raises StoreFailed if it cannot be written."""
        self._directory = directory
        try:
            shutil.rmtree(directory, ignore_errors=True)
            directory.mkdir(mode=0o700, parents=True)
        except OSError as error:
            raise StoreFailed("documents") from error

    def put(self, name: str, data: bytes) -> None:
        try:
            (self._directory / name).write_bytes(data)
        except OSError as error:
            self.drop(name)  # a part of a file is of no use, and takes room on a full disk
            raise StoreFailed("the document") from error

    def get(self, name: str) -> bytes:
        try:
            return (self._directory / name).read_bytes()
        except OSError as error:
            raise StoreFailed("the document") from error

    def drop(self, name: str) -> None:
        (self._directory / name).unlink(missing_ok=True)
