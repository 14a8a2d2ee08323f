"""Hints from the truth, kriging against its defining equations, and rows of the table."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.color import rgb2lab

from colorlab.classical import hints
from colorlab.classical.hints import LevinHints, krige, levin_guided, random_hints
from colorlab.classical.scribbles import levin
from colorlab.color import from_uint8, lightness, rgb_to_lab
from colorlab.data.photos import skimage_photos
from colorlab.metrics import delta_e76


@pytest.fixture(scope="module")
def rgb():
    return from_uint8(skimage_photos(64).rgb)


def test_hints_are_the_true_colour_of_so_many_pixels(rgb):
    ab, mask = random_hints(rgb, 30)
    assert mask.flatten(1).sum(dim=1).tolist() == [30] * 5
    truth = torch.from_numpy(rgb2lab(rgb.numpy(), channel_axis=1)[:, 1:]).float()
    # Nothing else of the truth comes along.
    torch.testing.assert_close(ab, torch.where(mask, truth, 0), atol=1e-3, rtol=0)


def test_hints_depend_on_seed_and_picture_alone_and_fall_everywhere(rgb):
    mask = random_hints(rgb, 50)[1]
    for i in range(5):
        assert torch.equal(random_hints(rgb[i : i + 1], 50)[1][0], mask[i])
    assert not torch.equal(mask[0], mask[1])
    assert not torch.equal(random_hints(rgb, 50, seed=1)[1], mask)
    fewer = random_hints(rgb, 10)[1]
    assert (fewer & mask).sum() == fewer.sum()
    counts = sum(random_hints(rgb, 400, seed=s)[1].sum(0) for s in range(10))[0]  # (64, 64)
    quarters = counts.unflatten(0, (2, 32)).unflatten(2, (2, 32)).sum((1, 3))
    # 20,000 samples: four standard deviations of a quarter's count are 245.
    assert (quarters - 5000).abs().max() < 245


@pytest.mark.parametrize("n", [0, 64 * 64 + 1])
def test_a_number_of_hints_that_cannot_be_is_refused(rgb, n):
    with pytest.raises(ValueError, match=f"want 1 to 4096 hints.*got {n}"):
        random_hints(rgb, n)
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        random_hints(rgb[0], 10)


def test_kriging_solves_its_equations(rgb):
    # Each prediction is a weighted sum of the hints: the weights sum to 1 and, through a
    # multiplier, match the covariance of the pixel with each hint. Here one dense solve a pixel.
    L = lightness(rgb[:1, :, 10:34, 5:25]).double()
    ab, mask = random_hints(rgb[:1, :, 10:34, 5:25].double(), 12)
    y, x = np.mgrid[:24, :20] / 24 / 0.35
    tone = L[0, 0].numpy()
    around = gaussian_filter(tone, 24 / 128, mode="nearest", radius=1)
    f = np.stack([y, x, tone / 50, around / 35], axis=-1).reshape(-1, 4)
    at = np.flatnonzero(mask.flatten())
    covariance = np.exp(-np.linalg.norm(f[at, None] - f[at], axis=-1)) + 0.003 * np.eye(12)
    system = np.block([[covariance, np.ones((12, 1))], [np.ones((1, 12)), np.zeros((1, 1))]])
    values = ab[0].flatten(1)[:, at].numpy()
    got = krige(L, ab, mask)[0].flatten(1).numpy()
    for p in range(0, 480, 7):
        right = np.append(np.exp(-np.linalg.norm(f[p] - f[at], axis=-1)), 1.0)
        weights = np.linalg.solve(system, right)[:12]
        assert weights.sum() == pytest.approx(1)
        np.testing.assert_allclose(got[:, p], values @ weights, atol=1e-6)


def test_kriging_of_equal_hints_is_their_colour_and_chunks_do_not_show(rgb, monkeypatch):
    L, mask = lightness(rgb), random_hints(rgb, 9)[1]
    ab = torch.tensor([20.0, -30.0]).view(1, 2, 1, 1).expand(5, 2, 64, 64)
    torch.testing.assert_close(krige(L, ab, mask), ab.contiguous(), atol=1e-3, rtol=0)
    colors, mask = random_hints(rgb, 40)
    whole = krige(L, colors, mask)
    monkeypatch.setattr(hints, "_CHUNK", 1000)
    torch.testing.assert_close(krige(L, colors, mask), whole, atol=1e-3, rtol=0)
    truth, stroke = rgb_to_lab(rgb[:1])[:, 1:], torch.ones(1, 1, 64, 64, dtype=torch.bool)
    assert (krige(L[:1], truth, stroke) - truth).abs().mean() < 3, "long strokes are thinned"


def test_a_guess_steers_far_pixels_and_leaves_hints(rgb):
    L = lightness(rgb[:2])
    ab, mask = random_hints(rgb[:2], 10)
    guess = torch.full_like(ab, 40.0)
    near = levin_guided(L, ab, mask, guess, trust=1.0)
    assert torch.equal(near, torch.where(mask, ab, guess))
    plain, half = levin(L, ab, mask), levin_guided(L, ab, mask, guess, trust=0.02)
    assert torch.equal(half[mask.expand_as(half)], ab[mask.expand_as(ab)])
    assert (half - guess).abs().mean() < 0.7 * (plain - guess).abs().mean()
    slight = levin_guided(L, ab, mask, guess, trust=1e-9)
    torch.testing.assert_close(slight, plain, atol=0.01, rtol=0)
    with pytest.raises(ValueError, match="confidence must be above 0"):
        levin_guided(L, ab, mask, guess, trust=0.0)


def test_more_hints_come_closer_and_guidance_closer_still(rgb):
    # skimage's photographs took no part in choosing the constants of kriging.
    L = lightness(rgb)
    error = {
        (n, guided): delta_e76(LevinHints(n, guided=guided).colorize_known(L, rgb), rgb).mean()
        for n in (10, 200)
        for guided in (False, True)
    }
    assert error[10, False] > error[200, False] > error[200, True] < error[10, True]
