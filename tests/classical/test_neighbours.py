"""k nearest neighbours and its steps against plain loops, and a distribution that is known."""

import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from colorlab.classical.neighbours import (
    EDGE,
    FAR,
    REACH,
    KnnColorizer,
    discriminants,
    fit_bins,
    mean_field,
)
from colorlab.color import from_uint8, join, lightness, rgb_to_lab, to_uint8
from colorlab.color_bins import annealed_mean
from colorlab.data import Pictures

RED, BLUE, GREEN = (55.0, 35.0), (15.0, -50.0), (-40.0, 35.0)
CENTERS = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, -60.0]])


def test_bins_are_the_means_of_occupied_squares():
    ab = torch.tensor([[1.0, 2.0], [-3.0, 4.0], [2.0, 0.0], [51.0, -20.0], [49.0, -22.0]])
    centers, labels = fit_bins(ab)
    np.testing.assert_allclose(centers, [[0.0, 2.0], [50.0, -21.0]], atol=1e-6)
    assert labels.tolist() == [0, 0, 0, 1, 1]
    # Rare squares are left out, and what lay there goes to the nearest that is kept.
    crowd = torch.cat([ab[:1].expand(1000, 2), ab[3:4]])
    centers, labels = fit_bins(crowd, share=0.01)
    assert len(centers) == 1 and not labels.any()
    assert len(fit_bins(200 * torch.rand(20_000, 2) - 100, share=0)[0]) == 255


def test_discriminants_find_the_axis_that_separates():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(3000) % 3
    x = torch.randn(3000, 4, generator=generator) * torch.tensor([20.0, 1.0, 5.0, 1.0])
    x[:, 1] += 3 * (labels - 1)  # a small feature separates, the large ones do not
    center, directions = discriminants(x, labels, 2)
    torch.testing.assert_close(center, x.mean(dim=0))
    first = directions[:, 0] * x.std(dim=0)
    assert first[1].abs() / first.norm() > 0.99
    assert directions[:, 1].norm() * 20 < directions[:, 0].norm()
    # Fisher's ratio along the first axis, computed without matrices; shrinkage takes a little.
    y = ((x - center) @ directions)[:, 0]
    groups = [y[labels == c] for c in range(3)]
    within = torch.stack([g.var(correction=0) for g in groups]).mean()
    between = torch.stack([g.mean() for g in groups]).var(correction=0)
    assert within.item() == pytest.approx((between / within).item(), rel=0.15)


def test_one_update_of_the_mean_field_is_that_of_a_plain_loop():
    generator = torch.Generator().manual_seed(0)
    p = torch.rand(2, 3, 6, 7, generator=generator, dtype=torch.float64) + 0.05
    p /= p.sum(dim=1, keepdim=True)
    p[0, :, 0, 0] = torch.tensor([1.0, 0.0, 0.0])  # what is impossible stays impossible
    L = 100 * torch.rand(2, 1, 6, 7, generator=generator, dtype=torch.float64)
    torch.testing.assert_close(mean_field(p, L, CENTERS.double(), strength=0.0), p)
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


def _pictures(count: int = 40, size: int = 32, seed: int = 0) -> Pictures:
    """Above, smooth: red in 70 % of the pictures, blue in 30 %. Below, rough: always green."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, 1, size, size, generator=generator).clamp(-2, 2)
    below = (torch.arange(size) >= size // 2)[None, None, :, None]
    L = 50 + noise * (0.5 + 5 * below)
    red = (torch.arange(count) % 10 < 7)[:, None, None, None]
    above = torch.where(red, torch.tensor(RED)[:, None, None], torch.tensor(BLUE)[:, None, None])
    ab = torch.where(below, torch.tensor(GREEN)[:, None, None], above)
    eight = to_uint8(join(L, ab.expand(-1, -1, -1, size)))
    return Pictures(eight, tuple(map(str, range(count))), "0" * 64, "test:balloons")


@pytest.fixture(scope="module")
def fitted() -> KnnColorizer:
    return KnnColorizer.fit(_pictures(), cells=2500, neighbors=200)


@pytest.fixture(scope="module")
def gray() -> torch.Tensor:
    return lightness(from_uint8(_pictures(4, seed=1).rgb))


def _chance(fitted: KnnColorizer, distribution: torch.Tensor, color: tuple) -> torch.Tensor:
    """Probability of all bins within 15 units of a colour, (N, h, w)."""
    near = (fitted.centers - torch.tensor(color)).norm(dim=1) < 15
    return distribution[:, near].sum(dim=1)


def test_the_true_distribution_is_found_and_smoothing_decides(fitted, gray):
    found = fitted.distribution(gray)
    assert found.shape == (4, len(fitted.centers), 8, 8)
    # Rows of cells away from the line between the halves.
    assert _chance(fitted, found, RED)[:, :3].mean().item() == pytest.approx(0.7, abs=0.1)
    assert _chance(fitted, found, BLUE)[:, :3].mean().item() == pytest.approx(0.3, abs=0.1)
    assert _chance(fitted, found, GREEN)[:, 5:].mean() > 0.9
    smooth = fitted.distribution(gray, 8)
    torch.testing.assert_close(smooth.sum(dim=1), torch.ones(4, 8, 8))
    assert _chance(fitted, smooth, RED)[:, :3].mean() > _chance(fitted, found, RED)[:, :3].mean()
    lifted = fitted.distribution(gray, rebalance=0.5)
    expected = found / fitted.prior[:, None, None].sqrt()
    torch.testing.assert_close(lifted, expected / expected.sum(dim=1, keepdim=True))


def test_the_prediction_is_red_where_the_mean_would_be_purple(fitted, gray):
    mean = annealed_mean(fitted.distribution(gray).log(), 1.0, fitted.centers)
    purple = torch.tensor([0.7 * RED[i] + 0.3 * BLUE[i] for i in range(2)])
    assert (mean[:, :, :3].mean((0, 2, 3)) - purple).norm() < 8
    settings = {"rebalance": 0, "strength": 4, "temperature": 0.1}
    decided = KnnColorizer(fitted.tensors(), neighbors=200, **settings)
    ab = rgb_to_lab(decided.colorize(gray))[:, 1:, :12].mean((0, 2, 3))
    assert (ab - torch.tensor(RED)).norm() < 8


def test_neighbours_are_those_of_a_brute_search(fitted, gray, monkeypatch):
    quick = fitted.distribution(gray)
    monkeypatch.setattr("colorlab.classical.neighbours._SLACK", 0.0)
    exact = fitted.distribution(gray)
    assert 0.5 * (quick - exact).abs().sum(dim=1).mean() < 0.05  # total variation
    generator = torch.Generator().manual_seed(0)
    features = fitted.center + torch.randn(5, len(fitted.center), generator=generator) * 0.1
    got = fitted._estimate(features).numpy()
    queries = ((features - fitted.center) @ fitted.projection).numpy()
    distance = cdist(queries, fitted.exemplars.float().numpy())
    for i in range(5):
        nearest = np.argsort(distance[i])[:200]
        weight = np.exp(-2 * (distance[i][nearest] / distance[i][nearest[-1]]) ** 2)
        votes = 4.0 * fitted.prior.numpy().astype(float)
        np.add.at(votes, fitted.labels.numpy()[nearest], weight)
        np.testing.assert_allclose(got[i], votes / votes.sum(), atol=1e-5)


def test_suggestions_are_the_colours_of_the_position(fitted, gray):
    above = fitted.suggest(gray[:1], y=4, x=10, n=2)
    for (a, b, chance), color, share in zip(above, (RED, BLUE), (0.7, 0.3), strict=True):
        assert np.hypot(a - color[0], b - color[1]) < 8
        assert chance == pytest.approx(share, abs=0.2)
    a, b, chance = fitted.suggest(gray[:1], y=28, x=10)[0]
    assert np.hypot(a - GREEN[0], b - GREEN[1]) < 8 and chance > 0.9
    everything = fitted.suggest(gray[:1], y=4, x=10, n=100)
    assert sum(chance for *_, chance in everything) == pytest.approx(1, abs=1e-4)
    colors = np.array([triple[:2] for triple in everything])
    assert (cdist(colors, colors) + 100 * np.eye(len(colors))).min() >= 15
    with pytest.raises(ValueError, match=r"pixel \(32, 0\) is not in one picture"):
        fitted.suggest(gray[:1], 32, 0)


def test_storage_keeps_predictions_and_lightness_is_kept_at_any_size(fitted):
    stored = KnnColorizer.from_tensors(fitted.tensors())
    assert stored.neighbors == 200
    for height, width in ((32, 32), (50, 70)):
        L = 40 + 20 * torch.rand(1, 1, height, width)
        rgb = fitted.colorize(L)
        assert rgb.shape == (1, 3, height, width)
        assert (lightness(rgb) - L).abs().mean() < 0.5  # but for what leaves the gamut
        assert torch.equal(stored.colorize(L), rgb)
    with pytest.raises(ValueError, match=r"'exemplars'.*'ab'"):
        KnnColorizer.from_tensors({"ab": torch.zeros(2)})
    with pytest.raises(ValueError, match="neighbors must be 1 to"):
        KnnColorizer(fitted.tensors(), neighbors=10**6)
    with pytest.raises(ValueError, match="strength must be at least 0"):
        fitted.distribution(L, strength=-1.0)


def test_pictures_without_texture_or_colour_teach_gray():
    flat = np.full((10, 32, 32, 3), 120, dtype=np.uint8)
    fitted = KnnColorizer.fit(Pictures(flat, tuple(map(str, range(10))), "0", "test:flat"))
    rgb = fitted.colorize(torch.full((1, 1, 32, 32), 40.0))
    assert rgb_to_lab(rgb)[:, 1:].abs().max() < 0.1
