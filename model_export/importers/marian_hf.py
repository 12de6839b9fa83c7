"""Reads a Hugging Face directory of a Marian model, as OPUS-MT's are kept there."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from model_export.importers.bounds import MOST_SIZE, is_size
from model_export.importers.files import (
    licence_of,
    numbered,
    read_object,
    read_optional,
    read_torch,
)
from model_export.importers.imported import Asked, Imported, ImportFaults, Side
from model_export.importers.marian_hf_weights import ACTIVATIONS, ConfigReader
from model_export.importers.opus import choose_languages
from model_export.importers.tensors import Tensors
from model_export.importers.tokenizers import tokenizer_faults
from service.engine.bundle import DecodingDefaults, Origin, describe_file

FORMAT = "Hugging Face Marian directory"
TARGET_VOCABULARY = "target_vocab.json"
WEIGHT_FILES = ("model.safetensors", "pytorch_model.bin")
MOST_BEAMS = 8
"""A default above it is not taken over."""
SIZES = {
    "d_model": 16384,
    "vocab_size": MOST_SIZE,
    "encoder_layers": 128,
    "decoder_layers": 128,
    "encoder_attention_heads": 512,
    "decoder_attention_heads": 512,
    "encoder_ffn_dim": 131_072,
    "decoder_ffn_dim": 131_072,
}
"""Sizes that a config must give, and how large they may be."""
OPTIONAL_SIZES = {"decoder_vocab_size": MOST_SIZE, "max_position_embeddings": MOST_SIZE}
PLAIN = {
    "do_sample": False,
    "num_beam_groups": 1,
    "repetition_penalty": 1.0,
    "no_repeat_ngram_size": 0,
    "encoder_no_repeat_ngram_size": 0,
    "min_length": 0,
    "min_new_tokens": None,
    "forced_bos_token_id": None,
    "begin_suppress_tokens": None,
    "diversity_penalty": 0.0,
    "sequence_bias": None,
}
"""Options of generation that are understood at one value only."""


def import_marian_hf(folder: Path, asked: Asked) -> Imported:
    """Raises ImportFaults."""
    faults: list[str] = []
    config = read_object(folder / "config.json", faults)
    tokenizer = read_optional(folder / "tokenizer_config.json", faults)
    generation = read_optional(folder / "generation_config.json", faults)
    options = {**(config or {}), **generation}
    unsound = [] if config is None else [*_config_faults(config)]
    faults += [*unsound, *_generation_faults(options)]
    sides = _read_sides(folder, tokenizer, faults)
    weights_file = next((f for n in WEIGHT_FILES if (f := folder / n).is_file()), None)
    if weights_file is None:
        faults.append(f"there is neither {' nor '.join(WEIGHT_FILES)}")
    arrays = read_torch(weights_file, faults) if weights_file else None
    if config is None or unsound or sides is None or weights_file is None or arrays is None:
        raise ImportFaults(folder, faults)
    reader = ConfigReader(config, sides, options, faults)
    weights = reader.weights(Tensors(arrays, faults))
    names = [str(tokenizer.get(key) or "") for key in ("source_lang", "target_lang")]
    languages = choose_languages(sides[0].pieces, names, asked, faults)
    special = reader.special_pieces()
    if faults:
        raise ImportFaults(folder, faults)
    licence = asked.licence or licence_of(folder) or "unknown"
    return Imported(
        config=reader.transformer(),
        weights=weights,
        source=sides[0],
        target=sides[1],
        sources=languages.sources,
        targets=languages.targets,
        layout=languages.layout,
        origin=Origin(FORMAT, folder.name, licence, describe_file(weights_file).sha256),
        pad=special.pad,
        start=special.start,
        forbidden=special.forbidden,
        decoding=_decoding(options),
    )


def _config_faults(config: Mapping[str, Any]) -> Iterator[str]:
    if config.get("model_type") != "marian":
        yield f"config.json: model_type {config.get('model_type')!r} is not supported; marian is"
        return
    for name, most in SIZES.items():
        value = config.get(name)
        if not is_size(value, most):
            yield f"config.json: {name} is {value!r}, not a number from 1 to {most}"
    for name, most in OPTIONAL_SIZES.items():
        value = config.get(name)
        if value is not None and not is_size(value, most, 2):
            yield f"config.json: {name} is {value!r}, not a number from 2 to {most}"
    activation = config.get("activation_function")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        yield f"config.json: activation_function {activation!r} is not supported"
    for first, second in (
        ("encoder_attention_heads", "decoder_attention_heads"),
        ("encoder_ffn_dim", "decoder_ffn_dim"),
    ):
        if config.get(first) != config.get(second):
            yield f"config.json: {first} and {second} differ, which is not supported"
    width, heads = config.get("d_model"), config.get("encoder_attention_heads")
    if is_size(width) and is_size(heads) and width % (2 * heads):
        yield f"config.json: d_model {width} is not a multiple of twice the {heads} heads"
    for name in ("normalize_before", "normalize_embedding", "add_final_layer_norm"):
        if config.get(name):
            yield f"config.json: {name} is not supported"


def _generation_faults(options: Mapping[str, Any]) -> Iterator[str]:
    for name, plain in PLAIN.items():
        value = options.get(name, plain)
        if value not in (plain, None):
            yield f"generation: {name} {value!r} is not supported"
    bad = options.get("bad_words_ids") or []
    if not isinstance(bad, list) or any(not isinstance(b, list) or len(b) != 1 for b in bad):
        yield "generation: bad_words_ids of several pieces are not supported"
    if not isinstance(options.get("suppress_tokens") or [], list):
        yield f"generation: suppress_tokens {options['suppress_tokens']!r} is not a list"


def _read_sides(
    folder: Path, tokenizer: Mapping[str, Any], faults: list[str]
) -> tuple[Side, Side] | None:
    separate = tokenizer.get("separate_vocabs", (folder / TARGET_VOCABULARY).is_file())
    files = ["vocab.json", TARGET_VOCABULARY if separate else "vocab.json"]
    faults += [
        f"{n} is missing" for n in ("source.spm", "target.spm") if not (folder / n).is_file()
    ]
    sides = []
    for name, spm in zip(files, ("source.spm", "target.spm"), strict=True):
        found = read_object(folder / name, faults)
        pieces = numbered(found, name, faults) if found is not None else None
        if pieces is not None:
            sides.append(Side(folder / spm, pieces, "<unk>", "</s>"))
            faults += tokenizer_faults(sides[-1])
    return (sides[0], sides[1]) if len(sides) == 2 else None


def _decoding(options: Mapping[str, Any]) -> DecodingDefaults:
    beams = options.get("num_beams")
    return (
        DecodingDefaults(beam_size=beams)
        if isinstance(beams, int) and 0 < beams <= MOST_BEAMS
        else DecodingDefaults()
    )
