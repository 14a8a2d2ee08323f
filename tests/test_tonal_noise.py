"""Noise that follows lightness: its variance, its correlations, its independence."""

from __future__ import annotations

import math

import pytest
import torch

from colorlab.tonal_noise import tonal_noise


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def stripes(size: int = 12) -> torch.Tensor:
    """(1, 1, size, size): lightness 10, then 40, then 90, in columns."""
    L = torch.full((1, 1, size, size), 10.0)
    L[..., 4:], L[..., 8:] = 40.0, 90.0
    return L


@pytest.mark.parametrize(("reach", "tones"), [(3.0, 200.0), (8.0, 40.0), (100.0, 20.0)])
def test_correlation_falls_with_distance_and_with_difference_of_lightness(reach, tones):
    L, source = stripes(), seeded()
    noise = torch.cat([tonal_noise(L, 2, reach, tones, source, n=20) for _ in range(400)])
    noise = noise[:, 0, 0]  # (8000, 12, 12)
    assert noise.mean().abs() < 0.06
    torch.testing.assert_close(noise.square().mean(), torch.tensor(1.0), rtol=0.05, atol=0)
    torch.testing.assert_close(noise.pow(4).mean(), torch.tensor(3.0), rtol=0.1, atol=0)
    for p, q in (((0, 0), (0, 2)), ((1, 5), (11, 5)), ((3, 3), (3, 4)), ((2, 1), (5, 10))):
        far = math.dist(p, q) / reach + (L[0, 0][p] - L[0, 0][q]).abs().item() / tones
        together = (noise[:, p[0], p[1]] * noise[:, q[0], q[1]]).mean().item()
        assert together == pytest.approx(math.exp(-far), abs=0.06)


def test_channels_noises_and_pictures_are_independent():
    source, L = seeded(), stripes(4).expand(2, -1, -1, -1)
    noise = torch.stack([tonal_noise(L, 2, 5.0, 50.0, source, n=2) for _ in range(1000)])
    (a, b), flat = (0, 1), noise[..., 1, 1]  # (calls, n, N, channels)
    for x, y in (
        (flat[:, a, 0, 0], flat[:, b, 0, 0]),
        (flat[:, a, 0, 0], flat[:, a, 1, 0]),
        (flat[:, a, 0, 0], flat[:, a, 0, 1]),
    ):
        assert (x * y).mean().abs() < 0.1


def test_a_noise_is_of_its_seed_and_does_not_hang_on_how_many_are_asked_for():
    one, three, other = (
        tonal_noise(stripes(), 2, 5.0, 50.0, seeded(seed), n)
        for seed, n in ((0, 1), (0, 3), (1, 1))
    )
    assert torch.equal(one[0], three[0])
    assert not torch.equal(one, other)


@pytest.mark.parametrize(("reach", "tones"), [(0.0, 5.0), (5.0, -1.0), (5.0, math.inf)])
def test_wrong_settings_are_told(reach, tones):
    with pytest.raises(ValueError, match=r"must be positive and finite, got"):
        tonal_noise(stripes(), 2, reach, tones)
