"""Reads a CTranslate2 directory: model.bin with the layout of a Transformer, config.json,
vocabularies, and a SentencePiece model beside them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from model_export.importers.ctranslate2_binary import BinaryFault, dequantised, read_binary
from model_export.importers.ctranslate2_older import Variables, as_today, flag
from model_export.importers.ctranslate2_weights import SpecReader
from model_export.importers.files import licence_of, read_json, read_optional, shown
from model_export.importers.imported import Asked, Imported, ImportFaults, Side
from model_export.importers.opus import choose_languages
from model_export.importers.tokenizers import tokenizer_faults
from service.engine.bundle import Origin, describe_file

FORMAT = "CTranslate2 directory"
TOKENIZERS = ("source.spm", "target.spm"), ("sentencepiece.model",), ("tokenizer.model",)
"""Names of SentencePiece models that are looked for: of source and target, or of both."""
ZERO_START = "decoder/start_from_zero_embedding"
"""A flag that only models of Marian have."""
CONFIG: Mapping[str, Any] = {
    "unk_token": "<unk>",
    "bos_token": "<s>",
    "eos_token": "</s>",
    "decoder_start_token": "<s>",
    "add_source_bos": False,
    "add_source_eos": False,
    "layer_norm_epsilon": None,
}
"""What config.json may say, and what holds where it does not."""


@dataclass(frozen=True, slots=True)
class Tokenizers:
    """The SentencePiece models of a directory."""

    source: Path
    target: Path


def import_ctranslate2(folder: Path, asked: Asked, version: str = "1") -> Imported:
    """`asked` must name the languages that no tag names. Raises ImportFaults."""
    faults: list[str] = []
    tokenizers = find_tokenizers(folder, faults)
    variables, older = _read_variables(folder / "model.bin", faults)
    found = {**read_optional(folder / "config.json", faults), **older}
    config = {**CONFIG, **{name: found[name] for name in CONFIG if name in found}}
    faults += _config_faults(config)
    sides = _read_sides(folder, tokenizers, config, faults)
    # Models of Marian have tags, and want an end; by way of Transformers, their tokenizer adds it.
    of_marian = variables is not None and flag(variables, ZERO_START, False)
    tagged = sides[0].pieces if sides is not None and of_marian else ()
    languages = choose_languages(tagged, ("", ""), asked, faults)
    if sides is None or variables is None:
        raise ImportFaults(folder, faults)
    reader = SpecReader(variables, sides, config, faults)
    weights = reader.weights()
    start = None if of_marian else reader.start()
    if faults:
        raise ImportFaults(folder, faults)
    licence = asked.licence or licence_of(folder) or "unknown"
    digest = describe_file(folder / "model.bin").sha256
    return Imported(
        config=reader.transformer("output.weight" not in weights),
        weights=weights,
        source=sides[0],
        target=sides[1],
        sources=languages.sources,
        targets=languages.targets,
        layout=languages.layout if of_marian or config["add_source_eos"] else "pieces",
        library_ends=config["add_source_eos"],
        origin=Origin(FORMAT, folder.name, licence, digest),
        start=start,
        alignment_heads=reader.alignment_heads(),
        version=version,
    )


def _config_faults(config: Mapping[str, Any]) -> Iterator[str]:
    for name in ("unk_token", "eos_token", "add_source_bos", "add_source_eos"):
        if not isinstance(config[name], type(CONFIG[name])):
            yield f"config.json: {name} is {shown(config[name])}"
    epsilon = config["layer_norm_epsilon"]
    if epsilon is not None and not (isinstance(epsilon, int | float) and 0 < epsilon < 1):
        yield f"config.json: layer_norm_epsilon is {shown(epsilon)}"
    if config["add_source_bos"] is True:
        yield "config.json: add_source_bos is not supported"


def find_tokenizers(folder: Path, faults: list[str]) -> Tokenizers | None:
    """The SentencePiece models in a directory, or beside it as Argos keeps them."""
    for place in (folder, folder.parent):
        for names in TOKENIZERS:
            files = [place / name for name in names]
            if all(file.is_file() for file in files):
                return Tokenizers(files[0], files[-1])
    beside = [place / "bpe.model" for place in (folder, folder.parent)]
    if any(file.is_file() for file in beside):
        faults.append("bpe.model: pieces of subword-nmt are not supported, SentencePiece is")
    else:
        either = "source.spm and target.spm, or sentencepiece.model"
        faults.append(f"there is no SentencePiece model: {either}")
    return None


def read_vocabulary(folder: Path, name: str, faults: list[str]) -> tuple[str, ...] | None:
    """A list of pieces: JSON, or a line each as older models have it; None if there is no file."""
    path, plain = folder / f"{name}.json", folder / f"{name}.txt"
    if path.is_file():
        found = read_json(path, faults)
        if isinstance(found, list) and all(isinstance(piece, str) for piece in found):
            return tuple(found)
        faults.append(f"{path.name} is not a list of pieces")
    elif plain.is_file():
        return tuple(plain.read_text("utf-8", "replace").removesuffix("\n").split("\n"))
    return None


def _read_sides(
    folder: Path, tokenizers: Tokenizers | None, config: Mapping[str, Any], faults: list[str]
) -> tuple[Side, Side] | None:
    before = len(faults)
    shared = read_vocabulary(folder, "shared_vocabulary", faults)
    source = shared or read_vocabulary(folder, "source_vocabulary", faults)
    target = shared or read_vocabulary(folder, "target_vocabulary", faults)
    if (folder / "source_1_vocabulary.json").is_file():
        faults.append("several source features are not supported")
    elif (source is None or target is None) and len(faults) == before:
        faults.append("there is neither shared_vocabulary nor source_ and target_vocabulary")
    if source is None or target is None or tokenizers is None:
        return None
    special = str(config["unk_token"]), str(config["eos_token"])
    sides = Side(tokenizers.source, source, *special), Side(tokenizers.target, target, *special)
    faults += [*tokenizer_faults(sides[0]), *tokenizer_faults(sides[1])]
    return sides


def _read_variables(path: Path, faults: list[str]) -> tuple[Variables | None, Mapping[str, Any]]:
    """Dequantised, and what an older file says in the place of config.json."""
    try:
        variables, older = as_today(read_binary(path))
        return dequantised(variables), older
    except FileNotFoundError:
        faults.append(f"{path.name} is missing")
    except (OSError, BinaryFault) as error:
        faults.append(f"{path.name} cannot be read: {error}")
    return None, {}
