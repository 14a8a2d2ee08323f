"""Bins, mean field and annealed mean against plain loops and their limits."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorlab.classical.distributions import (
    EDGE,
    FAR,
    REACH,
    annealed_mean,
    fit_bins,
    mean_field,
    nearest_bin,
)

CENTERS = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, -60.0]])


def _beliefs(seed: int = 0, count: int = 2, height: int = 6, width: int = 7):
    generator = torch.Generator().manual_seed(seed)
    raw = torch.rand(count, 3, height, width, generator=generator, dtype=torch.float64) + 0.05
    L = 100 * torch.rand(count, 1, height, width, generator=generator, dtype=torch.float64)
    return raw / raw.sum(dim=1, keepdim=True), L


def test_bins_are_the_means_of_occupied_squares():
    ab = torch.tensor([[1.0, 2.0], [-3.0, 4.0], [2.0, 0.0], [51.0, -20.0], [49.0, -22.0]])
    centers = fit_bins(ab)
    np.testing.assert_allclose(centers, [[0.0, 2.0], [50.0, -21.0]], atol=1e-6)
    assert nearest_bin(ab, centers).tolist() == [0, 0, 0, 1, 1]
    # Rare squares are left out, and what lay there goes to the nearest that is kept.
    crowd = torch.cat([ab[:1].expand(1000, 2), ab[3:4]])
    assert len(fit_bins(crowd, share=0.01)) == 1
    assert len(fit_bins(200 * torch.rand(20_000, 2) - 100, share=0)) == 255


def test_one_update_is_that_of_a_plain_loop():
    p, L = _beliefs()
    got = mean_field(p, L, CENTERS.double(), strength=2.5, iterations=1)
    p, L = p.numpy(), L.numpy()
    price = np.minimum(np.linalg.norm(CENTERS[:, None] - CENTERS[None], axis=-1), FAR) / FAR
    expected = np.empty_like(p)
    offsets = [
        (r * y, r * x) for r in REACH for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0)
    ]
    for n, i, j in np.ndindex(2, 6, 7):
        cost, number = np.zeros(3), 0
        for y, x in offsets:
            if 0 <= i + y < 6 and 0 <= j + x < 7:
                gap = L[n, 0, i, j] - L[n, 0, i + y, j + x]
                cost += np.exp(-((gap / EDGE) ** 2) / 2) * price @ p[n, :, i + y, j + x]
                number += 1
        energy = p[n, :, i, j] * np.exp(-2.5 * cost / number)
        expected[n, :, i, j] = energy / energy.sum()
    np.testing.assert_allclose(got, expected, rtol=1e-9)


def test_smoothing_keeps_distributions_and_zero_strength_changes_nothing():
    p, L = _beliefs(1)
    p[0, :, 0, 0] = torch.tensor([1.0, 0.0, 0.0])  # what is impossible stays impossible
    smooth = mean_field(p, L, CENTERS.double(), strength=5.0)
    torch.testing.assert_close(smooth.sum(dim=1), torch.ones(2, 6, 7, dtype=torch.float64))
    assert smooth.min() >= 0
    assert smooth[0, :, 0, 0].tolist() == [1, 0, 0]
    torch.testing.assert_close(mean_field(p, L, CENTERS.double(), strength=0.0), p)


def test_a_doubtful_cell_follows_its_likes_but_not_across_an_edge():
    p = torch.full((1, 3, 9, 10), 0.05)
    p[:, 0, :, :5] = p[:, 1, :, 5:] = 0.9
    p[0, :, 4, 4] = p[0, :, 4, 5] = torch.tensor([0.45, 0.45, 0.1])  # undecided, at the border
    flat = torch.full((1, 1, 9, 10), 50.0)
    edge = torch.cat([torch.full((5,), 20.0), torch.full((5,), 80.0)]).expand(1, 1, 9, 10)
    parted = mean_field(p, edge, CENTERS, strength=6.0)
    assert parted[0, 0, 4, 4] > 0.9 and parted[0, 1, 4, 5] > 0.9
    mixed = mean_field(p, flat, CENTERS, strength=6.0)
    assert mixed[0, 0, 4, 4] < parted[0, 0, 4, 4]
    # A lone dissenter within a region is talked round.
    lone = torch.full((1, 3, 9, 9), 0.05)
    lone[:, 0] = 0.9
    lone[0, :, 4, 4] = torch.tensor([0.3, 0.6, 0.1])
    assert mean_field(lone, flat[..., :9], CENTERS, strength=6.0)[0, 0, 4, 4] > 0.9


def test_annealed_mean_runs_from_the_mean_to_the_mode():
    p = torch.tensor([0.5, 0.3, 0.2])[None, :, None, None]
    mean = annealed_mean(p, CENTERS, 1.0).flatten()
    torch.testing.assert_close(mean, torch.tensor([9.0, -12.0]))
    mode = annealed_mean(p, CENTERS, 0.01).flatten()
    torch.testing.assert_close(mode, CENTERS[0], atol=1e-4, rtol=0)
    # By hand: squares 0.25, 0.09, 0.04 over 0.38.
    half = annealed_mean(p, CENTERS, 0.5).flatten()
    torch.testing.assert_close(half, torch.tensor([30 * 9 / 38, -60 * 4 / 38]))
    sure = torch.tensor([0.0, 1.0, 0.0])[None, :, None, None]
    assert annealed_mean(sure, CENTERS, 0.38).flatten().tolist() == [30, 0]


def test_what_does_not_belong_together_is_said():
    p, L = _beliefs(2)
    with pytest.raises(ValueError, match="do not belong together"):
        mean_field(p, L[:, :, :3], CENTERS.double(), 1.0)
    with pytest.raises(ValueError, match="do not belong together"):
        mean_field(p, L, CENTERS[:2].double(), 1.0)
    with pytest.raises(ValueError, match="at least 0"):
        mean_field(p, L, CENTERS.double(), -1.0)
    with pytest.raises(ValueError, match="above 0"):
        annealed_mean(p, CENTERS, 0.0)
