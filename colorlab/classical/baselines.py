"""The baselines of every table: what needs no network, and what no network can beat.

Gray, the mean colour and a lookup table from lightness to colour are the least that a model must
beat. The oracle, true colour at a quarter of the size, is the upper bound of every model that
predicts coarse ab. Taught in lesson 03.

The statistics are exact, without sorting pixels: 3,600 photographs hold 236 million pixels but
only a few million different 8-bit colours. These are counted first, and converted to Lab once
each. The released ``mean`` and ``lut`` hold them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Self

import numpy as np
import torch
from torch import Tensor

from colorlab.checks import check_names
from colorlab.color import downsample_chroma, from_uint8, join, rgb_to_lab

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

_CHUNK = 64  # pictures counted at a time
_LEVELS = 101  # L = 0, 1, ..., 100


@dataclass(frozen=True)
class ColorCounts:
    """Every colour that occurs in a set of pictures, once."""

    lab: np.ndarray  # (K, 3) float32: L in [0, 100], ab in CIE units
    counts: np.ndarray  # (K,) int64, the number of pixels of each


def count_colors(pictures: Pictures | ColorCounts) -> ColorCounts:
    """Count the colours, once: seconds for 3,600 pictures, 135 MB for the counts."""
    if isinstance(pictures, ColorCounts):
        return pictures
    if not len(pictures):
        raise ValueError(f"no pictures in {pictures.source}")
    counts = np.zeros(1 << 24, dtype=np.int64)
    for start in range(0, len(pictures), _CHUNK):
        rgb = pictures.rgb[start : start + _CHUNK].reshape(-1, 3).astype(np.int32)
        code = rgb[:, 0] << 16 | rgb[:, 1] << 8 | rgb[:, 2]
        seen, often = np.unique(code, return_counts=True)
        counts[seen] += often
    present = np.flatnonzero(counts)
    rgb = np.stack([present >> 16, present >> 8 & 255, present & 255], axis=-1).astype(np.uint8)
    lab = rgb_to_lab(from_uint8(torch.from_numpy(rgb[None])))  # (3, 1, K)
    return ColorCounts(lab=lab[:, 0].T.contiguous().numpy(), counts=counts[present])


class Gray:
    """No colour at all, ab = 0. A model that does not beat it has learned nothing."""

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to sRGB (N, 3, H, W)."""
        return _uniform(L, 0.0, 0.0)


class _Table:
    """A baseline that one small tensor ``ab`` in CIE units describes."""

    shape: tuple[int, ...]

    def __init__(self, ab: Tensor) -> None:
        if tuple(ab.shape) != self.shape:
            raise ValueError(f"ab must have shape {self.shape}, got {tuple(ab.shape)}")
        self.ab = ab.detach().float()

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, to be stored as safetensors."""
        return {"ab": self.ab}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Undo :meth:`tensors`; ValueError if they belong to another method."""
        check_names(tensors, {"ab"})
        return cls(tensors["ab"])


class MeanChroma(_Table):
    """One colour for every pixel: the mean ab (2,) of the training pixels.

    It minimises the squared error among predictions that ignore the image.
    """

    shape = (2,)

    @classmethod
    def fit(cls, pictures: Pictures | ColorCounts) -> MeanChroma:
        """Average over every pixel of the training pictures."""
        colors = count_colors(pictures)
        return cls(torch.from_numpy(np.average(colors.lab[:, 1:], axis=0, weights=colors.counts)))

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to sRGB (N, 3, H, W)."""
        return _uniform(L, *self.ab.tolist())


class LookupTable(_Table):
    """The median ab (101, 2) of the training pixels of each lightness.

    It minimises the absolute error among predictions from one pixel's lightness alone. The levels
    are L = 0, 1, ..., 100; a pixel counts for the nearest, and between two levels the lookup table
    is interpolated linearly.
    """

    shape = (_LEVELS, 2)

    @classmethod
    def fit(cls, pictures: Pictures | ColorCounts) -> LookupTable:
        """Exact medians over every pixel; levels without pixels are interpolated."""
        colors = count_colors(pictures)
        level = np.rint(colors.lab[:, 0]).astype(np.int64)
        table = np.empty((_LEVELS, 2))
        for channel in range(2):
            medians = _medians(colors.lab[:, 1 + channel], colors.counts, level)
            present = np.flatnonzero(~np.isnan(medians))
            table[:, channel] = np.interp(np.arange(_LEVELS), present, medians[present])
        return cls(torch.from_numpy(table))

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) to sRGB (N, 3, H, W)."""
        below = L.floor().clamp(0, _LEVELS - 2).long()
        weight = (L - below).clamp(0, 1)
        columns = self.ab.to(L).unbind(1)
        ab = [torch.lerp(column[below], column[below + 1], weight) for column in columns]
        return join(L, torch.cat(ab, dim=1))


# The rows that are fitted, by name: what data/checkpoints can hold beside the networks.
TABLES = {"mean": MeanChroma, "lut": LookupTable}


class Oracle:
    """True ab at coarse resolution: the upper bound of models that predict coarse ab.

    It sees the ground truth, so it has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`.

    Args:
        stride: 4, as in the models: 64x64 ab for an image of 256x256. 1 keeps every pixel.
        strength: factor on ab; 0.5 shows how dull but correct colours score.
    """

    def __init__(self, stride: int = 4, strength: float = 1.0) -> None:
        self.stride, self.strength = stride, strength

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        return join(L, self.strength * downsample_chroma(rgb_to_lab(rgb)[:, 1:], self.stride))


def _uniform(L: Tensor, a: float, b: float) -> Tensor:
    """L (N, 1, H, W) with one ab at every pixel, as sRGB (N, 3, H, W)."""
    return join(L, L.new_tensor([a, b])[None, :, None, None].expand(len(L), 2, *L.shape[-2:]))


def _medians(values: np.ndarray, counts: np.ndarray, level: np.ndarray) -> np.ndarray:
    """Weighted lower median of ``values`` within each level, (101,); NaN where there is none."""
    order = np.lexsort((values, level))
    values, counts, level = values[order], counts[order], level[order]
    medians = np.full(_LEVELS, np.nan)
    edges = np.searchsorted(level, np.arange(_LEVELS + 1))
    for i, (start, end) in enumerate(pairwise(edges)):
        if start < end:
            seen = np.cumsum(counts[start:end])
            medians[i] = values[start + np.searchsorted(seen, seen[-1] / 2)]
    return medians
