"""Models against the drawn world, whose colours are known: how far off, how varied, how sure.

A scene states the probability of every colour. So it tells of a single answer how far it is from
the best one under the squared error, and of draws whether they use the stated colours as often as
stated, and whether the truth lies among them as often as it should. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colorlab.color import upsample_chroma
from colorlab.data.scenes import (
    PALETTES,
    SEVERAL_COLOURED,
    SceneSet,
    ab_fields,
    interior,
    mean_over_things,
    palette_frequencies,
)
from colorlab.metrics.calibration import in_prediction_set

LEVEL = 0.9  # of the prediction sets
_FRAME = 2  # pixels: a picture's own frame is no border between things


def known_world(answers: Tensor, scenes: SceneSet) -> dict[str, Any]:
    """Measure the answers of one model to the first N scenes.

    Args:
        answers: (n, N, 2, h, w) chroma in CIE units, n draws of each scene, or 1 for a model with
            one answer; smaller chroma is upsampled as in a picture. 9 draws have 90 % sets that
            hold the truth in exactly 90 % if they are drawn as the truth was.
        scenes: a set that the model has not seen.

    Returns:
        ``draws`` n;
        ``to_mean``: ab distance of the mean of the answers to the exact L2 answer, CIE units, over
        the inside of things that can have several colours;
        ``near_borders`` and ``inside``: ab distance of one answer to the truth on things of one
        colour. More near borders than inside is a leak: no ambiguity excuses it, but for a soft
        border to a thing of several colours, which costs even exact draws a few tenths;
        ``total_variation``, ``noise``, ``coverage``, ``between``: of
        :func:`colorlab.data.scenes.palette_frequencies`, each thing counted once;
        ``held``: share of the pixels inside things of several colours whose truth lies in the
        90 % set of the draws (0.9 is calibrated), None for one answer.

    Raises:
        ValueError: answers of another shape, or of more scenes than there are.
    """
    if answers.ndim != 5 or answers.shape[2] != 2 or not 1 <= answers.shape[1] <= len(scenes):
        raise ValueError(
            f"want answers (n, N, 2, h, w) to at most {len(scenes)} scenes, got "
            f"{tuple(answers.shape)}"
        )
    count = answers.shape[1]
    rows = palette_frequencies(answers, scenes, range(count))
    several, plain = (_where(scenes, count, many) for many in (True, False))
    inner = torch.from_numpy(interior(np.asarray(scenes.regions[:count])))
    edge = ~inner
    for side in (slice(None, _FRAME), slice(-_FRAME, None)):
        edge[:, side] = edge[:, :, side] = False

    size = inner.shape[-2:]
    full = torch.stack([upsample_chroma(draw.float(), size) for draw in answers])
    exact = torch.from_numpy(scenes.optimal("l2", range(count))).float()
    to_mean, to_plain = _distance(full.mean(dim=0), exact), _distance(full[0], exact)
    measures = {
        "draws": len(answers),
        "to_mean": to_mean[several & inner].mean().item(),
        # The exact answer to what has one colour is the truth.
        "near_borders": to_plain[plain & edge].mean().item(),
        "inside": to_plain[plain & inner].mean().item(),
        **{
            key: mean_over_things(rows, key)
            for key in ("total_variation", "noise", "coverage", "between")
        },
        "held": None,
    }
    if len(answers) > 1:
        # Not the picture's own: rounding to 8 bit would set it apart from exact draws.
        truth = [ab_fields(seed, size[0], ("truth",))[0] for seed in scenes.seeds[:count]]
        held = in_prediction_set(full, torch.from_numpy(np.stack(truth)).float(), LEVEL)
        measures["held"] = held[several & inner].float().mean().item()
    return measures


def colours_of(
    answers: Tensor, scenes: SceneSet, kind: str, hour: str, smallest: int = 16
) -> Tensor:
    """Mean ab of each thing of one kind, at one hour, in each answer.

    Args:
        answers: (n, N, 2, h, w) chroma of the first N scenes.
        scenes: the set.
        kind: such as ``"balloon"``.
        hour: such as ``"noon"``: palettes differ from hour to hour.
        smallest: things with fewer inner pixels are left out.

    Returns:
        (things * n, 2) in CIE units; (0, 2) where there is none.
    """
    found = [torch.zeros(0, 2)]
    for i in range(answers.shape[1]):
        if scenes.hours[i] != hour:
            continue
        region = np.asarray(scenes.regions[i])
        inner, full = interior(region), None
        for index, thing in enumerate(scenes.things[i]):
            mask = torch.from_numpy(inner & (region == index))
            if thing.kind == kind and mask.sum() >= smallest:
                full = upsample_chroma(answers[:, i], region.shape) if full is None else full
                found.append(full[:, :, mask].mean(dim=-1))
    return torch.cat(found)


def _where(scenes: SceneSet, count: int, many: bool) -> Tensor:
    """Pixels (N, S, S) of things that can have several colours, or of those with one."""
    fits: list[Sequence[bool]] = [
        [kind in SEVERAL_COLOURED if many else len(PALETTES[kind]) == 1 for kind in kinds]
        for kinds in scenes.kinds[:count]
    ]
    regions = (np.asarray(region) for region in scenes.regions[:count])
    return torch.from_numpy(np.stack([np.array(f)[r] for f, r in zip(fits, regions, strict=True)]))


def _distance(ab: Tensor, other: Tensor) -> Tensor:
    return (ab - other).square().sum(dim=1).sqrt()
