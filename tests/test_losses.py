"""Losses against hand values and, above all, against the answers they make best."""

from __future__ import annotations

import pytest
import torch

from colorlab.losses import REGRESSION_LOSSES, huber, l1, mse, regression_loss


def best_constant(loss, outcomes: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """The single (2,) answer with the lowest expected loss, found by descent."""
    answer = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([answer], lr=0.01)
    for step in range(1500):
        for group in optimizer.param_groups:
            group["lr"] = 0.02 * (1 - step / 1500)
        expected = sum(
            w * loss(answer.reshape(1, 2, 1, 1), outcome.reshape(1, 2, 1, 1))
            for w, outcome in zip(weights, outcomes, strict=True)
        )
        optimizer.zero_grad()
        expected.backward()
        optimizer.step()
    return answer.detach()


OUTCOMES = torch.tensor([[0.5, 0.3], [-0.2, -0.4], [0.1, 0.6]])
WEIGHTS = torch.tensor([0.3, 0.5, 0.2])


def test_hand_values():
    prediction = torch.zeros(1, 2, 1, 1)
    target = torch.tensor([3.0, 4.0]).reshape(1, 2, 1, 1)
    assert mse(prediction, target).item() == pytest.approx(12.5)
    assert l1(prediction, target).item() == pytest.approx(3.5)
    # A distance of 5: sqrt(25 + delta^2) - delta.
    assert huber(prediction, target, delta=1.0).item() == pytest.approx(26**0.5 - 1)


@pytest.mark.parametrize("loss", REGRESSION_LOSSES.values())
def test_zero_at_the_truth_with_finite_gradient(loss):
    x = torch.rand(2, 2, 3, 3, requires_grad=True)
    value = loss(x, x.detach())
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(x.grad).all()


def test_the_best_answer_under_l2_is_the_mean():
    want = (WEIGHTS[:, None] * OUTCOMES).sum(0)
    assert torch.allclose(best_constant(mse, OUTCOMES, WEIGHTS), want, atol=0.01)


def test_the_best_answer_under_l1_is_the_median_of_each_channel():
    # Half of the weight is on the second outcome, so its values are medians where they are
    # extreme; more weight there makes it unique.
    weights = torch.tensor([0.25, 0.55, 0.2])
    assert torch.allclose(best_constant(l1, OUTCOMES, weights), OUTCOMES[1], atol=0.02)


def test_the_best_answer_under_huber_is_the_geometric_median():
    axis = torch.linspace(-0.6, 0.8, 281)
    grid = torch.cartesian_prod(axis, axis)
    expected = (WEIGHTS * torch.cdist(grid, OUTCOMES)).sum(1)
    want = grid[expected.argmin()]
    answer = best_constant(lambda p, t: huber(p, t, delta=1e-3), OUTCOMES, WEIGHTS)
    assert (answer - want).norm() < 0.02
    mean = (WEIGHTS[:, None] * OUTCOMES).sum(0)
    assert (want - mean).norm() > 0.1, "the test must tell median from mean"


def test_unknown_loss_lists_the_known():
    with pytest.raises(ValueError, match="mse, l1, huber"):
        regression_loss("l3")
