"""Both RNNs in PyTorch: steps against `forward`, padding, the state, and the attention."""

import pytest
import torch

from model_export.architectures.recurrent import Recurrent, lengths_of, mirror, take
from model_export.architectures.rnn_attention import Attention, RnnAttention, RnnAttentionConfig
from tests.export.recurrent import (
    CELLS,
    HIDDEN,
    PAD,
    SCORES,
    SOURCE,
    SOURCES,
    TARGET,
    VARIANTS,
    VOCABULARY,
    WIDTH,
    build,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS.values(), ids=VARIANTS)


def step_by_step(model, source, target):
    """Logits [B, T, V], one position at a time."""
    state = model.encode(source)
    logits = []
    for ids in target.T:
        row, state = model.step(ids, state)
        logits.append(row)
    return torch.stack(logits, dim=1)


@torch.no_grad()
@every_variant
def test_steps_are_the_forward(variant):
    """Whatever the variant, decoding computes what training computes, on a padded batch."""
    model = build(*variant)
    expected = model.output(model(SOURCE, TARGET))
    torch.testing.assert_close(step_by_step(model, SOURCE, TARGET), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@every_variant
def test_padding_and_neighbours_change_nothing(variant):
    """A sentence alone and without padding gets the same hidden states."""
    model = build(*variant)
    together = model(SOURCE, TARGET)
    for row, source in enumerate(SOURCES):
        alone = model(torch.tensor([source]), TARGET[row][None])
        torch.testing.assert_close(together[row][None], alone, atol=1e-5, rtol=1e-5)


@torch.no_grad()
@every_variant
def test_every_source_piece_counts(variant):
    """A change of the first or of the last piece changes what is said."""
    model = build(*variant)
    before = model(SOURCE[:1], TARGET[:1])
    for position in (0, -1):
        changed = SOURCE[:1].clone()
        changed[0, position] = 77
        assert not torch.allclose(model(changed, TARGET[:1]), before, atol=1e-4)


@torch.no_grad()
@every_variant
def test_the_future_changes_nothing(variant):
    """What is said at a position does not depend on later target pieces."""
    model, changed = build(*variant), TARGET.clone()
    changed[:, 2:] = 13
    torch.testing.assert_close(model(SOURCE, TARGET)[:, :2], model(SOURCE, changed)[:, :2])


@torch.no_grad()
@every_variant
def test_the_state_is_what_the_specs_say(variant):
    """Names, types and shapes of the state agree with the description in the manifest."""
    model = build(*variant)
    first = model.encode(SOURCE)
    _, second = model.step(TARGET[:, 0], first)
    specs = model.state_specs()
    letters = {"R": SOURCE.shape[0], "S": SOURCE.shape[1]}
    for state in (first, second):
        assert set(state) == {spec.name for spec in specs}
        for spec in specs:
            assert list(state[spec.name].shape) == [letters.get(a, a) for a in spec.shape]
            assert str(state[spec.name].dtype) == f"torch.{spec.dtype}"
    for spec in specs:
        assert torch.equal(first[spec.name], second[spec.name]) == (spec.kind == "source")


@pytest.mark.parametrize(("cell", "names"), [("gru", ["hidden"]), ("lstm", ["hidden", "cell"])])
def test_the_seq2seq_carries_nothing_but_its_cells_state(cell, names):
    """No tensor of it grows with the source: this is the bottleneck."""
    specs = build(cell).state_specs()
    assert [spec.name for spec in specs] == names
    assert {spec.kind for spec in specs} == {"step"}
    assert not any("S" in spec.shape for spec in specs)


@pytest.mark.parametrize("score", SCORES)
def test_keys_travel_only_where_they_are_not_the_values(score):
    """Luong's scores compare the values themselves, so nothing is sent twice."""
    names = {spec.name for spec in build("gru", score).state_specs()}
    assert names - {"keys"} == {"values", "source_mask", "hidden"}
    assert ("keys" in names) == (score == "additive")


@torch.no_grad()
@pytest.mark.parametrize("cell", CELLS)
def test_one_step_at_a_time_is_the_whole_sequence(cell):
    """The cell's two ways to read give the same hidden states, from zeros and from a state."""
    torch.manual_seed(0)
    rnn, x = Recurrent(cell, 5, 3), torch.randn(2, 4, 5)
    zeros = tuple(torch.zeros(2, 3) for _ in rnn.state_names)
    for start in (zeros, tuple(torch.randn(2, 3) for _ in rnn.state_names)):
        state, hidden = start, []
        for step in x.unbind(1):
            state = rnn.step(step, state)
            hidden.append(state[0])
        torch.testing.assert_close(torch.stack(hidden, dim=1), rnn(x, start))
    torch.testing.assert_close(rnn(x), rnn(x, zeros))


def test_mirror_turns_each_sequence_around_and_leaves_its_padding():
    """Positions of a row without padding, of one with, and of a single piece."""
    source = torch.tensor([[7, 8, 9, 3], [7, 3, PAD, PAD], [3, PAD, PAD, PAD]])
    expected = torch.tensor([[3, 2, 1, 0], [1, 0, 2, 3], [0, 1, 2, 3]])
    assert torch.equal(mirror(source, PAD), expected)
    assert torch.equal(lengths_of(source, PAD), torch.tensor([4, 2, 1]))


def test_mirror_twice_changes_nothing():
    """It is its own inverse, which is how the backward encoder's states get back in order."""
    positions = mirror(SOURCE, PAD)
    x = torch.randn(*SOURCE.shape, 3)
    torch.testing.assert_close(take(take(x, positions), positions), x)


def test_take_gives_each_row_its_own_positions():
    """Whole vectors, in any order and number."""
    x = torch.arange(12.0).view(2, 3, 2)  # row 0: [0, 1], [2, 3], [4, 5]
    found = take(x, torch.tensor([[2, 0, 0, 1], [1, 1, 2, 0]]))
    expected = [[[4, 5], [0, 1], [0, 1], [2, 3]], [[8, 9], [8, 9], [10, 11], [6, 7]]]
    assert found.tolist() == expected


@torch.no_grad()
@pytest.mark.parametrize("score", SCORES)
def test_attention_weights_sum_to_one_and_leave_padding_out(score):
    """However large the scores are."""
    torch.manual_seed(0)
    attention, mask = Attention(HIDDEN, score), SOURCE != PAD
    for scale in (0.1, 1.0, 100.0):
        values, query = torch.randn(*SOURCE.shape, HIDDEN) * scale, torch.randn(4, HIDDEN) * scale
        weights = attention.weights(query, attention.keys(values), mask)
        assert weights.shape == SOURCE.shape
        torch.testing.assert_close(weights.sum(1), torch.ones(4))
        assert torch.all(weights >= 0)
        assert torch.all(weights[~mask] == 0)


@torch.no_grad()
@pytest.mark.parametrize("score", SCORES)
def test_attention_is_the_papers_formula(score):
    """One query and one key at a time: Bahdanau et al. 2015 (A.1.2), Luong et al. 2015 (eq. 8)."""
    torch.manual_seed(0)
    attention, query = Attention(4, score), torch.randn(1, 4)
    values = torch.randn(1, 5, 4)
    formula = {
        "additive": lambda h: attention.energy(
            torch.tanh(attention.query.weight @ query[0] + attention.key(h))
        ),
        "general": lambda h: (h @ attention.query.weight @ query[0])[None],
        "dot": lambda h: (h @ query[0])[None],
    }[score]
    weights = torch.cat([formula(h) for h in values[0]]).softmax(0)
    mask = torch.ones(1, 5, dtype=torch.bool)
    context, found = attention(query, attention.keys(values), values, mask)
    torch.testing.assert_close(found[0], weights)
    torch.testing.assert_close(context[0], weights @ values[0])


def test_two_directions_cannot_share_an_odd_width():
    """A hidden width that no bidirectional encoder can have raises at construction."""
    with pytest.raises(ValueError, match="hidden_width 9 is odd"):
        RnnAttention(RnnAttentionConfig(VOCABULARY, PAD, WIDTH, 9))
