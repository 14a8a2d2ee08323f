"""Colourfulness against values worked out by hand from Hasler and Suesstrunk's definition."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from colorlab.metrics import colorfulness


def _picture(*pixels: tuple[float, float, float]) -> torch.Tensor:
    return torch.tensor(pixels, dtype=torch.float64).T.reshape(1, 3, 1, -1)


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        # One colour: only the mean counts. Red: rg = 255, yb = 127.5.
        ([(1, 0, 0)], 0.3 * math.hypot(255, 127.5)),
        # Blue: rg = 0, yb = -255.
        ([(0, 0, 1)], 0.3 * 255),
        # Red and green: rg = +-255 (spread 255, mean 0), yb = 127.5 twice. Absolute values
        # of rg would have no spread at all: this case tells the signed definition.
        ([(1, 0, 0), (0, 1, 0)], 255 + 0.3 * 127.5),
        # Yellow and blue: rg = 0, yb = 255 and -255.
        ([(1, 1, 0), (0, 0, 1)], 255),
        ([(0.2, 0.2, 0.2), (0.9, 0.9, 0.9)], 0),
    ],
)
def test_hand_worked_values(pixels, expected):
    assert colorfulness(_picture(*pixels)).item() == pytest.approx(expected, abs=1e-9)


def test_batch_equals_the_formula_in_numpy():
    x = torch.rand(2, 3, 9, 7, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    for picture, got in zip(x.numpy() * 255, colorfulness(x), strict=True):
        rg, yb = picture[0] - picture[1], 0.5 * (picture[0] + picture[1]) - picture[2]
        spread = np.sqrt(rg.std() ** 2 + yb.std() ** 2)
        offset = np.sqrt(rg.mean() ** 2 + yb.mean() ** 2)
        assert got.item() == pytest.approx(spread + 0.3 * offset)
