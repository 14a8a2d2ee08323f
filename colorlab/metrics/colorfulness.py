"""Colourfulness: how vivid a picture looks, without a truth. Taught in notebook 03."""

from __future__ import annotations

import torch
from torch import Tensor

from colorlab.metrics.checks import check_batch


def colorfulness(x: Tensor) -> Tensor:
    """Colourfulness M3 of each picture, (N, 3, H, W) sRGB in [0, 1] to (N,).

    With rg = R - G and yb = (R + G)/2 - B on 0..255, both *signed*:
    M = sqrt(std(rg)^2 + std(yb)^2) + 0.3 sqrt(mean(rg)^2 + mean(yb)^2).
    0 is gray; the paper's viewers called 15 slightly, 45 averagely and 84 highly colourful.
    Some colorization papers take absolute values of rg and yb first, which gives
    smaller numbers: the two are not comparable.

    Raises:
        ValueError, TypeError: as :func:`colorlab.metrics.checks.check_batch`.

    Source: D. Hasler, S. Suesstrunk, "Measuring colourfulness in natural images",
    Human Vision and Electronic Imaging VIII, SPIE 5007, 2003, section 7.
    """
    check_batch(x)
    red, green, blue = (255 * x).flatten(2).unbind(1)  # each (N, H*W)
    rg = red - green
    yb = (red + green) / 2 - blue
    spread = torch.hypot(rg.std(dim=1, correction=0), yb.std(dim=1, correction=0))
    offset = torch.hypot(rg.mean(dim=1), yb.mean(dim=1))
    return spread + 0.3 * offset
