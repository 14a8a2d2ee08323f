"""Reinhard's transfer: the paper's constants, exact statistics, and the gray case."""

import math

import numpy as np
import pytest
import torch
from skimage.color import rgb2lab

from colorlab.classical.transfer import (
    LALPHABETA_FROM_LOG_LMS,
    LMS_FROM_RGB,
    lalphabeta_to_rgb,
    reinhard,
    rgb_to_lalphabeta,
)
from colorlab.color import linear_to_srgb, rgb_to_lab


def _soft(seed: int, count: int = 1, low: float = 0.3, high: float = 0.7) -> torch.Tensor:
    """Random pictures of middle colours, so that little leaves the gamut."""
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(count, 3, 12, 10, generator=generator)


def test_inverse_is_the_one_printed_in_the_paper():
    printed = [[4.4679, -3.5873, 0.1193], [-1.2186, 2.3809, -0.1624], [0.0497, -0.2439, 1.2045]]
    inverse = torch.linalg.inv(LMS_FROM_RGB)
    # Eq. 9 as printed is 0.017 off in its last row, so the paper's own pair does not go round.
    np.testing.assert_allclose(inverse[:2], printed[:2], atol=3e-3)
    np.testing.assert_allclose(inverse[2], printed[2], atol=2e-2)
    # Eq. 8: the inverse of the second step is its own transpose.
    np.testing.assert_allclose(
        LALPHABETA_FROM_LOG_LMS @ LALPHABETA_FROM_LOG_LMS.T, np.eye(3), atol=1e-15
    )


def test_a_colour_worked_by_hand():
    linear = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64)[:, None, None]
    # Cones 0.34015, 0.289225, 0.1498; their decimal logarithms, then eq. 6.
    logs = [math.log10(0.34015), math.log10(0.289225), math.log10(0.1498)]
    expected = [
        sum(logs) / math.sqrt(3),
        (logs[0] + logs[1] - 2 * logs[2]) / math.sqrt(6),
        (logs[0] - logs[1]) / math.sqrt(2),
    ]
    got = rgb_to_lalphabeta(linear_to_srgb(linear)).flatten()
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_grays_have_no_alpha_and_beta_black_stays_finite_and_colours_come_back():
    channels = rgb_to_lalphabeta(torch.linspace(0, 1, 11).expand(1, 3, 1, 11))
    assert channels.isfinite().all()
    assert channels[:, 1:, :, 1:].abs().max() < 1e-3
    rgb = _soft(0, 3, 0.02, 1.0).double()
    torch.testing.assert_close(lalphabeta_to_rgb(rgb_to_lalphabeta(rgb)), rgb, atol=1e-6, rtol=0)


@pytest.mark.parametrize("space", ["lalphabeta", "lab"])
def test_statistics_become_the_references(space):
    rgb, reference = _soft(1, 2).double(), _soft(2, low=0.4, high=0.6).double()[0]
    moved = reinhard(rgb, reference, space, clip=False)
    if space == "lab":
        channels = [rgb2lab(x, channel_axis=0) for x in (*moved.numpy(), reference.numpy())]
    else:
        channels = [rgb_to_lalphabeta(x).numpy() for x in (*moved, reference)]
    *got, wanted = channels
    for picture in got:
        for statistic in (np.mean, np.std):
            np.testing.assert_allclose(
                statistic(picture, axis=(1, 2)), statistic(wanted, axis=(1, 2)), atol=2e-3
            )
    torch.testing.assert_close(reinhard(rgb[:1], rgb[0], space), rgb[:1], atol=1e-4, rtol=0)


@pytest.mark.parametrize("space", ["lalphabeta", "lab"])
def test_a_gray_picture_is_only_tinted(space):
    gray = _soft(4)[:, :1].expand(-1, 3, -1, -1)
    reference = torch.tensor([0.6, 0.45, 0.35])[:, None, None] + 0.2 * (_soft(5)[0] - 0.5)
    tinted = reinhard(gray, reference, space, clip=False)
    tint = (rgb_to_lab if space == "lab" else rgb_to_lalphabeta)(tinted)[:, 1:]
    size = tint.mean((-2, -1)).norm()
    assert size > (5 if space == "lab" else 0.03)
    assert tint.std((-2, -1)).max() < 0.02 * size


@pytest.mark.parametrize(
    ("rgb", "reference", "space", "message"),
    [
        (torch.rand(3, 8, 8), torch.rand(3, 8, 8), "lab", r"\(N, 3, H, W\)"),
        (torch.rand(1, 3, 8, 8), torch.rand(2, 3, 8, 8), "lab", "one picture"),
        (torch.rand(1, 3, 8, 8), 255 * torch.rand(3, 8, 8), "lab", r"\[0, 1\]"),
        (torch.rand(1, 3, 8, 8), torch.rand(3, 8, 8), "hsv", "'hsv'"),
    ],
)
def test_what_cannot_be_done_is_named(rgb, reference, space, message):
    with pytest.raises(ValueError, match=message):
        reinhard(rgb, reference, space)
