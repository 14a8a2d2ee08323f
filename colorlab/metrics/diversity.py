"""Diversity: what several samples of one image are worth, measured against one truth.

Every image has one true colouring here, and a model that samples has many predictions. Three
numbers are common, and each alone misleads:

*best of n* sees the truth. It falls with n by chance alone, and it can prefer a model that
samples rare colours too often. Compare it at equal n only, and call it an oracle.
*pairwise distance* does not use the truth: noise scores high, and so does a good model.
*energy score* is a proper scoring rule: on average over many images, nothing scores lower
than the true distribution itself. It says little about one image.

For a model with a single prediction, best of n is its error, the pairwise distance is 0, and the
energy score is its root-mean-square error in ab. :func:`evaluate_diversity` measures all three.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from colorlab.checks import check_pictures
from colorlab.color import rgb_to_lab
from colorlab.metrics.evaluation import Batch, measure_table
from colorlab.metrics.pairs import check_pair, colorfulness, delta_e76, length
from colorlab.metrics.perceptual import lpips
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import DIVERSITY, MeanOf, Row, picture_generator, round_to_8_bit

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures


def ab_distance(x: Tensor, y: Tensor) -> Tensor:
    """Mean distance in the ab plane: sRGB (N, 3, H, W) in [0, 1] twice to (N,), CIE units.

    It is Delta-E 76 without lightness, which samples of one image share up to rounding and
    clipping to the gamut.
    """
    return length(_ab(x) - _ab(y)).mean(dim=(-2, -1))


def pairwise(samples: Tensor) -> Tensor:
    """Mean :func:`ab_distance` between two different samples of the same image.

    Args:
        samples: (n, N, 3, H, W) sRGB in [0, 1], n at least 2.

    Returns:
        (N,) over all n (n - 1) / 2 pairs, at least 0. 0 says that all samples are equal; no
        amount is right in itself.

    Source: J.-Y. Zhu et al., "Toward multimodal image-to-image translation", NeurIPS 2017,
    section 5 (there with LPIPS).
    """
    _check(samples)
    ab = _ab(samples)
    pairs = combinations(range(len(samples)), 2)
    return torch.stack([length(ab[i] - ab[j]).mean((-2, -1)) for i, j in pairs]).mean(dim=0)


def energy_score(samples: Tensor, truth: Tensor) -> Tensor:
    """Energy score of n samples of each image against the one truth; lower is better.

    mean_i ||x_i - y|| - 1/2 mean_(i != j) ||x_i - x_j||, where the distance of two images is
    the root mean square over pixels of their distance in ab: a Euclidean norm of the whole
    image, for which the score is strictly proper. (The mean over pixels would judge each pixel
    by itself, and not see whether a balloon has one colour.)
    The second mean leaves out i = j, so the expected score does not depend on n.

    Args:
        samples: (n, N, 3, H, W) sRGB in [0, 1], n at least 2.
        truth: (N, 3, H, W) sRGB in [0, 1].

    Returns:
        (N,) in CIE ab units. Its expectation is at least 0 under the true distribution; one
        image's value may be below 0.

    Source: T. Gneiting, A. Raftery, "Strictly proper scoring rules, prediction, and
    estimation", JASA 102, 2007, equation 22 with beta = 1; without i = j: C. Ferro, "Fair
    scores for ensemble forecasts", Q. J. R. Meteorol. Soc. 140, 2014.
    """
    _check(samples, truth)
    n, pixels = len(samples), truth.shape[-2] * truth.shape[-1]
    # Divided by the root of the number of pixels, the plain norm is the root mean square.
    x = _ab(samples).flatten(2).transpose(0, 1) / pixels**0.5  # (N, n, 2 H W)
    y = _ab(truth).flatten(1)[:, None] / pixels**0.5  # (N, 1, 2 H W)
    # The direct form: by matrix products, equal samples would seem to differ.
    exact = "donot_use_mm_for_euclid_dist"
    error = torch.cdist(x, y, compute_mode=exact).mean(dim=(1, 2))
    spread = torch.cdist(x, x, compute_mode=exact).sum(dim=(1, 2)) / (n * (n - 1))
    return error - spread / 2


def _ab(rgb: Tensor) -> Tensor:
    """*ab* (..., 2, H, W) of sRGB (..., 3, H, W)."""
    return rgb_to_lab(rgb)[..., 1:, :, :]


def _check(samples: Tensor, truth: Tensor | None = None) -> None:
    if samples.ndim != 5 or len(samples) < 2:
        raise ValueError(
            f"want at least 2 samples of each picture, (n, N, 3, H, W), got {tuple(samples.shape)}"
        )
    check_pictures(samples.flatten(0, 1), "samples")
    if truth is not None:
        check_pair(samples[0], truth)


def evaluate_diversity(
    models: Mapping[str, Row],
    pictures: Pictures,
    n: int = 8,
    *,
    pairwise_lpips: bool = False,
    **options: Any,
) -> Evaluation:
    """Sample n colourings of every image from every model, and measure them.

    All columns of a row come from the same n samples, rounded to 8 bit:

    - ``de76_one``: Delta-E 76 of one sample, the mean over the n samples.
    - ``de76_mean``: of the mean of the samples, taken in ab and then converted to sRGB.
    - ``de76_best``: of the best sample. It sees the truth and falls with n by chance alone.
    - ``energy`` and ``pairwise_ab``: :func:`energy_score` and :func:`pairwise`.
    - ``one_lpips``: LPIPS of one sample to the truth, the mean over the n samples.
    - ``pairwise_lpips``: mean LPIPS between two samples; n (n - 1) / 2 distances an image.
    - ``colorfulness``: of one sample, the mean over the n samples.

    Args:
        models: row name -> model. A deterministic row (gray, a lookup table) gives its one
            prediction.
        pictures: the set.
        n: samples of each image, at least 2.
        pairwise_lpips: measure the two columns of LPIPS too.
        options: as of :func:`colorlab.metrics.evaluate`. The random generators of the samples,
            which ``seed`` decides, do not depend on n.

    Returns:
        A table like :func:`colorlab.metrics.evaluate`'s, with intervals, pairs and JSON.

    Raises:
        ValueError: nothing to measure, n below 2, or a row that is no model by itself (an
            oracle, or one sample of a model).
    """
    if n < 2:
        raise ValueError(f"diversity needs at least 2 samples an image, got n={n}")
    for name, model in models.items():
        if isinstance(model, MeanOf) or not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} is no model by itself; give the model that draws")
    columns = [name for name in DIVERSITY if pairwise_lpips or not name.endswith("lpips")]

    def measure(_: str, model: Row, batch: Batch) -> dict[str, np.ndarray]:
        """Every column of one image."""
        draws, mean = _draw_pictures(model, batch.L, n)
        errors = delta_e76(draws, batch.truth.expand_as(draws))  # (n,)
        samples = draws[:, None]  # (n, 1, 3, H, W)
        values = {
            "de76_one": errors.mean(),
            "de76_mean": delta_e76(mean, batch.truth),
            "de76_best": errors.min(),
            "energy": energy_score(samples, batch.truth),
            "pairwise_ab": pairwise(samples),
            "colorfulness": colorfulness(draws).mean(),
        }
        if "pairwise_lpips" in batch.columns:
            first, second = map(list, zip(*combinations(range(n), 2), strict=True))
            values["pairwise_lpips"] = lpips(draws[first], draws[second]).mean()
            values["one_lpips"] = lpips(draws, batch.truth.expand_as(draws)).mean()
        return {column: np.array([float(value)]) for column, value in values.items()}

    return measure_table(
        models,
        pictures,
        [*columns, "colorfulness"],
        measure,
        batch_size=1,
        notes=[f"{n} samples an image; the best is chosen with the truth, so it falls with n"],
        recorded={"draws": n},
        **options,
    )


def _draw_pictures(model: Row, L: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Samples (n, 3, H, W) of one image and their mean (1, 3, H, W), rounded to 8 bit.

    The one prediction of a row with ``colorize`` alone stands for every sample.
    """
    with torch.inference_mode():
        if hasattr(model, "answers"):
            answers = model.answers(L, n, picture_generator(L.device))[:, 0]  # (n, C, h, w)
            draws = model.finish(L.expand(n, -1, -1, -1), answers)
            mean = model.finish(L, answers.mean(dim=0, keepdim=True))
        else:
            mean = model.colorize(L)
            draws = mean.expand(n, -1, -1, -1)
    return round_to_8_bit(draws), round_to_8_bit(mean)
