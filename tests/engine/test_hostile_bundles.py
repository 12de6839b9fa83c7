"""A bundle from anywhere cannot reach outside its directory, run code or claim memory for ever.

Each starts as a sound bundle; then one thing is changed and the checksums are made right, as who
means harm would do.
"""

import io
import json
import math
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from service.engine.bundle import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    StateSpec,
    describe_file,
    load_bundle,
    read_manifest,
)
from service.engine.engine import Engine
from service.engine.graph_file import MAX_PARTS, graph_file_faults
from service.engine.scheduler import SchedulerLimits
from service.engine.shortlist_table import load_table
from service.engine.state_size import largest_state
from service.engine.trial import TrialLimits, try_out
from service.errors import LONGEST_FAULT, BundleError
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


def searching(model):
    """The runtime's own search, which decodes as often as a number says."""
    model.graph.node.append(helper.make_node("GreedySearch", ["n"], ["y"], domain="com.microsoft"))


def sparse(model):
    """One number, and zeros as many as it says."""
    number = helper.make_tensor("much", TensorProto.FLOAT, [1], [1.0])
    place = helper.make_tensor("place", TensorProto.INT64, [1], [0])
    tensor = helper.make_sparse_tensor(number, place, [1 << 36])
    model.graph.sparse_initializer.append(tensor)


def sparse_constant(model):
    """The same, in a node."""
    sparse(model)
    tensor = model.graph.sparse_initializer.pop()
    model.graph.node.append(helper.make_node("Constant", [], ["z"], sparse_value=tensor))


def external_constant(model):
    """A tensor in a node, kept elsewhere."""
    tensor = TensorProto(data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/etc/passwd")
    model.graph.node.append(helper.make_node("Constant", [], ["z"], value=tensor))


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
        (external("..\\other\\weights.bin"), "is kept outside the file"),
        (external("C:/weights.bin"), "is kept outside the file"),
        (external_constant, "is kept outside the file"),
        (foreign, "uses operators of 'evil', which are not known here"),
        (searching, "uses GreedySearch, which may never end"),
        (sparse, "can unfold to any size"),
        (sparse_constant, "can unfold to any size"),
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


@pytest.mark.parametrize("alias", [0, 1, 2, 7])
def test_the_number_of_a_field_is_read_as_the_runtime_reads_it(path, alias):
    """Fails when numbers above 32 bits are passed over: the runtime cuts them down, and opens a
    file that nobody has seen here."""

    def field(number, kind, value):
        data = bytearray()
        key = (number << 3 | kind) + (alias << 32)
        while key > 0x7F:
            data.append(key & 0x7F | 0x80)
            key >>= 7
        return bytes([*data, key]) + value

    model = onnx.load(path / ENCODER)
    graph = model.graph.SerializeToString()
    model.ClearField("graph")
    place = onnx.StringStringEntryProto(key="location", value="/etc/passwd").SerializeToString()
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4]).SerializeToString()
    tensor += field(13, 2, bytes([len(place)]) + place) + field(14, 0, b"\x01")
    (path / ENCODER).write_bytes(model.SerializeToString() + part(7, graph + part(5, tensor)))
    seal(path, ENCODER)
    faults = faults_of(path)
    assert "is no ONNX graph" in faults or (alias == 0 and "outside the file" in faults)


@pytest.mark.parametrize("number", [5, 6])
def test_a_part_that_comes_twice_is_refused(tmp_path, number):
    """Fails when each is looked at alone: the runtime makes one of both, whose size neither has."""
    graph = part(
        1, part(5, part(number, part(8, b"twice")) * 2)
    )  # a node, its attribute, two values
    (tmp_path / "g").write_bytes(part(7, graph))
    assert graph_file_faults(tmp_path / "g")[0].startswith("has a part twice")


def test_a_graph_that_no_protocol_buffer_can_hold_is_not_read(tmp_path):
    """Fails when a file is read before its length is looked at; this one takes no room on disk."""
    with (tmp_path / "g").open("wb") as file:
        file.truncate(1 << 40)
    assert graph_file_faults(tmp_path / "g")[0].startswith("is larger than")


@pytest.mark.parametrize(
    "name",
    [
        "../tokenizer.model",
        "/etc/passwd",
        "a/b",
        "..",
        ".hidden",
        "a\\b",
        "C:\\a",
        "C:a",
        "a\x00b",
        "a\n",
        "a\u2215b",  # looks like a slash
        "\uff0e\uff0e",  # would be two dots, if it were normalised
        "a\u200b.onnx",  # cannot be seen
        "\u202exnno.a",  # is shown backwards
        "",
    ],
)
def test_a_name_cannot_lead_outside(path, name):
    """Fails when names of files may hold more than letters, digits, dots and dashes."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["encoder"] = name
    manifest["files"][name] = {"bytes": 1, "sha256": "0" * 64}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "encoder: String should match pattern" in faults_of(path)


def test_a_name_has_a_length(path):
    """Fails when the file system is asked for any name: it refuses long ones in its own way."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["files"]["a" * 5000] = {"bytes": 1, "sha256": "0" * 64}
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "at most 255 characters" in faults_of(path)


@pytest.mark.parametrize("name", [ENCODER, "tokenizer.model", "reference.json", MANIFEST])
@pytest.mark.parametrize("kind", ["link", "broken link", "pipe", "directory", "device"])
def test_only_plain_files_are_opened(path, name, kind):
    """Fails when links are followed, which lead to what would be read, or when a pipe or a device
    is opened, which never ends."""
    elsewhere = path.parent / "elsewhere"
    (path / name).rename(elsewhere)
    if kind == "link":
        (path / name).symlink_to(elsewhere)
    elif kind == "broken link":
        (path / name).symlink_to(path / "nowhere")
    elif kind == "pipe":
        os.mkfifo(path / name)
    elif kind == "directory":
        (path / name).mkdir()
    else:
        try:
            os.mknod(path / name, stat.S_IFCHR | 0o666, os.makedev(1, 5))  # /dev/zero
        except PermissionError:
            pytest.skip("only root makes devices")
    words = "No such file" if (name, kind) == (MANIFEST, "broken link") else "plain file"
    assert words in faults_of(path)


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
        (("state", 0, "shape"), ["R", 10**12], "numbers for a row"),
        (("state", 0, "shape"), ["R", -1], "no size for a row"),
        (("state", 0, "shape"), ["R", 0], "no size for a row"),
        (("state", 0, "shape"), ["R", "S", "S", "S"], "has an axis twice"),
        (("vocabulary", "size"), 10**12, "the tokenizer says"),
        (("vocabulary", "size"), 10**30, "less than 9223372036854775808"),
        (("vocabulary", "size"), math.nan, "finite number"),
        (("vocabulary", "eos_id"), -1, "outside the vocabulary"),
        (("parameters",), 10**400, "less than 9223372036854775808"),
        (("decoding", "length_penalty"), math.nan, "finite number"),
        (("decoding", "length_penalty"), math.inf, "finite number"),
        (("decoding", "length_penalty"), 1e300, "less than or equal to 10"),
        (("scores", 0, "value"), math.nan, "finite number"),
        (("files", ENCODER, "bytes"), -1, "greater than or equal to 0"),
        (("files", ENCODER, "bytes"), 1e300, "integer"),
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


def test_a_manifest_has_a_length(path):
    """Fails when any amount of it is read."""
    sound = (path / MANIFEST).read_text("utf-8")
    (path / MANIFEST).write_text(sound + " " * MAX_MANIFEST_BYTES, "utf-8")
    assert "is larger than" in faults_of(path)


def test_a_state_of_many_small_parts_is_counted_as_one(path):
    """Fails when each tensor of the state has a bound, and their number has none."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    one = {"kind": "source", "dtype": "float32", "shape": ["R", "S", 1 << 16]}
    manifest["state"] += [{**one, "name": f"s{number}"} for number in range(17)]
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "numbers for a row; at most" in faults_of(path)


def test_the_state_of_all_that_runs_has_a_bound(path):
    """Fails when a bundle may ask for any memory once many sentences run: each number of it is
    allowed, and what they come to is not."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    one = {"kind": "step", "dtype": "float32", "shape": ["R", "T", 1 << 16], "name": "large"}
    manifest["state"].append(one)
    manifest["limits"]["max_target_length"] = 65_536
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "bytes in a worker; at most 4294967296" in faults_of(path)


def test_the_largest_state_is_reckoned(path):
    """Fails when tensors of a source, of a step or of neither are not counted at their longest."""
    manifest, limits = read_manifest(path), SchedulerLimits(batch_tokens=100, batch_rows=10)
    shapes = ("float32", ("R", 3)), ("bool", ("R", "S")), ("int64", ("R", 2, "T", 5))
    state = tuple(StateSpec("x", "step", dtype, shape) for dtype, shape in shapes)
    short = replace(manifest.limits, max_source_length=40, max_target_length=50)
    manifest = replace(manifest, state=state, limits=short)
    assert largest_state(manifest, limits) == 10 * 3 * 4 + 100 + 10 * 50 * 10 * 8


@pytest.mark.parametrize(
    "version", ["1\nERROR: all is lost", "../../1", "1 2", "", "\ud800", "9" * 99]
)
def test_a_version_is_a_plain_word(path, version):
    """Fails when it may be anything: it stands in paths, labels and lines of the log."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["version"] = version
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    assert "version: String should" in faults_of(path) or "version: Input should" in faults_of(path)


def test_words_of_a_bundle_break_no_line_and_have_a_length(path):
    """Fails when they go to the log as they are."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    manifest["state"][0]["name"] = "\nERROR: all is lost\x1b[2J" + "x" * 10_000
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError) as refused:
        Engine.load(path, SchedulerLimits(), Metrics(), workers=1)
    assert str(refused.value).isprintable()
    assert all(len(fault) <= LONGEST_FAULT for fault in refused.value.faults)


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


def pieces_without_words(data):
    """A vocabulary in which all pieces are called alike."""
    return b"".join(part(1, part(1, b"x")) for _ in range(100)) + data[:0]


def map_beyond_its_end(data):
    """A table of characters that says that it is larger than it is."""
    return data + part(3, part(2, b"\xff\xff\xff\x7f" + b"\x00" * 8))


def longer_than_it_is(data):
    """A piece of two gigabytes, of which nothing is there."""
    return data + b"\x0a\xff\xff\xff\xff\x07"


def endless_varint(data):
    """A number that never ends."""
    return b"\x08" + b"\xff" * 1000 + data


@pytest.mark.parametrize(
    "change", [pieces_without_words, map_beyond_its_end, longer_than_it_is, endless_varint]
)
def test_a_hostile_vocabulary_is_refused(path, change):
    """Fails when SentencePiece opens it here first: whatever it does there, crash included, is a
    refusal."""
    file = path / "tokenizer.model"
    file.write_bytes(change(file.read_bytes()))
    seal(path, "tokenizer.model")
    with pytest.raises(BundleError):
        try_out(path)


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


@pytest.mark.parametrize(
    ("shape", "kind"), [((1 << 60,), "|V0"), ((1 << 60,), "<U0"), ((-5,), "<i8"), ((2, -5), "<i8")]
)
def test_an_array_of_nothing_is_refused(tmp_path, shape, kind):
    """Fails when numbers of no bytes, or fewer than none of them, are counted as none."""
    head = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}}}".ljust(117) + "\n"
    data = b"\x93NUMPY\x01\x00" + len(head).to_bytes(2, "little") + head.encode()
    with zipfile.ZipFile(tmp_path / "t", "w") as archive:
        archive.writestr("pieces.npy", data)
    with pytest.raises(ValueError, match="is no file of arrays"):
        load_table(tmp_path / "t", 100, 3)


@pytest.mark.parametrize("packing", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2, 99])
def test_a_table_is_packed_in_the_usual_way(tmp_path, packing):
    """Fails when any packing is opened: LZMA takes as much memory as the file says."""
    data = io.BytesIO()
    np.save(data, np.zeros(3, np.int64))
    with zipfile.ZipFile(tmp_path / "t", "w", packing if packing != 99 else 0) as archive:
        archive.writestr("pieces.npy", data.getvalue())
    if packing == 99:
        whole = (tmp_path / "t").read_bytes()
        at = whole.rindex(b"PK\x01\x02") + 10
        (tmp_path / "t").write_bytes(whole[:at] + b"\x63\x00" + whole[at + 2 :])
    with pytest.raises(ValueError, match="packed in a way that is not read"):
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


@pytest.mark.parametrize(("numbers", "said"), [(1000, ""), (3 << 27, "cannot be decoded")])
def test_memory_for_models_is_bounded(path, numbers, said):
    """Fails when the runtime's memory has no bound: what asks for more than there may be is
    refused, and the process lives on."""
    change_graph(path, greedy_for_memory(numbers))
    command = [sys.executable, "-c", OPEN_BOUNDED, str(path)]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=True, text=True)
    assert said in ended.stdout
    assert bool(said) == bool(ended.stdout)


def folding(numbers, operator="ConstantOfShape"):
    """Makes so many numbers of a constant, which the runtime may do before anybody asks."""

    def change(model):
        graph = model.graph
        for name, value in (("many", [numbers]), ("one", [0.0]), ("first_axis", [0])):
            kind = np.float32 if name == "one" else np.int64
            graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        inputs = ["many"] if operator == "ConstantOfShape" else ["one", "many"]
        graph.node.insert(0, helper.make_node(operator, inputs, ["zeros"]))
        graph.node.insert(1, helper.make_node("Neg", ["zeros"], ["ones"]))
        graph.node.insert(2, helper.make_node("ReduceMax", ["ones", "first_axis"], ["largest"]))
        graph.output.add().CopyFrom(
            helper.make_tensor_value_info("largest", TensorProto.FLOAT, None)
        )

    return change


OPEN_AND_MEASURE = """
import re, sys
from pathlib import Path
import onnxruntime
from service.engine.bundle import load_bundle
from service.engine.sessions import open_session
bundle = load_bundle(Path(sys.argv[1]))
open_session(bundle, "encoder.onnx", 1)
# getrusage would also tell how large the process was that started this one.
print(int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10)
"""


@pytest.mark.parametrize("operator", ["ConstantOfShape", "Expand", "Tile"])
def test_what_is_computed_at_load_time_has_a_bound(path, operator):
    """Fails when the runtime may compute anything before the graph runs: a gigabyte of a constant
    that takes a few bytes."""
    change_graph(path, folding(1 << 28, operator))
    command = [sys.executable, "-c", OPEN_AND_MEASURE, str(path)]
    ended = subprocess.run(command, capture_output=True, timeout=120, check=True, text=True)
    assert int(ended.stdout) < 700  # MiB


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


def test_a_trial_runs_no_code_of_the_bundle(path, monkeypatch):
    """Fails when modules are looked for where the process stands: whoever checks a bundle from
    inside its directory would run what lies there."""
    for name in ("numpy.py", "json.py", "resource.py", "service/__init__.py", "sitecustomize.py"):
        (path / name).parent.mkdir(exist_ok=True)
        (path / name).write_text("open('ran', 'w')\nraise SystemExit(0)\n", "utf-8")
    monkeypatch.chdir(path)
    try_out(path)
    assert not (path / "ran").exists()


def test_a_trial_knows_no_secrets(path, monkeypatch):
    """Fails when the environment is passed on: settings and keys are not a bundle's business."""
    monkeypatch.setenv("SEQ2SERVE_KEYS", "secret")
    seen = []

    def run(command, env, **_):
        seen.append(env)
        return subprocess.CompletedProcess(command, 0, b"")

    monkeypatch.setattr(subprocess, "run", run)
    try_out(path)
    assert "SEQ2SERVE_KEYS" not in seen[0]
    assert "PATH" in seen[0]


def test_a_long_file_of_nothing_buys_no_memory(path, monkeypatch):
    """Fails when the address space of a trial grows with whatever lies in the directory."""
    with (path / "padding").open("wb") as file:
        file.truncate(1 << 42)
    seen = []

    def run(command, **_):
        seen.append(int(command[-1]))
        return subprocess.CompletedProcess(command, 0, b"")

    monkeypatch.setattr(subprocess, "run", run)
    limits = TrialLimits(base_bytes=1000, most_bytes=500)
    try_out(path, limits)
    assert seen == [1500]


def test_a_bundle_with_many_faults_tells_them(path):
    """A wrong file, a missing one and an unknown one at once."""
    (path / ENCODER).write_bytes(b"x")
    (path / "tokenizer.model").unlink()
    with pytest.raises(BundleError) as refused:
        load_bundle(path)
    assert len(refused.value.faults) == 2
