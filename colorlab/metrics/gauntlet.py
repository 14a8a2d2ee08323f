"""Controlled distortions: rows that change the truth in one known way, to test what a metric sees.

The method ``colorize_known`` marks a row that sees the truth. Taught in notebook 03.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from colorlab.color import join, rgb_to_lab
from colorlab.metrics.protocol import METRICS
from colorlab.metrics.report import Evaluation


@dataclass(frozen=True)
class Distortion:
    """A row that sees the true image and distorts it.

    Attributes:
        spoil: L (N, 1, H, W), ab (N, 2, H, W) and sRGB (N, 3, H, W) to sRGB (N, 3, H, W).
    """

    spoil: Callable[[Tensor, Tensor, Tensor], Tensor]

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L in [0, 100] and the true sRGB in [0, 1] to the distorted sRGB."""
        return self.spoil(L, rgb_to_lab(rgb)[:, 1:], rgb)


def turn_hue(ab: Tensor, degrees: float) -> Tensor:
    """Rotate *ab* (N, 2, H, W) counter-clockwise."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    a, b = ab[:, :1], ab[:, 1:]
    return torch.cat((c * a - s * b, s * a + c * b), dim=1)


def _blur(L: Tensor, ab: Tensor, rgb: Tensor) -> Tensor:
    from torchvision.transforms.functional import gaussian_blur

    return gaussian_blur(rgb, [13, 13], [2.0, 2.0])


DISTORTIONS: dict[str, Distortion] = {
    "ab x 0.5": Distortion(lambda L, ab, rgb: join(L, 0.5 * ab)),
    "ab x 1.5": Distortion(lambda L, ab, rgb: join(L, 1.5 * ab)),
    "hue + 60": Distortion(lambda L, ab, rgb: join(L, turn_hue(ab, 60))),
    "blur": Distortion(_blur),
    "shift": Distortion(lambda L, ab, rgb: rgb.roll((3, 3), (-2, -1))),
    "other ab": Distortion(lambda L, ab, rgb: join(L, ab.roll(1, 0))),
}


def ranks(table: Evaluation) -> dict[str, np.ndarray]:
    """Metric -> rank of each row of a table, 1 for the best.

    Metrics without a better end (colourfulness), or that were not measured, are left out.
    """
    found = {}
    for metric in table.metrics:
        cells = [table.interval(row, metric) for row in table.models]
        if METRICS[metric].better and None not in cells:
            sign = -1 if METRICS[metric].better == "higher" else 1
            found[metric] = rankdata([sign * cell.mean for cell in cells], "ordinal")
    return found
