"""The colour-error atlas: what kind of error, at which lightness, on which colours.

Delta-E 76 says how far a colour is off, not in which way. In lightness, chroma and hue it has three
parts, whose squares sum to its square. A regressor's errors are mostly in chroma (too pale), those
of a model that samples mostly in hue (another colour). Taught in lesson 11.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from colorlab.color import rgb_to_lab
from colorlab.metrics.pairs import check_pair

BANDS = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)  # edges in L


class Share(NamedTuple):
    """Errors over the pixels of one region.

    The root mean squares of the parts, whose squares sum to that of ``total``; ``chroma_bias``,
    the mean of generated less true chroma, below 0 where colours are too pale; ``true_chroma``,
    the mean true chroma; and ``pixels``. All but the count are NaN where there are no pixels.
    """

    lightness: float
    chroma: float
    hue: float
    total: float
    chroma_bias: float
    true_chroma: float
    pixels: int


@dataclass(frozen=True)
class Region:
    """Colours around a hue, such as those of skin, sky or foliage.

    Attributes:
        hue: of its middle, degrees in the ab plane.
        width: degrees to either side.
        chroma: lowest and highest, CIE units.
        lightness: lowest and highest.
    """

    hue: float
    width: float
    chroma: tuple[float, float]
    lightness: tuple[float, float]

    def mask(self, lab: Tensor) -> Tensor:
        """Which pixels of lab (..., 3, H, W) are in it: (..., H, W) bool."""
        L, a, b = lab.unbind(-3)
        turn = torch.rad2deg(torch.atan2(b, a)) - self.hue
        inside = (torch.remainder(turn + 180, 360) - 180).abs() <= self.width  # the short way round
        for value, (low, high) in ((torch.hypot(a, b), self.chroma), (L, self.lightness)):
            inside &= (low <= value) & (value <= high)
        return inside


# Hues and chromas around the patches of the ColorChecker that are named after these objects:
# C. S. McCamy, H. Marcus, J. G. Davidson, "A color-rendition chart", J. Appl. Photogr. Eng. 2,
# 1976. Under D65 they lie at hue 50 (both skins, chroma 18 to 22), 271 (blue sky, 22) and 128
# (foliage, 26). The ranges around them are ours. They hold colours, not objects: wood and sand
# can be skin-coloured.
REGIONS: dict[str, Region] = {
    "skin": Region(50, 20, (9, 45), (30, 90)),
    "sky": Region(271, 25, (9, 45), (40, 95)),
    "foliage": Region(128, 25, (10, 60), (15, 75)),
}


def difference_parts(lab1: Tensor, lab2: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Split the difference of two colours: lab (..., 3, H, W) twice to three (..., H, W).

    ``lab2 - lab1`` in lightness and in chroma, and the hue difference dH = 2 sqrt(C1 C2) sin(dh/2)
    in the same units, positive where the hue turns from red towards yellow. Everywhere
    dE^2 = dL^2 + dC^2 + dH^2, up to rounding. A gray has no hue: its dH is 0.

    Source: CIE 15:2004, section 8.2.1.
    """
    L1, a1, b1 = lab1.unbind(-3)
    L2, a2, b2 = lab2.unbind(-3)
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    turn = torch.atan2(b2, a2) - torch.atan2(b1, a1)
    turn = torch.remainder(turn + math.pi, 2 * math.pi) - math.pi  # the short way round
    return L2 - L1, C2 - C1, 2 * torch.sqrt(C1 * C2) * torch.sin(turn / 2)


def _share(truth: Tensor, generated: Tensor, where: Tensor) -> Share:
    """The parts of the errors of some pixels: lab (N, 3, H, W) twice, and (N, H, W) bool."""
    parts = [part[where].double() for part in difference_parts(truth, generated)]
    squares = [part.square().mean() for part in parts]  # NaN for no pixels
    true_chroma = torch.hypot(truth[:, 1], truth[:, 2])[where].double().mean()
    values = [*(s.sqrt() for s in squares), sum(squares).sqrt(), parts[1].mean(), true_chroma]
    return Share(*(float(value) for value in values), int(where.sum()))


def atlas(truth: Tensor, generated: Tensor) -> dict[str, Share]:
    """Errors of generated images as a whole, by lightness band, and by region.

    Bands and regions are those of the *true* colours; the last band includes its upper edge.

    Args:
        truth: sRGB (N, 3, H, W) in [0, 1].
        generated: the same shape.

    Returns:
        ``"all"``, then ``"L 0-20"`` and so on, then each name of :data:`REGIONS`.
    """
    check_pair(generated, truth)
    true, made = rgb_to_lab(truth), rgb_to_lab(generated)
    light = true[:, 0]
    places = {"all": torch.ones_like(light, dtype=torch.bool)}
    for low, high in pairwise(BANDS):
        top = math.inf if high == BANDS[-1] else high  # white may come out a little over 100
        places[f"L {low:g}-{high:g}"] = (light >= low) & (light < top)
    places |= {name: region.mask(true) for name, region in REGIONS.items()}
    return {name: _share(true, made, where) for name, where in places.items()}
