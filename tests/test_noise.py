"""Correlated noise: its variance, its correlations, its independence."""

import math
from functools import partial

import pytest
import torch
from tiny import seeded

from colorlab.noise import correlated_noise, tonal_noise


def stripes(size: int = 12) -> torch.Tensor:
    """(1, 1, size, size): lightness 10, then 40, then 90, in columns."""
    L = torch.full((1, 1, size, size), 10.0)
    L[..., 4:], L[..., 8:] = 40.0, 90.0
    return L


@pytest.mark.parametrize("reach", [0.0, 1.5, 12.0])
def test_noise_has_unit_variance_and_its_correlations(reach):
    noise = correlated_noise((3000, 1, 16, 12), reach, seeded())
    assert noise.mean().abs() < 0.02
    torch.testing.assert_close(noise.var(dim=0).mean(), torch.tensor(1.0), rtol=0.02, atol=0)
    for dy, dx in ((0, 1), (2, 0), (3, 4)):
        away = (noise[..., dy:, dx:] * noise[..., : 16 - dy, : 12 - dx]).mean().item()
        far = math.hypot(dy, dx) / reach if reach else math.inf
        assert away == pytest.approx(math.exp(-far), abs=0.03)


@pytest.mark.parametrize(("reach", "tones"), [(3.0, 200.0), (100.0, 20.0)])
def test_correlation_falls_with_distance_and_with_difference_of_lightness(reach, tones):
    L, source = stripes(), seeded()
    noise = torch.cat([tonal_noise(L, 1, reach, tones, source, n=20) for _ in range(400)])
    noise = noise[:, 0, 0]  # (8000, 12, 12)
    assert noise.mean().abs() < 0.06
    torch.testing.assert_close(noise.square().mean(), torch.tensor(1.0), rtol=0.05, atol=0)
    torch.testing.assert_close(noise.pow(4).mean(), torch.tensor(3.0), rtol=0.1, atol=0)
    for p, q in (((0, 0), (0, 2)), ((1, 5), (11, 5)), ((3, 3), (3, 4)), ((2, 1), (5, 10))):
        far = math.dist(p, q) / reach + (L[0, 0][p] - L[0, 0][q]).abs().item() / tones
        together = (noise[:, p[0], p[1]] * noise[:, q[0], q[1]]).mean().item()
        assert together == pytest.approx(math.exp(-far), abs=0.06)


def test_channels_noises_and_images_are_independent():
    white = correlated_noise((400, 2, 8, 8), 1.6, seeded())
    assert (white[:, 0] * white[:, 1]).mean().abs() < 0.1
    source, L = seeded(), stripes(4).expand(2, -1, -1, -1)
    noise = torch.stack([tonal_noise(L, 2, 5.0, 50.0, source, n=2) for _ in range(1000)])
    first, flat = noise[:, 0, 0, 0, 1, 1], noise[..., 1, 1]  # (calls, n, N, channels)
    for other in (flat[:, 1, 0, 0], flat[:, 0, 1, 0], flat[:, 0, 0, 1]):
        assert (first * other).mean().abs() < 0.1


def test_noise_depends_on_its_seed_and_not_on_how_many_follow():
    for make in (
        partial(correlated_noise, (2, 2, 8, 8), 1.6),
        partial(tonal_noise, stripes(), 2, 5.0, 50.0),
    ):
        one, two, other = (make(seeded(seed)) for seed in (0, 0, 1))
        assert torch.equal(one, two) and not torch.equal(one, other)
    three = tonal_noise(stripes(), 2, 5.0, 50.0, seeded(), n=3)
    assert torch.equal(three[0], tonal_noise(stripes(), 2, 5.0, 50.0, seeded())[0])


def test_wrong_settings_are_told():
    with pytest.raises(ValueError, match=r"0 or more, got -0\.5"):
        correlated_noise((1, 1, 4, 4), -0.5)
    with pytest.raises(ValueError, match=r"reach must be positive and finite, got 0\.0"):
        tonal_noise(stripes(), 2, 0.0, 5.0)
    with pytest.raises(ValueError, match="tones must be positive and finite, got inf"):
        tonal_noise(stripes(), 2, 5.0, math.inf)
