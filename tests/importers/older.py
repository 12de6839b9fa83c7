"""Directories as older versions of Transformers and CTranslate2 have written them."""

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from model_export.importers.ctranslate2_binary import TYPES, read_binary

Variables = dict[str, NDArray]
IN_COMMON = ("num_heads", "pre_norm", "activation", "embeddings_merge", "alignment_layer")


def make_older_marian(folder: Path) -> Path:
    """Rewrites a Hugging Face directory as OPUS-MT's were at first: a pickle that is no zip, with
    tables of positions and a table for each side, and generation's options in config.json. Returns
    it."""
    from transformers import MarianMTModel

    state = MarianMTModel.from_pretrained(folder).state_dict()
    assert {"lm_head.weight", "model.encoder.embed_positions.weight"} <= state.keys()
    torch.save(state, folder / "pytorch_model.bin", _use_new_zipfile_serialization=False)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    for name in ("decoder_vocab_size", "share_encoder_decoder_embeddings", "dtype"):
        del config[name]
    del config["tie_word_embeddings"], config["transformers_version"]
    config |= {
        "_num_labels": 3,
        "add_bias_logits": False,
        "add_final_layer_norm": False,
        "bad_words_ids": [[config["pad_token_id"]]],
        "bos_token_id": 0,
        "classif_dropout": 0.0,
        "id2label": {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"},
        "max_length": 512,
        "normalize_before": False,
        "normalize_embedding": False,
        "num_beams": 6,
        "num_hidden_layers": config["encoder_layers"],
        "static_position_embeddings": True,
    }
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    tokenizer = {"target_lang": "de", "source_lang": "en"}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer), "utf-8")
    for name in ("generation_config.json", "model.safetensors"):
        (folder / name).unlink()
    return folder


def write_binary(
    path: Path,
    version: int,
    revision: int,
    variables: Mapping[str, NDArray],
    spec: str = "TransformerSpec",
    aliases: Mapping[str, str] | None = None,
) -> None:
    """A model.bin of a version from 4 on; `aliases` are other names of variables."""

    def text(name: str) -> bytes:
        return struct.pack("<H", len(name) + 1) + name.encode() + b"\0"

    parts = [struct.pack("<I", version), text(spec), struct.pack("<II", revision, len(variables))]
    for name, array in variables.items():
        shape = struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        kind = struct.pack("<BI", TYPES.index(array.dtype.name), array.nbytes)
        parts += [text(name), shape, kind, array.tobytes()]
    parts.append(struct.pack("<I", len(aliases or {})))
    parts += [text(alias) + text(name) for alias, name in (aliases or {}).items()]
    path.write_bytes(b"".join(parts))


def make_older_ctranslate2(folder: Path, version: int, revision: int) -> Path:
    """Rewrites a directory of today as one of a binary version before 6: without config.json, with
    vocabularies as lines, and with an older revision of the spec. Returns it."""
    variables = dict(read_binary(folder / "model.bin").variables)
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").unlink()
    for name in ("unk_token", "bos_token", "eos_token"):
        if version == 5:
            variables[name] = np.frombuffer(config[name].encode(), np.int8)
    variables["with_source_eos"] = np.int8(config["add_source_eos"]).reshape(())
    starts_with_bos = config["decoder_start_token"] == config["bos_token"]
    variables["with_target_bos"] = np.int8(starts_with_bos).reshape(())
    if revision < 5:
        take_in_common(variables)
    if revision < 4:
        name_as_at_first(variables)
    write_binary(folder / "model.bin", version, revision, variables)
    for path in folder.glob("*_vocabulary.json"):
        pieces = json.loads(path.read_text("utf-8"))
        path.with_suffix(".txt").write_text("".join(f"{piece}\n" for piece in pieces), "utf-8")
        path.unlink()
    return folder


def without_scales(folder: Path) -> None:
    """Weights of int16 had one scale, which every reader knew."""
    binary = read_binary(folder / "model.bin")
    variables = dict(binary.variables)
    for name in [name for name in variables if name.endswith("weight_scale")]:
        weight = name.removesuffix("_scale")
        values = variables[weight].astype(np.float32) / variables.pop(name)
        variables[weight] = np.clip(np.rint(values * 1000), -32768, 32767).astype(np.int16)
    write_binary(folder / "model.bin", binary.version, binary.revision, variables)


def take_in_common(variables: Variables) -> None:
    """Encoder and decoder had their sizes in common, and said which weights there are."""
    relative = "encoder/layer_0/self_attention/relative_position_keys" in variables
    normed = "encoder/layernorm_embedding/gamma" in variables
    variables["with_relative_position"] = np.int8(relative).reshape(())
    variables["layernorm_embedding"] = np.int8(normed).reshape(())
    for name in (*IN_COMMON, "alignment_heads"):
        for side in ("encoder", "decoder"):
            if f"{side}/{name}" in variables:
                variables[name] = variables.pop(f"{side}/{name}").astype(
                    np.int16 if name.startswith("alignment") else np.int8
                )


def name_as_at_first(variables: Variables) -> None:
    """A source had one table, and a flag of it said whether it was scaled."""
    for name in ("weight", "weight_scale"):
        if f"encoder/embeddings_0/{name}" in variables:
            variables[f"encoder/embeddings/{name}"] = variables.pop(f"encoder/embeddings_0/{name}")
    for side in ("encoder", "decoder"):
        scaled = variables.pop(f"{side}/scale_embeddings")
        variables[f"{side}/embeddings/multiply_by_sqrt_depth"] = scaled
    for name in ("alignment_layer", "alignment_heads"):
        variables.pop(name)
