"""Diagonal Gaussians against torch.distributions, closed forms and finite differences."""

from __future__ import annotations

import math

import pytest
import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence

from colorlab.latents import (
    LOG_STD_RANGE,
    DiagonalGaussian,
    GaussianField,
    charged,
    nats_by_channel,
)


def gaussian(seed: int, shape: tuple[int, ...] = (2, 3, 4, 5)) -> DiagonalGaussian:
    generator = torch.Generator().manual_seed(seed)
    mean, log_std = torch.randn(2, *shape, generator=generator, dtype=torch.float64)
    return DiagonalGaussian(mean, log_std)


def test_divergence_is_that_of_torch_distributions():
    p, q = gaussian(0), gaussian(1)
    want = kl_divergence(Normal(p.mean, p.log_std.exp()), Normal(q.mean, q.log_std.exp()))
    torch.testing.assert_close(p.kl(q), want)


def test_divergence_from_the_standard_gaussian_is_the_closed_form():
    # Kingma and Welling 2014, appendix B: -1/2 (1 + log s^2 - m^2 - s^2).
    p = gaussian(2)
    m, v = p.mean, (2 * p.log_std).exp()
    got = p.kl(DiagonalGaussian.standard_like(p))
    torch.testing.assert_close(got, -0.5 * (1 + v.log() - m**2 - v))


@pytest.mark.parametrize(
    ("mean", "std", "nats"),
    [(0.0, 1.0, 0.0), (1.0, 1.0, 0.5), (0.0, 2.0, 1.5 - math.log(2)), (3.0, 1.0, 4.5)],
)
def test_divergence_by_hand(mean, std, nats):
    p = DiagonalGaussian(torch.full((1, 1, 1, 1), mean), torch.full((1, 1, 1, 1), std).log())
    assert p.kl(DiagonalGaussian.standard_like(p)).item() == pytest.approx(nats, abs=1e-6)


def test_divergence_is_the_mean_log_ratio_of_samples():
    p, q = gaussian(3, (1, 2, 1, 1)), gaussian(4, (1, 2, 1, 1))
    torch.manual_seed(0)
    a, b = Normal(p.mean, p.log_std.exp()), Normal(q.mean, q.log_std.exp())
    z = a.sample((200_000,))
    ratio = a.log_prob(z) - b.log_prob(z)
    error = ratio.std(dim=0) / math.sqrt(len(z))
    assert ((ratio.mean(dim=0) - p.kl(q)).abs() < 5 * error).all()


def test_samples_have_the_mean_and_the_width():
    p = DiagonalGaussian(torch.full((1, 1, 300, 300), 2.0), torch.full((1, 1, 300, 300), -1.0))
    z = p.sample(torch.Generator().manual_seed(0))
    assert z.mean().item() == pytest.approx(2.0, abs=0.01)
    assert z.std().item() == pytest.approx(math.exp(-1), abs=0.01)


def test_the_same_generator_draws_the_same_latent():
    p = gaussian(5)
    one, two, other = (p.sample(torch.Generator().manual_seed(seed)) for seed in (7, 7, 8))
    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_a_sample_is_differentiable_in_mean_and_width():
    # z = m + s e: dz/dm = 1, dz/dlog s = s e = z - m.
    mean = torch.randn(1, 2, 3, 3, requires_grad=True)
    log_std = torch.randn(1, 2, 3, 3, requires_grad=True)
    z = DiagonalGaussian(mean, log_std).sample()
    z.sum().backward()
    torch.testing.assert_close(mean.grad, torch.ones_like(mean))
    torch.testing.assert_close(log_std.grad, (z - mean).detach())


def test_parameters_are_split_and_clamped_in_float32():
    low, high = LOG_STD_RANGE
    parameters = torch.tensor([1.0, 2.0, -100.0, 100.0], dtype=torch.bfloat16).view(1, 4, 1, 1)
    p = DiagonalGaussian.of(parameters)
    assert p.mean.flatten().tolist() == [1, 2]
    assert p.log_std.flatten().tolist() == [low, high]
    assert p.mean.dtype == p.log_std.dtype == torch.float32


def test_nats_are_summed_over_places_and_averaged_over_pictures():
    kl = torch.arange(2 * 3 * 2 * 2, dtype=torch.float32).view(2, 3, 2, 2)
    assert nats_by_channel(kl).tolist() == [(6 + 54) / 2, (22 + 70) / 2, (38 + 86) / 2]


def test_free_bits_cost_the_same_and_pull_at_nothing():
    nats = torch.tensor([0.1, 0.4, 2.0], requires_grad=True)
    cost = charged(nats, 0.5)
    assert cost.item() == pytest.approx(3.0)
    cost.backward()
    assert nats.grad.tolist() == [0, 0, 1]
    assert charged(nats, 0.0).item() == pytest.approx(2.5)


def field(seed: int, reach: float) -> GaussianField:
    plain = gaussian(seed, (2, 3, 3, 4))
    return GaussianField(plain.mean.float(), 0.5 * plain.log_std.float(), reach)


def covariance(p: GaussianField) -> torch.Tensor:
    """(N, C, P, P): widths times exp(-distance / reach), place by place."""
    h, w = p.mean.shape[-2:]
    at = torch.tensor([[i, j] for i in range(h) for j in range(w)], dtype=torch.float64)
    std = p.log_std.double().exp().flatten(2)
    return std[..., None] * (-torch.cdist(at, at) / p.reach).exp() * std[..., None, :]


@pytest.mark.parametrize("reach", [0.5, 2.0, 6.0])
def test_divergence_of_fields_is_that_of_torch_distributions(reach):
    p, q = field(6, reach), field(7, reach)
    dense = [MultivariateNormal(x.mean.double().flatten(2), covariance(x)) for x in (p, q)]
    got = p.kl(q).sum(dim=(2, 3)).double()
    torch.testing.assert_close(got, kl_divergence(*dense), rtol=1e-4, atol=1e-3)


def test_a_field_of_no_reach_is_a_diagonal_gaussian():
    p, q = field(8, 0.02), field(9, 0.02)
    plain = [DiagonalGaussian(x.mean, x.log_std) for x in (p, q)]
    torch.testing.assert_close(p.kl(q), plain[0].kl(plain[1]))
    draws = [x.sample(torch.Generator().manual_seed(0)) for x in (p, plain[0])]
    torch.testing.assert_close(*draws)


def test_samples_of_a_field_vary_as_it_says():
    p = field(10, 2.0)
    one = GaussianField(*(x[:1, :1].expand(20_000, -1, -1, -1) for x in (p.mean, p.log_std)), 2.0)
    z = one.sample(torch.Generator().manual_seed(0)).flatten(1)
    got, want = torch.cov(z.T), covariance(p)[0, 0].float()
    width = want.diagonal().sqrt()
    assert ((got - want) / width / width[:, None]).abs().max() < 0.05


def test_a_field_first_drawn_in_inference_mode_still_trains():
    with torch.inference_mode():
        GaussianField(torch.zeros(1, 1, 5, 7), torch.zeros(1, 1, 5, 7), 1.7).sample()
    mean = torch.zeros(1, 1, 5, 7, requires_grad=True)
    p = GaussianField(mean, torch.zeros_like(mean), 1.7)
    (
        p.kl(GaussianField(torch.ones(1, 1, 5, 7), torch.zeros(1, 1, 5, 7), 1.7)).sum()
        + p.sample().sum()
    ).backward()
    assert mean.grad.isfinite().all()
