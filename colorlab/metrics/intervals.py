"""How sure is a mean over a few pictures? The bootstrap, and differences in pairs.

64 pictures vary far more than two models do. An interval says how much another
draw of pictures could move the mean; a paired difference removes what the two
models share, the picture, and so tells apart what overlapping intervals cannot.
Taught in notebook 03.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

N_RESAMPLES = 5000  # moves an interval's end by about 1 % of its width from seed to seed
SEED = 0
_CHUNK = 1 << 22  # indices drawn at a time: 32 MiB


class Interval(NamedTuple):
    """A mean over pictures and its bootstrap interval."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: ArrayLike, n_resamples: int = N_RESAMPLES, seed: int = SEED, level: float = 0.95
) -> Interval:
    """Mean of ``values`` with its percentile bootstrap interval.

    Draws N values with replacement ``n_resamples`` times and reads the interval off
    the quantiles of their means. The same arguments give the same digits.

    Args:
        values: (N,) one number a picture; infinities are allowed (PSNR of equal pictures).
        n_resamples: number of draws.
        seed: of the draws.
        level: share of the resampled means inside the interval, in (0, 1).

    Raises:
        ValueError: no values, NaN among them, not one-dimensional, or an argument out of range.

    Source: B. Efron, R. Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ValueError(f"want a non-empty list of numbers, got shape {x.shape}")
    if np.isnan(x).any():
        raise ValueError(f"{int(np.isnan(x).sum())} of {x.size} values are NaN")
    if n_resamples < 1 or not 0 < level < 1:
        raise ValueError(f"want n_resamples >= 1 and 0 < level < 1, got {n_resamples} and {level}")
    rng = np.random.default_rng(seed)
    at_once = max(1, _CHUNK // x.size)
    means = np.concatenate(
        [
            x[rng.integers(x.size, size=(min(at_once, n_resamples - done), x.size))].mean(axis=1)
            for done in range(0, n_resamples, at_once)
        ]
    )
    # "nearest" takes a mean that occurred, so an infinite one cannot turn into NaN.
    low, high = np.quantile(means, [(1 - level) / 2, (1 + level) / 2], method="nearest")
    return Interval(float(x.mean()), float(low), float(high))


def paired_difference(
    a: ArrayLike,
    b: ArrayLike,
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    level: float = 0.95,
) -> Interval:
    """Mean of ``a - b`` over the same pictures, with its bootstrap interval.

    An interval that leaves out 0 says that the two differ by more than the choice
    of pictures explains.

    Args:
        a: (N,) values of one model.
        b: (N,) values of another on the same pictures, in the same order.
        n_resamples: number of draws.
        seed: of the draws.
        level: as :func:`bootstrap`.

    Raises:
        ValueError: the lengths differ, or as :func:`bootstrap`.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"pairs need equal lengths, got {first.shape} and {second.shape}")
    with np.errstate(invalid="ignore"):
        difference = np.where(first == second, 0.0, first - second)  # inf - inf is no difference
    return bootstrap(difference, n_resamples, seed, level)
