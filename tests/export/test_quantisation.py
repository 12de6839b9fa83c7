"""int8 bundles: as good as float32 within a tolerance, independent of neighbours, or refused."""

import dataclasses
import json

import numpy as np
import onnx
import pytest
from typer.testing import CliRunner

from model_export import quantisation
from model_export.cli import app
from model_export.graphs.quantise import Range, folded, measure_ranges, products, quantise
from model_export.verify import verify_bundle
from service.engine.model_loader import open_model
from service.engine.request import DecodingOptions
from service.engine.search import SearchInput
from service.engine.strategies import search
from tests.export.conftest import quantize_arguments
from tests.fakes import TableModel


def test_an_int8_bundle_says_so_and_is_verified(int8):
    """Its manifest says int8, its scores are recorded, and it stays near PyTorch."""
    assert int8.manifest.precision == "int8"
    assert {score.metric for score in int8.manifest.scores} >= {"BLEU", "chrF2++"}
    for file in ("encoder.onnx", "decoder.onnx", "aligner.onnx"):
        kinds = {node.op_type for node in onnx.load(int8.file(file)).graph.node}
        assert "MatMulIntegerToFloat" in kinds, file
    verify_bundle(int8.path)


def test_int8_results_do_not_depend_on_the_batch(trained, int8):
    """Bit for bit: ids and scores are the same alone and among others."""
    model, manifest = open_model(int8), int8.manifest
    sources = [trained.run.vocabulary.encode_source(t, "ko") for t in trained.toy.held_out[:20]]
    for beam_size in (1, 3):
        options = DecodingOptions(beam_size, beam_size, max_target_length=16)
        inputs = [SearchInput(source, options) for source in sources]
        ids = manifest.vocabulary.bos_id, manifest.vocabulary.eos_id
        together = dict(search(model, inputs, *ids))
        for number, each in enumerate(inputs):
            assert dict(search(model, [each], *ids))[0] == together[number]


def test_agreement_counts_pieces_after_the_same_beginning(trained, int8):
    """A model agrees with itself everywhere, int8 nearly everywhere, another model hardly ever."""
    vocabulary = trained.run.vocabulary
    sources = [vocabulary.encode_source(text, "ko") for text in trained.toy.held_out[:20]]
    ids = vocabulary.bos_id, vocabulary.eos_id

    def share(other):
        return quantisation.token_agreement(trained.onnx, other, sources, ids, 16).share

    assert share(trained.onnx) == 1.0
    assert 0.9 < share(open_model(int8)) <= 1.0
    assert share(TableModel(len(vocabulary), seed=0)) < 0.1


def test_spoiled_ranges_are_refused(trained, tmp_path, monkeypatch):
    """A bundle that lost too much quality is not written."""
    monkeypatch.setattr(
        quantisation,
        "measure_ranges",
        lambda model, *_: {p.x: Range(-1e-3, 1e-3) for p in products(model)},
    )
    target = tmp_path / "spoiled"
    result = CliRunner().invoke(app, quantize_arguments(trained, target))
    assert isinstance(result.exception, quantisation.QualityError)
    assert "chrF2++ of dev" in str(result.exception)
    assert not target.exists()


def test_int8_is_not_quantised_again(int8, tmp_path):
    """The command wants float32."""
    with pytest.raises(quantisation.QualityError, match="only float32"):
        quantisation.quantise_bundle(int8.path, tmp_path / "x", [], [], 100, 1, print)


def test_verification_sees_a_changed_int8_weight(int8, tmp_path):
    """A wrong scale is more than int8 explains."""
    spoilt = tmp_path / "spoilt"
    spoilt.mkdir()
    for name in [*int8.manifest.files, "manifest.json"]:
        (spoilt / name).write_bytes(int8.file(name).read_bytes())
    model = onnx.load(spoilt / "decoder.onnx")
    for tensor in model.graph.initializer:
        if tensor.name.startswith("product_") and tensor.name.endswith(".scale"):
            values = onnx.numpy_helper.to_array(tensor) * 3
            tensor.CopyFrom(onnx.numpy_helper.from_array(values, tensor.name))
    onnx.save(model, spoilt / "decoder.onnx")
    manifest = json.loads((spoilt / "manifest.json").read_text())
    described = quantisation.describe_file(spoilt / "decoder.onnx")
    manifest["files"]["decoder.onnx"] = dataclasses.asdict(described)
    (spoilt / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(Exception, match="on average"):
        verify_bundle(spoilt)


def test_products_compute_nearly_the_same(trained):
    """One graph, float32 and int8, on the same feeds."""
    path = trained.bundle.file("encoder.onnx")
    ids = np.array([[6, 20, 21, 22, 3], [7, 25, 3, 0, 0]])
    model = folded(path)
    ranges = measure_ranges(model, [{"source_ids": ids}], 100)
    assert all(found.low <= 0 <= found.high for found in ranges.values())
    changed = quantise(model, ranges)
    kinds = {node.op_type for node in changed.graph.node}
    assert "MatMulIntegerToFloat" in kinds
    assert not list(products(changed))
