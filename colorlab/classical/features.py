"""Features of each small cell of a gray image, for regression and k nearest neighbours.

Everything is measured on cells of 4x4 pixels, the resolution at which chroma is predicted: tone
and texture of the cell, the same at coarser scales and on every side, the position in the image,
and the image as a whole. Mirroring the image leaves each feature unchanged, since left and right
say nothing about colour. Deshpande, Rock and Forsyth 2015 ("Learning Large-Scale Automatic Image
Colorization") use features of the same types. The released ``ridge`` and ``knn`` hold weights for
these features in this order. Taught in lesson 02.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.bands import resize_to_area
from colorlab.checks import check_lightness
from colorlab.data.loaders import STRIDE, quick_lab

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

SMALLEST = 16  # pixels, side of the smallest image that features are computed on
SCALES = (2, 4, 8, 16)  # cells, side of the squares that coarser features average
_BANDS = 4  # of rows of the image, whose mean tone and texture are features of every cell
_LEVELS = 8  # of the histogram of L, a feature of every cell
_CHUNK = 16  # pictures at a time


class Cells(NamedTuple):
    """Cells sampled from training pictures."""

    features: Tensor  # (M, D) float32
    ab: Tensor  # (M, 2) float32, their mean in CIE units


def local_features(L: Tensor) -> Tensor:
    """Features (N, D, H/4, W/4) float32 of each cell; feature 0 is its mean L / 100.

    Args:
        L: (N, 1, H, W) in [0, 100], H and W multiples of 4 and at least 16.
    """
    check_lightness(L, least=SMALLEST)
    height, width = L.shape[-2:]
    if height % STRIDE or width % STRIDE:
        raise ValueError(f"height and width must be multiples of {STRIDE}, got {height}x{width}")
    fine = _tone_and_texture(L.float() / 100)  # (N, 6, h, w)
    size = fine.shape[-2:]
    parts = [fine]
    for scale in SCALES:
        grid = [max(1, side // scale) for side in size]
        coarse = F.adaptive_avg_pool2d(fine, grid)
        square = F.adaptive_avg_pool2d(fine[:, :1].square(), grid)
        contrast = (square - coarse[:, :1].square()).clamp_min(0).sqrt()
        coarse = torch.cat([coarse, contrast, *_sides(coarse[:, :2])], dim=1)  # (N, 15, ...)
        parts.append(F.interpolate(coarse, size=size, mode="bilinear", align_corners=False))
    parts.append(_place(*size).to(fine).expand(len(L), -1, -1, -1))
    parts.append(_whole(fine)[..., None, None].expand(-1, -1, *size))
    return torch.cat(parts, dim=1)


def resized_features(L: Tensor, size: int) -> Tensor:
    """:func:`local_features` of L (N, 1, H, W) at the area of training pictures, size x size."""
    check_lightness(L)
    return local_features(resize_to_area(L.cpu(), size, STRIDE, SMALLEST))


def _tone_and_texture(tone: Tensor) -> Tensor:
    """Mean, deviation, and the strength of edges in four directions: (N, 1, H, W) to (N, 6, h, w).

    Texture is on a log scale: the step from none to little tells more than from much to more.
    """
    mean = F.avg_pool2d(tone, STRIDE)
    rest = tone - F.interpolate(mean, scale_factor=STRIDE)  # so that squares keep their digits
    variance = F.avg_pool2d(rest.square(), STRIDE)
    p = F.pad(tone, (1, 1, 1, 1), mode="replicate")
    middle = slice(1, -1)
    across = (p[..., middle, 2:] - p[..., middle, :-2]).abs()
    down = (p[..., 2:, middle] - p[..., :-2, middle]).abs()
    falling = (p[..., 2:, 2:] - p[..., :-2, :-2]).abs()
    rising = (p[..., 2:, :-2] - p[..., :-2, 2:]).abs()
    # A mirror swaps the two diagonals: their sum and the size of their difference are unchanged.
    slopes = F.avg_pool2d(torch.cat([across, down, falling, rising], dim=1), STRIDE)
    across, down, falling, rising = slopes.split(1, dim=1)
    texture = (variance.sqrt(), across, down, falling + rising, (falling - rising).abs())
    return torch.cat([mean, *(torch.log10(t + 0.01) + 2 for t in texture)], dim=1)


def _sides(x: Tensor) -> list[Tensor]:
    """The neighbours of each square: above, below, and left with right, in a mirror the same."""
    p = F.pad(x, (1, 1, 1, 1), mode="replicate")
    left, right = p[..., 1:-1, :-2], p[..., 1:-1, 2:]
    return [p[..., :-2, 1:-1], p[..., 2:, 1:-1], left + right, (left - right).abs()]


def _place(height: int, width: int) -> Tensor:
    """Height in the image and distance from its middle column: (1, 3, h, w) in [-1, 1]."""
    y = (torch.arange(height) + 0.5) / height * 2 - 1
    x = (torch.arange(width) + 0.5) / width * 2 - 1
    y, x = torch.meshgrid(y, x.abs(), indexing="ij")
    return torch.stack([y, y.square(), x])[None]


def _whole(fine: Tensor) -> Tensor:
    """Features of the whole image: its tones, and tone and texture of four bands: (N, 17)."""
    tone = fine[:, :1].flatten(1)
    levels = torch.linspace(0, 1, _LEVELS).to(fine)
    share = (1 - (tone[..., None] - levels).abs() * (_LEVELS - 1)).clamp_min(0).mean(dim=1)
    bands = F.adaptive_avg_pool2d(fine[:, :2], (_BANDS, 1)).flatten(1)
    return torch.cat([share, bands, tone.std(dim=1, keepdim=True)], dim=1)


def sample_cells(pictures: Pictures, count: int, seed: int = 0) -> Cells:
    """Features and ab of about ``count`` cells, equally many at random from each picture.

    Sides of the pictures are multiples of 4, at least 16.
    """
    if not len(pictures):
        raise ValueError(f"no pictures in {pictures.source}")
    random = np.random.default_rng(seed)
    total = (pictures.size // STRIDE) ** 2
    each = min(total, max(1, round(count / len(pictures))))
    cells = []
    for start in range(0, len(pictures), _CHUNK):
        L, ab = quick_lab(np.asarray(pictures.rgb[start : start + _CHUNK]))
        chosen = [random.choice(total, each, replace=False) for _ in range(len(L))]
        at = torch.from_numpy(np.stack(chosen))[:, None]  # (n, 1, each)
        both = torch.cat([local_features(L), ab], dim=1).flatten(2)  # (n, D + 2, h * w)
        cells.append(both.gather(2, at.expand(-1, both.shape[1], -1)).transpose(1, 2).flatten(0, 1))
    whole = torch.cat(cells)  # (M, D + 2)
    return Cells(whole[:, :-2].contiguous(), whole[:, -2:].contiguous())
