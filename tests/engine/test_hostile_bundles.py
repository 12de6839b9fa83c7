"""A bundle from anywhere cannot reach outside its directory, run code or claim memory for ever.

Each starts as a sound bundle; then one thing is changed and the checksums are made right, as who
means harm would do.
"""

import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.engine.bundle import MANIFEST, describe_file, load_bundle
from service.engine.engine import Engine
from service.engine.graph_file import MAX_PARTS, graph_file_faults
from service.engine.scheduler import SchedulerLimits
from service.engine.shortlist_table import load_table
from service.engine.trial import TrialLimits, try_out
from service.errors import BundleError
from service.metrics import Metrics

SOUND = Path(__file__).parents[2] / "models/en-ko-rnn-seq2seq"
ENCODER = "encoder.onnx"


@pytest.fixture
def path(tmp_path):
    """A sound bundle."""
    return shutil.copytree(SOUND, tmp_path / "bundle")


def seal(path, name):
    """Makes the checksum of a file right again."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    spec = describe_file(path / name)
    manifest["files"][name] = {"bytes": spec.bytes, "sha256": spec.sha256}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")


def change_graph(path, change, name=ENCODER):
    """Lets `change` do something to a graph."""
    model = onnx.load(path / name)
    change(model)
    (path / name).write_bytes(model.SerializeToString())
    seal(path, name)


def faults_of(path):
    """What opening it says."""
    with pytest.raises(BundleError) as refused:
        Engine.load(path, SchedulerLimits(), Metrics(), workers=1)
    return " ".join(refused.value.faults)


def external(place):
    """Moves a tensor out of the file."""

    def change(model):
        tensor = model.graph.initializer[0]
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value=place)

    return change


def foreign(model):
    """An operator from a library of somebody's own."""
    model.opset_import.append(helper.make_opsetid("evil", 1))
    model.graph.node.append(helper.make_node("Run", ["source_ids"], ["x"], domain="evil"))


def endless(model):
    """A loop inside a branch."""
    inner = helper.make_graph([helper.make_node("Loop", ["n"], ["y"])], "inner", [], [])
    model.graph.node.append(helper.make_node("If", ["c"], ["z"], then_branch=inner))


def with_functions(model):
    """A function of its own."""
    opsets = [helper.make_opsetid("", 20)]
    node = helper.make_node("Identity", ["a"], ["b"])
    model.functions.append(helper.make_function("", "F", ["a"], ["b"], [node], opsets))


def claiming(*sizes):
    """A tensor without its numbers."""

    def change(model):
        tensor = model.graph.initializer.add(name="much", data_type=TensorProto.FLOAT)
        tensor.dims.extend(sizes)

    return change


def cyclic(model):
    """Two nodes that wait for each other."""
    model.graph.node.append(helper.make_node("Neg", ["p"], ["q"]))
    model.graph.node.append(helper.make_node("Neg", ["q"], ["p"]))


def unknown(model):
    """An operator that there is not."""
    model.graph.node.append(helper.make_node("Conjure", ["source_ids"], ["x"]))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (external("/etc/passwd"), "is kept outside the file"),
        (external("../other/weights.bin"), "is kept outside the file"),
        (external("tokenizer.model"), "is kept outside the file"),
        (foreign, "uses operators of 'evil', which are not known here"),
        (endless, "uses Loop, which may never end"),
        (with_functions, "brings functions"),
        (claiming(1 << 40), "much claims more numbers than the file holds"),
        (claiming(1 << 40, 1 << 40), "much claims more numbers"),
        (claiming(-1), "much claims more numbers"),
        (cyclic, "cannot be loaded"),
        (unknown, "cannot be loaded"),
    ],
)
def test_a_hostile_graph_is_refused(path, change, words):
    """Fails for each when the look into the file before the runtime opens it is left out; the last
    two are the runtime's to find."""
    change_graph(path, change)
    assert words in faults_of(path)


def test_all_faults_of_a_graph_are_told(path):
    """Not only the first."""

    def change(model):
        for each in (foreign, endless, with_functions, external("/etc/passwd")):
            each(model)

    change_graph(path, change)
    faults = graph_file_faults(path / ENCODER)
    assert len(faults) == 4


@pytest.mark.parametrize("damage", [b"", b"\x00", b"\x07", b"PK\x03\x04", b"\xff" * 40, "half"])
def test_a_damaged_graph_is_refused(path, damage):
    """Empty, cut off, of another kind."""
    whole = (path / ENCODER).read_bytes()
    (path / ENCODER).write_bytes(whole[: len(whole) // 2] if damage == "half" else damage)
    seal(path, ENCODER)
    assert ENCODER in faults_of(path)


def test_a_graph_of_very_many_parts_is_not_read_to_its_end(tmp_path):
    """Fails without a bound: a file of tiny parts takes minutes to look through and much memory to
    open."""
    (tmp_path / "g").write_bytes(b"\x08\x08" * (MAX_PARTS + 1))
    assert graph_file_faults(tmp_path / "g") == [f"has more than {MAX_PARTS} parts"]


def part(number, data):
    """A field of a protocol buffer that holds bytes."""
    size, head = len(data), bytearray([number << 3 | 2])
    while size > 0x7F:
        head.append(size & 0x7F | 0x80)
        size >>= 7
    return bytes(head) + bytes([size]) + data


def test_graphs_inside_graphs_end_somewhere(tmp_path):
    """Fails when the depth of recursion is the file's to choose."""
    graph = b""
    for _ in range(2000):
        graph = part(1, part(5, part(6, graph)))  # a node, its attribute, the graph in it
    (tmp_path / "g").write_bytes(part(7, graph))
    assert "deep" in graph_file_faults(tmp_path / "g")[0]


@pytest.mark.parametrize(
    "name", ["../tokenizer.model", "/etc/passwd", "a/b", "..", ".hidden", "a\\b", "a\x00b", "a\n"]
)
def test_a_name_cannot_lead_outside(path, name):
    """Fails when names of files may hold separators."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["encoder"] = name
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "encoder: String should match pattern" in faults_of(path)


@pytest.mark.parametrize("name", [ENCODER, "tokenizer.model", MANIFEST])
def test_a_link_is_no_file_of_the_bundle(path, name):
    """Fails when links are followed: what they lead to would be read."""
    elsewhere = path.parent / "elsewhere"
    (path / name).rename(elsewhere)
    (path / name).symlink_to(elsewhere)
    assert "not a plain file" in faults_of(path)


def test_a_pipe_is_no_manifest(path):
    """Fails when it is opened: reading it would never end."""
    (path / MANIFEST).unlink()
    os.mkfifo(path / MANIFEST)
    assert "is not a plain file" in faults_of(path)


@pytest.mark.parametrize(
    "text", ["[" * 100_000, " " * (5 << 20), '{"format_version": ' + "9" * 5000]
)
def test_a_manifest_without_measure_is_refused(path, text):
    """Too deep, too large, a number without end."""
    (path / MANIFEST).write_text(text, "utf-8")
    assert MANIFEST in faults_of(path)


@pytest.mark.parametrize(
    ("keys", "value", "words"),
    [
        (("limits", "max_target_length"), 10**9, "less than or equal to 65536"),
        (("decoding", "beam_size"), 10**6, "less than or equal to 64"),
        (("state", 0, "shape"), ["R", 10**12], "no size for a row"),
        (("state", 0, "shape"), ["R", -1], "no size for a row"),
        (("vocabulary", "size"), 10**12, "the tokenizer says"),
    ],
)
def test_numbers_of_the_manifest_have_bounds(path, keys, value, words):
    """Fails where a number of the manifest alone makes the service allocate."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    place = manifest
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = value
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert words in faults_of(path)


def test_a_vocabulary_of_another_model_is_refused(path):
    """Fails when only the checksum is compared."""
    shutil.copy(SOUND.parent / "en-ko-transformer/tokenizer.model", path / "tokenizer.model")
    seal(path, "tokenizer.model")
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["vocabulary"]["size"] += 1
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "vocabulary.size is" in faults_of(path)


def test_a_vocabulary_of_garbage_is_refused(path):
    """Bytes that are no SentencePiece model."""
    (path / "tokenizer.model").write_bytes(b"\x0a\xff" * 100)
    seal(path, "tokenizer.model")
    assert "is not a SentencePiece model" in faults_of(path)


def archive_of(**arrays):
    """The bytes of a file of arrays, packed as tightly as possible."""
    file = io.BytesIO()
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def test_a_small_file_that_unfolds_without_end_is_refused(tmp_path):
    """Fails when a table is unfolded before its size is looked at."""
    (tmp_path / "t").write_bytes(archive_of(pieces=np.zeros(1 << 27, np.int64)))
    assert (tmp_path / "t").stat().st_size < 1 << 21
    with pytest.raises(ValueError, match="unfolds to more than"):
        load_table(tmp_path / "t", 100, 3)


def test_an_array_that_claims_more_than_it_has_is_refused(tmp_path):
    """Fails when its head is believed."""
    head = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        head, {"descr": "<i8", "fortran_order": False, "shape": (1 << 50,)}
    )
    with zipfile.ZipFile(tmp_path / "t", "w") as archive:
        archive.writestr("pieces.npy", head.getvalue())
    with pytest.raises(ValueError, match="claims more numbers than it has"):
        load_table(tmp_path / "t", 100, 3)


def test_objects_in_a_table_are_not_brought_to_life(tmp_path):
    """Fails with pickles allowed: they run code."""
    np.savez(tmp_path / "t.npz", pieces=np.array([object()], dtype=object))
    with pytest.raises(ValueError, match="is no file of arrays"):
        load_table(tmp_path / "t.npz", 100, 3)


def greedy_for_memory(numbers):
    """Makes so many zeros at every step, and looks for the largest."""

    def change(model):
        graph = model.graph
        for name, value in (("many", [numbers]), ("first_axis", [0])):
            graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
        for node in graph.node:
            node.input[:] = ["same" if name == "source_ids" else name for name in node.input]
        for node in (
            helper.make_node("Add", ["source_ids", "zero"], ["same"]),
            helper.make_node("Cast", ["largest"], ["zero"], to=TensorProto.INT64),
            helper.make_node("ReduceMax", ["zeros", "first_axis"], ["largest"]),
            helper.make_node("ConstantOfShape", ["many"], ["zeros"]),
        ):
            graph.node.insert(0, node)

    return change


OPEN_BOUNDED = """
import sys
from pathlib import Path
from service.engine.engine import Engine
from service.engine.scheduler import SchedulerLimits
from service.engine.sessions import bound_memory
from service.errors import BundleError
from service.metrics import Metrics
bound_memory(1 << 30)
try:
    Engine.load(Path(sys.argv[1]), SchedulerLimits(), Metrics(), 1)
except BundleError as error:
    print(*error.faults)
"""


@pytest.mark.parametrize(("numbers", "said"), [(1000, ""), (1 << 34, "cannot be decoded")])
def test_memory_for_models_is_bounded(path, numbers, said):
    """Fails when the runtime's memory has no bound: what asks for more than there may be is
    refused, and the process lives on."""
    change_graph(path, greedy_for_memory(numbers))
    command = [sys.executable, "-c", OPEN_BOUNDED, str(path)]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=True, text=True)
    assert said in ended.stdout
    assert bool(said) == bool(ended.stdout)


def test_a_trial_passes_what_is_sound(path):
    """And leaves it as it was."""
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    try_out(path)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_trial_tells_the_faults(path):
    """Those that opening it here would tell."""
    change_graph(path, foreign)
    with pytest.raises(BundleError, match="uses operators of 'evil'"):
        try_out(path)


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        (TrialLimits(seconds=0.001), "it is not open after"),
        (
            TrialLimits(base_bytes=1 << 20, growth=0),
            "the process that tried it out ended with code",
        ),
    ],
)
def test_what_kills_or_holds_the_trial_is_refused(path, limits, words):
    """Fails when a crash, memory without end or a file that never opens reaches the server."""
    with pytest.raises(BundleError, match=words):
        try_out(path, limits)


def test_a_bundle_with_many_faults_tells_them(path):
    """A wrong file, a missing one and an unknown one at once."""
    (path / ENCODER).write_bytes(b"x")
    (path / "tokenizer.model").unlink()
    with pytest.raises(BundleError) as refused:
        load_bundle(path)
    assert len(refused.value.faults) == 2
