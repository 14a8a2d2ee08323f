r"""A guess for every pixel from the hints alone: near in place and in tone, near in colour.

Levin's method looks at steps of lightness only. A single pixel is a weak hint to it: in two
dimensions a random walk seldom meets a given point, so a hint's colour drops steeply around it
and far regions settle on a mean. Kriging has the other view. It compares a pixel with each hint
directly, wherever it is, by place, lightness and lightness of the surroundings, so that a second
leaf learns from a hint on the first. It knows no edges. Each mends what the other lacks:
:func:`levin_guided` runs Levin's method with the kriged colour as a weak hint on every pixel.

Ordinary kriging is the best linear unbiased prediction of a random field with unknown mean,

.. math:: \hat x(p) = \mu + k(p)^T K^{-1} (x - \mu 1), \qquad k(p, q) = e^{-\|f_p - f_q\|},

Source: N. Cressie, "Statistics for Spatial Data", 1993, section 3.2; the same as the mean of a
Gaussian process with exponential covariance (C. Rasmussen, C. Williams, "Gaussian Processes for
Machine Learning", 2006, sections 2.7 and 4.2). Taught in notebook 02.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.classical.scribbles import check_hints, levin

# Scales over which likeness falls to 1/e, and the rest below: tuned for Delta-E with 50 and 200
# hints on validation photographs, where a third more or less of each changes little.
_PLACE = 0.35  # of the picture's longer side
_TONE = 50.0  # of L
_AROUND = 35.0  # of L averaged over the surroundings
_SURROUNDINGS = 1 / 128  # their size, of the longer side: 2 pixels at 256
_NUGGET = 0.003  # share of the variance that is noise; two hints on like pixels may differ
TRUST = 0.05  # in the guess, beside the neighbours of a pixel

_MOST_HINTS = 1000  # of strokes, every k-th pixel tells as much as all
_CHUNK = 1 << 22  # likenesses at a time: 16 MiB


def krige(L: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
    """Predict the chroma of every pixel from the hints, by ordinary kriging.

    Args:
        L: (N, 1, H, W) in [0, 100].
        ab: (N, 2, H, W), CIE units, read where ``mask`` is true only.
        mask: (N, 1, H, W) bool. Beyond 1,000 hints in a picture, 1,000 of them are used.

    Returns:
        (N, 2, H, W) in CIE units, in the precision of ``L``. It may leave the range of the hints.

    Raises:
        TypeError, ValueError: as :func:`colorlab.classical.scribbles.levin`.
    """
    check_hints(L, ab, mask)
    answers = [
        _krige(features, chroma, known.nonzero()[:, 0])
        for features, chroma, known in zip(
            _features(L).flatten(2).mT, ab.flatten(2).mT, mask.flatten(1), strict=True
        )
    ]  # (H * W, 2) each
    return torch.stack(answers).mT.unflatten(2, L.shape[-2:]).to(L.dtype)


def levin_guided(
    L: Tensor, ab: Tensor, mask: Tensor, guess: Tensor | None = None, trust: float = TRUST
) -> Tensor:
    """Levin's method with a weak hint on every pixel: colour that no stroke reaches is guessed.

    Args:
        L: (N, 1, H, W) in [0, 100].
        ab: (N, 2, H, W), CIE units, read where ``mask`` is true only; kept there exactly.
        mask: (N, 1, H, W) bool.
        guess: (N, 2, H, W), CIE units, such as a network's answer; None for :func:`krige`.
        trust: in (0, 1], the confidence in the guess: see :func:`levin`.

    Returns:
        (N, 2, H, W) in CIE units.

    Raises:
        TypeError, ValueError: as :func:`levin`, of the guess too.
    """
    check_hints(L, ab, mask)
    guess = krige(L, ab, mask) if guess is None else guess
    everywhere = torch.ones_like(mask)
    check_hints(L, guess, everywhere, trust)
    confidence = torch.where(mask, 1.0, trust)
    return levin(L, torch.where(mask, ab, guess), everywhere, confidence)


def _features(L: Tensor) -> Tensor:
    """What makes pixels alike, in units over which likeness falls to 1/e: (N, 4, H, W)."""
    height, width = L.shape[-2:]
    side = max(height, width)
    y = torch.arange(height, dtype=L.dtype, device=L.device) / (side * _PLACE)
    x = torch.arange(width, dtype=L.dtype, device=L.device) / (side * _PLACE)
    places = [v.expand(len(L), 1, -1, -1) for v in torch.meshgrid(y, x, indexing="ij")]
    around = _blur(_blur(L, side * _SURROUNDINGS).mT, side * _SURROUNDINGS).mT
    return torch.cat([*places, L / _TONE, around / _AROUND], dim=1)


def _blur(L: Tensor, sigma: float) -> Tensor:
    """Gaussian along rows; beyond an edge, its pixel goes on."""
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=L.dtype, device=L.device)
    kernel = torch.exp(-0.5 * (steps / sigma).square())
    padded = F.pad(L, (reach, reach, 0, 0), mode="replicate")
    return F.conv2d(padded, (kernel / kernel.sum()).view(1, 1, 1, -1))


def _krige(features: Tensor, ab: Tensor, hints: Tensor) -> Tensor:
    """One picture: features (P, 4), chroma (P, 2), indices of hints (m,) to chroma (P, 2)."""
    if len(hints) > _MOST_HINTS:
        hints = hints[torch.linspace(0, len(hints) - 1, _MOST_HINTS).round().long()]
    places = features[hints]
    m = len(hints)
    # The last row and column make the weights of each prediction sum to 1: that finds the mean.
    system = features.new_ones(m + 1, m + 1, dtype=torch.float64)
    system[:m, :m] = torch.exp(-_distances(places, places))
    system.diagonal()[:m] += _NUGGET
    system[m, m] = 0
    wanted = F.pad(ab[hints].double(), (0, 0, 0, 1))
    weights = torch.linalg.solve(system, wanted).to(features)  # (m + 1, 2)
    return torch.cat(
        [
            torch.exp(-_distances(some, places)) @ weights[:m] + weights[m]
            for some in features.split(max(1, _CHUNK // m))
        ]
    )


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
