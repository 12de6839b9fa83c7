"""The model bundle: a directory with a manifest, the contract between training and serving.

This module defines the format and refuses what breaks it. It opens no ONNX graph and no
tokenizer; `docs/bundle.md` describes the format for people.
"""

import errno
import hashlib
import json
import math
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from service.errors import BundleError

FORMAT_VERSION: Final = 1
MANIFEST = "manifest.json"
MODEL_CARD = "README.md"
MAX_MANIFEST_BYTES: Final = 4 << 20
MAX_FAULTS: Final = 100
"""Of a manifest that is wrong everywhere, so many are told."""
LONGEST_PLACE: Final = 200
"""Of what the manifest calls the place of a fault, so many characters are told."""
MAX_ROW_NUMBERS: Final = 1 << 20
"""Numbers of the whole state for one row and position; a large Transformer has 200,000."""

_STRICT = ConfigDict(extra="forbid", allow_inf_nan=False)
_Count = Annotated[int, Field(ge=0, lt=1 << 63)]
_Positive = Annotated[int, Field(gt=0, lt=1 << 63)]
_Length = Annotated[int, Field(gt=0, le=65_536)]
_BeamSize = Annotated[int, Field(gt=0, le=64)]
_Language = Annotated[str, Field(pattern=r"^[a-z]{2,3}$")]
_FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", max_length=255)]
"""A plain name: no separator and no leading dot, so no file outside the bundle can be meant."""

SourceLayout = Literal["tag pieces eos", "pieces eos", "pieces"]
"""What a source is made of: `<2xx>`, the pieces of the sentence, eos."""
SOURCE_LAYOUT: SourceLayout = "tag pieces eos"


@dataclass(frozen=True, slots=True)
class StateSpec:
    """One tensor of the decoder's state, batch on axis 0.

    `source` tensors are fixed once the source is encoded; `step` tensors go into a step and come
    out changed; a `cache` starts empty and is written in place. In `shape` a letter is an axis
    that varies: R rows, S source length, T target length so far, M positions a cache has room for.
    """

    __pydantic_config__ = _STRICT
    name: str
    kind: Literal["source", "step", "cache"]
    dtype: Literal["float32", "bool", "int64"]
    shape: tuple[Literal["R", "S", "T", "M"] | int, ...]


@dataclass(frozen=True, slots=True)
class Direction:
    """A source and a target language, as ISO 639 codes."""

    __pydantic_config__ = _STRICT
    source: _Language
    target: _Language

    def __str__(self) -> str:
        return f"{self.source}-{self.target}"


@dataclass(frozen=True, slots=True)
class VocabularySpec:
    """SentencePiece models and special ids; `source` and `target` may be the same file."""

    __pydantic_config__ = _STRICT
    source: _FileName
    target: _FileName
    size: _Positive
    pad_id: int
    bos_id: int
    eos_id: int
    source_layout: SourceLayout = SOURCE_LAYOUT


@dataclass(frozen=True, slots=True)
class Limits:
    """Lengths in pieces that the model was made for, control symbols included."""

    __pydantic_config__ = _STRICT
    max_source_length: _Length
    max_target_length: _Length


@dataclass(frozen=True, slots=True)
class DecodingDefaults:
    """What a request gets that asks for nothing."""

    __pydantic_config__ = _STRICT
    beam_size: _BeamSize = 4
    length_penalty: Annotated[float, Field(ge=0, le=10)] = 1.0


@dataclass(frozen=True, slots=True)
class DataSet:
    """A corpus that the weights were trained on."""

    __pydantic_config__ = _STRICT
    name: str
    licence: str
    pairs: _Count


@dataclass(frozen=True, slots=True)
class Origin:
    """What a model was that was trained elsewhere: its format, name and licence, and the checksum
    of the file that held its weights."""

    __pydantic_config__ = _STRICT
    format: str
    name: str
    licence: str
    sha256: str


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the weights come from: a recipe, or an origin elsewhere."""

    __pydantic_config__ = _STRICT
    recipe: str
    updates: _Count
    target_tokens: _Count
    data: tuple[DataSet, ...]
    origin: Origin | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """One evaluation figure with the signature that makes it repeatable."""

    __pydantic_config__ = _STRICT
    data: str
    direction: str
    decoding: str
    metric: str
    value: float
    signature: str


@dataclass(frozen=True, slots=True)
class FileSpec:
    """Size in bytes and SHA-256 of a file."""

    __pydantic_config__ = _STRICT
    bytes: _Count
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


@dataclass(frozen=True, slots=True)
class ShortlistSpec:
    """Files of a vocabulary shortlist: a table of target pieces by source piece, a graph that
    gives the output layer for some pieces, and the decoder graph that scores only these."""

    __pydantic_config__ = _STRICT
    table: _FileName
    weights: _FileName
    decoder: _FileName


@dataclass(frozen=True, slots=True)
class ConfidenceSpec:
    """How sure a translated sentence of a direction is, told from the mean log-probability of its
    pieces: the chance that its chrF2 against a translation by people is `threshold` or more is
    1 / (1 + exp(-(bias + slope * mean)))."""

    __pydantic_config__ = _STRICT
    direction: str
    threshold: Annotated[float, Field(ge=0, le=100)]
    bias: float
    slope: Annotated[float, Field(ge=0)]
    sentences: _Positive
    """That it was measured on."""
    error: Annotated[float, Field(ge=0, le=1)]
    """Expected calibration error on sentences that were held out."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """All that the service knows about a model. `architecture` is for people only."""

    __pydantic_config__ = _STRICT
    format_version: Literal[1]
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$", max_length=64)]
    version: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._+-]*$", max_length=64)]
    architecture: str
    parameters: _Positive
    precision: Literal["float32", "int8"]
    directions: Annotated[tuple[Direction, ...], Field(min_length=1)]
    vocabulary: VocabularySpec
    encoder: _FileName
    decoder: _FileName
    state: Annotated[tuple[StateSpec, ...], Field(min_length=1)]
    limits: Limits
    decoding: DecodingDefaults
    provenance: Provenance
    scores: tuple[Score, ...]
    files: dict[_FileName, FileSpec]
    aligner: _FileName | None = None
    """A decoder graph in the plain form that has the output `alignment` as well: how much of each
    source piece it looked at, [R, S], rows sum to 1. None for a model without attention."""
    shortlist: ShortlistSpec | None = None
    confidence: tuple[ConfidenceSpec, ...] = ()
    """One for each direction that was measured."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A directory whose manifest is sound and whose files are what the manifest says."""

    path: Path
    manifest: Manifest

    def file(self, name: str) -> Path:
        """The path of one of the bundle's files."""
        return self.path / name


def describe_file(path: Path) -> FileSpec:
    """Size and checksum of a file, read in pieces."""
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return FileSpec(path.stat().st_size, digest)


def load_bundle(path: Path) -> Bundle:
    """Reads and checks a bundle directory. Raises BundleError with all faults at once."""
    manifest = read_manifest(path)
    faults = [*_file_faults(path, manifest), *_reference_faults(manifest)]
    if faults:
        raise BundleError(str(path), faults)
    return Bundle(path, manifest)


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Writes the manifest into a bundle directory."""
    text = json.dumps(asdict(manifest), ensure_ascii=False, indent=1)
    (path / MANIFEST).write_text(text + "\n", "utf-8")


def read_manifest(path: Path) -> Manifest:
    """The manifest of a bundle directory, whose files are not looked at. Raises BundleError."""
    try:
        raw: Any = json.loads(_manifest_text(path / MANIFEST))
    except OSError as error:
        raise BundleError(str(path), [f"{MANIFEST}: {error.strerror}"]) from error
    except (ValueError, RecursionError) as error:
        raise BundleError(str(path), [f"{MANIFEST} is not JSON: {error}"]) from error
    if isinstance(raw, dict) and raw.get("format_version") != FORMAT_VERSION:
        version = raw.get("format_version")
        fault = f"format_version is {version!r}, this service reads {FORMAT_VERSION}"
        raise BundleError(str(path), [fault])
    try:
        return TypeAdapter(Manifest).validate_python(raw)
    except ValidationError as error:
        wrong = error.errors()[:MAX_FAULTS]
        faults = [f"{'.'.join(map(str, e['loc']))[:LONGEST_PLACE]}: {e['msg']}" for e in wrong]
        raise BundleError(str(path), faults) from error


def _manifest_text(file: Path) -> str:
    """Raises OSError for what is no plain file: a pipe would never end, a link leads elsewhere."""
    file.stat()
    if file.is_symlink() or not file.is_file():
        raise OSError(errno.EINVAL, "is not a plain file")
    if file.stat().st_size > MAX_MANIFEST_BYTES:
        raise OSError(errno.EFBIG, f"is larger than {MAX_MANIFEST_BYTES} bytes")
    return file.read_text("utf-8")


def _file_faults(path: Path, manifest: Manifest) -> Iterator[str]:
    for name, expected in manifest.files.items():
        file = path / name
        if file.is_symlink() or not file.is_file():
            yield f"{name} is missing or not a plain file"
        elif file.stat().st_size != expected.bytes:
            yield f"{name} has {file.stat().st_size} bytes instead of {expected.bytes}"
        elif describe_file(file) != expected:
            yield f"{name} does not match its checksum"


def _reference_faults(manifest: Manifest) -> Iterator[str]:
    vocabulary = manifest.vocabulary
    needed = [manifest.encoder, manifest.decoder, vocabulary.source, vocabulary.target]
    if manifest.aligner is not None:
        needed.append(manifest.aligner)
    if (shortlist := manifest.shortlist) is not None:
        needed += [shortlist.table, shortlist.weights, shortlist.decoder]
        if all(spec.kind != "cache" for spec in manifest.state):
            yield "a shortlist needs a decoder with caches"
    for name in dict.fromkeys(needed):
        if name not in manifest.files:
            yield f"{name} is used but not listed in files"
    for name in ("pad_id", "bos_id", "eos_id"):
        if not 0 <= getattr(vocabulary, name) < vocabulary.size:
            yield f"vocabulary.{name} is outside the vocabulary of {vocabulary.size} pieces"
    names = [spec.name for spec in manifest.state]
    for name in sorted({name for name in names if names.count(name) > 1}):
        yield f"state {name} is described twice"
    numbers = 0
    for spec in manifest.state:
        if spec.shape[:1] != ("R",):
            yield f"state {spec.name} does not have its rows (R) on axis 0"
        letters = [axis for axis in spec.shape if not isinstance(axis, int)]
        if len(set(letters)) < len(letters):
            yield f"state {spec.name} has an axis twice"
        sizes = [axis for axis in spec.shape if isinstance(axis, int)]
        if min(sizes, default=1) < 1:
            yield f"state {spec.name} has axes of {sizes}, which is no size for a row"
        numbers += math.prod(sizes)
    if numbers > MAX_ROW_NUMBERS:
        yield f"the state has {numbers} numbers for a row; at most {MAX_ROW_NUMBERS}"
