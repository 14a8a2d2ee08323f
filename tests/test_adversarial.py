"""Adversarial losses against numbers worked out by hand, and against analytic slopes."""

from __future__ import annotations

import math

import pytest
import torch

from colorlab.adversarial import bce, discriminator_loss, generator_loss, r1_penalty


def test_bce_by_hand():
    # sigmoid(0) = 1/2, sigmoid(log 3) = 3/4.
    logits = torch.tensor([0.0, math.log(3)])
    assert bce(logits, 1.0).item() == pytest.approx((math.log(2) - math.log(3 / 4)) / 2)
    assert bce(logits, 0.0).item() == pytest.approx((math.log(2) + math.log(4)) / 2)


def test_bce_of_a_certain_discriminator_is_finite_and_keeps_its_slope():
    logit = torch.tensor([-200.0], requires_grad=True)
    loss = generator_loss(logit)
    loss.backward()
    assert loss.item() == pytest.approx(200.0)
    assert logit.grad.item() == pytest.approx(-1.0)


def test_a_guessing_discriminator_scores_log_2():
    guess = torch.zeros(4, 1, 8, 8)
    assert discriminator_loss(guess, guess).item() == pytest.approx(math.log(2))
    assert generator_loss(guess).item() == pytest.approx(math.log(2))


def test_label_smoothing_by_hand():
    real, fake = torch.full((3, 1), math.log(3)), torch.full((3, 1), -math.log(3))
    # Real: -(0.9 log 3/4 + 0.1 log 1/4); fake, never smoothed: -log 3/4.
    want = (-(0.9 * math.log(3 / 4) + 0.1 * math.log(1 / 4)) - math.log(3 / 4)) / 2
    assert discriminator_loss(real, fake, smoothing=0.1).item() == pytest.approx(want)


def test_label_smoothing_makes_nine_to_one_the_best_logit():
    logit = torch.tensor([math.log(0.9 / 0.1)], requires_grad=True)
    discriminator_loss(logit, torch.zeros(1), smoothing=0.1).backward()
    assert abs(logit.grad.item()) < 1e-6


def test_r1_of_a_linear_discriminator_is_half_its_squared_weights():
    torch.manual_seed(0)
    weight = torch.randn(2, 4, 4, dtype=torch.float64, requires_grad=True)
    colour = torch.randn(5, 2, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = r1_penalty((weight * colour).sum(dim=(2, 3)).sum(dim=1, keepdim=True), colour)
    assert penalty.item() == pytest.approx(weight.square().sum().item() / 2)
    penalty.backward()  # differentiable again: its own slope is the weight
    assert torch.allclose(weight.grad, weight)


def test_r1_of_a_quadratic_discriminator_differs_from_picture_to_picture():
    colour = torch.tensor([1.0, 2.0]).reshape(2, 1, 1, 1).requires_grad_()
    penalty = r1_penalty(colour.square().flatten(1), colour)  # slopes 2 and 4
    assert penalty.item() == pytest.approx((2**2 + 4**2) / 2 / 2)


def test_r1_takes_the_mean_over_patches():
    colour = torch.ones(1, 1, 2, 2, requires_grad=True)
    # Logits x_ij, mean over 4 patches: slope 1/4 at each of 4 pixels.
    assert r1_penalty(colour, colour).item() == pytest.approx(4 * (1 / 4) ** 2 / 2)
