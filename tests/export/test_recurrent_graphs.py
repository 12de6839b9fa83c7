"""Both RNNs as ONNX graphs against PyTorch: step by step, and through the service's search."""

import dataclasses
import itertools

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from model_export.checkpoint import load_into
from model_export.export import DECODER, ENCODER
from model_export.graphs.module import export_graphs, graph_weights
from model_export.torch_model import TorchModel
from service.engine.beam_search import BeamSearch
from service.engine.bundle import Bundle, VocabularySpec
from service.engine.greedy_search import GreedySearch
from service.engine.onnx_model import OnnxModel
from service.engine.request import DecodingOptions, FinishReason
from service.engine.search import SearchInput
from service.engine.strategies import open_search, search
from tests import decoding
from tests.export.recurrent import (
    BOS,
    EOS,
    PAD,
    SOURCE,
    SOURCES,
    TARGET,
    VARIANTS,
    VOCABULARY,
    build,
)
from tests.fakes import make_manifest

TOLERANCE = 1e-4
every_export = pytest.mark.parametrize("exported", VARIANTS.values(), ids=VARIANTS, indirect=True)


@dataclasses.dataclass(frozen=True)
class Exported:
    """A model in PyTorch and in ONNX."""

    module: nn.Module
    bundle: Bundle

    @property
    def sessions(self):
        """Encoder and decoder."""
        return [onnxruntime.InferenceSession(self.bundle.file(f)) for f in (ENCODER, DECODER)]

    @property
    def torch(self):
        """As search sees it, in PyTorch."""
        return TorchModel(self.module, PAD)

    @property
    def onnx(self):
        """As search sees it, under ONNX Runtime."""
        return OnnxModel(self.bundle)


@pytest.fixture(scope="module")
def exported(request, tmp_path_factory):
    """A variant and its graphs, with a manifest that says what the service must know of them."""
    module = build(*request.param)
    path = tmp_path_factory.mktemp("bundle")
    export_graphs(module, path / ENCODER, path / DECODER)
    vocabulary = VocabularySpec("v.model", "v.model", VOCABULARY, PAD, BOS, EOS)
    manifest = dataclasses.replace(
        make_manifest(),
        vocabulary=vocabulary,
        state=module.state_specs(),
        aligner="decoder.onnx" if module.aligns else None,
    )
    return Exported(module, Bundle(path, manifest))


def decode(model, beam_size, kind=open_search, n_best=None):
    """Hypotheses of every source, in order, decoded in one padded batch."""
    options = DecodingOptions(beam_size, n_best or beam_size, max_target_length=12)
    return decoding.decode(model, decoding.inputs_of(SOURCES, options), (BOS, EOS), kind)


def assert_alike(expected, found):
    """The same hypotheses, and scores that differ by rounding only."""
    assert [len(hypotheses) for hypotheses in found] == [len(h) for h in expected]
    for a, b in itertools.chain.from_iterable(map(zip, expected, found)):
        assert a.ids == b.ids
        assert a.finish_reason == b.finish_reason
        assert a.score == pytest.approx(b.score, abs=TOLERANCE)


@torch.no_grad()
@every_export
def test_onnx_is_pytorch_step_by_step(exported):
    """Every tensor of the state and all log-probabilities, on a batch unlike the example."""
    model, specs = exported.module, exported.module.state_specs()
    encoder, decoder = exported.sessions
    names = [spec.name for spec in specs]
    steps = [spec.name for spec in specs if spec.kind == "step"]
    ours = dict(zip(names, encoder.run(names, {"source_ids": SOURCE.numpy()}), strict=True))
    state = model.encode(SOURCE)
    for ids in TARGET.T:
        for name in names:
            np.testing.assert_allclose(ours[name], state[name].numpy(), atol=TOLERANCE)
        logits, state = model.step(ids, state)
        expected = logits.log_softmax(-1).numpy()
        all_of_them = {"k": np.array([expected.shape[1]])}
        wanted = ["candidate_ids", "candidate_log_probs", *(f"next_{name}" for name in steps)]
        pieces, found, *after = decoder.run(wanted, {"ids": ids.numpy(), **all_of_them, **ours})
        assert (np.sort(pieces, axis=1) == np.arange(expected.shape[1])).all()
        assert (np.diff(found, axis=1) <= 0).all(), "best first"
        expected = np.take_along_axis(expected, pieces, 1)
        np.testing.assert_allclose(found, expected, atol=TOLERANCE)
        ours |= dict(zip(steps, after, strict=True))


@torch.no_grad()
@every_export
def test_the_decoder_shows_its_attention_where_there_is_one(exported):
    """The same weights as in PyTorch at every step, none on padding."""
    model, (_, decoder) = exported.module, exported.sessions
    outputs = [node.name for node in decoder.get_outputs()]
    assert ("alignment" in outputs) == model.aligns
    if not model.aligns:
        return
    state = model.encode(SOURCE)
    for ids in TARGET.T:
        feeds = {name: tensor.numpy() for name, tensor in state.items()}
        [found] = decoder.run(["alignment"], {"ids": ids.numpy(), "k": np.array([1]), **feeds})
        _, state, expected = model.attend(ids, state)
        np.testing.assert_allclose(found, expected.numpy(), atol=TOLERANCE)
        np.testing.assert_allclose(found.sum(1), 1, atol=TOLERANCE)
        assert not found[SOURCE.numpy() == PAD].any()


@every_export
@pytest.mark.parametrize("beam_size", [1, 3])
def test_search_finds_the_same_with_onnx(exported, beam_size):
    """Greedy and beam: the same ids, and scores that differ by rounding only."""
    expected = decode(exported.torch, beam_size)
    assert_alike(expected, decode(exported.onnx, beam_size))
    assert len({hypotheses[0].ids for hypotheses in expected}) > 1, "all sources alike"


@every_export
@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_batch_of_n_is_n_batches_of_one(exported, beam_size):
    """Neighbours, and rows that leave the batch, change no hypothesis."""
    options = DecodingOptions(beam_size, beam_size, max_target_length=12)
    alone = [
        dict(search(exported.onnx, [SearchInput(source, options)], BOS, EOS))[0]
        for source in SOURCES
    ]
    assert_alike(alone, decode(exported.onnx, beam_size))


@every_export
@pytest.mark.parametrize("beam_size", [1, 3])
def test_who_joins_later_finds_the_same(exported, beam_size):
    """Sentences that join at any step, while others leave, change nothing."""
    options = DecodingOptions(beam_size, beam_size, max_target_length=12)
    inputs = decoding.inputs_of(SOURCES, options)
    expected = decode(exported.onnx, beam_size)
    for joins in ([1] * len(SOURCES), [1, 0, 0, 2, 0, 1, 1], [2, 0, 0, 0, 0, 0, 0, 1, 1]):
        found = decoding.run_schedule(exported.onnx, inputs, (BOS, EOS), joins)
        assert_alike(expected, found)


@every_export
def test_beam_one_is_greedy(exported):
    """The law of search holds for these models too."""
    greedy = decode(exported.onnx, 1, GreedySearch)
    assert_alike(greedy, decode(exported.onnx, 1, BeamSearch))


@pytest.mark.parametrize(
    "exported",
    [
        pytest.param(
            variant,
            id=name,
        )
        for name, variant in VARIANTS.items()
    ],
    indirect=True,
)
def test_the_graphs_hold_every_weight(exported):
    """Under the module's own names, so that a run can start from the bundle."""
    weights = graph_weights(exported.bundle.file(ENCODER))
    weights |= graph_weights(exported.bundle.file(DECODER))
    model = type(exported.module)(exported.module.config)
    load_into(model, weights)
    for name, weight in exported.module.state_dict().items():
        assert torch.equal(model.state_dict()[name], weight), name


def test_some_hypotheses_end_and_some_are_cut_off():
    """The models of these tests try both ways out of the search."""
    found = [
        h for v in VARIANTS.values() for hs in decode(TorchModel(build(*v), PAD), 3) for h in hs
    ]
    assert {h.finish_reason for h in found} == {FinishReason.EOS, FinishReason.LENGTH}
