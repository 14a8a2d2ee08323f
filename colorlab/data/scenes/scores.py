"""Score predicted colours of scenes, kind by kind, against the exact answer."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from colorlab.data.scenes.palettes import PALETTES
from colorlab.data.scenes.rendering import ab_fields, interior
from colorlab.data.scenes.sets import SceneSet


def score_by_kind(
    ab: np.ndarray, scenes: SceneSet, indices: Sequence[int] | None = None
) -> list[dict]:
    """Score predicted colours kind by kind, against the truth and the exact L2 answer.

    The distance is Delta-E 1976 at the true L, that is the Euclidean distance in ab. Only
    pixels whose 5x5 neighbourhood is one region count, so soft borders play no part.

    Args:
        ab: (N, 2, S, S) predictions in CIE units, at the full size of the pictures.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.

    Returns:
        A row for each kind present, in the order of `PALETTES`: `kind`, `colours` (K),
        `pixels`, and the means over pixels `to_truth`, `to_best` and `best_to_truth`. For a
        one-coloured kind the L2 answer is the truth.

    Raises:
        ValueError: when ab has another shape than the scenes.
    """
    chosen = list(range(len(ab)) if indices is None else indices)
    size = scenes.pictures.size
    if ab.shape != (len(chosen), 2, size, size):
        raise ValueError(f"want ab of shape {(len(chosen), 2, size, size)}, got {ab.shape}")
    kinds = list(PALETTES)
    totals = np.zeros((4, len(kinds)))
    for row, i in enumerate(chosen):
        truth, best = ab_fields(scenes.seeds[i], size, ("truth", "l2"))
        region = np.asarray(scenes.regions[i])
        inner = interior(region)
        kind_of = np.array([kinds.index(thing.kind) for thing in scenes.things[i]])
        kind = kind_of[region[inner]]
        errors = (ab[row] - truth, ab[row] - best, best - truth)
        totals[0] += np.bincount(kind, minlength=len(kinds))
        for total, error in zip(totals[1:], errors, strict=True):
            distance = np.hypot(error[0][inner], error[1][inner])
            total += np.bincount(kind, distance, minlength=len(kinds))
    rows = []
    for k, kind in enumerate(kinds):
        pixels = totals[0, k]
        if pixels:
            to_truth, to_best, floor = (totals[1:, k] / pixels).tolist()
            rows.append(
                {
                    "kind": kind,
                    "colours": len(PALETTES[kind]),
                    "pixels": int(pixels),
                    "to_truth": to_truth,
                    "to_best": to_best,
                    "best_to_truth": floor,
                }
            )
    return rows
