"""Unpacks an Argos package: a zip with metadata, a CTranslate2 directory and a SentencePiece model.

Only those files are taken out, under names of ours. A package that names places outside itself, or
unpacks to more than a model can be, is refused before anything is written.
"""

import lzma
import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from model_export.importers.ctranslate2_model import Tokenizers, import_ctranslate2
from model_export.importers.files import read_object
from model_export.importers.imported import Asked, Imported, ImportFaults
from model_export.importers.languages import language_code

FORMAT = "Argos package"
METADATA, TOKENIZER, BPE = "metadata.json", "sentencepiece.model", "bpe.model"
MODEL_FILES = (
    "model.bin",
    "config.json",
    *(
        f"{name}_vocabulary.{kind}"
        for name in ("shared", "source", "target")
        for kind in ("json", "txt")
    ),
)
MOST_BYTES = 4 << 30
MOST_RATIO = 100
"""Weights hardly grow when they are unpacked; what grows so much is made to fill the disk."""
CHUNK = 1 << 20
UNSOUND = (
    OSError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
)
"""What reading a damaged zip can raise."""


@contextmanager
def import_argos(package: Path, asked: Asked) -> Iterator[tuple[Imported, Path]]:
    """The model, and the CTranslate2 directory that lives as long as this. Raises ImportFaults."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        unpack(package, folder)
        faults: list[str] = []
        metadata = read_object(folder / METADATA, faults) or {}
        tokenizer = folder / TOKENIZER
        languages = asked
        if not asked.sources or not asked.targets:
            codes = [language_code(str(metadata.get(k, ""))) for k in ("from_code", "to_code")]
            if None in codes:
                faults.append(f"{METADATA} does not tell from_code and to_code")
            first, second = (code or "" for code in codes)
            sources, targets = asked.sources or (first,), asked.targets or (second,)
            languages = Asked(sources, targets, asked.licence)
        if (folder / BPE).exists():
            faults.append(f"{BPE}: pieces of subword-nmt are not supported, SentencePiece is")
        elif not tokenizer.exists():
            faults.append(f"{TOKENIZER} is missing")
        version = str(metadata.get("package_version") or "1")
        try:
            tokenizers = Tokenizers(tokenizer, tokenizer)
            found = import_ctranslate2(folder / "model", languages, tokenizers, version)
        except ImportFaults as error:
            raise ImportFaults(package, [*faults, *error.faults]) from error
        if faults:
            raise ImportFaults(package, faults)
        origin = replace(found.origin, format=FORMAT, name=package.stem)
        yield replace(found, origin=origin), folder / "model"


def unpack(package: Path, folder: Path) -> None:
    """Writes the files of interest. Raises ImportFaults; of bad members before any is written."""
    try:
        with zipfile.ZipFile(package) as archive:
            faults = [*_member_faults(archive)]
            if faults:
                raise ImportFaults(package, faults)
            (folder / "model").mkdir()
            for member, to in _wanted(archive):
                with archive.open(member) as source, (folder / to).open("wb") as target:
                    shutil.copyfileobj(source, target, CHUNK)
    except UNSOUND as error:
        raise ImportFaults(package, [f"it is not a sound zip: {error}"]) from error


def _member_faults(archive: zipfile.ZipFile) -> Iterator[str]:
    total = 0
    for member in archive.infolist():
        path = PurePosixPath(member.filename.replace("\\", "/"))
        if path.is_absolute() or ".." in path.parts or ":" in "".join(path.parts[:1]):
            yield f"{member.filename!r} is a place outside the package"
        if (member.external_attr >> 16) & 0o170000 == 0o120000:
            yield f"{member.filename!r} is a link"
        if member.flag_bits & 1:
            yield f"{member.filename!r} is encrypted"
        if member.file_size > MOST_RATIO * max(member.compress_size, CHUNK // MOST_RATIO):
            yield f"{member.filename!r} unpacks to {member.file_size:,} bytes: it is no model"
        total += member.file_size
    if total > MOST_BYTES:
        yield f"it unpacks to {total:,} bytes, more than {MOST_BYTES:,}"


def _wanted(archive: zipfile.ZipFile) -> Iterator[tuple[zipfile.ZipInfo, str]]:
    """Members by what they are: NAME/metadata.json, NAME/model/model.bin and so on."""
    for member in archive.infolist():
        parts = PurePosixPath(member.filename).parts
        match parts[1:] if len(parts) > 1 and not member.is_dir() else ():
            case (name,) if name in (METADATA, TOKENIZER, BPE, "README.md"):
                yield member, name
            case ("model", name) if name in MODEL_FILES:
                yield member, f"model/{name}"
