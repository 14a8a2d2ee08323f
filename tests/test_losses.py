"""Losses against numbers worked out by hand, and against the predictions that minimize them."""

import math

import pytest
import torch
import torch.nn.functional as F

from colorlab.losses import (
    REGRESSION_LOSSES,
    bce,
    discriminator_loss,
    generator_loss,
    huber,
    r1_penalty,
    regression_loss,
)

OUTCOMES = torch.tensor([[0.5, 0.3], [-0.2, -0.4], [0.1, 0.6]])
WEIGHTS = torch.tensor([0.4, 0.35, 0.25])


def best_constant(loss) -> torch.Tensor:
    """The prediction (2,) with the lowest expected loss, found by descent."""
    prediction = torch.zeros(2, requires_grad=True)
    optimizer = torch.optim.Adam([prediction])
    for step in range(400):
        optimizer.param_groups[0]["lr"] = 0.04 * (1 - step / 400)
        losses = [loss(prediction.view(1, 2, 1, 1), one.view(1, 2, 1, 1)) for one in OUTCOMES]
        optimizer.zero_grad()
        (WEIGHTS * torch.stack(losses)).sum().backward()
        optimizer.step()
    return prediction.detach()


def test_regression_losses_by_hand():
    prediction, target = torch.zeros(1, 2, 1, 1), torch.tensor([3.0, 4.0]).view(1, 2, 1, 1)
    assert regression_loss("mse")(prediction, target).item() == pytest.approx(12.5)
    assert regression_loss("l1")(prediction, target).item() == pytest.approx(3.5)
    # A distance of 5: sqrt(25 + delta^2) - delta.
    assert huber(prediction, target, delta=1.0).item() == pytest.approx(26**0.5 - 1)
    with pytest.raises(ValueError, match="unknown loss 'l3'; choose from mse, l1, huber"):
        regression_loss("l3")


@pytest.mark.parametrize("loss", REGRESSION_LOSSES.values())
def test_zero_at_the_truth_with_finite_gradient(loss):
    x = torch.rand(2, 2, 3, 3, requires_grad=True)
    value = loss(x, x.detach())
    value.backward()
    assert value.item() == pytest.approx(0, abs=1e-6)
    assert torch.isfinite(x.grad).all()


def test_the_best_prediction_is_the_mean_the_median_or_the_geometric_median():
    mean = (WEIGHTS[:, None] * OUTCOMES).sum(0)
    grid = torch.cartesian_prod(*2 * [torch.linspace(-0.6, 0.8, 281)])
    geometric = grid[(WEIGHTS * torch.cdist(grid, OUTCOMES)).sum(1).argmin()]
    for loss, want in (
        (F.mse_loss, mean),
        (F.l1_loss, torch.tensor([0.1, 0.3])),  # the median of each channel
        (lambda p, t: huber(p, t, delta=1e-3), geometric),
    ):
        assert (best_constant(loss) - want).norm() < 0.02
    assert (geometric - mean).norm() > 0.1, "the test must tell median from mean"


def test_bce_by_hand_and_of_a_certain_discriminator():
    logits = torch.tensor([0.0, math.log(3)])  # probabilities 1/2 and 3/4
    assert bce(logits, 1.0).item() == pytest.approx((math.log(2) - math.log(3 / 4)) / 2)
    assert bce(logits, 0.0).item() == pytest.approx((math.log(2) + math.log(4)) / 2)
    logit = torch.tensor([-200.0], requires_grad=True)
    loss = generator_loss(logit)
    loss.backward()
    assert loss.item() == pytest.approx(200.0)
    assert logit.grad.item() == pytest.approx(-1.0)


def test_discriminator_loss_and_its_smoothing_by_hand():
    guess = torch.zeros(4, 1, 8, 8)
    assert discriminator_loss(guess, guess).item() == pytest.approx(math.log(2))
    real, fake = torch.full((3, 1), math.log(3)), torch.full((3, 1), -math.log(3))
    # Real: -(0.9 log 3/4 + 0.1 log 1/4); fake, never smoothed: -log 3/4.
    want = (-(0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4)) - math.log(3 / 4)) / 2
    assert discriminator_loss(real, fake, smoothing=0.1).item() == pytest.approx(want)


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights():
    torch.manual_seed(0)
    weight = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    colour = torch.randn(5, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty((weight * colour).sum(dim=(2, 3)).sum(dim=1, keepdim=True), colour)
    assert penalty.item() == pytest.approx(weight.square().sum().item() / 2)
    penalty.backward()  # differentiable again: its own gradient is the weight
    assert torch.allclose(weight.grad, weight)


def test_r1_is_the_mean_over_images_of_the_mean_over_patches():
    colour = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).requires_grad_()
    assert r1_penalty(colour.square(), colour).item() == pytest.approx((2**2 + 4**2) / 2 / 2)
    patches = torch.ones(1, 1, 2, 2, requires_grad=True)  # a gradient of 1/4 at each of 4 pixels
    assert r1_penalty(patches, patches).item() == pytest.approx(4 * (1 / 4) ** 2 / 2)
