"""Colour difference: how far apart two colours look, CIE76 and CIEDE2000.

Both work on CIE Lab (D65, 2 degree observer), so 1 is about the smallest
difference an eye notices. CIE76 is the plain distance in Lab. It overrates
differences between saturated colours, which CIEDE2000 weighs down: gray against a
colourful photograph measures about 20 in the one and 13 in the other. So a
number without the formula's name says nothing. Taught in notebook 03.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from colorlab.color import rgb_to_lab
from colorlab.metrics.checks import check_pair

_DEGREE = math.pi / 180
_25_TO_7 = 25.0**7


def length(vectors: Tensor) -> Tensor:
    """Euclidean length over the channels: (..., C, H, W) to (..., H, W), in the same units.

    `torch.linalg.vector_norm` takes ten times as long over a dimension that is not the last. As
    there, the gradient at length 0 is 0.
    """
    squares = vectors.square().sum(dim=-3)
    none = squares == 0  # where the root has no slope
    return squares.masked_fill(none, 1).sqrt().masked_fill(none, 0)


def cie76(lab1: Tensor, lab2: Tensor) -> Tensor:
    """Euclidean distance in Lab for each pixel: (..., 3, H, W) twice to (..., H, W).

    Source: CIE 15:2004, equation 8.21.
    """
    return length(lab1 - lab2)


def ciede2000(lab1: Tensor, lab2: Tensor) -> Tensor:
    """CIEDE2000 for each pixel: lab (..., 3, H, W) twice to (..., H, W), with kL = kC = kH = 1.

    Source: G. Sharma, W. Wu, E. N. Dalal, "The CIEDE2000 color-difference formula:
    implementation notes, supplementary test data, and mathematical observations",
    Color Research and Application 30(1), 2005; the comments give its equations.
    """
    L1, a1, b1 = lab1.unbind(-3)
    L2, a2, b2 = lab2.unbind(-3)

    # Letters are the paper's. Gray colours have their a stretched, which evens out the hue
    # circle there (eqs 2 to 6).
    chroma = (torch.hypot(a1, b1) + torch.hypot(a2, b2)) / 2
    stretch = 1.5 - 0.5 * torch.sqrt(_share_of_25(chroma))
    a1, a2 = a1 * stretch, a2 * stretch
    C1, C2 = torch.hypot(a1, b1), torch.hypot(a2, b2)
    h1, h2 = _hue(a1, b1), _hue(a2, b2)  # eq. 7

    # Differences, and the hue's the short way round (eqs 8 to 11). A gray has no hue: its C of
    # zero cancels dH, and the mean hue must then be that of the other colour.
    turn = h2 - h1
    dh = turn - 2 * math.pi * torch.round(turn / (2 * math.pi))
    dL, dC = L2 - L1, C2 - C1
    dH = 2 * torch.sqrt(C1 * C2) * torch.sin(dh / 2)

    # Means (eqs 12 to 14): the mean hue bisects the shorter arc.
    L, C = (L1 + L2) / 2, (C1 + C2) / 2
    h = torch.where(C1 == 0, h2, torch.where(C2 == 0, h1, h1 + dh / 2))

    # Weights: hue, lightness, chroma (eqs 15, 18 to 20).
    T = (
        1
        - 0.17 * torch.cos(h - 30 * _DEGREE)
        + 0.24 * torch.cos(2 * h)
        + 0.32 * torch.cos(3 * h + 6 * _DEGREE)
        - 0.20 * torch.cos(4 * h - 63 * _DEGREE)
    )
    from_50 = (L - 50) ** 2
    S_L = 1 + 0.015 * from_50 / torch.sqrt(20 + from_50)
    S_C = 1 + 0.045 * C
    S_H = 1 + 0.015 * C * T

    # Rotation: in the blues, chroma and hue differences lean on each other (eqs 16, 17, 21).
    from_blue = torch.remainder(h, 2 * math.pi) / _DEGREE - 275
    lean = torch.sin(60 * _DEGREE * torch.exp(-((from_blue / 25) ** 2)))
    R_T = -2 * torch.sqrt(_share_of_25(C)) * lean

    lightness, chroma, hue = dL / S_L, dC / S_C, dH / S_H
    squared = lightness**2 + chroma**2 + hue**2 + R_T * chroma * hue  # eq. 22
    return torch.sqrt(squared.clamp_min(0))  # rounding can leave a tiny negative for equal colours


def _hue(a: Tensor, b: Tensor) -> Tensor:
    """Hue angle in [0, 2 pi): the range decides on which side the mean of opposite hues falls."""
    return torch.remainder(torch.atan2(b, a), 2 * math.pi)


def _share_of_25(chroma: Tensor) -> Tensor:
    """C^7 / (C^7 + 25^7), the formula's switch from gray (0) to saturated (1)."""
    square = chroma * chroma
    power = square * square * square * chroma
    return power / (power + _25_TO_7)


_FORMULAS = {"76": cie76, "00": ciede2000}


def delta_e_map(x: Tensor, y: Tensor, formula: str = "00") -> Tensor:
    """Colour difference for each pixel: sRGB (N, 3, H, W) in [0, 1] twice to (N, H, W).

    Args:
        x: the one batch.
        y: the other.
        formula: ``"76"`` or ``"00"`` (CIEDE2000).

    Raises:
        ValueError, TypeError: as :func:`colorlab.metrics.checks.check_pair`, or an unknown formula.
    """
    if formula not in _FORMULAS:
        raise ValueError(f"unknown Delta-E formula {formula!r}; known: {', '.join(_FORMULAS)}")
    check_pair(x, y)
    return _map(to_lab(x), to_lab(y), formula)


def delta_e(x: Tensor, y: Tensor, formula: str = "00") -> Tensor:
    """Mean colour difference of each picture, (N, 3, H, W) in [0, 1] twice to (N,).

    Arguments and errors as :func:`delta_e_map`. 0 for equal pictures; 100 for black
    against white.
    """
    return delta_e_map(x, y, formula).mean(dim=(-2, -1))


def to_lab(x: Tensor) -> Tensor:
    """Lab (N, 3, H, W) of sRGB (N, 3, H, W): what every formula starts from."""
    return torch.stack([rgb_to_lab(picture) for picture in x])


def between_labs(lab1: Tensor, lab2: Tensor, formula: str) -> Tensor:
    """:func:`delta_e` of pictures that are Lab already, (N, 3, H, W) twice to (N,)."""
    return _map(lab1, lab2, formula).mean(dim=(-2, -1))


def _map(lab1: Tensor, lab2: Tensor, formula: str) -> Tensor:
    difference = _FORMULAS[formula]
    # One picture at a time: the many intermediate images then stay in the processor's cache.
    return torch.stack([difference(p, q) for p, q in zip(lab1, lab2, strict=True)])


def delta_e76(x: Tensor, y: Tensor) -> Tensor:
    """Mean CIE76 difference of each picture, the reference course's: see :func:`delta_e`."""
    return delta_e(x, y, "76")


def delta_e00(x: Tensor, y: Tensor) -> Tensor:
    """Mean CIEDE2000 difference of each picture: see :func:`delta_e`."""
    return delta_e(x, y, "00")
