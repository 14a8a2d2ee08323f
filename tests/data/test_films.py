"""Grays that are not L: what film, filters and old prints make of known colours."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from colorlab.color import lightness
from colorlab.data.films import FILMS, blue, faded, green, orthochromatic, recorded, sepia


def colours(*rgb: tuple[float, float, float]) -> Tensor:
    """Colours as an image (1, 3, 1, N)."""
    return torch.tensor(rgb).T.reshape(1, 3, 1, -1)


def test_film_that_is_blind_to_red_shows_red_black_and_gray_as_it_is():
    colours = torch.tensor([[1.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5], [0, 0, 1]]).T
    L = orthochromatic(colours.reshape(1, 3, 1, 4)).flatten()
    assert L[0] < 0.1
    assert L[1:3].tolist() == pytest.approx([100, 53.39], abs=0.05)
    # Blue: Y = .0722 / (.7152 + .0722) = .0917, so L = 116 Y^(1/3) - 16.
    assert L[3].item() == pytest.approx(116 * 0.0917 ** (1 / 3) - 16, abs=0.1)


def test_filters_record_one_channel_and_luminance_is_lightness():
    rgb = colours((0.2, 0.5, 0.8), (1, 0, 0), (0, 0.3, 0))
    gray = colours(*[(value,) * 3 for value in (0.5, 0, 0.3)])
    torch.testing.assert_close(green(rgb), lightness(gray))
    assert blue(rgb).flatten()[1:].abs().max() < 1e-3, "neither red nor green"
    torch.testing.assert_close(recorded(rgb, (0, 0, 2.0)), blue(rgb), atol=1e-2, rtol=0)
    luminance = (0.212671, 0.715160, 0.072169)
    torch.testing.assert_close(recorded(rgb, luminance), lightness(rgb), atol=1e-2, rtol=0)


def test_prints_keep_the_order_of_grays_and_lose_white():
    gray = colours(*[(value / 20,) * 3 for value in range(21)])
    for change, low, high in ((faded, 25, 85), (sepia, 0, 88.7)):
        L = change(gray).flatten()
        assert (L.diff() > 0).all()
        # White paper of (1, .85, .65): Y = .2127 + .7152 * .692 + .0722 * .380 = .735, L = 88.7.
        assert L[0].item() == pytest.approx(low, abs=0.1)
        assert L[-1].item() == pytest.approx(high, abs=0.1)


@pytest.mark.parametrize("name", FILMS)
def test_every_film_gives_lightness_of_the_same_size(name):
    rgb = torch.rand(2, 3, 6, 5, generator=torch.Generator().manual_seed(0))
    L = FILMS[name](rgb)
    assert L.shape == (2, 1, 6, 5) and L.min() >= 0 and L.max() <= 100
