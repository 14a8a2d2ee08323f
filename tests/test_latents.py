"""Latent variables against torch.distributions, closed forms and sampled frequencies."""

import math

import pytest
import torch
from tiny import seeded
from torch.distributions import Categorical, MultivariateNormal, Normal, kl_divergence

from colorlab.latents import (
    LOG_STD_RANGE,
    CategoricalField,
    DiagonalGaussian,
    GaussianField,
    charged,
    nats_by_channel,
)


def gaussian(seed: int) -> DiagonalGaussian:
    return DiagonalGaussian(*torch.randn(2, 2, 3, 3, 4, generator=seeded(seed)))


def field(seed: int, reach: float) -> GaussianField:
    plain = gaussian(seed)
    return GaussianField(plain.mean, 0.5 * plain.log_std, reach)


def choices(seed: int = 0, n: int = 2, reach: float = 0.0) -> CategoricalField:
    """Two variables of three categories on a map of 4x5."""
    return CategoricalField(torch.randn(n, 6, 4, 5, generator=seeded(seed)), 3, reach)


def covariance(p: GaussianField) -> torch.Tensor:
    """(N, C, P, P): standard deviations times exp(-distance / reach)."""
    h, w = p.mean.shape[-2:]
    at = torch.tensor([[i, j] for i in range(h) for j in range(w)], dtype=torch.float64)
    std = p.log_std.double().exp().flatten(2)
    return std[..., None] * (-torch.cdist(at, at) / p.reach).exp() * std[..., None, :]


def by_torch(field: CategoricalField) -> Categorical:
    return Categorical(logits=field.logits.unflatten(1, (-1, field.choices)).movedim(2, -1))


def test_divergence_of_gaussians_is_that_of_torch():
    p, q = gaussian(0), gaussian(1)
    want = kl_divergence(Normal(p.mean, p.log_std.exp()), Normal(q.mean, q.log_std.exp()))
    torch.testing.assert_close(p.kl(q), want, rtol=1e-4, atol=1e-5)
    # Kingma and Welling 2014, appendix B: -1/2 (1 + log s^2 - m^2 - s^2).
    m, v = p.mean, (2 * p.log_std).exp()
    got = p.kl(DiagonalGaussian.standard_like(p))
    torch.testing.assert_close(got, -0.5 * (1 + v.log() - m**2 - v), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("reach", [0.5, 6.0])
def test_divergence_of_fields_is_that_of_torch(reach):
    p, q = field(6, reach), field(7, reach)
    dense = [MultivariateNormal(x.mean.double().flatten(2), covariance(x)) for x in (p, q)]
    got = p.kl(q).sum(dim=(2, 3)).double()
    torch.testing.assert_close(got, kl_divergence(*dense), rtol=1e-4, atol=1e-3)


def test_divergence_of_categories_is_that_of_torch():
    one, two = choices(1), choices(2)
    torch.testing.assert_close(one.kl(two), kl_divergence(by_torch(one), by_torch(two)))
    assert one.kl(one).abs().max() < 1e-6


def test_samples_have_the_mean_and_the_standard_deviation():
    p = DiagonalGaussian(torch.full((1, 1, 300, 300), 2.0), torch.full((1, 1, 300, 300), -1.0))
    z = p.sample(seeded())
    assert z.mean().item() == pytest.approx(2.0, abs=0.01)
    assert z.std().item() == pytest.approx(math.exp(-1), abs=0.01)


def test_samples_of_a_field_have_its_covariance():
    p = field(10, 2.0)
    one = GaussianField(*(x[:1, :1].expand(20_000, -1, -1, -1) for x in (p.mean, p.log_std)), 2.0)
    got, want = torch.cov(one.sample(seeded()).flatten(1).T), covariance(p)[0, 0].float()
    std = want.diagonal().sqrt()
    assert ((got - want) / std / std[:, None]).abs().max() < 0.05


@pytest.mark.parametrize("reach", [0.0, 2.0])
def test_every_position_keeps_its_probabilities_whatever_the_reach(reach):
    one = choices(n=1)
    many = CategoricalField(one.logits.expand(4000, -1, -1, -1), 3, reach)
    want = by_torch(one).probs[0].movedim(-1, 1).flatten(0, 1)
    # A share of 4,000 samples has a standard deviation of 0.008 at most.
    assert (many.sample(seeded()).mean(dim=0) - want).abs().max() < 0.04
    torch.testing.assert_close(many.mean[0], want)


def test_a_sample_is_one_category_of_each_variable_and_position():
    drawn = choices(reach=2.0).sample().unflatten(1, (2, 3))
    assert torch.equal(drawn.sum(dim=2), torch.ones(2, 2, 4, 5))
    assert set(drawn.unique().tolist()) == {0.0, 1.0}


def test_near_positions_agree_and_far_ones_by_chance():
    drawn = CategoricalField(torch.zeros(2000, 4, 1, 40), 4, 3.0).sample(seeded()).argmax(dim=1)
    same = [(drawn[:, 0, 0] == drawn[:, 0, d]).float().mean().item() for d in (1, 3, 39)]
    assert same[0] > 0.75 > same[1] > 0.4
    assert same[2] == pytest.approx(0.25, abs=0.05)


def test_a_sample_is_differentiable_in_mean_and_standard_deviation():
    # z = m + s e: dz/dm = 1, dz/dlog s = s e = z - m.
    mean, log_std = (torch.randn(1, 2, 3, 3, requires_grad=True) for _ in range(2))
    z = DiagonalGaussian(mean, log_std).sample()
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_std.grad, (z - mean).detach())


def test_a_one_hot_sample_passes_the_gradient_of_its_probabilities():
    scores = torch.zeros(500, 3, 2, 2, requires_grad=True)
    CategoricalField(scores, 3, 1.0).sample(seeded())[:, 0].sum().backward()
    slope = scores.grad.mean(dim=(0, 2, 3))
    assert slope[0] > 0.05 and slope[1] < -0.02 and slope[2] < -0.02


def test_a_field_first_sampled_in_inference_mode_still_trains():
    zeros = torch.zeros(1, 1, 5, 7)
    with torch.inference_mode():
        GaussianField(zeros, zeros, 1.7).sample()
    mean = zeros.clone().requires_grad_()
    p = GaussianField(mean, zeros, 1.7)
    (p.kl(GaussianField(zeros + 1, zeros, 1.7)).sum() + p.sample().sum()).backward()
    assert mean.grad.isfinite().all()


def test_parameters_are_split_and_clamped_in_float32():
    parameters = torch.tensor([1.0, 2.0, -100.0, 100.0], dtype=torch.bfloat16).view(1, 4, 1, 1)
    p = DiagonalGaussian.of(parameters)
    assert p.mean.flatten().tolist() == [1, 2]
    assert tuple(p.log_std.flatten().tolist()) == LOG_STD_RANGE
    assert p.mean.dtype == p.log_std.dtype == torch.float32


def test_nats_are_summed_over_positions_and_free_bits_pull_at_nothing():
    kl = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2)
    assert nats_by_channel(kl).tolist() == [(6 + 54) / 2, (22 + 70) / 2, (38 + 86) / 2]
    nats = torch.tensor([0.1, 0.4, 2.0], requires_grad=True)
    cost = charged(nats, 0.5)
    cost.backward()
    assert cost.item() == pytest.approx(3.0)
    assert nats.grad.tolist() == [0, 0, 1]


def test_a_divergence_is_in_float32_under_autocast():
    g = torch.Generator().manual_seed(0)
    mean, log_std = torch.randn(2, 1, 3, 8, 8, generator=g)
    field = GaussianField(3 * mean, log_std.clamp(-1, 1), 2.0)
    other = GaussianField.standard_like(field)
    want = field.kl(other)
    with torch.autocast("cpu", torch.bfloat16):
        assert field.kl(field).abs().max() < 1e-4
        torch.testing.assert_close(field.kl(other), want)
