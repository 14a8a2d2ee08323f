"""The standing rows of every table: what needs no network, and what no network can beat.

Gray, the mean colour and a table from lightness to colour are the least that a
model must beat; the oracle, true colour at a quarter of the size, is the ceiling of
every model that answers with coarse chroma. Taught in notebook 03.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from colorlab.checks import check_names
from colorlab.classical.counts import ColorCounts, count_colors
from colorlab.color import downsample_chroma, join, rgb_to_lab

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures

_LEVELS = 101  # L = 0, 1, ..., 100


def _flat(L: Tensor, a: float, b: float) -> Tensor:
    """One chroma for every pixel of L (N, 1, H, W): (N, 2, H, W)."""
    ab = torch.tensor([a, b], device=L.device, dtype=L.dtype)
    return ab[None, :, None, None].expand(len(L), 2, *L.shape[-2:])


class Gray:
    """No colour at all, ab = 0. A model that does not beat it has learned nothing."""

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        return join(L, _flat(L, 0.0, 0.0))


class MeanChroma:
    """One colour for every pixel: the mean ab of the training pixels.

    It is the best answer under squared error for who knows nothing of the picture.

    Attributes:
        ab: (2,) float32, CIE units.
    """

    def __init__(self, ab: Tensor) -> None:
        self.ab = _checked(ab, (2,), "the mean chroma")

    @classmethod
    def fit(cls, pictures: Pictures | ColorCounts) -> MeanChroma:
        """Average over every pixel of the training pictures, or over their colour counts."""
        colors = _counted(pictures)
        return cls(torch.from_numpy(np.average(colors.lab[:, 1:], axis=0, weights=colors.counts)))

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        return join(L, _flat(L, *self.ab.tolist()))

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, to be stored as safetensors."""
        return {"ab": self.ab}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> MeanChroma:
        """Undo :meth:`tensors`. Raises ValueError where they are another row's."""
        check_names(tensors, {"ab"})
        return cls(tensors["ab"])


class LookupTable:
    """The median ab of the training pixels of each lightness: dark is brown, light is sky.

    It is the best answer under absolute error for who sees one pixel's lightness alone.
    The levels are L = 0, 1, ..., 100; a pixel counts for the nearest, and between two the
    table is read linearly.

    Attributes:
        ab: (101, 2) float32, CIE units.
    """

    def __init__(self, ab: Tensor) -> None:
        self.ab = _checked(ab, (_LEVELS, 2), "the lookup table")

    @classmethod
    def fit(cls, pictures: Pictures | ColorCounts) -> LookupTable:
        """Exact medians over every pixel; a level without pixels is filled from its neighbours."""
        colors = _counted(pictures)
        level = np.rint(colors.lab[:, 0]).astype(np.int64)
        table = np.empty((_LEVELS, 2))
        for channel in range(2):
            medians = _medians(colors.lab[:, 1 + channel], colors.counts, level)
            present = np.flatnonzero(~np.isnan(medians))
            table[:, channel] = np.interp(np.arange(_LEVELS), present, medians[present])
        return cls(torch.from_numpy(table))

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W)."""
        table = self.ab.to(L)
        below = L.floor().clamp(0, _LEVELS - 2).long()
        weight = (L - below).clamp(0, 1)
        ab = torch.cat(
            [torch.lerp(column[below], column[below + 1], weight) for column in table.unbind(1)],
            dim=1,
        )  # (N, 2, H, W)
        return join(L, ab)

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, to be stored as safetensors."""
        return {"ab": self.ab}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> LookupTable:
        """Undo :meth:`tensors`. Raises ValueError where they are another row's."""
        check_names(tensors, {"ab"})
        return cls(tensors["ab"])


# The rows that are fitted, by name: what data/checkpoints can hold beside the networks.
TABLES = {"mean": MeanChroma, "lut": LookupTable}


class Oracle:
    """True chroma made coarse: the ceiling of every model that answers with coarse chroma.

    It sees the truth, so it has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`.

    Args:
        stride: 4, as in the models: 64x64 chroma for a picture of 256x256. 1 keeps every pixel.
        strength: factor on ab; 0.5 shows how dull but right colours score.
    """

    def __init__(self, stride: int = 4, strength: float = 1.0) -> None:
        if stride < 1:
            raise ValueError(f"stride must be at least 1, got {stride}")
        self.stride, self.strength = stride, strength

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        ab = downsample_chroma(rgb_to_lab(rgb)[:, 1:], self.stride)
        return join(L, self.strength * ab)


def _counted(pictures: Pictures | ColorCounts) -> ColorCounts:
    return pictures if isinstance(pictures, ColorCounts) else count_colors(pictures)


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


def _checked(ab: Tensor, shape: tuple[int, ...], what: str) -> Tensor:
    if tuple(ab.shape) != shape:
        raise ValueError(f"{what} must have shape {shape}, got {tuple(ab.shape)}")
    if not torch.isfinite(ab).all():
        raise ValueError(f"{what} holds a value that is not finite")
    return ab.detach().float()
