"""Large pictures: a band of rows at a time, and lightness shrunk to the size of training.

Floats of a whole picture would fill the memory. Colour arithmetic takes some forty
times the bytes of an 8-bit picture, if it is done at once. It looks at one pixel at a time, so
bands give the same answer. A picture of up to ``MOST_PIXELS`` is one band.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import from_uint8, lightness

MOST_PIXELS = 2**20
"""Of a band: its arithmetic then takes about 150 MB."""

MOST_STRETCH = 0.1
"""By which the proportions of a picture may change when its sides are rounded to multiples."""

MOST_AREA = 16
"""Of a resized picture, in squares of the training size: of 1,000 times its height, and more, the
proportions are not kept."""


def bands(height: int, width: int) -> list[slice]:
    """Cut a picture into bands of whole rows, of ``MOST_PIXELS`` at most or of one row."""
    step = max(1, MOST_PIXELS // width)
    return [slice(top, min(top + step, height)) for top in range(0, height, step)]


def lightness_of(picture: np.ndarray, device: torch.device | str = "cpu") -> Tensor:
    """L (1, 1, H, W) in [0, 100] of (H, W, 3) uint8 or uint16, computed and kept on ``device``."""
    height, width = picture.shape[:2]
    L = torch.empty(1, 1, height, width, device=device)
    for rows in bands(height, width):
        part = picture[rows][None]
        if part.dtype == np.uint16:
            rgb = torch.from_numpy(part.astype(np.float32) / 65535).to(device).movedim(-1, -3)
        else:
            rgb = from_uint8(torch.from_numpy(part).to(device))
        L[..., rows, :] = lightness(rgb)
    return L


def enlarged_rows(x: Tensor, height: int, rows: slice) -> Tensor:
    """R rows (N, C, R, w) of ``x`` (N, C, h, w), bilinearly resized to ``height`` rows.

    Equals those rows of ``F.interpolate(x, (height, w), mode="bilinear")``, within rounding.
    """
    least = x.shape[-2]
    # Positions are centres of pixels; half a row in from the edge, the edge itself is repeated.
    at = (torch.arange(rows.start, rows.stop, dtype=torch.float64) + 0.5) * (least / height) - 0.5
    above = at.clamp_(0, least - 1).floor().long()
    below = (above + 1).clamp_max_(least - 1)
    weight = (at - above).to(x)[:, None]  # (R, 1)
    return torch.lerp(x[..., above.to(x.device), :], x[..., below.to(x.device), :], weight)


def resize_to_area(L: Tensor, size: int, multiple: int, least: int = 0) -> Tensor:
    """Resize, antialiased, to about the area of ``size`` x ``size``; the proportions are kept.

    What was learned at one scale means nothing at another: a network that has seen 256x256
    pictures takes a 4,000 pixel wide sky for a wall. Rounding the sides to multiples changes the
    proportions a little. Where it would change them by more than ``MOST_STRETCH``, as of a very
    long picture, its short side is rounded and the long one follows, at a larger area.

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

    def rounded(side: float) -> int:
        return max(least or multiple, round(side / multiple) * multiple)

    wanted = [rounded(height * scale), rounded(width * scale)]
    ratio = max(height, width) / min(height, width)
    short, long = sorted(wanted)
    if not 1 / (1 + MOST_STRETCH) <= ratio * short / long <= 1 + MOST_STRETCH:
        long = rounded(min(ratio * short, MOST_AREA * size**2 / short))
        wanted = [short, long] if height < width else [long, short]
    if wanted == [height, width]:
        return L
    return F.interpolate(L, size=wanted, mode="bilinear", antialias=True, align_corners=False)
