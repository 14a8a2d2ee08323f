"""Distributions over colours: bins of the ab plane, smoothing along lightness, one colour out.

A method that says "red or blue, half and half" must not answer purple. So it keeps a
probability for each bin of the ab plane; neighbours that look alike are then asked to agree,
and only at the end is one colour taken. Taught in notebook 02.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

BIN_STEP = 10.0  # CIE units, the grid of Zhang, Isola and Efros 2016
MOST_BINS = 255  # so that a bin's number fits a byte
REACH = (1, 2, 4)  # cells, how far the smoothing looks in each of eight directions
EDGE = 8.0  # units of L; neighbours that differ by more are across an edge
FAR = 40.0  # CIE units; colours further apart than this disagree, how far no longer counts


def fit_bins(ab: Tensor, step: float = BIN_STEP, share: float = 1e-4) -> Tensor:
    """Find the bins that occur: squares of the ab plane with enough of the samples in them.

    Args:
        ab: (M, 2) samples in CIE units.
        step: side of the squares, CIE units.
        share: a square with less than this share of the samples is left out.

    Returns:
        (K, 2) the mean of the samples in each square, at most 255 squares, the fullest first.
    """
    squares, member, count = torch.unique(
        (ab / step).round().long(), dim=0, return_inverse=True, return_counts=True
    )
    sums = torch.zeros(len(squares), 2, dtype=torch.float64).index_add_(0, member, ab.double())
    order = count.argsort(descending=True, stable=True)
    order = order[count[order] >= max(1, share * len(ab))][:MOST_BINS]
    return (sums[order] / count[order, None]).float()


def nearest_bin(ab: Tensor, centers: Tensor) -> Tensor:
    """Which of the bins ``centers`` (K, 2) is nearest to each colour of ab (M, 2): (M,) int64."""
    return torch.cdist(ab, centers).argmin(dim=1)


def mean_field(
    probabilities: Tensor,
    L: Tensor,
    centers: Tensor,
    strength: float,
    iterations: int = 8,
) -> Tensor:
    """Let cells that look alike agree on their colour, edges in L keeping them apart.

    The energy is a unary term, -log p, and for each pair of neighbours w min(|c - c'|, FAR) /
    FAR, with w = exp(-(L difference / EDGE)^2 / 2). Charpiat, Hofmann and Schoelkopf 2008 find
    its least by graph cuts; the mean field keeps a distribution instead of one answer
    (Kraehenbuehl and Koltun 2011, algorithm 1, on a sparse neighbourhood). Weights are divided by
    their number, so that a cell at the border is smoothed as much as one inside, and one
    among strangers less.

    Args:
        probabilities: (N, K, h, w), summing to 1 over K.
        L: (N, 1, h, w) in [0, 100], of the same cells.
        centers: (K, 2) colours of the bins, CIE units.
        strength: of the pair term against the unary one; 0 changes nothing.
        iterations: parallel updates.

    Returns:
        (N, K, h, w), summing to 1 over K.

    Raises:
        ValueError: shapes that do not belong together, or a negative strength.
    """
    count, bins, *size = probabilities.shape
    if tuple(L.shape) != (count, 1, *size) or tuple(centers.shape) != (bins, 2):
        raise ValueError(
            f"probabilities {tuple(probabilities.shape)}, L {tuple(L.shape)} and centers "
            f"{tuple(centers.shape)} do not belong together"
        )
    if strength < 0:
        raise ValueError(f"strength must be at least 0, got {strength}")
    unary = probabilities.log()  # what is impossible stays impossible
    price = torch.cdist(centers, centers).clamp_max(FAR) / FAR  # (K, K)
    weights = _weights(L)  # (24, N, 1, h, w)
    belief = probabilities
    for _ in range(iterations if strength else 0):
        heard = torch.zeros_like(belief)
        for weight, there in zip(weights, _views(belief), strict=True):
            heard.addcmul_(weight, there)
        cost = torch.einsum("kc,nchw->nkhw", price, heard)
        belief = (unary - strength * cost).softmax(dim=1)
    return belief


def _weights(L: Tensor) -> Tensor:
    """Weight of each neighbour of each cell, (24, N, 1, h, w), 0 for those outside the picture."""
    inside = torch.stack(_views(torch.ones_like(L)))
    alike = torch.exp(-((L - torch.stack(_views(L))) / EDGE).square() / 2)
    return inside * alike / inside.sum(dim=0).clamp_min(1)


def _views(x: Tensor) -> list[Tensor]:
    """X (N, C, h, w) seen from each cell's 24 neighbours, 0 outside: views, not copies."""
    height, width = x.shape[-2:]
    margin = max(REACH)
    padded = F.pad(x, (margin,) * 4)
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    corners = [(margin + reach * y, margin + reach * x) for reach in REACH for y, x in steps]
    return [padded[..., y : y + height, x : x + width] for y, x in corners]


def annealed_mean(probabilities: Tensor, centers: Tensor, temperature: float) -> Tensor:
    """One colour from each distribution: the mean after sharpening, p^(1/T) normalised.

    Zhang, Isola and Efros 2016, eq. 5: T = 1 is the mean, which is dull; T near 0 the mode, which
    is spotty; they take 0.38.

    Args:
        probabilities: (N, K, h, w), summing to 1 over K.
        centers: (K, 2) colours of the bins, CIE units.
        temperature: T, above 0.

    Returns:
        (N, 2, h, w) chroma in CIE units.

    Raises:
        ValueError: the temperature is not above 0.
    """
    if not temperature > 0:
        raise ValueError(f"temperature must be above 0, got {temperature}")
    sharp = (probabilities.log() / temperature).softmax(dim=1)
    return torch.einsum("nkhw,kc->nchw", sharp, centers.to(sharp))
