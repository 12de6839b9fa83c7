"""Broken and hostile files: one error lists every fault, nothing is executed or written."""

import json
import pickle
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from model_export.cli import app
from model_export.importers.argos import import_argos
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import Asked, ImportFaults
from model_export.importers.marian_hf import import_marian_hf
from model_export.importers.marian_npz import import_marian_npz
from tests.importers.tiny import (
    MARIAN_OPTIONS,
    Marian,
    OpenNmt,
    make_ctranslate2,
    make_marian,
    make_marian_npz,
    train_pieces,
)

ASKED = Asked(("en",), ("de",))


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """A sound model of each kind, to be copied and broken."""
    folder = tmp_path_factory.mktemp("models")
    make_marian(folder / "hf", Marian())
    make_ctranslate2(folder / "ctranslate2", OpenNmt())
    make_marian_npz(folder / "marian")
    return folder


@pytest.fixture
def copy(models, tmp_path):
    """A copy of a sound model, by its kind."""
    return lambda kind: shutil.copytree(models / kind, tmp_path / kind)


def faults_of(read, path, asked=ASKED) -> str:
    """All that is told, in one error."""
    with pytest.raises(ImportFaults) as error:
        read(path, asked)
    return str(error.value)


def edit(path: Path, **changes) -> None:
    """Changes keys of a JSON file; None removes one."""
    found = {**json.loads(path.read_text("utf-8")), **changes}
    path.write_text(json.dumps({k: v for k, v in found.items() if v is not None}), "utf-8")


def expect(told: str, *parts: str) -> None:
    """Every part is told, each in a line of its own."""
    for part in parts:
        assert any(part in line for line in told.splitlines()), f"{part} not in\n{told}"


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


def test_random_damage_is_no_crash(copy):
    """Bytes of the header and of names changed: a fault or a sound model, nothing else."""
    folder = copy("ctranslate2")
    path = folder / "model.bin"
    sound = path.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(60):
        data = bytearray(sound)
        for place in rng.integers(0, 400, 3):
            data[place] = rng.integers(256)
        path.write_bytes(data)
        try:
            import_ctranslate2(folder, ASKED)
        except ImportFaults:
            continue


class Code:
    """Unpickled, it would leave a file behind."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self):
        return Path.touch, (self.path,)


def test_code_in_a_pickle_is_not_executed(copy, tmp_path):
    """Neither in PyTorch's files nor in NumPy's."""
    trace = tmp_path / "executed"
    folder = copy("hf")
    (folder / "model.safetensors").unlink()
    torch.save({"model.shared.weight": Code(trace)}, folder / "pytorch_model.bin")
    expect(faults_of(import_marian_hf, folder), "its code was not executed")
    (folder / "pytorch_model.bin").write_bytes(pickle.dumps(Code(trace)))
    faults_of(import_marian_hf, folder)
    raw = copy("marian")
    np.savez(raw / "model.npz", **{"special:model.yml": np.array([Code(trace)], dtype=object)})
    expect(faults_of(import_marian_npz, raw), "model.npz cannot be read")
    assert not trace.exists()


def test_decoder_yml_names_no_file_elsewhere(copy):
    """A path in it is a fault, whether there is such a file or not."""
    folder = copy("marian")
    text = "models: [../model.npz]\nvocabs: [/etc/passwd, target.vocab.yml]\n"
    (folder / "decoder.yml").write_text(text, "utf-8")
    expect(
        faults_of(import_marian_npz, folder),
        "../model.npz is not a file of the directory",
        "/etc/passwd is not a file of the directory",
    )


def package(path: Path, folder: Path, **extra: bytes) -> Path:
    """An Argos package of a CTranslate2 directory; `extra` are members more."""
    metadata = {"from_code": "en", "to_code": "de", "package_version": "1.9"}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("en_de/metadata.json", json.dumps(metadata))
        archive.write(folder / "source.spm", "en_de/sentencepiece.model")
        for name in ("model.bin", "config.json", "shared_vocabulary.json"):
            archive.write(folder / name, f"en_de/model/{name}")
        for name, data in extra.items():
            archive.writestr(name, data)
    return path


def unpacked(path: Path) -> str:
    """The faults of a package."""

    def read(path: Path, asked: Asked) -> None:
        with import_argos(path, asked):
            pass

    return faults_of(read, path, Asked())


def test_a_package_may_not_reach_outside_or_explode(models, tmp_path):
    """Every bad member is told; nothing is unpacked."""
    bad = {
        ".": b"",
        "../evil": b"",
        "/evil": b"",
        "en_de/a\\..\\..\\evil": b"",
        "en_de/bomb": b"0" * 10**8,
    }
    path = package(tmp_path / "bad.argosmodel", models / "ctranslate2", **bad)
    link = zipfile.ZipInfo("en_de/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    told = unpacked(path)
    expect(told, "'../evil' is a place outside", "'/evil' is a place outside", "'en_de/link'")
    expect(told, "bomb", "en_de/a")
    assert not (tmp_path.parent / "evil").exists()
    path.write_bytes(path.read_bytes()[:2000])
    expect(unpacked(path), "not a sound zip")


def test_a_package_with_damaged_members_is_refused(models, tmp_path):
    """Wherever the damage is: in what describes a member, or in what it was packed to."""
    sound = package(tmp_path / "sound.argosmodel", models / "ctranslate2").read_bytes()
    path, rng = tmp_path / "damaged.argosmodel", np.random.default_rng(0)
    told = []
    for place in rng.integers(0, len(sound) // 2, 40):
        data = bytearray(sound)
        data[place : place + 8] = rng.bytes(8)
        path.write_bytes(data)
        told.append(unpacked(path))
    assert any("Error -3 while decompressing" in each for each in told)


def test_what_an_incomplete_package_lacks_is_told_at_once(tmp_path):
    """Metadata, tokenizer, and whatever is wrong with the model."""
    path = tmp_path / "small.argosmodel"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("en_de/README.md", "hello")
    expect(
        unpacked(path), "metadata.json is missing", "sentencepiece.model", "model.bin is missing"
    )


def test_a_failed_import_leaves_nothing_behind(copy, tmp_path):
    """Neither a bundle nor a temporary folder; the command says why, in one error."""
    folder = copy("hf")
    (folder / "source.spm").unlink()
    models = tmp_path / "served"
    result = CliRunner().invoke(app, ["import-opus", str(folder), str(models / "m")])
    assert isinstance(result.exception, ImportFaults)
    assert not models.exists() or not any(models.iterdir())


def test_a_bundle_is_not_overwritten(copy, tmp_path):
    """A folder that holds something stays as it is."""
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "manifest.json").write_text("{}")
    result = CliRunner().invoke(app, ["import-opus", str(copy("hf")), str(kept)])
    assert result.exit_code == 2
    assert (kept / "manifest.json").read_text() == "{}"
