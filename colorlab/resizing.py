"""Bring lightness to the size at which a method looks at it."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def resize_to_area(L: Tensor, size: int, multiple: int, least: int = 0) -> Tensor:
    """Resize, antialiased, to about the area of ``size`` x ``size``; the shape is kept.

    What was learned at one scale means nothing at another: a network that has seen 256x256
    pictures takes a 4,000 pixel wide sky for a wall.

    Args:
        L: (N, 1, H, W) in [0, 100].
        size: side of the training pictures, pixels.
        multiple: the sides of the answer are multiples of this.
        least: shortest side of the answer; ``multiple`` unless told.

    Returns:
        (N, 1, h, w) in [0, 100]; ``L`` itself where it has that size.
    """
    height, width = L.shape[-2:]
    scale = size / (height * width) ** 0.5
    wanted = [
        max(least or multiple, round(side * scale / multiple) * multiple)
        for side in (height, width)
    ]
    if wanted == [height, width]:
        return L
    return F.interpolate(L, size=wanted, mode="bilinear", antialias=True, align_corners=False)
