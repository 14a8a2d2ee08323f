"""Features of cells: plain numpy for the simple ones, symmetries for all."""

import numpy as np
import pytest
import torch

from colorlab.classical.features import local_features, sample_cells
from colorlab.color import from_uint8, lightness, rgb_to_lab


def _lightness(seed: int) -> torch.Tensor:
    return 100 * torch.rand(2, 1, 32, 48, generator=torch.Generator().manual_seed(seed))


def test_tone_and_deviation_are_numpys():
    L = _lightness(0)
    features = local_features(L)
    cells = L.numpy().reshape(2, 8, 4, 12, 4).swapaxes(2, 3).reshape(2, 8, 12, 16) / 100
    np.testing.assert_allclose(features[:, 0], cells.mean(-1), atol=1e-6)
    np.testing.assert_allclose(10 ** (features[:, 1] - 2) - 0.01, cells.std(-1), atol=1e-5)


def test_slopes_are_those_of_a_ramp():
    y, x = torch.meshgrid(torch.arange(32.0), torch.arange(32.0), indexing="ij")
    ramp = (20 + 0.5 * x + 1.5 * y)[None, None]
    got = 10 ** (local_features(ramp)[0, 2:6, 4, 4] - 2) - 0.01
    # Two pixels apart, in L / 100: along x, along y, and the two diagonals' sum and difference.
    expected = torch.tensor([1.0, 3.0, (4.0 + 2.0), (4.0 - 2.0)]) / 100
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_mirrored_picture_has_mirrored_features_and_pictures_do_not_mix():
    L = _lightness(1)
    features = local_features(L)
    torch.testing.assert_close(local_features(L.flip(-1)).flip(-1), features, atol=1e-4, rtol=0)
    upside_down = local_features(L.flip(-2)).flip(-2)
    assert (upside_down - features).abs().max() > 0.1  # the sky is above
    torch.testing.assert_close(features[1:], local_features(L[1:]))


def test_sampled_cells_are_cells_of_the_pictures(few_pictures):
    cells = sample_cells(few_pictures, count=120, seed=3)
    rgb = from_uint8(few_pictures.rgb)
    features = local_features(lightness(rgb))
    ab = torch.nn.functional.avg_pool2d(rgb_to_lab(rgb)[:, 1:], 4)
    for i in range(12):
        own = slice(10 * i, 10 * (i + 1))
        known = features[i].flatten(1).T
        near = torch.cdist(cells.features[own].double(), known.double()).min(dim=1)
        assert near.values.max() < 1e-2
        expected = ab[i].flatten(1).T[near.indices]
        torch.testing.assert_close(cells.ab[own], expected, atol=1e-2, rtol=0)
    assert torch.equal(sample_cells(few_pictures, 120, seed=3).features, cells.features)
    assert not torch.equal(sample_cells(few_pictures, 120, seed=4).ab, cells.ab)
    assert len(sample_cells(few_pictures, count=10**6).ab) == 12 * 64  # no cell twice


@pytest.mark.parametrize(
    ("L", "message"),
    [
        (torch.zeros(1, 1, 12, 32), "too small; 16x16"),
        (torch.zeros(1, 1, 18, 32), "multiples of 4, got 18x32"),
        (torch.zeros(0, 1, 32, 32), r"\(N, 1, H, W\)"),
        (torch.full((1, 1, 32, 32), 101.0), r"\[0, 100\]"),
    ],
)
def test_what_has_no_features_is_named(L, message):
    with pytest.raises(ValueError, match=message):
        local_features(L)
