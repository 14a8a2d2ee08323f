r"""Hints from the ground truth, and a prediction for every pixel from hints alone: kriging.

A row of a table with n hints knows the true colour of n pixels. It does not compete with methods
that see gray alone; it measures what a few correct strokes are worth.

A single pixel is a weak hint to Levin's method: in two dimensions a random walk seldom reaches a
given point, so a hint's colour falls off steeply around it and far regions settle on a mean.
Kriging compares each pixel with every hint directly, by position, lightness and lightness of the
surroundings, so that a hint on one leaf informs the next leaf. It ignores edges.
:func:`levin_guided` combines the two.

Ordinary kriging is the best linear unbiased prediction of a random field with unknown mean,

.. math:: \hat x(p) = \mu + k(p)^T K^{-1} (x - \mu 1), \qquad k(p, q) = e^{-\|f_p - f_q\|}.

Source: N. Cressie, "Statistics for Spatial Data", 1993, section 3.2; the same as the mean of a
Gaussian process with exponential covariance (C. Rasmussen, C. Williams, "Gaussian Processes for
Machine Learning", 2006, sections 2.7 and 4.2). Taught in lesson 02.
"""

from __future__ import annotations

import math
import zlib

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.checks import check_pictures
from colorlab.classical.scribbles import check_hints, levin
from colorlab.color import join, rgb_to_lab, to_uint8

# Length scales of the covariance and what follows them: tuned for Delta-E with 50 and 200 hints
# on validation photographs, where a third more or less of each changes little.
_POSITION = 0.35  # of the image's longer side
_TONE = 50.0  # of L
_AROUND = 35.0  # of L averaged over the surroundings
_SURROUNDINGS = 1 / 128  # their size, of the longer side: 2 pixels at 256
_NUGGET = 0.003  # share of the variance that is noise; two hints on similar pixels may differ
TRUST = 0.05  # in the prediction, beside the neighbours of a pixel

_MOST_HINTS = 1000  # of strokes, every k-th pixel is as informative as all
_CHUNK = 1 << 22  # covariances at a time: 16 MiB


def random_hints(rgb: Tensor, n: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Return the true colour of ``n`` random pixels of each image (N, 3, H, W), sRGB in [0, 1].

    The sample depends only on ``seed`` and on the image, as 8 bit: neither on its position in a
    batch nor on earlier calls. More hints include fewer: the first 10 of 50 are the 10.

    Returns:
        ab (N, 2, H, W) in CIE units, 0 without a hint, and mask (N, 1, H, W) bool.
    """
    check_pictures(rgb)
    height, width = rgb.shape[-2:]
    if not 1 <= n <= height * width:
        raise ValueError(f"want 1 to {height * width} hints for {height}x{width} pixels, got {n}")
    mask = torch.zeros(len(rgb), 1, height * width, dtype=torch.bool)
    for one, picture in zip(mask[:, 0], to_uint8(rgb), strict=True):
        random = np.random.default_rng([seed, zlib.crc32(picture.tobytes())])
        one[torch.from_numpy(random.permutation(height * width)[:n])] = True
    mask = mask.unflatten(2, (height, width)).to(rgb.device)
    return torch.where(mask, rgb_to_lab(rgb)[:, 1:], 0), mask


def krige(L: Tensor, ab: Tensor, mask: Tensor) -> Tensor:
    """Predict the chroma of every pixel from the hints, by ordinary kriging.

    Args:
        L: (N, 1, H, W) in [0, 100].
        ab: (N, 2, H, W), CIE units, read where ``mask`` is true only.
        mask: (N, 1, H, W) bool. Of more than 1,000 hints in an image, 1,000 are used.

    Returns:
        (N, 2, H, W) in CIE units, in the precision of ``L``. It may leave the range of the hints.
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
    """:func:`levin` with a weak hint on every pixel, for colour that no stroke reaches.

    Hints are kept exactly. On all other pixels the hint is ``guess`` (N, 2, H, W), such as a
    network's prediction, or :func:`krige`, with ``trust`` in (0, 1] as confidence.
    """
    guess = krige(L, ab, mask) if guess is None else guess
    confidence = torch.where(mask, 1.0, trust)
    return levin(L, torch.where(mask, ab, guess), torch.ones_like(mask), confidence)


class LevinHints:
    """Levin's method with n random hints from the ground truth, as a row of a table.

    It sees the ground truth, so it has no ``colorize``; :func:`colorlab.metrics.evaluate` calls
    :meth:`colorize_known`. With ``guided`` it is :func:`levin_guided`.
    """

    def __init__(self, n: int, seed: int = 0, guided: bool = False) -> None:
        self.n, self.seed, self.guided = n, seed, guided

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        """L (N, 1, H, W) and the true sRGB (N, 3, H, W) to sRGB (N, 3, H, W)."""
        solve = levin_guided if self.guided else levin
        return join(L, solve(L, *random_hints(rgb, self.n, self.seed)))


def _features(L: Tensor) -> Tensor:
    """What kriging compares, in units over which the covariance falls to 1/e: (N, 4, H, W)."""
    height, width = L.shape[-2:]
    side = max(height, width)
    y = torch.arange(height, dtype=L.dtype, device=L.device) / (side * _POSITION)
    x = torch.arange(width, dtype=L.dtype, device=L.device) / (side * _POSITION)
    position = [v.expand(len(L), 1, -1, -1) for v in torch.meshgrid(y, x, indexing="ij")]
    around = _blur(_blur(L, side * _SURROUNDINGS).mT, side * _SURROUNDINGS).mT
    return torch.cat([*position, L / _TONE, around / _AROUND], dim=1)


def _blur(L: Tensor, sigma: float) -> Tensor:
    """Gaussian along rows; the border is repeated."""
    reach = math.ceil(3 * sigma)
    steps = torch.arange(-reach, reach + 1, dtype=L.dtype, device=L.device)
    kernel = torch.exp(-0.5 * (steps / sigma).square())
    padded = F.pad(L, (reach, reach, 0, 0), mode="replicate")
    return F.conv2d(padded, (kernel / kernel.sum()).view(1, 1, 1, -1))


def _krige(features: Tensor, ab: Tensor, hints: Tensor) -> Tensor:
    """One image: features (P, 4), chroma (P, 2), indices of hints (m,) to chroma (P, 2)."""
    if len(hints) > _MOST_HINTS:
        hints = hints[torch.linspace(0, len(hints) - 1, _MOST_HINTS).round().long()]
    known, m = features[hints], len(hints)
    # The last row and column make the weights of each prediction sum to 1, so that it is unbiased.
    system = features.new_ones(m + 1, m + 1, dtype=torch.float64)
    system[:m, :m] = _covariance(known, known)
    system.diagonal()[:m] += _NUGGET
    system[m, m] = 0
    wanted = F.pad(ab[hints].double(), (0, 0, 0, 1))
    weights = torch.linalg.solve(system, wanted).to(features)  # (m + 1, 2)
    chunks = features.split(max(1, _CHUNK // m))
    return torch.cat([_covariance(some, known) @ weights[:m] + weights[m] for some in chunks])


def _covariance(a: Tensor, b: Tensor) -> Tensor:
    return torch.exp(-torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist"))
