"""Dropout (Srivastava et al. 2014) whose chance costs little on a CPU."""

import torch
from torch import Tensor
from torch.nn import functional

STEPS = 256
"""A byte decides about each value, so a share is a multiple of one 256th."""


def dropout(x: Tensor, share: float) -> Tensor:
    """`x`, of any shape, a share (0 to below 1) of its values zero and the others as much larger.

    PyTorch draws a number for each value, on one core. Here eight values share one.
    """
    if x.device.type != "cpu":
        return functional.dropout(x, share)
    cut = min(round(share * STEPS), STEPS - 1)
    drawn = torch.empty(-(-x.numel() // 8), dtype=torch.int64).random_(-(2**63), None)
    keep = drawn.view(torch.uint8)[: x.numel()].view(x.shape) >= cut
    return x * (keep.to(x.dtype) * (STEPS / (STEPS - cut)))
