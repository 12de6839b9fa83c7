"""From pair files to served translations: the whole way, with a toy language."""

import copy
import dataclasses
import itertools
import shutil

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from typer.testing import CliRunner

from model_export import checkpoint, export, runs
from model_export.architectures import build_model
from model_export.cli import app
from model_export.data.batches import EncodedExample
from model_export.export import DECODER, bundle_weights, record_scores
from model_export.parity import ParityError, enforce
from model_export.recipe import load_recipe
from model_export.torch_model import TorchModel
from model_export.verify import verify_bundle
from service.engine.beam_search import BeamSearch
from service.engine.bundle import (
    MODEL_CARD,
    DataSet,
    Direction,
    Score,
    describe_file,
    load_bundle,
    write_manifest,
)
from service.engine.engine import Engine
from service.engine.greedy_search import GreedySearch
from service.engine.onnx_model import OnnxModel
from service.engine.request import DecodingOptions
from service.engine.scheduler import SchedulerLimits
from service.engine.strategies import open_search
from service.errors import BundleError
from service.metrics import Metrics
from service.translation.decoding import DecodingChoice
from service.translation.request import TranslationRequest
from service.translation.translator import Translator
from tests import decoding
from tests.export.toy import reverse

TOLERANCE = 1e-4


@pytest.fixture(scope="module")
def translator(trained):
    """The toy bundle, served."""
    metrics = Metrics()
    engine = Engine.load(trained.bundle.path, SchedulerLimits(), metrics, workers=1)
    yield Translator([engine])
    engine.close()


@pytest.fixture
def spoilt(trained, tmp_path):
    """A copy of the bundle, one of whose decoder weights is different."""
    path = tmp_path / "bundle"
    shutil.copytree(trained.bundle.path, path)
    graph = onnx.load(path / DECODER)
    weight = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
    values = numpy_helper.to_array(weight).copy()
    values[4:] *= values.dtype.type(1.05)
    weight.CopyFrom(numpy_helper.from_array(values, weight.name))
    onnx.save(graph, path / DECODER)
    return path


def held_out_sources(trained, language="ko", count=12):
    """Source ids of texts of different lengths."""
    return [trained.run.vocabulary.encode_source(t, language) for t in trained.toy.held_out[:count]]


def decode(model, sources, options, kind=open_search):
    """Hypotheses of each source, in order."""
    return decoding.decode(model, decoding.inputs_of(sources, options), (2, 3), kind)


def assert_alike(expected, found):
    """The same hypotheses, and scores that differ by rounding only."""
    for a, b in itertools.chain.from_iterable(map(zip, expected, found)):
        assert a.ids == b.ids
        assert a.finish_reason == b.finish_reason
        assert a.score == pytest.approx(b.score, abs=TOLERANCE)


@pytest.mark.parametrize("direction", [Direction("en", "ko"), Direction("ko", "en")], ids=str)
@pytest.mark.parametrize("strategy", ["greedy", "beam"])
async def test_the_served_toy_translates_what_it_never_saw(
    trained, translator, direction, strategy
):
    """At least nine in ten held-out texts come back reversed."""
    texts = trained.toy.held_out
    request = TranslationRequest(
        texts, direction.source, direction.target, decoding=DecodingChoice(strategy)
    )
    result = await translator.translate(request)
    found = [translation.hypotheses[0].text for translation in result.translations]
    right = sum(a == reverse(b) for a, b in zip(found, texts, strict=True))
    assert right >= 0.9 * len(texts)


def test_the_manifest_tells_where_the_weights_come_from(trained):
    """Recipe, updates and corpora of the run are in the bundle."""
    provenance = trained.bundle.manifest.provenance
    assert provenance.updates == 400
    assert provenance.target_tokens > 100_000
    assert [(d.name, d.licence, d.pairs) for d in provenance.data] == [("train.tsv", "CC0", 2000)]


def test_a_bundle_can_be_written_anew_from_itself(trained, tmp_path):
    """Its own weights, in place of a run: the same graphs and the same provenance."""
    recipe, *corpora, _, _ = trained.toy.arguments
    again, run = tmp_path / "again", ["--run", str(trained.bundle.path)]
    result = CliRunner().invoke(app, ["export", recipe, str(again), *corpora, *run])
    assert result.exit_code == 0, result.output
    manifest = load_bundle(again).manifest
    assert manifest.files == trained.bundle.manifest.files
    assert manifest.provenance == trained.bundle.manifest.provenance


def test_verify_passes(trained):
    """The bundle computes what PyTorch computed when it was exported."""
    result = CliRunner().invoke(app, ["verify", str(trained.bundle.path)])
    assert result.exit_code == 0, result.output
    assert "0 hypotheses differ" in result.output


def test_verify_against_the_run_passes(trained):
    """The bundle computes what PyTorch computes now."""
    toy = trained.toy
    arguments = ["--recipe", str(toy.recipe), "--run", str(toy.run)]
    result = CliRunner().invoke(app, ["verify", str(trained.bundle.path), *arguments])
    assert result.exit_code == 0, result.output
    assert "0 hypotheses differ" in result.output


def test_verify_refuses_half_a_run(trained):
    """A recipe without a run cannot be compared with."""
    arguments = ["verify", str(trained.bundle.path), "--recipe", str(trained.toy.recipe)]
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_a_changed_file_is_not_loaded(spoilt):
    """A decoder that is not the one in the manifest is refused by its checksum."""
    with pytest.raises(BundleError, match=r"decoder\.onnx does not match its checksum"):
        verify_bundle(spoilt)


def test_verify_finds_a_changed_weight(trained, spoilt):
    """Even when the checksum was made to fit, the figures tell."""
    manifest = trained.bundle.manifest
    files = manifest.files | {DECODER: describe_file(spoilt / DECODER)}
    write_manifest(spoilt, dataclasses.replace(manifest, files=files))
    with pytest.raises(ParityError, match="differ"):
        enforce(verify_bundle(spoilt))


@pytest.mark.parametrize("beam_size", [1, 4])
def test_a_batch_of_n_is_n_batches_of_one(trained, beam_size):
    """Neighbours, and the padding that they bring, change no hypothesis."""
    sources = held_out_sources(trained)
    assert len(set(map(len, sources))) > 1
    options = DecodingOptions(beam_size, beam_size, max_target_length=12)
    together = decode(trained.onnx, sources, options)
    assert_alike([decode(trained.onnx, [s], options)[0] for s in sources], together)


def test_padding_changes_nothing(trained):
    """A source that ends in padding gets the log-probabilities of the bare source."""
    source = held_out_sources(trained)[0]
    padded = [*source, *[trained.onnx._pad_id] * 5]
    size = trained.bundle.manifest.vocabulary.size
    bare, with_padding = trained.onnx.encode([source]), trained.onnx.encode([padded])
    for piece in (2, 290, 280):
        expected, bare = trained.onnx.step(np.array([piece]), bare, size)
        found, with_padding = trained.onnx.step(np.array([piece]), with_padding, size)
        np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=TOLERANCE)


def test_beam_one_is_greedy(trained):
    """The law of search holds for the real model too."""
    sources, options = held_out_sources(trained), DecodingOptions(max_target_length=12)
    greedy = decode(trained.onnx, sources, options, GreedySearch)
    assert_alike(greedy, decode(trained.onnx, sources, options, BeamSearch))


def test_onnx_is_pytorch_step_by_step(trained):
    """Every log-probability of every step, along a target that the model would not choose."""
    torch_model = TorchModel(trained.run.model, trained.run.vocabulary.pad_id)
    sources, size = held_out_sources(trained), trained.bundle.manifest.vocabulary.size
    ours, reference = trained.onnx.encode(sources), torch_model.encode(sources)
    rng = np.random.default_rng(0)
    for step in range(8):
        ids = rng.integers(20, size, len(sources)) if step else np.full(len(sources), 2)
        found, ours = trained.onnx.step(ids, ours, size)
        expected, reference = torch_model.step(ids, reference, size)
        rows = np.arange(len(sources))[:, None]
        table = np.empty((len(sources), size))
        table[rows, found.ids] = found.log_probs
        np.testing.assert_allclose(table[rows, expected.ids], expected.log_probs, atol=TOLERANCE)


def test_cached_steps_are_the_uncached_forward(trained):
    """All positions at once and one at a time with the cache: the same log-probabilities."""
    model = trained.run.model
    source = torch.tensor([held_out_sources(trained)[0]])
    target = torch.tensor([[2, 290, 285, 280, 275, 3]])
    with torch.no_grad():
        at_once = model.output(model.forward(source, target)).log_softmax(-1)[0]
        state = model.encode(source)
        for position, piece in enumerate(target[0]):
            logits, state = model.step(piece[None], state)
            torch.testing.assert_close(
                logits.log_softmax(-1)[0], at_once[position], atol=TOLERANCE, rtol=0
            )


def test_a_bundle_gives_back_the_weights_of_its_run(trained):
    """Both graphs together hold every weight that was trained, exactly."""
    run = trained.run
    model = build_model(run.recipe.architecture, len(run.vocabulary), run.vocabulary.pad_id)
    checkpoint.load_into(model, bundle_weights(trained.bundle.path))
    for name, weight in run.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_a_run_can_start_from_a_bundle(trained, tmp_path):
    """A new run takes over tokenizer and weights, and begins at update 0; what is made of it tells
    the updates and the texts of both."""
    toy, folder = trained.toy, tmp_path / "run"
    recipe = load_recipe(toy.recipe)
    trainer, _ = runs.make_trainer(recipe, [toy.corpora], folder, trained.bundle.path)
    assert trainer.update == 0
    for name, weight in trained.run.model.state_dict().items():
        assert torch.equal(trainer.model.state_dict()[name].cpu(), weight), name
    trainer.update, trainer.tokens = 7, 1000
    trainer.evaluate([EncodedExample([3], [2, 3])], 0.0)
    trainer.save()
    newer = DataSet("newer.tsv", "CC0", 9)
    run, before = export.load_run(recipe, folder, [newer]), trained.bundle.manifest.provenance
    assert run.updates == before.updates + 7
    assert run.target_tokens == before.target_tokens + 1000
    assert run.data == (newer, *before.data)


def test_evaluate_prints_scores_with_signatures(trained):
    """BLEU and chrF of both directions, through the service's own decoder."""
    dev = trained.toy.corpora / "dev.tsv"
    arguments = ["evaluate", str(trained.bundle.path), str(dev), "--beam-size", "1", "--limit", "9"]
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    for direction, tokens in (("en-ko", "char"), ("ko-en", "13a")):
        assert f"dev {direction} greedy: BLEU" in result.output
        assert f"tok:{tokens}|smooth:exp|version:" in result.output


def test_recorded_scores_replace_older_ones_alike(trained, tmp_path):
    """A second evaluation of the same thing leaves one score, in manifest and card."""
    path = tmp_path / "bundle"
    shutil.copytree(trained.bundle.path, path)
    for value in (12.5, 34.5):
        record_scores(path, (Score("dev", "en-ko", "greedy", "BLEU", value, "signature"),))
    assert [score.value for score in load_bundle(path).manifest.scores] == [34.5]
    card = (path / MODEL_CARD).read_text("utf-8")
    assert "34.5" in card
    assert "12.5" not in card


def test_a_run_can_be_averaged_with_the_bundle_it_started_from(trained, tmp_path):
    """Each weight is the mean of both; licences of both are told."""
    started_from = tmp_path / "bundle"
    shutil.copytree(trained.bundle.path, started_from)
    manifest = trained.bundle.manifest
    older = DataSet("older.tsv", "CC BY 4.0", 7)
    provenance = dataclasses.replace(manifest.provenance, data=(older, *manifest.provenance.data))
    write_manifest(started_from, dataclasses.replace(manifest, provenance=provenance))
    run = dataclasses.replace(
        trained.run, model=copy.deepcopy(trained.run.model), data=manifest.provenance.data
    )
    with torch.no_grad():
        for weight in run.model.parameters():
            weight.add_(0.5)
    mean = export.averaged_with(run, started_from)
    for one, other in zip(trained.run.model.parameters(), mean.model.parameters(), strict=True):
        torch.testing.assert_close(other, one + 0.25, atol=0.01, rtol=0.01)  # stored in float16
    assert mean.data == (*manifest.provenance.data, older)


def test_exporting_again_replaces_the_bundle(trained, tmp_path, monkeypatch):
    """An older bundle of the same name makes way; nothing but the bundle is left behind."""

    def copy_graphs(_, folder):
        manifest = trained.bundle.manifest
        for name in (manifest.encoder, manifest.decoder, manifest.aligner):
            shutil.copyfile(trained.bundle.file(name), folder / name)
        return manifest.state, manifest.aligner

    monkeypatch.setattr(export, "write_graphs", copy_graphs)  # the slow part
    path = tmp_path / "bundles" / "toy"
    path.mkdir(parents=True)
    (path / DECODER).write_bytes(b"old")
    sentences = [(text, "ko") for text in trained.toy.held_out[:3]]
    export.export_run(trained.run, path, sentences)
    assert [p.name for p in path.parent.iterdir()] == ["toy"]
    assert {p.name for p in path.iterdir()} == {p.name for p in trained.bundle.path.iterdir()}
    enforce(verify_bundle(path))


def test_an_export_that_fails_leaves_the_old_bundle(trained, tmp_path, monkeypatch):
    """The directory is touched only when everything new is there."""

    def fail(*_):
        raise RuntimeError("no graph")

    monkeypatch.setattr(export, "write_graphs", fail)
    path = tmp_path / "bundles" / "toy"
    shutil.copytree(trained.bundle.path, path)
    with pytest.raises(RuntimeError, match="no graph"):
        export.export_run(trained.run, path, [])
    assert load_bundle(path).manifest == trained.bundle.manifest
    assert [p.name for p in path.parent.iterdir()] == ["toy"]


def test_graphs_that_differ_from_the_manifest_are_refused(trained):
    """Every missing and strange tensor is named when the graphs are opened."""
    manifest = trained.bundle.manifest
    missing, *others = manifest.state
    strange = dataclasses.replace(missing, name="nobody")
    lying = dataclasses.replace(others[0], dtype="int64", shape=("R",))
    wrong = dataclasses.replace(manifest, state=(strange, lying, *others[1:]))
    with pytest.raises(BundleError) as refused:
        OnnxModel(dataclasses.replace(trained.bundle, manifest=wrong))
    faults = "\n".join(refused.value.faults)
    assert "encoder.onnx has no output nobody" in faults
    assert "decoder.onnx has no input nobody" in faults
    assert f"decoder.onnx has a strange input {missing.name}" in faults
    assert f"{lying.name} is tensor(float), the manifest says int64" in faults
    assert f"{lying.name} has 3 axes, not 1" in faults
