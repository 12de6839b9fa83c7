"""Reads files that somebody else made: nothing in them is executed, and every fault is a sentence.

A reader returns None when it has noted a fault.
"""

import json
import lzma
import pickle  # nosec B403
import re
import reprlib
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file

from model_export.importers.bounds import too_many, unpacking_faults

Arrays = Mapping[str, NDArray[Any]]
UNSOUND_TENSORS = (
    OSError,
    EOFError,
    KeyError,
    RuntimeError,
    TypeError,  # of sparse tensors
    ValueError,
    SafetensorError,
    zipfile.BadZipFile,
)
UNSOUND_ZIP = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged zip can raise."""
UNSOUND_ARRAYS = (
    *UNSOUND_ZIP,
    MemoryError,  # of a shape that no file could fill
    ValueError,
)
ENTRY = re.compile(r'^("(?:[^"\\]|\\.)*"|\'(?:[^\']|\'\')*\'|.+?)\s*:\s*(\d+)\s*$')
LONGEST_LINE = 10_000
ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))")
ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "0": "\0", "N": "\x85", "_": "\xa0"}


def shown(value: Any) -> str:
    """A value out of a file in few words; printed whole, nested YAML could fill the memory."""
    short = reprlib.Repr()
    short.maxlevel, short.maxstring = 2, 60
    return short.repr(value)


def read_json(path: Path, faults: list[str]) -> Any:
    """What a JSON file holds."""
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        faults.append(f"{path.name} is missing")
    except (OSError, ValueError, RecursionError) as error:
        faults.append(f"{path.name} is not JSON: {error}")
    return None


def read_object(path: Path, faults: list[str]) -> dict[str, Any] | None:
    """A JSON file that holds an object."""
    found = read_json(path, faults)
    if found is not None and not isinstance(found, dict):
        faults.append(f"{path.name} is not a JSON object")
        return None
    return found


def read_optional(path: Path, faults: list[str]) -> dict[str, Any]:
    """The same of a file that a model may lack; empty where there is none."""
    return (read_object(path, faults) or {}) if path.exists() else {}


def read_yaml(text: str, name: str, faults: list[str]) -> dict[str, Any] | None:
    """A YAML document that is a mapping; of plain values only."""
    try:
        found = yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        faults.append(f"{name} is not YAML: {error}")
        return None
    if not isinstance(found, dict):
        faults.append(f"{name} is not a YAML mapping")
        return None
    return found


def read_torch(path: Path, faults: list[str]) -> Arrays | None:
    """Tensors out of a safetensors file, or out of a pickle that may hold nothing else."""
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        elif zipfile.is_zipfile(path) and not _unpacks(path, faults):
            return None
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of pickles that PyTorch would not write
                state = torch.load(path, map_location="cpu", weights_only=True)
        if isinstance(state, dict) and all(isinstance(v, torch.Tensor) for v in state.values()):
            # Of what is counted, not of what is stored: one number can stand for many.
            if fault := too_many(tensor.numel() for tensor in state.values()):
                faults.append(f"{path.name}: {fault}")
                return None
            return {str(name): tensor.float().numpy() for name, tensor in state.items()}
        faults.append(f"{path.name} is not a table of tensors")
    except pickle.UnpicklingError:
        faults.append(f"{path.name} holds more than weights: its code was not executed")
    except UNSOUND_TENSORS as error:
        faults.append(f"{path.name} cannot be read: {error}")
    return None


def read_npz(path: Path, faults: list[str]) -> Arrays | None:
    """Arrays out of a NumPy archive; none may be a pickle."""
    try:
        if not _unpacks(path, faults):
            return None
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except UNSOUND_ARRAYS as error:
        faults.append(f"{path.name} cannot be read: {error}")
    return None


def _unpacks(path: Path, faults: list[str]) -> bool:
    """Whether a zip unpacks to what a model can be."""
    with zipfile.ZipFile(path) as archive:
        found = [f"{path.name}: {fault}" for fault in unpacking_faults(archive)]
    faults += found
    return not found


def numbered(found: Mapping[str, Any], name: str, faults: list[str]) -> tuple[str, ...] | None:
    """Pieces with their ids -> pieces in the order of ids, which must be 0, 1, 2, .."""
    ids = sorted(found.items(), key=lambda item: item[1] if isinstance(item[1], int) else -1)
    if [number for _, number in ids] != list(range(len(ids))):
        faults.append(f"{name} does not number its {len(ids)} pieces from 0 on without gaps")
        return None
    return tuple(piece for piece, _ in ids)


def read_marian_vocabulary(path: Path, faults: list[str]) -> tuple[str, ...] | None:
    """Marian's `piece: id` lines. Read line by line, since pieces are not all proper YAML keys."""
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, ValueError) as error:
        faults.append(f"{path.name} cannot be read: {error}")
        return None
    found: dict[str, int] = {}
    key = ""
    for number, line in enumerate(lines, 1):
        if line.startswith("? "):  # a long key, which YAML writes into a line of its own
            key = line[2:].rstrip("\r")
            continue
        if not line.strip():
            continue
        try:
            piece, row = _entry(key + line.rstrip("\r"))
            key = ""
        except (ValueError, OverflowError):
            faults.append(f"{path.name}:{number} is not `piece: id`")
            return None
        found[piece] = row
    return numbered(found, path.name, faults)


def _entry(line: str) -> tuple[str, int]:
    entry = ENTRY.match(line) if len(line) <= LONGEST_LINE else None
    if entry is None:
        raise ValueError(line)
    return _unquoted(entry[1]), int(entry[2])


def _unquoted(piece: str) -> str:
    if piece[:1] == piece[-1:] == "'" and len(piece) > 1:
        return piece[1:-1].replace("''", "'")
    if piece[:1] == piece[-1:] == '"' and len(piece) > 1:
        return ESCAPE.sub(_escaped, piece[1:-1])
    return piece


def _escaped(match: re.Match[str]) -> str:
    *codes, other = match.groups()
    code = next((c for c in codes if c), None)
    return chr(int(code, 16)) if code else ESCAPED.get(other, other)


def licence_of(folder: Path) -> str | None:
    """The licence that a README names in its front matter."""
    path = folder / "README.md"
    if not path.is_file():
        return None
    front, end, _ = path.read_text("utf-8", "replace").partition("\n---")
    found = re.search(r"^license:[ \t]*(\S.*)$", front, re.M)
    return found[1].strip().strip("\"'") if found and end and front.startswith("---\n") else None
