"""A vocabulary shortlist: forbids what it should, changes nothing else, and is refused if bad."""

import dataclasses
import json
import random
import shutil

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from model_export import shortlist
from model_export.cli import app
from model_export.graphs.shortlist import ShortlistGraphError, split_output_layer
from model_export.lexicon import Corpus, Lexicon, ShortlistSizes, learn_lexicon, make_table
from model_export.quantisation import QualityError
from model_export.shortlist import SPEC, add_shortlist
from model_export.verify import verify_bundle
from service.engine.bundle import MANIFEST, describe_file, load_bundle
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions
from service.engine.shortlist_table import ShortlistTable
from service.engine.vocabulary import load_vocabulary
from service.errors import BundleError
from tests.decoding import decode, inputs_of, run_schedule
from tests.export.conftest import run_command


def make_bundle(int8, folder, table):
    """A copy of the int8 toy with this table, unchecked for quality."""
    path = folder / "toy"
    shutil.copytree(int8.path, path)
    return add_shortlist(path, table, [], 0, print)


def table_of(int8, always, pieces):
    """A table for the direction into Korean: `always`, and for every source piece `pieces`."""
    size = int8.manifest.vocabulary.size
    tag = tag_of(int8)
    rows = [always if piece == tag else pieces(piece) for piece in range(size)]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
    flat = np.concatenate([np.array(row, dtype=np.int64) for row in rows])
    return ShortlistTable(np.array([tag]), offsets[None], flat)


def tag_of(int8):
    """The control symbol that asks for Korean."""
    return load_vocabulary(int8).source.piece_to_id("<2ko>")


@pytest.fixture(scope="module")
def sources(trained):
    """Held-out sources of the toy."""
    return [trained.run.vocabulary.encode_source(t, "ko") for t in trained.toy.held_out[:16]]


@pytest.fixture(scope="module")
def special_ids(trained):
    """bos and eos."""
    return trained.run.vocabulary.bos_id, trained.run.vocabulary.eos_id


@pytest.fixture(scope="module")
def copying(int8, special_ids, tmp_path_factory):
    """The toy with a table that allows what stands in the source, which is all it should say."""
    table = table_of(int8, [special_ids[1]], lambda piece: [piece])
    return make_bundle(int8, tmp_path_factory.mktemp("copying"), table)


def hypotheses(bundle, sources, special_ids, beam_size, **options):
    """All hypotheses of every source, decoded together."""
    inputs = inputs_of(sources, DecodingOptions(beam_size, beam_size, 0.6, 12))
    return decode(open_model(bundle, **options), inputs, special_ids)


def assert_alike(found, expected, tolerance):
    """The same ids, and scores within the tolerance."""
    for a, b in zip(found, expected, strict=True):
        assert [h.ids for h in a] == [h.ids for h in b]
        assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=tolerance)


@pytest.mark.parametrize("beam_size", [1, 2, 3, 4])
def test_a_list_of_everything_changes_nothing(int8, sources, special_ids, tmp_path, beam_size):
    """The whole vocabulary by columns is the whole vocabulary."""
    everything = range(int8.manifest.vocabulary.size)
    bundle = make_bundle(int8, tmp_path, table_of(int8, everything, lambda _: []))
    expected = hypotheses(int8, sources, special_ids, beam_size)
    assert_alike(hypotheses(bundle, sources, special_ids, beam_size), expected, 1e-4)
    without = hypotheses(bundle, sources, special_ids, beam_size, use_shortlist=False)
    assert without == expected


def test_a_direction_that_is_not_listed_may_say_everything(copying, int8, trained, special_ids):
    """The table knows nothing of English."""
    texts = trained.toy.held_out[:5]
    sources = [trained.run.vocabulary.encode_source(text, "en") for text in texts]
    expected = hypotheses(int8, sources, special_ids, 2)
    assert_alike(hypotheses(copying, sources, special_ids, 2), expected, 1e-4)


@pytest.mark.parametrize("beam_size", [1, 3, 4])
def test_a_forbidden_piece_never_comes_out(copying, sources, special_ids, beam_size):
    """Neighbours with other lists notwithstanding."""
    found = hypotheses(copying, sources, special_ids, beam_size)
    for source, each in zip(sources, found, strict=True):
        assert all({*h.ids} <= {*source} for h in each)


def test_log_probabilities_are_normalised_over_the_own_list(copying, sources):
    """Of a sentence alone and beside others; what it may not say has none."""
    model = open_model(copying)
    some = sources[:3]
    ids = np.full(len(some), 2)
    candidates, _ = model.step(ids, model.encode(some), 60)
    for source, pieces, row in zip(some, candidates.ids, candidates.log_probs, strict=True):
        assert np.exp(row).sum() == pytest.approx(1, abs=1e-4)
        assert {*pieces[np.isfinite(row)].tolist()} == {*source[1:]}


@pytest.mark.parametrize("beam_size", [1, 2, 3, 4])
def test_neighbours_change_nothing(copying, sources, special_ids, beam_size):
    """Sentences join and leave at random steps, so columns are added, used again and packed."""
    model = open_model(copying)
    inputs = inputs_of(sources, DecodingOptions(beam_size, beam_size, 0.6, 12))
    alone = [decode(model, [each], special_ids)[0] for each in inputs]
    for seed in range(4):
        rng = random.Random(seed)
        order = rng.sample(range(len(inputs)), len(inputs))
        joins = [rng.choice([0, 0, 1, 2, 5]) for _ in range(40)]
        found = run_schedule(model, [inputs[i] for i in order], special_ids, joins)
        assert_alike(found, [alone[i] for i in order], 1e-5)


def test_verification_uses_the_whole_vocabulary(copying):
    """PyTorch knows no shortlist."""
    verify_bundle(copying.path)


def test_a_shortlist_can_be_replaced(copying, int8, special_ids, tmp_path):
    """The second one counts."""
    path = tmp_path / "toy"
    shutil.copytree(copying.path, path)
    table = table_of(int8, [special_ids[1], 9], lambda _: [])
    add_shortlist(path, table, [], 0, print)
    with np.load(path / SPEC.table) as file:
        assert file["pieces"].tolist() == table.pieces.tolist()


def with_new_checksums(path):
    """The bundle, whose manifest describes the files as they are now."""
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    for name in manifest["files"]:
        manifest["files"][name] = dataclasses.asdict(describe_file(path / name))
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    return load_bundle(path)


def spoil(bundle, folder, **arrays):
    """The faults of a copy whose table has other arrays."""
    path = folder / "spoilt"
    shutil.copytree(bundle.path, path)
    with np.load(path / SPEC.table) as file:
        changed = {name: file[name] for name in file.files} | arrays
    np.savez(path / SPEC.table, **{n: a for n, a in changed.items() if a is not None})
    with pytest.raises(BundleError) as refused:
        open_model(with_new_checksums(path))
    return refused.value.faults


@pytest.mark.parametrize(
    ("arrays", "fault"),
    [
        ({"pieces": None}, "has the arrays offsets, tags, not tags, offsets, pieces"),
        ({"tags": np.array([0.5])}, "has numbers that are not whole"),
        ({"tags": np.array([6, 7])}, "does not fit a vocabulary of 297 pieces"),
        ({"pieces": np.full(297, 297)}, "has pieces outside the vocabulary"),
        ({"pieces": np.array([3])}, "has offsets that do not fit its pieces"),
        ({"pieces": np.array([{}] * 297)}, "is no file of arrays"),
        ({"pieces": np.zeros(297, dtype=int)}, "does not always allow the end of a sentence"),
    ],
    ids=["missing", "not whole", "sizes", "outside", "offsets", "pickle", "no end"],
)
def test_a_spoilt_table_is_refused(copying, tmp_path, arrays, fault):
    """Whatever the checksums say; and no pickle is opened."""
    faults = spoil(copying, tmp_path, **arrays)
    assert len(faults) == 1
    assert faults[0].startswith(f"{SPEC.table} {fault}")


def test_every_file_of_a_shortlist_is_checked(copying, tmp_path):
    """A changed byte, a missing file, a file that the manifest does not list."""
    path = tmp_path / "spoilt"
    shutil.copytree(copying.path, path)
    (path / SPEC.weights).unlink()
    manifest = json.loads((path / MANIFEST).read_text("utf-8"))
    del manifest["files"][SPEC.decoder]
    (path / MANIFEST).write_text(json.dumps(manifest), "utf-8")
    with pytest.raises(BundleError) as refused:
        load_bundle(path)
    assert sorted(refused.value.faults) == [
        f"{SPEC.decoder} is used but not listed in files",
        f"{SPEC.weights} is missing or not a plain file",
    ]


def test_another_weights_graph_is_refused(copying, tmp_path):
    """The decoder's inputs are what the graph gives."""
    path = tmp_path / "spoilt"
    shutil.copytree(copying.path, path)
    graph = onnx.load(path / SPEC.weights)
    renamed = graph.graph.output[0].name
    for node in graph.graph.node:
        node.output[:] = ["else" if name == renamed else name for name in node.output]
    graph.graph.output[0].name = "else"
    onnx.save(graph, path / SPEC.weights)
    with pytest.raises(BundleError) as refused:
        open_model(with_new_checksums(path))
    assert f"{SPEC.decoder} has no input else" in refused.value.faults


def test_only_an_int8_decoder_with_caches_has_columns(trained, int8):
    """float32 is refused, and so is the aligner."""
    with pytest.raises(QualityError, match="only int8"):
        add_shortlist(trained.bundle.path, table_of(int8, [3], lambda _: []), [], 0, print)
    for path in (trained.bundle.file("decoder.onnx"), int8.file("aligner.onnx")):
        with pytest.raises(ShortlistGraphError):
            split_output_layer(onnx.load(path))


def command(trained, path):
    """`model-export shortlist` on the toy."""
    toy = trained.toy
    dev = str(toy.corpora / "dev.tsv")
    return ["shortlist", str(path), str(toy.recipe), "--corpora", str(toy.corpora), "--pairs", dev]


def test_the_command_adds_a_shortlist(trained, int8, tmp_path):
    """It says what was lost and how long the lists are; the card has a line."""
    path = tmp_path / "toy"
    shutil.copytree(int8.path, path)
    output = run_command(*command(trained, path), "--always", "4", "--best", "3")
    assert "dev en-ko: chrF2++" in output
    assert "of 297 pieces" in output
    bundle = load_bundle(path)
    assert bundle.manifest.shortlist == SPEC
    assert {score.metric for score in bundle.manifest.scores} >= {"BLEU", "chrF2++"}
    assert "vocabulary shortlist" in (path / "README.md").read_text("utf-8")


def test_the_command_refuses_a_table_that_spoils_translations(
    trained, int8, special_ids, tmp_path, monkeypatch
):
    """Nothing is written then."""
    path = tmp_path / "toy"
    shutil.copytree(int8.path, path)
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    table = table_of(int8, [special_ids[1]], lambda _: [])
    monkeypatch.setattr(shortlist, "learn_table", lambda *_: table)
    result = CliRunner().invoke(app, command(trained, path))
    assert isinstance(result.exception, QualityError)
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before
    assert [file.name for file in tmp_path.iterdir()] == ["toy"]


def test_the_lexicon_finds_translations():
    """Piece 1 n is said as 2 n; 30 always comes along and is the tag's."""
    rng = np.random.default_rng(0)
    words = [rng.choice(range(10, 20), 3, replace=False).tolist() for _ in range(300)]
    corpus = Corpus(5, [[5, *w, 3] for w in words], [[*(i + 10 for i in w), 30] for w in words])
    lexicon = learn_lexicon(corpus, 40)
    assert isinstance(lexicon, Lexicon)
    best = dict(zip(*(ids.tolist() for ids in lexicon.best(1)), strict=True))
    assert [best[i] for i in range(10, 20)] == [i + 10 for i in range(10, 20)]
    assert best[5] == 30
    table = make_table([corpus], np.array([3]), 40, ShortlistSizes(always=1, best=1))
    assert {*table.allowed([5, 12])} == {3, 30, 12, 22}
