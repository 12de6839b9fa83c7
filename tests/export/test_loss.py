"""The chunked loss against PyTorch's own cross-entropy."""

import pytest
import torch
from torch.nn import functional

from model_export import loss
from model_export.loss import cross_entropy

PAD, VOCABULARY = 0, 11


@pytest.fixture(params=[False, True], ids=["no bias", "bias"])
def output(request):
    """A projection to the vocabulary."""
    torch.manual_seed(0)
    return torch.nn.Linear(6, VOCABULARY, bias=request.param)


@pytest.fixture
def hidden():
    """Hidden states [B, T, E]."""
    torch.manual_seed(1)
    return torch.randn(4, 7, 6, requires_grad=True)


@pytest.fixture
def labels():
    """[B, T], with padding at the ends."""
    torch.manual_seed(2)
    labels = torch.randint(1, VOCABULARY, (4, 7))
    labels[1, 3:] = PAD
    labels[2, 6:] = PAD
    return labels


def real(labels):
    """Flat places of what is no padding."""
    return (labels != PAD).flatten().nonzero()[:, 0]


def gradients(value, hidden, output):
    """Of hidden states and of all of the projection's parameters."""
    return torch.autograd.grad(value, [hidden, *output.parameters()])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("chunk", [1, 5, 512])
def test_value_and_gradients_are_those_of_pytorch(
    monkeypatch, output, hidden, labels, smoothing, chunk
):
    """However many chunks there are, and scaled as a training step scales it."""
    monkeypatch.setitem(loss.CHUNK_ROWS, "cpu", chunk)
    found, likelihood = cross_entropy(hidden, output, labels, real(labels), smoothing)
    logits = output(hidden).flatten(0, 1)
    options = {"ignore_index": PAD, "reduction": "sum"}
    expected = functional.cross_entropy(
        logits, labels.flatten(), label_smoothing=smoothing, **options
    )
    plain = functional.cross_entropy(logits, labels.flatten(), **options)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(likelihood, plain)
    for a, b in zip(
        gradients(found / 23, hidden, output), gradients(expected / 23, hidden, output), strict=True
    ):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-4)


def test_padding_has_no_gradient(output, hidden, labels):
    """Positions that are padding teach nothing."""
    found, _ = cross_entropy(hidden, output, labels, real(labels), 0.1)
    gradient = gradients(found, hidden, output)[0]
    assert torch.all(gradient[labels == PAD] == 0)
    assert torch.all(gradient[labels != PAD].abs().sum(-1) > 0)


def test_only_the_smoothed_loss_can_be_trained_on(output, hidden, labels):
    """The plain likelihood is for reading."""
    found, likelihood = cross_entropy(hidden, output, labels, real(labels), 0.1)
    assert found.requires_grad
    assert not likelihood.requires_grad


def test_half_precision_stays_close(output, hidden, labels):
    """bfloat16 hidden states give the loss within their rounding, and a gradient of their type."""
    half = hidden.detach().bfloat16().requires_grad_()
    found, _ = cross_entropy(half, output, labels, real(labels), 0.1)
    exact, _ = cross_entropy(hidden, output, labels, real(labels), 0.1)
    torch.testing.assert_close(found, exact, atol=0, rtol=0.02)
    gradient, weight_gradient, *_ = gradients(found, half, output)
    assert gradient.dtype is torch.bfloat16
    assert weight_gradient.dtype is torch.float32
