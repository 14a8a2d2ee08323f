"""Ridge regression: the closed form against numpy, and a law that it must find."""

import numpy as np
import pytest
import torch

from colorlab.classical import LookupTable
from colorlab.classical.features import sample_cells
from colorlab.classical.regression import RidgeColorizer
from colorlab.color import from_uint8, join, lightness, rgb_to_lab, to_uint8
from colorlab.data import Pictures


def _pictures(count: int = 24, size: int = 32, seed: int = 0) -> Pictures:
    """Pictures whose colour follows from place and texture, not from lightness.

    Above lies a smooth blue, below a rough brown, both of every lightness.
    """
    generator = torch.Generator().manual_seed(seed)
    level = 35 + 30 * torch.rand(count, 1, 1, 1, generator=generator)
    noise = torch.randn(count, 1, size, size, generator=generator).clamp(-2, 2)
    below = (torch.arange(size) >= size // 2)[:, None].float()
    L = level + noise * (0.5 + 6 * below)
    ab = torch.stack([20 * below - 5, 45 * below - 25])[:, :, :1].expand(2, size, size)
    eight = to_uint8(join(L, ab.expand(count, -1, -1, -1)))
    return Pictures(eight, tuple(map(str, range(count))), "0" * 64, "test:law")


@pytest.fixture(scope="module")
def fitted() -> RidgeColorizer:
    return RidgeColorizer.fit(_pictures(), cells=1500, ramps=64)


def _error(rgb: torch.Tensor, truth: torch.Tensor) -> float:
    return (rgb_to_lab(rgb)[:, 1:] - rgb_to_lab(truth)[:, 1:]).norm(dim=1).mean().item()


@pytest.mark.parametrize("penalty", [0.01, 3.0])
def test_least_squares_over_cells_is_numpys(penalty):
    model = RidgeColorizer.fit(_pictures(4), cells=200, ramps=8, penalty=penalty, rounds=0, seed=5)
    cells = sample_cells(_pictures(4), 200, seed=5)
    x = cells.features.double().numpy()
    z = np.clip((x - x.mean(0)) / np.maximum(x.std(0), 1e-4), -5, 5)
    ramps = np.maximum(z @ model.directions.double().numpy() + model.offsets.double().numpy(), 0)
    expanded = np.concatenate([np.ones((200, 1)), z, ramps], axis=1)
    # The penalty as rows of data: sqrt(penalty) w = 0 for every weight but the intercept.
    rows = (penalty * 200) ** 0.5 * np.eye(expanded.shape[1])[1:]
    wanted = np.vstack([cells.ab.double().numpy(), np.zeros((len(rows), 2))])
    expected, *_ = np.linalg.lstsq(np.vstack([expanded, rows]), wanted)
    np.testing.assert_allclose(model.weights, expected, atol=0.02)


def test_a_law_of_place_and_texture_is_found(fitted):
    truth = from_uint8(_pictures(seed=1).rgb)
    L = lightness(truth)
    table = _error(LookupTable.fit(_pictures()).colorize(L), truth)
    assert _error(fitted.colorize(L), truth) < 0.35 * table


def test_reweighting_moves_from_the_mean_to_the_median():
    # Two thirds of the pictures are gray, one third red, at the same lightness and texture.
    red = (torch.arange(30) % 3 == 0).float()[:, None, None, None]
    noise = torch.randn(30, 1, 32, 32, generator=torch.Generator().manual_seed(2)).clamp(-2, 2)
    ab = torch.cat([45 * red, 30 * red], dim=1).expand(30, 2, 32, 32)
    eight = to_uint8(join(50 + 2 * noise, ab))
    pictures = Pictures(eight, tuple(map(str, range(30))), "0", "test:doubt")
    L = torch.full((1, 1, 32, 32), 50.0) + 2 * noise[:1]
    settings = {"cells": 1500, "ramps": 0, "penalty": 10.0}
    mean, median = (
        RidgeColorizer.fit(pictures, rounds=rounds, **settings).chroma(L)[:, 0].mean().item()
        for rounds in (0, 8)
    )
    assert mean == pytest.approx(15, abs=2)  # of 45, 0, 0
    assert median < 4  # on the way to 0


def test_the_seed_decides_storage_keeps_the_predictions_and_any_size_its_lightness(fitted):
    L = lightness(from_uint8(_pictures(seed=4).rgb))
    again = RidgeColorizer.fit(_pictures(), cells=1500, ramps=64)
    assert torch.equal(again.colorize(L), fitted.colorize(L))
    wide = 30 + 40 * torch.rand(2, 1, 9, 120)
    torch.testing.assert_close(lightness(fitted.colorize(wide)), wide, atol=0.5, rtol=0)
    other = RidgeColorizer.fit(_pictures(), cells=1500, ramps=64, seed=1)
    assert not torch.equal(other.colorize(L), fitted.colorize(L))
    stored = RidgeColorizer.from_tensors(fitted.tensors())
    torch.testing.assert_close(stored.colorize(L), fitted.colorize(L), atol=0.01, rtol=0)
    with pytest.raises(ValueError, match=r"'weights'.*'ab'"):
        RidgeColorizer.from_tensors({"ab": torch.zeros(2)})
