"""Bins of colour against scipy, closed forms and the gamut of sRGB."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from colorlab.color import rgb_to_lab
from colorlab.color_bins import WIDTH, annealed_mean, bin_centres, rarity, soft_bins


def random_chroma() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    return rgb_to_lab(torch.rand(2, 3, 32, 32, generator=generator))[:, 1:]


def test_every_colour_of_srgb_has_its_bin_and_no_bin_lies_outside():
    ab = random_chroma().movedim(1, -1).reshape(-1, 2)
    squares = {tuple(c) for c in (bin_centres() / WIDTH).round().int().tolist()}
    assert {tuple(c) for c in (ab / WIDTH).round().int().tolist()} <= squares
    # The corners of sRGB: a in [-86.2, 98.3], b in [-107.9, 94.5].
    assert bin_centres().amin(dim=0).tolist() == [-90, -110]
    assert bin_centres().amax(dim=0).tolist() == [100, 90]


def test_soft_bins_are_shares_of_the_nearest_and_keep_the_colour():
    ab = random_chroma()
    index, share = soft_bins(ab)
    assert index.shape == share.shape == (2, 5, 32, 32)
    torch.testing.assert_close(share.sum(dim=1), torch.ones(2, 32, 32))
    centres = bin_centres()[index].movedim(-1, 2)  # (N, 5, 2, h, w)
    distance = (centres - ab[:, None]).norm(dim=2)
    assert (distance.diff(dim=1) >= -1e-3).all()
    inside = ab.norm(dim=1) < 40  # far from the gamut's edge all neighbours are there
    mean = (share[:, :, None] * centres).sum(dim=1)
    assert (mean - ab).norm(dim=1)[inside].max() < WIDTH / 2


def test_a_bins_own_colour_has_the_shares_of_the_gaussian():
    _, share = soft_bins(torch.zeros(1, 2, 1, 1))
    around = np.exp(-(WIDTH**2) / (2 * 5.0**2))
    wanted = np.array([1, *[around] * 4]) / (1 + 4 * around)
    np.testing.assert_allclose(share.flatten(), wanted, rtol=1e-5)


def test_rarity_is_equation_4():
    frequency = torch.rand(len(bin_centres()), generator=torch.Generator().manual_seed(0))
    frequency /= frequency.sum()
    even = rarity(frequency, mix=1.0)
    torch.testing.assert_close(even, torch.ones_like(even))
    weight = rarity(frequency, mix=0.5)
    assert float((weight * frequency).sum()) == pytest.approx(1, abs=1e-5)
    # scipy's Gaussian on the plane, with a mass so far inside that the gamut's edge is not felt.
    squares = (bin_centres() / WIDTH).round().long()
    middle = (squares == 0).all(dim=1)
    plane = np.zeros((41, 41))
    plane[20, 20] = 1
    smooth = gaussian_filter(plane, 5.0 / WIDTH, truncate=8)[20 + squares[:, 0], 20 + squares[:, 1]]
    wanted = 1 / (0.5 * smooth + 0.5 / len(squares))
    wanted = torch.as_tensor(wanted / wanted[middle.numpy()].sum(), dtype=torch.float32)
    torch.testing.assert_close(rarity(middle.float()), wanted, rtol=2e-2, atol=0)


def test_the_annealed_mean_goes_from_the_mean_to_the_mode():
    centres = torch.tensor([[0.0, 0.0], [30.0, 0.0], [0.0, -60.0]])
    logits = torch.tensor([0.5, 0.3, 0.2]).log()[None, :, None, None]
    mean = annealed_mean(logits, 1.0, centres).flatten()
    torch.testing.assert_close(mean, torch.tensor([9.0, -12.0]))
    mode = annealed_mean(logits, 0.01, centres).flatten()
    torch.testing.assert_close(mode, centres[0], atol=1e-4, rtol=0)
    # Equation 5 by hand: squares 0.25, 0.09, 0.04 over 0.38.
    half = annealed_mean(logits, 0.5, centres).flatten()
    torch.testing.assert_close(half, torch.tensor([30 * 9 / 38, -60 * 4 / 38]))
    sure = torch.full((1, len(bin_centres()), 1, 1), -torch.inf)  # of one of the fixed bins
    sure[0, 200] = 0
    torch.testing.assert_close(annealed_mean(sure).flatten(), bin_centres()[200])


def test_what_makes_no_sense_is_refused():
    with pytest.raises(ValueError, match=r"in \(0, 1\], got 0"):
        rarity(torch.ones(len(bin_centres())), mix=0)
    with pytest.raises(ValueError, match="positive, got nan"):
        annealed_mean(torch.zeros(1, len(bin_centres()), 1, 1), np.nan)


def test_rarity_is_in_float32_under_autocast():
    frequency = torch.rand(len(bin_centres()), generator=torch.Generator().manual_seed(0))
    frequency /= frequency.sum()
    want = rarity(frequency)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(rarity(frequency), want)
