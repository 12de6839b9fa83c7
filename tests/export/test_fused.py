"""The fused graphs with caches compute what the plain graphs compute, for every kind of search."""

import dataclasses
import random

import numpy as np
import pytest
import torch

from model_export.architectures.transformer import Transformer, TransformerConfig
from model_export.graphs.aligner import AlignerGraph
from model_export.graphs.fused_transformer import FusedTransformer
from model_export.graphs.module import export_graphs, graph_weights, round_weights, save_graph
from service.engine.bundle import Bundle, VocabularySpec
from service.engine.cached_model import GROW_BY, CachedModel
from service.engine.model import forced_alignment
from service.engine.onnx_model import OnnxModel
from service.engine.request import DecodingOptions
from tests import decoding
from tests.fakes import BOS, EOS, PAD, make_manifest

VOCABULARY = 60
VARIANTS = {
    "pre-norm": {"norm_placement": "pre"},
    "post-norm": {"norm_placement": "post"},
    "untied": {"share_embeddings": False, "tie_output": False, "output_bias": True},
    "halves": {"position_layout": "halves", "scale_embeddings": False},
    "table": {"position_layout": "table", "positions": 100, "activation": "swish"},
    "normed": {"norm_embeddings": True, "activation": "gelu", "norm_epsilon": 1e-3},
    "small heads": {"heads": 8, "activation": "gelu_tanh", "norm_placement": "pre"},
    "relative": {"relative_positions": 3, "position_layout": "none", "activation": "gelu_sigmoid"},
}
SOURCES = [[5, *range(10, 10 + n), EOS] for n in (1, 7, 3, 12, 5)]


def build(**variant) -> Transformer:
    """A small model with weights that matter."""
    torch.manual_seed(0)
    sizes = {"width": 32, "feed_forward_width": 64, "heads": 4}
    layers = {"encoder_layers": 2, "decoder_layers": 2, "dropout": 0.0}
    model = Transformer(
        TransformerConfig(VOCABULARY, VOCABULARY, PAD, **{**sizes, **layers, **variant})
    )
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if ".relative." in name:
                parameter.copy_(torch.randn_like(parameter))
            parameter.add_(torch.randn_like(parameter) * 0.1)
    round_weights(model)
    return model.eval()


@pytest.fixture(scope="module", params=VARIANTS.values(), ids=VARIANTS)
def both(request, tmp_path_factory):
    """The same weights as a plain model and as a fused one."""
    model = build(**request.param)
    path = tmp_path_factory.mktemp("bundle")
    export_graphs(model, path / "plain_encoder.onnx", path / "plain_decoder.onnx")
    fused = FusedTransformer(model, longest=100)
    save_graph(fused.encoder(), path / "encoder.onnx")
    save_graph(fused.decoder(), path / "decoder.onnx")
    save_graph(AlignerGraph(model, longest=100).aligner(), path / "aligner.onnx")
    vocabulary = VocabularySpec("v.model", "v.model", VOCABULARY, PAD, BOS, EOS)
    manifest = dataclasses.replace(make_manifest(), vocabulary=vocabulary)
    plain = dataclasses.replace(
        manifest,
        encoder="plain_encoder.onnx",
        decoder="plain_decoder.onnx",
        state=model.state_specs(),
        aligner="plain_decoder.onnx",
    )
    quick = dataclasses.replace(manifest, state=fused.state_specs(), aligner="aligner.onnx")
    return OnnxModel(Bundle(path, plain)), CachedModel(Bundle(path, quick)), model, path


def decode(model, sources, beam_size, length):
    """Hypotheses of every source, in order."""
    return decoding.decode(model, inputs_of(sources, beam_size, length), (BOS, EOS))


def inputs_of(sources, beam_size, length):
    """All hypotheses of every beam."""
    return decoding.inputs_of(sources, DecodingOptions(beam_size, beam_size, 0.6, length))


def assert_alike(expected, found):
    """The same hypotheses, and scores that differ by rounding only."""
    for a, b in zip(expected, found, strict=True):
        assert [h.ids for h in a] == [h.ids for h in b]
        assert [h.score for h in a] == pytest.approx([h.score for h in b], abs=1e-3)


@pytest.mark.parametrize("beam_size", [1, 2, 3, 8])
def test_search_finds_the_same(both, beam_size):
    """Ragged sources, rows that leave, and targets longer than a cache has room for at first."""
    plain, fused, *_ = both
    length = GROW_BY + 8
    assert_alike(
        decode(plain, SOURCES, beam_size, length), decode(fused, SOURCES, beam_size, length)
    )


@pytest.mark.parametrize("beam_size", [1, 4])
def test_neighbours_change_nothing(both, beam_size):
    """A batch of n is n batches of one."""
    fused = both[1]
    together = decode(fused, SOURCES, beam_size, 12)
    assert_alike([decode(fused, [s], beam_size, 12)[0] for s in SOURCES], together)


@pytest.mark.parametrize("beam_size", [1, 2, 3, 4, 8])
def test_who_joins_and_leaves_when_changes_nothing(both, beam_size):
    """Sentences join at random steps, while others leave: the reference's hypotheses."""
    plain, fused, *_ = both
    rng = random.Random(beam_size)
    sources = [
        [5, *rng.choices(range(10, VOCABULARY), k=rng.randint(0, 12)), EOS] for _ in "123456789"
    ]
    length = GROW_BY + 3
    expected = [decode(plain, [s], beam_size, length)[0] for s in sources]
    for _ in range(3):
        joins = [rng.choice([0, 0, 0, 1, 2]) for _ in range(40)]
        inputs = inputs_of(sources, beam_size, length)
        assert_alike(expected, decoding.run_schedule(fused, inputs, (BOS, EOS), joins))


def test_every_log_probability_is_the_same(both):
    """Step by step, while rows leave and the cache grows."""
    plain, fused, *_ = both
    states = [plain.encode(SOURCES), fused.encode(SOURCES)]
    rng = np.random.default_rng(0)
    rows = len(SOURCES)
    for step in range(GROW_BY + 5):
        ids = rng.integers(5, VOCABULARY, rows)
        tables = []
        for i, model in enumerate((plain, fused)):
            found, states[i] = model.step(ids, states[i], VOCABULARY)
            table = np.empty((rows, VOCABULARY))
            table[np.arange(rows)[:, None], found.ids] = found.log_probs
            tables.append(table)
        np.testing.assert_allclose(tables[1], tables[0], atol=1e-4)
        if step in (3, 20):
            stay = np.delete(np.arange(rows), step % rows)
            states, rows = [state.select(stay) for state in states], rows - 1


def test_the_weights_can_be_read_back(both):
    """Training can start from a fused bundle."""
    model, path = both[2], both[3]
    found = graph_weights(path / "encoder.onnx") | graph_weights(path / "decoder.onnx")
    state = model.state_dict()
    assert set(found) <= set(state)
    filled = {state[name].data_ptr() for name in found}
    assert filled == {tensor.data_ptr() for tensor in state.values()}
    for name, weight in found.items():
        torch.testing.assert_close(weight, state[name])


def test_the_aligner_walks_the_same_way(both):
    """The aligner's hypotheses and what it looks at are those of the plain graph."""
    plain, fused, *_ = both
    aligner = fused.aligner
    assert_alike(decode(plain, SOURCES, 3, 12), decode(aligner, SOURCES, 3, 12))
    for source in SOURCES:
        target = [7, 9, 11]
        expected = forced_alignment(plain, source, target, BOS)
        np.testing.assert_allclose(
            forced_alignment(aligner, source, target, BOS), expected, atol=1e-5
        )
