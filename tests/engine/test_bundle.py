"""What a bundle has to be, and that everything wrong with one is said at once."""

import dataclasses
import json

import pytest

from service.engine.bundle import (
    MANIFEST,
    DataSet,
    FileSpec,
    Provenance,
    Score,
    StateSpec,
    describe_file,
    load_bundle,
    write_manifest,
)
from service.engine.onnx_model import OnnxModel
from service.errors import BundleError
from tests.fakes import make_manifest

NAMES = ("encoder.onnx", "decoder.onnx", "v.model")


@pytest.fixture
def path(tmp_path):
    """A sound bundle, as far as one can tell without opening its graphs."""
    for name in NAMES:
        (tmp_path / name).write_bytes(f"the bytes of {name}".encode())
    files = {name: describe_file(tmp_path / name) for name in NAMES}
    write_manifest(tmp_path, dataclasses.replace(make_manifest(), files=files))
    return tmp_path


def change(path, *keys, value):
    """Puts a value into the manifest, as somebody with an editor would."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    *parents, last = keys
    place = manifest
    for key in parents:
        place = place[key]
    place[last] = value
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def faults_of(path):
    """What loading says."""
    with pytest.raises(BundleError) as refused:
        load_bundle(path)
    assert all(fault in str(refused.value) for fault in refused.value.faults)
    return refused.value.faults


def test_a_sound_bundle_loads(path):
    """Manifest and paths of the files are there."""
    bundle = load_bundle(path)
    assert bundle.manifest.name == "fake"
    assert bundle.file("v.model").read_bytes() == b"the bytes of v.model"


def test_a_manifest_comes_back_as_it_was_written(path):
    """Writing and reading lose nothing, whatever the script."""
    manifest = dataclasses.replace(
        load_bundle(path).manifest,
        provenance=Provenance("recipe.toml", 7, 8, (DataSet("말뭉치", "CC0", 9),)),
        scores=(Score("dev", "en-ko", "beam 4", "BLEU", 12.5, "nrefs:1"),),
    )
    write_manifest(path, manifest)
    assert load_bundle(path).manifest == manifest


def test_a_changed_byte_is_found(path):
    """The size is right, the checksum is not."""
    (path / "decoder.onnx").write_bytes(b"The bytes of decoder.onnx")
    assert faults_of(path) == ("decoder.onnx does not match its checksum",)


def test_a_wrong_size_is_found(path):
    """The message has both sizes."""
    (path / "v.model").write_bytes(b"short")
    assert faults_of(path) == ("v.model has 5 bytes instead of 20",)


@pytest.mark.parametrize("instead", ["nothing", "link", "directory"])
def test_a_file_has_to_be_a_plain_file(path, instead):
    """Absent, a symbolic link, or a directory: refused, even if a link's content would fit."""
    file = path / "encoder.onnx"
    kept = file.rename(path / "kept")
    if instead == "link":
        file.symlink_to(kept)
    if instead == "directory":
        file.mkdir()
    assert faults_of(path) == ("encoder.onnx is missing or not a plain file",)


@pytest.mark.parametrize("name", ["../x", "/etc/passwd", ".hidden", "a/b", "a\\b", "", "x\n"])
@pytest.mark.parametrize("place", ["files", "decoder"])
def test_a_name_cannot_lead_out_of_the_bundle(path, name, place):
    """Only plain names are files of a bundle."""
    if place == "files":
        change(path, "files", name, value=dataclasses.asdict(FileSpec(1, "0" * 64)))
    else:
        change(path, "decoder", value=name)
    [fault] = faults_of(path)
    assert place in fault


def test_all_faults_are_told_at_once(path):
    """Files, references and special ids: everything in one message."""
    (path / "encoder.onnx").unlink()
    (path / "v.model").write_bytes(b"short")
    change(path, "vocabulary", "eos_id", value=10**6)
    change(path, "decoder", value="elsewhere.onnx")
    change(path, "state", value=[{"name": "x", "kind": "step", "dtype": "bool", "shape": ["T"]}])
    assert sorted(faults_of(path)) == [
        "elsewhere.onnx is used but not listed in files",
        "encoder.onnx is missing or not a plain file",
        "state x does not have its rows (R) on axis 0",
        "v.model has 5 bytes instead of 20",
        "vocabulary.eos_id is outside the vocabulary of 12288 pieces",
    ]


def test_all_faults_of_form_are_told_at_once(path):
    """Unknown keys, wrong types and missing keys, each with its path."""
    change(path, "colour", value="blue")
    change(path, "limits", "max_source_length", value=0)
    change(path, "directions", value=[{"source": "english", "target": "ko"}])
    change(path, "precision", value="float8")
    places = {fault.split(":")[0] for fault in faults_of(path)}
    assert places >= {"colour", "limits.max_source_length", "directions.0.source", "precision"}


def test_another_format_version_is_refused_first(path):
    """A manifest of the future is not read with the eyes of today."""
    change(path, "format_version", value=2)
    change(path, "colour", value="blue")
    assert faults_of(path) == ("format_version is 2, this service reads 1",)


@pytest.mark.parametrize("name", ["pad_id", "bos_id", "eos_id"])
@pytest.mark.parametrize("value", [-1, 12288])
def test_special_ids_are_within_the_vocabulary(path, name, value):
    """An id that no piece has would break every request."""
    change(path, "vocabulary", name, value=value)
    assert faults_of(path) == (f"vocabulary.{name} is outside the vocabulary of 12288 pieces",)


def test_a_state_is_described_once(path):
    """Two tensors of one name cannot both be fed."""
    twice = [dataclasses.asdict(StateSpec("cache", "step", "float32", ("R", 4, "T")))] * 2
    change(path, "state", value=twice)
    assert faults_of(path) == ("state cache is described twice",)


@pytest.mark.parametrize("shape", [["S", "R"], [], [4]])
def test_rows_are_axis_0_of_every_state(path, shape):
    """Search selects rows there, and only there."""
    state = {"name": "cache", "kind": "source", "dtype": "float32", "shape": shape}
    change(path, "state", value=[state])
    assert faults_of(path) == ("state cache does not have its rows (R) on axis 0",)


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"manifest"'])
def test_what_is_no_manifest_is_refused(path, text):
    """Broken JSON and JSON of another kind."""
    (path / MANIFEST).write_text(text, "utf-8")
    assert faults_of(path)


def test_bytes_that_are_no_text_are_refused(path):
    """A manifest is UTF-8."""
    (path / MANIFEST).write_bytes(b"\xff\xfe{}")
    assert "is not JSON" in faults_of(path)[0]


def test_a_directory_without_a_manifest_is_refused(tmp_path):
    """The message says what is missing."""
    assert faults_of(tmp_path) == ("manifest.json: No such file or directory",)


def test_a_graph_that_cannot_be_read_is_a_fault_of_the_bundle(path):
    """Checksums can be right and the file still be no ONNX graph."""
    with pytest.raises(BundleError, match=r"encoder\.onnx is no ONNX graph"):
        OnnxModel(load_bundle(path))


def test_a_shortlist_needs_caches(path):
    """Only the decoder with caches has a form that scores some pieces."""
    shortlist = {"table": "v.model", "weights": "v.model", "decoder": "decoder.onnx"}
    change(path, "shortlist", value=shortlist)
    assert faults_of(path) == ("a shortlist needs a decoder with caches",)
