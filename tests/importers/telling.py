"""What importers tell of broken files."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from model_export.importers.argos import import_argos
from model_export.importers.imported import Asked, ImportFaults

ASKED = Asked(("en",), ("de",))


def faults_of(read: Callable[[Path, Asked], object], path: Path, asked: Asked = ASKED) -> str:
    """All that is told, in one error."""
    with pytest.raises(ImportFaults) as error:
        read(path, asked)
    return str(error.value)


def package_faults(path: Path) -> str:
    """The faults of an Argos package."""

    def read(path: Path, asked: Asked) -> None:
        with import_argos(path, asked):
            pass

    return faults_of(read, path, Asked())


def edit(path: Path, **changes: object) -> None:
    """Changes keys of a JSON file; None removes one."""
    found = {**json.loads(path.read_text("utf-8")), **changes}
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}), "utf-8")


def expect(told: str, *parts: str) -> None:
    """Every part is told."""
    for part in parts:
        assert any(part in line for line in told.splitlines()), f"{part} not in\n{told}"
