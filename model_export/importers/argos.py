"""Unpacks an Argos package: a zip with metadata, a CTranslate2 directory and a SentencePiece model.

Only those files are taken out, under names of ours. A package that names places outside itself, or
unpacks to more than a model can be, is refused before anything is written.
"""

import re
import shutil
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Any

from model_export.importers.bounds import unpacking_faults
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.files import UNSOUND_ZIP, licence_of, read_object, shown
from model_export.importers.imported import Asked, Imported, ImportFaults
from model_export.importers.languages import language_code
from model_export.importers.tensors import some

FORMAT = "Argos package"
METADATA = "metadata.json"
FILES = (METADATA, "sentencepiece.model", "bpe.model", "README.md")
MODEL_FILES = (
    "model.bin",
    "config.json",
    *(
        f"{name}_vocabulary.{kind}"
        for name in ("shared", "source", "target")
        for kind in ("json", "txt")
    ),
)
VERSION = re.compile(r"[\w.+-]{1,40}")
CHUNK = 1 << 20


@contextmanager
def import_argos(package: Path, asked: Asked) -> Iterator[tuple[Imported, Path]]:
    """The model, and the CTranslate2 directory that lives as long as this. Raises ImportFaults."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        unpack(package, folder)
        faults: list[str] = []
        metadata = read_object(folder / METADATA, faults) or {}
        version = str(metadata.get("package_version") or "1")
        if not VERSION.fullmatch(version):
            faults.append(f"{METADATA}: package_version is {shown(version)}")
        if metadata.get("target_prefix"):
            faults.append(f"{METADATA}: target_prefix is not supported")
        told = replace(
            _languages(metadata, asked, faults), licence=asked.licence or licence_of(folder)
        )
        try:
            found = import_ctranslate2(folder / "model", told, version)
        except ImportFaults as error:
            raise ImportFaults(package, [*faults, *error.faults]) from error
        if faults:
            raise ImportFaults(package, faults)
        origin = replace(found.origin, format=FORMAT, name=package.stem)
        yield replace(found, origin=origin), folder / "model"


def _languages(metadata: Mapping[str, Any], asked: Asked, faults: list[str]) -> Asked:
    """A caller's languages win."""
    codes = [language_code(str(metadata.get(key, ""))) for key in ("from_code", "to_code")]
    if None in codes and not (asked.sources and asked.targets):
        faults.append(f"{METADATA} does not tell from_code and to_code")
    source, target = (code or "" for code in codes)
    return Asked(asked.sources or (source,), asked.targets or (target,))


def unpack(package: Path, folder: Path) -> None:
    """Writes the files of interest. Raises ImportFaults; of bad members before any is written."""
    try:
        with zipfile.ZipFile(package) as archive:
            faults = [*_member_faults(archive)]
            if faults:
                raise ImportFaults(package, faults)
            wanted = [*_wanted(archive)]
            roots = {PurePosixPath(member.filename).parts[0] for member, _ in wanted}
            if len(roots) > 1:
                raise ImportFaults(package, [f"it holds several packages: {some(sorted(roots))}"])
            (folder / "model").mkdir()
            for member, to in wanted:
                with archive.open(member) as source, (folder / to).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
    except UNSOUND_ZIP as error:
        raise ImportFaults(package, [f"it is not a sound zip: {error}"]) from error


def _member_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            yield f"{member.filename!r} is a place outside the package"
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            yield f"{member.filename!r} is a link"
        if member.flag_bits & 1:
            yield f"{member.filename!r} is encrypted"
    yield from unpacking_faults(archive)


def _wanted(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Members by what they are: NAME/metadata.json, NAME/model/model.bin and so on."""
    for member in archive.infolist():
        parts = PurePosixPath(member.filename).parts
        match parts[1:] if len(parts) > 1 and not member.is_dir() else ():
            case (name,) if name in FILES:
                yield member, name
            case ("model", name) if name in MODEL_FILES:
                yield member, f"model/{name}"
