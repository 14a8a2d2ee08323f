"""How often each colour occurs in a set of pictures: exact statistics without sorting pixels.

3,600 photographs hold 236 million pixels but only some millions of different
8-bit colours. Counting them first makes every statistic of a pixel's colour exact,
and the conversion to Lab runs once a colour, not once a pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from colorlab.color import from_uint8, rgb_to_lab

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures

_CHUNK = 64  # pictures at a time


@dataclass(frozen=True)
class ColorCounts:
    """Every colour that occurs, once.

    Attributes:
        lab: (K, 3) float32, the colours: L in [0, 100], ab in CIE units.
        counts: (K,) int64, the number of pixels of each.
    """

    lab: np.ndarray
    counts: np.ndarray


def count_colors(pictures: Pictures) -> ColorCounts:
    """Count the colours of ``pictures``: seconds for 3,600 pictures, 135 MB for the counts.

    Raises:
        ValueError: no pictures.
    """
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
