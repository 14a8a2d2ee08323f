"""Calibration of draws: does the truth look like one more of them?

Draws of a model say where the truth may lie: near one of them. A set that should hold it with 90 %
must do so for 90 % of the pixels, no less and no more. Taught in notebook 10.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def in_prediction_set(draws: Tensor, truth: Tensor, level: float = 0.9) -> Tensor:
    """Where the truth lies in the set that the draws give it with probability ``level``.

    The truth is laid among the n draws of its pixel. Each of the n + 1 colours has a distance to
    its nearest neighbour among the others; the set leaves out colours that stand apart, those
    whose distance is among the largest. If the truth comes from the draws' distribution, all
    n + 1 are alike, and it is in the set with probability :func:`exact_coverage`, whatever the
    distribution is. The set follows a palette: it may be three islands of colour.

    Source: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", section
    2.2 (transductive conformal prediction), with the distance to the nearest neighbour.

    Args:
        draws: (n, N, 2, h, w) chroma, CIE units, of one model.
        truth: (N, 2, h, w) chroma.
        level: share of the pixels that the set should hold, in (0, 1).

    Returns:
        (N, h, w) bool.

    Raises:
        ValueError: shapes that do not fit, a level outside (0, 1), or fewer than two draws.
    """
    if draws.ndim != 5 or draws.shape[1:] != truth.shape:
        raise ValueError(
            f"want draws (n, N, 2, h, w) and truth (N, 2, h, w), got {tuple(draws.shape)} and "
            f"{tuple(truth.shape)}"
        )
    n = len(draws)
    rank = _rank(n, level)
    inside = []
    for own, true in zip(draws.unbind(dim=1), truth, strict=True):
        colours = torch.cat((own, true[None])).flatten(2).permute(2, 0, 1)  # (hw, n + 1, 2)
        apart = torch.cdist(colours, colours, compute_mode="donot_use_mm_for_euclid_dist")
        apart.diagonal(dim1=1, dim2=2).fill_(math.inf)
        nearest = apart.amin(dim=2)  # (hw, n + 1)
        below = (nearest[:, :n] < nearest[:, n:]).sum(dim=1)
        inside.append((below < rank).view(true.shape[-2:]))
    return torch.stack(inside)


def exact_coverage(n: int, level: float = 0.9) -> float:
    """What :func:`in_prediction_set` covers of truths that are like the n draws.

    ``level``, rounded up to a multiple of 1 / (n + 1): 0.9 for 9, 19 or 29 draws.

    Raises:
        ValueError: a level outside (0, 1), or fewer than two draws.
    """
    return _rank(n, level) / (n + 1)


def _rank(n: int, level: float) -> int:
    if n < 2:
        raise ValueError(f"want at least two draws, got {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    return math.ceil(level * (n + 1) - 1e-9)
