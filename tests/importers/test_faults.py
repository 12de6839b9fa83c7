"""Broken files: one error lists every fault."""

import contextlib
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml

from model_export.importers.ctranslate2_binary import read_binary
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import ImportFaults
from model_export.importers.marian_hf import import_marian_hf
from model_export.importers.marian_npz import import_marian_npz
from tests.importers.older import write_binary
from tests.importers.packages import METADATA, package
from tests.importers.telling import ASKED, edit, expect, faults_of, package_faults
from tests.importers.tiny import (
    MARIAN_OPTIONS,
    Marian,
    OpenNmt,
    make_ctranslate2,
    make_marian,
    make_marian_npz,
    train_pieces,
)


def test_all_missing_files_are_told_at_once(copy):
    """Not the first one only."""
    folder = copy("hf")
    for name in ("source.spm", "target.spm", "model.safetensors"):
        (folder / name).unlink()
    expect(
        faults_of(import_marian_hf, folder),
        "source.spm",
        "target.spm",
        "neither model.safetensors nor pytorch_model.bin",
    )
    empty = folder / "empty"
    empty.mkdir()
    expect(faults_of(import_marian_hf, empty), "config.json is missing", "vocab.json is missing")
    expect(faults_of(import_marian_npz, empty), "decoder.yml is missing")
    expect(
        faults_of(import_ctranslate2, empty),
        "model.bin is missing",
        "shared_vocabulary",
        "no SentencePiece model",
    )


def test_wrong_vocabularies_and_weights_are_told_together(copy):
    """A size that differs, a weight that is missing, one of a wrong shape and one too many."""
    folder = copy("hf")
    vocabulary = json.loads((folder / "vocab.json").read_text("utf-8"))
    vocabulary.pop(max(vocabulary, key=vocabulary.get))
    (folder / "vocab.json").write_text(json.dumps(vocabulary), "utf-8")
    (folder / "model.safetensors").unlink()
    state = dict(torch.load(_pickled(folder), weights_only=True))
    del state["model.decoder.layers.1.fc1.weight"]
    state["model.encoder.layers.0.fc2.bias"] = torch.zeros(7)
    state["model.encoder.layernorm_embedding.weight"] = torch.ones(32)
    torch.save(state, folder / "pytorch_model.bin")
    size = len(vocabulary)
    expect(
        faults_of(import_marian_hf, folder),
        f"vocab_size is {size + 1}, the vocabulary has {size} pieces",
        "model.decoder.layers.1.fc1.weight is missing",
        "model.encoder.layers.0.fc2.bias has shape [7], not [32]",
        "not understood: model.encoder.layernorm_embedding.weight",
        "pad_token_id",
    )


def _pickled(folder: Path) -> Path:
    from transformers import MarianMTModel

    model = make_marian(folder / "again", Marian())
    path = folder / "again.bin"
    torch.save(MarianMTModel.from_pretrained(model).state_dict(), path)
    return path


def test_another_models_vocabulary_is_found(copy):
    """As many pieces as there should be, but of other languages."""
    folder = copy("hf")
    train_pieces(folder / "target.spm", seed=9, letters="가나다라마바사아자차카타파하")
    expect(faults_of(import_marian_hf, folder), "of target.spm: it is another model's")


def test_unsupported_options_are_told_by_name(copy):
    """Those of the architecture and those of generation, all at once."""
    folder = copy("hf")
    edit(folder / "config.json", activation_function="tanh", decoder_ffn_dim=64, d_model=30)
    edit(folder / "generation_config.json", no_repeat_ngram_size=3, bad_words_ids=[[1, 2]])
    expect(
        faults_of(import_marian_hf, folder),
        "activation_function 'tanh'",
        "encoder_ffn_dim and decoder_ffn_dim differ",
        "d_model 30 is not a multiple",
        "no_repeat_ngram_size 3",
        "bad_words_ids of several pieces",
    )
    edit(folder / "config.json", model_type="mbart")
    expect(faults_of(import_marian_hf, folder), "model_type 'mbart' is not supported")


def test_config_values_of_a_wrong_kind_are_told(copy):
    """Where a number or a list should be."""
    folder = copy("hf")
    edit(folder / "config.json", max_position_embeddings="long")
    edit(folder / "generation_config.json", bad_words_ids=[3], suppress_tokens=5)
    expect(
        faults_of(import_marian_hf, folder),
        "max_position_embeddings is 'long'",
        "bad_words_ids of several pieces",
        "suppress_tokens 5 is not a list",
    )
    edit(folder / "config.json", max_position_embeddings=None)
    expect(faults_of(import_marian_hf, folder), "suppress_tokens 5 is not a list")


def test_marians_own_activation_is_taken_where_none_is_named(tmp_path):
    """Its options name only what somebody has set."""
    folder = make_marian_npz(tmp_path / "marian")
    with np.load(folder / "model.npz") as file:
        arrays = dict(file)
    options = {k: v for k, v in MARIAN_OPTIONS.items() if k != "transformer-ffn-activation"}
    arrays["special:model.yml"] = np.frombuffer(json.dumps(options).encode(), dtype=np.int8)
    np.savez(folder / "model.npz", **arrays)
    assert import_marian_npz(folder, ASKED).config.activation == "swish"


def test_tensors_that_are_no_plain_arrays_are_told(copy):
    """A sparse one, which has no array to give."""
    folder = copy("hf")
    (folder / "model.safetensors").unlink()
    state = {"model.shared.weight": torch.eye(4).to_sparse()}
    torch.save(state, folder / "pytorch_model.bin")
    expect(faults_of(import_marian_hf, folder), "pytorch_model.bin cannot be read")


def test_unsupported_options_of_raw_marian_are_told_by_name(tmp_path):
    """All of them, from the options inside the weights."""
    odd = {"type": "s2s", "transformer-ffn-depth": 3, "transformer-tied-layers": [1, 1]}
    folder = make_marian_npz(tmp_path / "marian", **{**MARIAN_OPTIONS, **odd})
    expect(faults_of(import_marian_npz, folder), *(f"option {name}" for name in odd))


def test_unsupported_parts_of_ctranslate2_are_told_by_name(tmp_path):
    """Gated feed-forward, biases of attention: named as the file names them."""
    import ctranslate2

    folder = make_ctranslate2(tmp_path / "model", OpenNmt())
    spec = ctranslate2.specs.TransformerSpec.from_config(1, 4, ffn_glu=True, rms_norm=True)
    for name, value in list(spec.variables().items()):
        if value is None:
            parts = name.split("/")
            owner = ctranslate2.specs.model_spec.index_spec(spec, "/".join(parts[:-1]))
            setattr(owner, parts[-1], np.zeros((4, 4), np.float32))
    ctranslate2.specs.model_spec.LayerSpec.validate(spec)
    spec._serialize(str(folder / "model.bin"))
    expect(faults_of(import_ctranslate2, folder), "linear_0_noact", "beta is missing")


def test_a_decoder_without_layers_and_numbers_that_are_none_are_told(tmp_path):
    """They reach no arithmetic."""
    folder = make_ctranslate2(tmp_path / "empty", OpenNmt(layers=(1, 0)))
    expect(faults_of(import_ctranslate2, folder), "encoder or decoder has no layers")
    folder = make_ctranslate2(tmp_path / "nan", OpenNmt(scale_embeddings=float("nan")))
    expect(faults_of(import_ctranslate2, folder), "encoder/scale_embeddings is nan")


@pytest.mark.parametrize("cut", [0, 3, 40, 5000])
def test_a_binary_that_is_cut_off_is_refused(copy, cut):
    """Wherever it ends."""
    folder = copy("ctranslate2")
    path = folder / "model.bin"
    path.write_bytes(path.read_bytes()[:cut])
    expect(faults_of(import_ctranslate2, folder), "model.bin cannot be read")


def test_what_an_incomplete_package_lacks_is_told_at_once(tmp_path):
    """Metadata, tokenizer, and whatever is wrong with the model."""
    path = tmp_path / "small.argosmodel"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("en_de/README.md", "hello")
    expect(
        package_faults(path),
        "metadata.json is missing",
        "sentencepiece.model",
        "model.bin is missing",
    )


def test_what_a_package_says_that_is_not_supported_is_told_at_once(models, tmp_path):
    """Pieces of subword-nmt, a prefix for the target, a version that is none."""
    metadata = {**METADATA, "target_prefix": "__ko__", "package_version": "1/.."}
    path = tmp_path / "odd.argosmodel"
    package(path, models / "ctranslate2", metadata=metadata, tokenizer="bpe.model")
    expect(
        package_faults(path),
        "bpe.model: pieces of subword-nmt",
        "target_prefix is not supported",
        "package_version is '1/..'",
    )
    for name in ("from_code", "to_code"):
        package(path, models / "ctranslate2", metadata={**METADATA, name: "?"})
        expect(package_faults(path), "does not tell from_code and to_code")


def test_several_packages_in_one_are_told(models, tmp_path):
    """Which of them was meant?"""
    path = package(tmp_path / "two.argosmodel", models / "ctranslate2")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("en_fr/metadata.json", "{}")
    expect(package_faults(path), "it holds several packages: en_de, en_fr")


def test_several_source_features_are_told_by_name(copy):
    """Such a model has a vocabulary for each."""
    folder = copy("ctranslate2")
    (folder / "shared_vocabulary.json").rename(folder / "source_1_vocabulary.json")
    expect(faults_of(import_ctranslate2, folder), "several source features are not supported")


@pytest.mark.parametrize(
    ("version", "revision", "spec", "told"),
    [
        (3, 3, "TransformerSpec", "binary version 3 is not supported; 4 to 6 are"),
        (7, 7, "TransformerSpec", "binary version 7 is not supported; 4 to 6 are"),
        (4, 2, "TransformerSpec", "revision 2 of TransformerSpec is not supported; 3 to 7 are"),
        (6, 8, "TransformerSpec", "revision 8 of TransformerSpec is not supported; 3 to 7 are"),
        (4, 1, "TransformerBase", "its spec is TransformerBase"),
        (6, 3, "WhisperSpec", "its spec is WhisperSpec"),
    ],
)
def test_other_versions_of_a_binary_are_refused_by_name(copy, version, revision, spec, told):
    """Older ones look otherwise, newer ones may; what is known is told."""
    folder = copy("ctranslate2")
    variables = read_binary(folder / "model.bin").variables
    write_binary(folder / "model.bin", version, revision, variables, spec)
    expect(faults_of(import_ctranslate2, folder), told)


def test_what_a_binary_says_that_is_not_supported_is_told_by_name(copy):
    """A scale of the embeddings that is neither, weights of int8 without their scale."""
    folder = copy("ctranslate2")
    variables = dict(read_binary(folder / "model.bin").variables)
    scaled = {f"{side}/scale_embeddings": np.float32(3).reshape(()) for side in SIDES}
    write_binary(folder / "model.bin", 6, 7, {**variables, **scaled})
    expect(faults_of(import_ctranslate2, folder), "embeddings are scaled by 3")
    weight = "decoder/projection/weight"
    whole = {weight: variables[weight].astype(np.int8)}
    write_binary(folder / "model.bin", 6, 7, {**variables, **whole})
    expect(faults_of(import_ctranslate2, folder), f"{weight} is int8 without a scale")


SIDES = ("encoder", "decoder")


@pytest.mark.parametrize(
    ("kind", "name", "read"),
    [
        ("hf", "tokenizer_config.json", import_marian_hf),
        ("hf", "generation_config.json", import_marian_hf),
        ("ctranslate2", "config.json", import_ctranslate2),
    ],
)
def test_a_file_that_may_lack_may_not_be_broken(copy, kind, name, read):
    """Without it other options would hold, silently."""
    folder = copy(kind)
    (folder / name).write_text("{", "utf-8")
    expect(faults_of(read, folder), f"{name} is not JSON")
    (folder / name).write_text("[]", "utf-8")
    expect(faults_of(read, folder), f"{name} is not a JSON object")


ODD = (True, -1, 2**70, "x", [[1]])
"""Values that one expects nowhere."""


@pytest.mark.parametrize(
    ("kind", "name", "read"),
    [
        ("hf", "config.json", import_marian_hf),
        ("hf", "generation_config.json", import_marian_hf),
        ("hf", "tokenizer_config.json", import_marian_hf),
        ("ctranslate2", "config.json", import_ctranslate2),
    ],
)
def test_no_value_of_a_config_is_a_crash(copy, kind, name, read):
    """A fault, or a value that changes nothing."""
    folder = copy(kind)
    sound = json.loads((folder / name).read_text("utf-8"))
    for key in sound:
        for value in ODD:
            (folder / name).write_text(json.dumps({**sound, key: value}), "utf-8")
            with contextlib.suppress(ImportFaults):
                read(folder, ASKED)


def test_no_value_of_marians_options_is_a_crash(copy):
    """Neither of those in the weights, nor of decoder.yml."""
    folder = copy("marian")
    with np.load(folder / "model.npz") as file:
        arrays = dict(file)
    for key in MARIAN_OPTIONS:
        for value in ODD:
            text = yaml.safe_dump({**MARIAN_OPTIONS, key: value}).encode() + b"\0"
            arrays["special:model.yml"] = np.frombuffer(text, dtype=np.int8)
            np.savez(folder / "model.npz", **arrays)
            with contextlib.suppress(ImportFaults):
                import_marian_npz(folder, ASKED)
    for value in ODD:
        (folder / "decoder.yml").write_text(yaml.safe_dump({"models": value, "vocabs": [value]}))
        expect(faults_of(import_marian_npz, folder), "decoder.yml")


@pytest.mark.parametrize("line", ["a", "a: b", "{", '"\\U99999999": 1'])
def test_lines_of_a_vocabulary_that_are_none_are_told(copy, line):
    """With their number."""
    folder = copy("marian")
    (folder / "source.vocab.yml").write_text(f"</s>: 0\n{line}\n", "utf-8")
    expect(faults_of(import_marian_npz, folder), "source.vocab.yml:2 is not `piece: id`")


def test_an_archive_that_is_none_is_told(copy):
    """A single array, as NumPy saves them too; nothing at all."""
    folder = copy("marian")
    with (folder / "model.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    expect(faults_of(import_marian_npz, folder), "model.npz cannot be read")
    (folder / "model.npz").write_bytes(b"")
    expect(faults_of(import_marian_npz, folder), "model.npz cannot be read")


def test_a_damaged_tokenizer_is_told(copy):
    """Also where its messages can be read, but what they hold cannot."""
    folder = copy("ctranslate2")
    path = folder / "source.spm"
    sound, rng = path.read_bytes(), np.random.default_rng(0)
    told = []
    for place in rng.integers(0, len(sound), 20):
        path.write_bytes(sound[:place] + rng.bytes(4) + sound[place + 4 :])
        with contextlib.suppress(ImportFaults):
            import_ctranslate2(folder, ASKED)
            continue
        told.append(faults_of(import_ctranslate2, folder))
    assert any("precompiled_charsmap is invalid" in each for each in told)
