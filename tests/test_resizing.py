"""Lightness comes to the size of training: its area, its shape, the multiples asked for."""

from __future__ import annotations

import pytest
import torch

from colorlab.resizing import resize_to_area


@pytest.mark.parametrize(
    ("shape", "size", "multiple", "least", "want"),
    [
        ((64, 100), 20, 4, 16, (16, 24)),  # 20x20 is 400 pixels, 16x24 are 384
        ((8, 100), 16, 4, 16, (16, 56)),  # the shorter side would be 4
        ((8, 100), 16, 4, 0, (4, 56)),
        ((1000, 500), 256, 32, 0, (352, 192)),
        ((7, 900), 256, 32, 0, (32, 2912)),  # no side below one multiple
    ],
)
def test_sides(shape, size, multiple, least, want):
    out = resize_to_area(torch.full((2, 1, *shape), 70.0), size, multiple, least)
    assert tuple(out.shape) == (2, 1, *want)
    torch.testing.assert_close(out, torch.full_like(out, 70.0))


def test_the_right_size_is_left_alone():
    L = 100 * torch.rand(1, 1, 64, 100)
    assert resize_to_area(L, 80, 4) is L  # the area of 80x80 already


def test_shrinking_does_not_alias():
    stripes = torch.zeros(1, 1, 128, 128)
    stripes[..., ::2] = 100.0
    assert (resize_to_area(stripes, 32, 4) - 50).abs()[..., 2:-2].max() < 2
