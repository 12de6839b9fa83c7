"""Dropout by bytes."""

import pytest
import torch

from model_export.architectures.dropout import dropout


@pytest.mark.parametrize("share", [0.1, 0.25, 0.5])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_share_is_zero_and_the_mean_stays(share, dtype):
    """What is left is larger by as much, to a 256th; shape and type stay, also of odd sizes."""
    torch.manual_seed(1)
    ones = torch.ones(301, 7, 33, dtype=dtype)
    dropped = dropout(ones, share)
    assert dropped.shape == ones.shape
    assert dropped.dtype == dtype
    assert float((dropped == 0).float().mean()) == pytest.approx(share, abs=0.01)
    assert float(dropped.float().mean()) == pytest.approx(1, abs=0.02)
    assert len(dropped.unique()) == 2


def test_a_share_next_to_everything_leaves_something():
    """And no division by zero."""
    torch.manual_seed(1)
    dropped = dropout(torch.ones(64_000), 0.999)
    assert float(dropped.mean()) == pytest.approx(1, abs=0.2)


def test_each_value_has_its_own_chance():
    """Neighbours do not fall together: eight of them share a number, not a fate."""
    torch.manual_seed(1)
    kept = dropout(torch.ones(64_000), 0.5).view(-1, 8) > 0
    together = (kept[:, :1] & kept[:, 1:]).float().mean(0)
    torch.testing.assert_close(together, torch.full((7,), 0.25), atol=0.02, rtol=0)


def test_the_seed_decides_and_gradients_fall_with_their_values():
    """So a run can be repeated; and what was dropped learns nothing."""
    x = torch.ones(999, requires_grad=True)
    torch.manual_seed(3)
    dropped = dropout(x, 0.3)
    dropped.sum().backward()
    torch.manual_seed(3)
    assert torch.equal(dropped, dropout(x, 0.3))
    assert torch.equal(x.grad, dropped)
