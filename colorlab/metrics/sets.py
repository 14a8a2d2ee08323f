"""Does a set of coloured photographs look like a set of true ones? A distance, and its null.

FID and KID compare two *sets* of images by the features of a network, here the released encoder's
last map, averaged over the image. KID is the squared maximum mean discrepancy with the kernel
(x'y / D + 1)^3; its estimate is unbiased, but for few images it is mostly chance. How much chance,
a permutation test tells: if both sets come from one distribution, every division of all images into
two sets is equally likely, so we divide them again at random and look at the distances.

The two sets hold different photographs. Otherwise their scenes would be the same, and the divisions
not equally likely.

Sources: M. Binkowski et al., "Demystifying MMD GANs", ICLR 2018; A. Gretton et al., "A kernel
two-sample test", JMLR 13, 2012. Taught in lesson 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colorlab.metrics.evaluation import Batch, colorized, measure_table
from colorlab.metrics.report import SEED, Evaluation, bootstrap
from colorlab.metrics.rows import SETS, TRUTH, Row
from colorlab.models import encoders

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

SCALE = 1000  # KID is shown times this
DIVISIONS = 999  # random ones; the smallest p-value is 1 / 1000


class SetTest(NamedTuple):
    """A distance of two sets and what chance makes of it.

    Attributes:
        distance: KID, times 1000.
        p: share of divisions, the observed one among them, with at least this distance.
        null: (DIVISIONS,) the distances of random divisions.
    """

    distance: float
    p: float
    null: np.ndarray


def compare_sets(x: np.ndarray, y: np.ndarray, seed: int = 0) -> SetTest:
    """KID between the features of two sets of images, with a permutation test.

    Args:
        x: (N, D) features, N at least 2.
        y: (M, D) features, of other images.
        seed: of the random divisions.

    Raises:
        ValueError: fewer than two images in a set, or features of two lengths.
    """
    if x.ndim != 2 or x.shape[1:] != y.shape[1:] or min(len(x), len(y)) < 2:
        raise ValueError(f"want two sets of at least 2 features, got {x.shape} and {y.shape}")
    both = np.concatenate((x, y)).astype(np.float64)
    kernel = (both @ both.T / both.shape[1] + 1) ** 3
    np.fill_diagonal(kernel, 0)
    n, m = len(x), len(y)
    random = np.random.default_rng(seed)
    first = np.zeros((1 + DIVISIONS, n + m))  # 1: in the first set
    first[0, :n] = 1
    for row in first[1:]:
        row[random.permutation(n + m)[:n]] = 1
    second = 1 - first
    to_first, to_second = first @ kernel, second @ kernel
    distances = SCALE * (
        (to_first * first).sum(1) / (n * (n - 1))
        + (to_second * second).sum(1) / (m * (m - 1))
        - 2 * (to_first * second).sum(1) / (n * m)
    )
    null = distances[1:]
    return SetTest(float(distances[0]), (1 + (null >= distances[0]).sum()) / len(distances), null)


@torch.inference_mode()
def set_features(rgb: Tensor) -> np.ndarray:
    """The encoder's coarsest map of sRGB (N, 3, H, W) in [0, 1], averaged over the image: (N, D).

    H and W are multiples of 32. The released networks see the same encoder, of the gray image.
    """
    maps = encoders.load(encoders.IMAGENET).net(2 * rgb.cpu() - 1)
    return maps[-1].mean(dim=(2, 3)).numpy()


class _Truth:
    """The row of the photographs themselves."""

    def colorize_known(self, L: Tensor, rgb: Tensor) -> Tensor:
        return rgb


def evaluate_sets(
    models: Mapping[str, Row],
    pictures: Pictures,
    n: int = 64,
    *,
    seed: int = SEED,
    batch_size: int = 16,
    **options: Any,
) -> Evaluation:
    """Compare each model's images with true photographs, in sets of n and in one set of all.

    The photographs are divided at random into disjoint sets of n. Of each set one half stays as it
    is, the model colours the other, and :func:`compare_sets` compares the two halves. The row
    ``truth`` compares two halves of true photographs.

    Args:
        models: row name -> model, already on the device.
        pictures: the photographs.
        n: even, at least 4, at most their number.
        seed: as of :func:`colorlab.metrics.evaluate`, and of the divisions.
        batch_size: images at a time.
        options: as of :func:`colorlab.metrics.evaluate`.

    Returns:
        A table over the sets of n; ``per_picture`` holds one value a set. ``details``: ``all``, of
        each row the same of all photographs as one set; ``null``, of the row's first set and of all
        photographs the distances of 200 random divisions.

    Raises:
        ValueError: no models or photographs, or a wrong n.
    """
    if n < 4 or n % 2 or n > len(pictures):
        raise ValueError(f"want an even number of 4 to {len(pictures)} pictures a set, got {n}")

    def measure(name: str, model: Row, batch: Batch) -> dict[str, np.ndarray]:
        return {"features": set_features(colorized(name, model, batch))}

    features = measure_table(
        {TRUTH: _Truth(), **models},
        pictures,
        [],
        measure,
        batch_size=batch_size,
        notes=[],
        recorded={"batch_size": batch_size, "unit": f"sets of {n} pictures"},
        seed=seed,
        **options,
    )
    of = {name: values["features"] for name, values in features.per_picture.items()}
    order = np.random.default_rng(seed).permutation(len(pictures))
    sets = [order[k * n : (k + 1) * n] for k in range(len(order) // n)]
    every = order[: len(order) // 2 * 2]
    n_resamples = features.provenance["bootstrap"]["n_resamples"]
    per_set: dict[str, dict[str, np.ndarray]] = {}
    whole: dict[str, dict[str, float]] = {}
    null: dict[str, dict[str, list[float]]] = {}
    for name, made in of.items():
        *found, last = (
            compare_sets(of[TRUTH][true], made[coloured], seed)
            for true, coloured in (np.split(chosen, 2) for chosen in (*sets, every))
        )
        per_set[name] = {
            "kid": np.array([test.distance for test in found]),
            "kid_p": np.array([test.p for test in found]),
        }
        whole[name] = {"kid": last.distance, "kid_p": last.p}
        null[name] = {
            key: [round(float(value), 4) for value in test.null[:200]]
            for key, test in (("set", found[0]), ("all", last))
        }
    said = ", ".join(f"{k} {v['kid']:.1f} (p {v['kid_p']:.3f})" for k, v in whole.items())
    return replace(
        features,
        rows=[
            {"model": name} | {c: bootstrap(values[c], n_resamples, seed)._asdict() for c in SETS}
            for name, values in per_set.items()
        ],
        per_picture=per_set,
        names=tuple(f"set {k + 1}" for k in range(len(sets))),
        notes=(f"all {len(every)} pictures as one set: {said}",),
        details={"all": whole, "null": null},
    )
