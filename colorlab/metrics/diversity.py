"""Diversity: what several draws of one picture are worth, measured against one truth.

Every picture has one true colouring here, and a model that draws has many answers. Three
numbers are common, and each alone misleads:

*best of n* sees the truth. It falls with n by chance alone, and it can prefer a model that
draws rare colours too often. Compare it at equal n only, and call it an oracle.
*pairwise distance* knows no truth: noise has much of it, and so has a good model.
*energy score* is a proper scoring rule: on average over many pictures, nothing scores lower
than the true distribution itself. It says little about one picture.

For a model with a single answer, best of n is its error, the pairwise distance is 0, and the
energy score is its root-mean-square error in ab.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from colorlab.color import rgb_to_lab
from colorlab.metrics.pairs import check_batch, delta_e76, length

Distance = Callable[[Tensor, Tensor], Tensor]  # (N, 3, H, W) sRGB twice to (N,)


def ab_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean distance in the ab plane: sRGB (N, 3, H, W) in [0, 1] twice to (N,), CIE units.

    It is Delta-E 76 with lightness left out, so that draws which share their L, up to rounding
    and to clipping at the gamut, differ in nothing else.
    """
    return length(_ab(x) - _ab(y)).mean(dim=(-2, -1))


def best_of(samples: Tensor, truth: Tensor, distance: Distance = delta_e76) -> Tensor:
    """Distance of the best draw of each picture to the truth.

    It never grows when draws are added, however bad they are: a number for n draws compares
    with another number for n draws only. Who picks the draw knows the truth.

    Args:
        samples: (n, N, 3, H, W) sRGB in [0, 1].
        truth: (N, 3, H, W) sRGB in [0, 1].
        distance: of two batches, for example :func:`delta_e76` or :func:`lpips`.

    Returns:
        (N,), in the units of ``distance``.

    Raises:
        ValueError, TypeError: shapes that do not agree, or values that are no pictures.
    """
    _check(samples, truth)
    return torch.stack([distance(draw, truth) for draw in samples]).amin(dim=0)


def pairwise(samples: Tensor, distance: Distance | None = None) -> Tensor:
    """Mean distance between two different draws of the same picture.

    Args:
        samples: (n, N, 3, H, W) sRGB in [0, 1], n at least 2.
        distance: of two batches, for example :func:`lpips`; None for :func:`ab_distance`.

    Returns:
        (N,) over all n (n - 1) / 2 pairs, at least 0. 0 says that all draws are equal; no
        amount is right in itself.

    Raises:
        ValueError, TypeError: fewer than two draws, or values that are no pictures.

    Source: J.-Y. Zhu et al., "Toward multimodal image-to-image translation", NeurIPS 2017,
    section 5 (there with LPIPS).
    """
    _check(samples, least=2)
    pairs = list(combinations(range(len(samples)), 2))
    if distance is None:
        ab = _ab(samples)  # converted once, not once a pair
        distances = [length(ab[i] - ab[j]).mean((-2, -1)) for i, j in pairs]
    else:
        distances = [distance(samples[i], samples[j]) for i, j in pairs]
    return torch.stack(distances).mean(dim=0)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Energy score of n draws of each picture against the one truth; lower is better.

    mean_i ||x_i - y|| - 1/2 mean_(i != j) ||x_i - x_j||, where the distance of two pictures is
    the root mean square over pixels of their distance in ab: a Euclidean norm of the whole
    picture, for which the score is strictly proper. (The mean over pixels in its place would
    judge each pixel by itself, and not see whether a balloon has one colour.)
    The second mean leaves out i = j, so the expected score does not depend on n.

    Args:
        samples: (n, N, 3, H, W) sRGB in [0, 1], n at least 2.
        truth: (N, 3, H, W) sRGB in [0, 1].

    Returns:
        (N,) in CIE ab units. Its expectation is at least 0 under the true distribution; one
        picture's value may fall below.

    Raises:
        ValueError, TypeError: fewer than two draws, shapes that do not agree, or values that
            are no pictures.

    Source: T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and
    estimation", JASA 102, 2007, equation 22 with beta = 1; without i = j: C. Ferro, "Fair
    scores for ensemble forecasts", Q. J. R. Meteorol. Soc. 140, 2014.
    """
    _check(samples, truth, least=2)
    n, pixels = len(samples), truth.shape[-2] * truth.shape[-1]
    # Divided by the root of the number of pixels, the plain norm is the root mean square.
    x = _ab(samples).flatten(2).transpose(0, 1) / pixels**0.5  # (N, n, 2 H W)
    y = _ab(truth).flatten(1)[:, None] / pixels**0.5  # (N, 1, 2 H W)
    # The direct form: by matrix products, equal draws would seem to differ.
    exact = "donot_use_mm_for_euclid_dist"
    error = torch.cdist(x, y, compute_mode=exact).mean(dim=(1, 2))
    spread = torch.cdist(x, x, compute_mode=exact).sum(dim=(1, 2)) / (n * (n - 1))
    return error - spread / 2


def _ab(rgb: Tensor) -> Tensor:
    """Chroma (..., 2, H, W) of sRGB (..., 3, H, W)."""
    return rgb_to_lab(rgb)[..., 1:, :, :]


def _check(samples: Tensor, truth: Tensor | None = None, least: int = 1) -> None:
    if not isinstance(samples, Tensor) or samples.ndim != 5:
        got = tuple(samples.shape) if isinstance(samples, Tensor) else type(samples).__name__
        raise ValueError(f"samples must be a tensor of shape (n, N, 3, H, W), got {got}")
    if len(samples) < least:
        raise ValueError(f"want at least {least} samples of each picture, got {len(samples)}")
    check_batch(samples.flatten(0, 1), "samples")
    if truth is not None:
        check_batch(truth, "truth")
        if samples.shape[1:] != truth.shape:
            raise ValueError(
                f"samples {tuple(samples.shape)} do not fit the truth {tuple(truth.shape)}"
            )
