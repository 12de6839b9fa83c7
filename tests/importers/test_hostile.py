"""Hostile files: nothing in them is executed, and none fills memory or a disk."""

import pickle
import tracemalloc
import zipfile
from pathlib import Path

import numpy as np
import torch
import yaml

from model_export.importers import bounds
from model_export.importers.ctranslate2_binary import read_binary
from model_export.importers.ctranslate2_model import import_ctranslate2
from model_export.importers.imported import ImportFaults
from model_export.importers.marian_hf import import_marian_hf
from model_export.importers.marian_npz import import_marian_npz
from tests.importers.older import write_binary
from tests.importers.packages import package
from tests.importers.telling import ASKED, edit, expect, faults_of, package_faults
from tests.importers.tiny import MARIAN_OPTIONS

MUCH = 10**8
"""Bytes that pack to nearly nothing."""


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


def test_a_package_may_not_reach_outside_or_explode(models, tmp_path):
    """Every bad member is told; nothing is unpacked."""
    path = package(tmp_path / "bad.argosmodel", models / "ctranslate2")
    link = zipfile.ZipInfo("en_de/link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        for name in (".", "../evil", "/evil", "en_de/a\\..\\..\\evil"):
            archive.writestr(name, b"")
        archive.writestr("en_de/bomb", b"0" * MUCH)
        archive.writestr(link, "/etc/passwd")
    told = package_faults(path)
    expect(told, "'../evil' is a place outside", "'/evil' is a place outside", "'en_de/link'")
    expect(told, f"'en_de/bomb' unpacks to {MUCH:,} bytes", "en_de/a")
    assert not (tmp_path.parent / "evil").exists()
    path.write_bytes(path.read_bytes()[:2000])
    expect(package_faults(path), "not a sound zip")


def test_a_package_of_too_many_sound_members_is_refused(models, tmp_path, monkeypatch):
    """Each may be a model, all together are none."""
    path = package(tmp_path / "much.argosmodel", models / "ctranslate2")
    monkeypatch.setattr(bounds, "MOST_BYTES", 1000)
    expect(package_faults(path), "bytes, more than 1,000")


def test_a_member_that_lies_about_its_size_is_cut_off(models, tmp_path):
    """Reading stops at what it said."""
    path = package(tmp_path / "lying.argosmodel", models / "ctranslate2")
    with zipfile.ZipFile(path, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("en_de/model/source_vocabulary.json", b"0" * MUCH)
        archive.filelist[-1].file_size = 1000
        archive.filelist[-1].compress_size = 1000
    tracemalloc.start()
    expect(package_faults(path), "not a sound zip")
    assert tracemalloc.get_traced_memory()[1] < MUCH / 10
    tracemalloc.stop()


def test_a_package_with_damaged_members_is_refused(models, tmp_path):
    """Wherever the damage is: in what describes a member, or in what it was packed to."""
    sound = package(tmp_path / "sound.argosmodel", models / "ctranslate2").read_bytes()
    path, rng = tmp_path / "damaged.argosmodel", np.random.default_rng(0)
    told = []
    for place in rng.integers(0, len(sound) // 2, 40):
        data = bytearray(sound)
        data[place : place + 8] = rng.bytes(8)
        path.write_bytes(data)
        told.append(package_faults(path))
    assert any("Error -3 while decompressing" in each for each in told)


def test_compressed_weights_may_not_explode(copy):
    """Zeros that pack to nearly nothing, in NumPy's archive and in PyTorch's."""
    raw = copy("marian")
    np.savez_compressed(raw / "model.npz", encoder_Wemb=np.zeros(MUCH // 4, np.float32))
    expect(
        faults_of(import_marian_npz, raw),
        f"model.npz: 'encoder_Wemb.npy' unpacks to {MUCH + 128:,}",
    )
    folder = copy("hf")
    (folder / "model.safetensors").unlink()
    plain, packed = folder / "plain.bin", folder / "pytorch_model.bin"
    torch.save({"model.shared.weight": torch.zeros(MUCH // 4)}, plain)
    with (
        zipfile.ZipFile(plain) as source,
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target,
    ):
        for member in source.infolist():
            target.writestr(member.filename, source.read(member))
    expect(faults_of(import_marian_hf, folder), "pytorch_model.bin: ", f"unpacks to {MUCH:,} bytes")


def test_one_number_may_not_stand_for_many(copy):
    """A tensor that repeats it; names of one array, of which each would be unpacked."""
    folder = copy("hf")
    (folder / "model.safetensors").unlink()
    state = {"model.shared.weight": torch.zeros(1).half().expand(1 << 31)}
    torch.save(state, folder / "pytorch_model.bin")
    expect(faults_of(import_marian_hf, folder), "pytorch_model.bin: it holds 2,147,483,648 numbers")
    folder = copy("ctranslate2")
    variables = dict(read_binary(folder / "model.bin").variables)
    variables["a/weight"] = np.zeros((1024, 1024), np.int8)
    write_binary(folder / "model.bin", 6, 7, variables, aliases=dict.fromkeys(NAMES, "a/weight"))
    expect(faults_of(import_ctranslate2, folder), "model.bin cannot be read: it holds", "numbers")


NAMES = [f"encoder/layer_{number}/weight" for number in range(1100)]


def test_what_is_missing_takes_no_memory(copy):
    """However large a config says that it is."""
    folder = copy("hf")
    sizes = {"d_model": 4096, "encoder_layers": 2, "decoder_layers": 2}
    edit(folder / "config.json", **sizes, encoder_ffn_dim=16384, decoder_ffn_dim=16384)
    (folder / "model.safetensors").unlink()
    torch.save({"other": torch.zeros(1)}, folder / "pytorch_model.bin")
    tracemalloc.start()
    expect(faults_of(import_marian_hf, folder), "model.shared.weight is missing")
    assert tracemalloc.get_traced_memory()[1] < MUCH
    tracemalloc.stop()


def test_a_value_that_refers_to_itself_is_told_in_short(copy):
    """YAML can write in few lines what printed would fill the memory."""
    levels = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    levels += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12)]
    odd = ("type", "transformer-preprocess", "dim-emb")
    plain = {name: value for name, value in MARIAN_OPTIONS.items() if name not in odd}
    text = "\n".join([yaml.safe_dump(plain), *levels, *(f"{name}: *a11" for name in odd)])
    folder = copy("marian")
    with np.load(folder / "model.npz") as file:
        arrays = dict(file)
    arrays["special:model.yml"] = np.frombuffer(text.encode() + b"\0", dtype=np.int8)
    np.savez(folder / "model.npz", **arrays)
    told = faults_of(import_marian_npz, folder)
    expect(told, "option type [[", "option dim-emb is [[", "transformer-preprocess")
    assert len(told) < MUCH / 10
    (folder / "decoder.yml").write_text("\n".join([*levels, "models: *a11"]), "utf-8")
    expect(faults_of(import_marian_npz, folder), "is no name of a file")
