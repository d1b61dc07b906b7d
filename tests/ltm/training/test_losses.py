"""Losses against those of ``torch.nn.functional``: values and gradients."""

import pytest
import torch
import torch.nn.functional as F

from ltm.training.losses import LOSSES

NUMBERS = {"squared": F.mse_loss, "absolute": F.l1_loss, "huber": F.huber_loss}
POINTS = torch.tensor([0.0, 0.3, -0.7, 1.0, -1.0, 1.5, -40.0], dtype=torch.float64)
"""Errors: at 0, within 1, at the edges, and beyond."""


@pytest.mark.parametrize("name", NUMBERS)
def test_a_loss_of_numbers_has_the_value_and_the_gradient_of_torch(name: str) -> None:
    target = torch.linspace(-2, 2, len(POINTS), dtype=torch.float64)
    mine, theirs = ((target + POINTS).requires_grad_() for _ in range(2))
    ours, peer = LOSSES[name].step(mine, target), NUMBERS[name](theirs, target)
    torch.testing.assert_close(ours, peer, rtol=0, atol=1e-12)
    ours.backward()
    peer.backward()
    torch.testing.assert_close(mine.grad, theirs.grad, rtol=0, atol=1e-12)


def test_the_brier_score_is_the_squared_error_of_what_a_sigmoid_says() -> None:
    target = torch.tensor([0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0], dtype=torch.float64)
    y = POINTS.clone().requires_grad_()
    torch.testing.assert_close(LOSSES["brier"].step(y, target), F.mse_loss(torch.sigmoid(y), target), rtol=0, atol=1e-12)
    assert torch.autograd.gradcheck(lambda z: LOSSES["brier"].step(z, target), (y,))
