"""Cross-entropy with label smoothing over a large vocabulary, in chunks.

The logits of a batch are the largest tensor of a training step by far. Here they exist one chunk
at a time, and each chunk makes its own gradient at once, so none is kept for the backward pass.
"""

from typing import Any

import torch
from torch import Tensor

CHUNK_ROWS = {"cpu": 512, "cuda": 8192}
"""Positions at a time: few stay in a CPU's cache, many keep a GPU busy."""


class ChunkedCrossEntropy(torch.autograd.Function):
    """Sum over positions of the smoothed cross-entropy of softmax(hidden @ weight.T + bias)."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: Tensor,
        weight: Tensor,
        bias: Tensor | None,
        labels: Tensor,
        smoothing: float,
    ) -> tuple[Tensor, Tensor]:
        """`hidden` [N, E], `weight` [V, E], `bias` [V], `labels` [N].

        Returns the smoothed loss (Szegedy et al. 2016) and the plain negative log-likelihood,
        both summed in nats. Only the first carries a gradient.
        """
        vocabulary = weight.shape[0]
        table = weight.to(hidden.dtype)
        hidden_gradient = torch.empty_like(hidden)
        weight_gradient = torch.zeros_like(weight, dtype=torch.float32)
        bias_gradient = torch.zeros_like(bias, dtype=torch.float32) if bias is not None else None
        loss = hidden.new_zeros((), dtype=torch.float32)
        likelihood = hidden.new_zeros((), dtype=torch.float32)
        rows = CHUNK_ROWS[hidden.device.type]
        for h, y, out in zip(
            hidden.split(rows), labels.split(rows), hidden_gradient.split(rows), strict=True
        ):
            logits = (h @ table.T).float()  # [chunk, V]
            if bias is not None:
                logits += bias
            log_probs = logits.log_softmax(-1)
            nll = -log_probs.gather(1, y[:, None]).sum()
            likelihood += nll
            loss += (1 - smoothing) * nll - smoothing * log_probs.sum() / vocabulary
            # d loss / d logits = softmax - smoothed target
            gradient = log_probs.exp_().sub_(smoothing / vocabulary)
            gradient.scatter_add_(1, y[:, None], gradient.new_full((len(y), 1), smoothing - 1))
            if bias_gradient is not None:
                bias_gradient += gradient.sum(0)
            gradient = gradient.to(hidden.dtype)
            torch.mm(gradient, table, out=out)
            weight_gradient += gradient.T @ h
        ctx.save_for_backward(hidden_gradient, weight_gradient, bias_gradient)
        ctx.mark_non_differentiable(likelihood)
        return loss, likelihood

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        hidden, weight, bias = ctx.saved_tensors
        scale = gradients[0]
        return (hidden * scale, weight * scale, None if bias is None else bias * scale, None, None)


def cross_entropy(
    hidden: Tensor, output: torch.nn.Linear, labels: Tensor, real: Tensor, smoothing: float
) -> tuple[Tensor, Tensor]:
    """Loss of [B, T, E] hidden states against [B, T] labels at the flat places `real` [N].

    Returns (smoothed loss, negative log-likelihood), both summed over those places.
    """
    rows, labels = hidden.flatten(0, 1).index_select(0, real), labels.flatten()[real]
    loss: tuple[Tensor, Tensor] = ChunkedCrossEntropy.apply(
        rows, output.weight, output.bias, labels, smoothing
    )
    return loss
