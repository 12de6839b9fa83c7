"""The Transformer against PyTorch's own layers, and its cached steps against `forward`."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from model_export.architectures.transformer import (
    ACTIVATIONS,
    DecoderLayer,
    EncoderLayer,
    Transformer,
    TransformerConfig,
    scaled_dot_product_attention,
    sinusoidal_positions,
)

PAD, BOS = 0, 2
PLAIN = TransformerConfig(
    source_vocabulary_size=23,
    target_vocabulary_size=23,
    pad_id=PAD,
    width=16,
    feed_forward_width=24,
    heads=4,
    encoder_layers=2,
    decoder_layers=2,
)
VARIANTS = {
    "post-norm": {},
    "pre-norm": {"norm_placement": "pre"},
    "halves": {"position_layout": "halves"},
    "norm_embeddings": {"norm_embeddings": True},
    "two vocabularies": {"source_vocabulary_size": 31, "share_embeddings": False},
    "output not tied": {"tie_output": False},
    "embeddings not scaled": {"scale_embeddings": False},
    "gelu": {"activation": "gelu"},
    "Marian": {
        "source_vocabulary_size": 31,
        "share_embeddings": False,
        "position_layout": "halves",
        "activation": "swish",
        "output_bias": True,
    },
    "one layer, one head": {"encoder_layers": 1, "decoder_layers": 1, "heads": 1},
}


def build(**variant):
    """A model with random weights everywhere, biases and norms too, in evaluation mode."""
    torch.manual_seed(0)
    model = Transformer(dataclasses.replace(PLAIN, **variant)).eval()
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.normal_(parameter, mean=1.0, std=0.3)
    return model


def step_by_step(model, source, target):
    """Logits [B, T, V], one position at a time."""
    state = model.encode(source)
    logits = []
    for ids in target.T:
        row, state = model.step(ids, state)
        logits.append(row)
    return torch.stack(logits, dim=1)


SOURCE = torch.tensor([[5, 6, 7, 8, 3], [9, 3, PAD, PAD, PAD], [4, 11, 12, 3, PAD]])
TARGET = torch.tensor([[BOS, 5, 6, 7], [BOS, 8, 9, 10], [BOS, 20, 4, 4]])


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_cached_steps_are_the_uncached_forward(variant):
    """Whatever the variant, decoding computes what training computes."""
    model = build(**variant)
    expected = model.output(model(SOURCE, TARGET))
    torch.testing.assert_close(step_by_step(model, SOURCE, TARGET), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_padding_and_neighbours_change_nothing(variant):
    """A sentence alone and without padding gets the same hidden states."""
    model = build(**variant)
    together = model(SOURCE, TARGET)
    for row in range(len(SOURCE)):
        source = SOURCE[row][SOURCE[row] != PAD][None]
        alone = model(source, TARGET[row][None])
        torch.testing.assert_close(together[row][None], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_the_future_changes_nothing():
    """What is said at a position does not depend on later target pieces."""
    model, changed = build(), TARGET.clone()
    changed[:, 2:] = 13
    torch.testing.assert_close(model(SOURCE, TARGET)[:, :2], model(SOURCE, changed)[:, :2])


@torch.no_grad()
@pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)
def test_the_state_is_what_the_specs_say(variant):
    """Names, types and shapes of the state agree with the description in the manifest."""
    model = build(**variant)
    first = model.encode(SOURCE)
    _, second = model.step(TARGET[:, 0], first)
    for state, said in ((first, 0), (second, 1)):
        letters = {"R": 3, "S": 5, "T": said}
        specs = model.state_specs()
        assert {spec.name for spec in specs} == set(state)
        for spec in specs:
            expected = [letters.get(axis, axis) for axis in spec.shape]
            assert list(state[spec.name].shape) == expected
            assert str(state[spec.name].dtype) == f"torch.{spec.dtype}"
    for spec in model.state_specs():
        if spec.kind == "source":
            assert torch.equal(first[spec.name], second[spec.name])


def copy_attention(ours, theirs):
    """Weights of a `torch.nn.MultiheadAttention`."""
    ours.query_key_value.weight.data.copy_(theirs.in_proj_weight)
    ours.query_key_value.bias.data.copy_(theirs.in_proj_bias)
    ours.output.load_state_dict(theirs.out_proj.state_dict())


def copy_feed_forward(ours, theirs):
    """Weights of the feed-forward part of one of PyTorch's layers."""
    ours.feed_forward.inner.load_state_dict(theirs.linear1.state_dict())
    ours.feed_forward.outer.load_state_dict(theirs.linear2.state_dict())


@torch.no_grad()
@pytest.mark.parametrize("placement", ["post", "pre"])
def test_an_encoder_layer_is_pytorchs(placement):
    """With the same weights it computes what `torch.nn.TransformerEncoderLayer` does."""
    config = dataclasses.replace(PLAIN, norm_placement=placement, dropout=0.0)
    sizes = {"d_model": 16, "nhead": 4, "dim_feedforward": 24, "dropout": 0.0}
    theirs = nn.TransformerEncoderLayer(**sizes, batch_first=True, norm_first=placement == "pre")
    ours = EncoderLayer(config)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_feed_forward(ours, theirs)
    x, mask = torch.randn(3, 5, 16), SOURCE != PAD
    expected = theirs(x, src_key_padding_mask=~mask)
    found = ours(x, mask[:, None, None])
    torch.testing.assert_close(found[mask], expected[mask], atol=1e-5, rtol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("placement", ["post", "pre"])
def test_a_decoder_layer_is_pytorchs(placement):
    """With the same weights it computes what `torch.nn.TransformerDecoderLayer` does."""
    config = dataclasses.replace(PLAIN, norm_placement=placement, dropout=0.0)
    sizes = {"d_model": 16, "nhead": 4, "dim_feedforward": 24, "dropout": 0.0}
    theirs = nn.TransformerDecoderLayer(**sizes, batch_first=True, norm_first=placement == "pre")
    ours = DecoderLayer(config)
    copy_attention(ours.self_attention, theirs.self_attn)
    copy_attention(ours.cross_attention, theirs.multihead_attn)
    copy_feed_forward(ours, theirs)
    x, memory, mask = torch.randn(3, 4, 16), torch.randn(3, 5, 16), SOURCE != PAD
    causal = nn.Transformer.generate_square_subsequent_mask(4)
    expected = theirs(x, memory, causal, memory_key_padding_mask=~mask, tgt_is_causal=True)
    found = ours(x, ours.cross_attention.project_memory(memory), mask[:, None, None])
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=1e-5)


def test_attention_is_the_papers_formula():
    """softmax(Q K^T / sqrt(D)) V, masked keys left out."""
    query, key, value = (torch.randn(2, 3, 5, 8) for _ in range(3))
    mask = torch.tensor([True, True, False, True, False]).view(1, 1, 1, 5)
    scores = query @ key.transpose(-1, -2) / math.sqrt(8)
    expected = scores.masked_fill(~mask, -math.inf).softmax(-1) @ value
    torch.testing.assert_close(scaled_dot_product_attention(query, key, value, mask), expected)


def test_positions_are_the_papers_formula():
    """PE(pos, 2i) = sin(pos / 10000^(2i/E)) and PE(pos, 2i+1) = cos of the same."""
    found = sinusoidal_positions(torch.arange(50), 8, "interleaved")
    for position in (0, 1, 7, 49):
        for i in range(4):
            angle = position / 10000 ** (2 * i / 8)
            assert found[position, 2 * i] == pytest.approx(math.sin(angle), abs=1e-5)
            assert found[position, 2 * i + 1] == pytest.approx(math.cos(angle), abs=1e-5)


def test_positions_in_halves_are_the_same_figures():
    """Marian's order has all sines first, then all cosines."""
    interleaved = sinusoidal_positions(torch.arange(50), 8, "interleaved")
    halves = sinusoidal_positions(torch.arange(50), 8, "halves")
    expected = torch.cat([interleaved[:, ::2], interleaved[:, 1::2]], dim=1)
    torch.testing.assert_close(halves, expected, atol=1e-5, rtol=0)


def test_swish_is_x_times_sigmoid():
    """Marian's name for SiLU."""
    x = torch.linspace(-4, 4, 9)
    torch.testing.assert_close(ACTIVATIONS["swish"](x), x * torch.sigmoid(x))


def test_tied_weights_are_one_tensor():
    """Embeddings and output share their table unless the config says otherwise."""
    tied, apart = build(), build(share_embeddings=False, tie_output=False)
    assert tied.source_embedding.weight is tied.target_embedding.weight is tied.output.weight
    assert apart.source_embedding.weight is not apart.target_embedding.weight
    assert apart.output.weight is not apart.target_embedding.weight


@torch.no_grad()
def test_dropout_is_for_training_only():
    """In evaluation mode the same input gives the same output; in training mode it does not."""
    model = build(dropout=0.5)
    assert torch.equal(model(SOURCE, TARGET), model(SOURCE, TARGET))
    model.train()
    assert not torch.equal(model(SOURCE, TARGET), model(SOURCE, TARGET))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"heads": 3}, "multiple of heads"),
        ({"width": 15, "heads": 3}, "odd"),
        ({"source_vocabulary_size": 24}, "one vocabulary"),
    ],
)
def test_impossible_sizes_are_refused(wrong, message):
    """A config that no model can have raises at construction."""
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(PLAIN, **wrong)
