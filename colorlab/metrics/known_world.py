"""Models against the drawn world, whose colours are known: how far off, how varied, how sure.

A scene states the probability of every colour. So it tells of a single answer how far it is from
the best one under its loss, and of draws whether they use the stated colours as often as stated,
and whether the truth lies among them as often as it should. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colorlab.color import upsample_chroma
from colorlab.data.scenes import PALETTES, SEVERAL_COLOURED, SceneSet, ab_fields, interior
from colorlab.metrics.calibration import in_prediction_set

LEVEL = 0.9  # of the prediction sets
SMALLEST = 16  # inner pixels of a thing whose mean colour is taken
_FRAME = 2  # pixels: a picture's own frame is no border between things


def exact_answer(model: Any) -> str:
    """Which exact answer a model's single one should be: a loss of `data.scenes.best_ab`.

    A regressor's follows from its loss. A GAN's adversarial term has no single best answer, but
    its other term has: absolute errors, the median of a and of b. Models that draw and all others
    are held to the mean: of the draws, it should be the palette's.
    """
    config = getattr(model, "config", None)
    if hasattr(config, "l1_weight"):
        return "l1"
    return {"l1": "l1", "huber": "l1-vector"}.get(getattr(config, "loss", ""), "l2")


def known_world(
    answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None = None, best: str = "l2"
) -> dict[str, np.ndarray]:
    """Measure the answers of one model, scene by scene.

    Args:
        answers: (n, N, 2, h, w) chroma in CIE units, n draws of each scene, or 1 for a model with
            one answer; smaller chroma is upsampled as in a picture. 9 draws have 90 % sets that
            hold the truth in exactly 90 % if they are drawn as the truth was.
        scenes: a set that the model has not seen.
        indices: which N scenes of the set; None means the first N.
        best: the loss whose exact answer is the model's, see :func:`exact_answer`.

    Returns:
        Each (N,), ab distances in CIE units:
        ``to_best`` and ``to_mean``: of the mean of the answers to the exact answer under
        ``best``, and under the squared error, over the inside of things that can have several
        colours;
        ``energy_distance``: of a thing's mean colours to its palette, the mean over things, see
        :func:`energy_distance`;
        ``near_borders`` and ``inside``: of one answer to the truth, on things of one colour. More
        near borders than inside is a leak: no ambiguity excuses it, but for a soft border to a
        thing of several colours, which costs even exact draws a few tenths;
        ``held``, where n > 1: share of the pixels inside things of several colours whose truth
        lies in the 90 % set of the draws (0.9 is calibrated).
        A scene without such pixels gives NaN; the lessons' test scenes all have some.

    Raises:
        ValueError: answers of another shape, or of another number of scenes than ``indices``.
    """
    chosen = _check(answers, scenes, indices)
    rows = [
        _measure(draws.float(), scenes, i, best)
        for draws, i in zip(answers.unbind(dim=1), chosen, strict=True)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def energy_distance(colours: Tensor, palette: Tensor, prob: Tensor) -> float:
    """Energy distance of n colours to a palette: 0 for the same distribution, in CIE units.

    Twice the mean distance of a colour to one drawn from the palette, less the mean distance of
    two colours, less that of two drawn from the palette. Pairs of a colour with itself are left
    out, so the mean over exact draws is 0, and one set of draws may lie a little below it. One
    colour stands for a model that always gives it.

    Args:
        colours: (n, 2) ab.
        palette: (K, 2) ab.
        prob: (K,) probabilities.

    Source: Székely and Rizzo 2013, "Energy statistics: a class of statistics based on distances",
    J. Statistical Planning and Inference 143, equation 5.
    """
    n = len(colours)
    across = (torch.cdist(colours, palette) @ prob).mean()
    among = torch.cdist(colours, colours).sum() / max(n * (n - 1), 1)
    return float(2 * across - among - prob @ torch.cdist(palette, palette) @ prob)


def painted_things(
    answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None = None
) -> Iterator[tuple[int, int, Tensor]]:
    """Each thing that can have several colours, and its mean ab in each answer.

    Args:
        answers: (n, N, 2, h, w) chroma, CIE units.
        scenes: the set.
        indices: which N scenes of it; None means the first N.

    Yields:
        The scene's index, the thing's index in it, and (n, 2) ab. Things with fewer than 16 inner
        pixels are left out.

    Raises:
        ValueError: as :func:`known_world`.
    """
    chosen = _check(answers, scenes, indices)
    for draws, i in zip(answers.unbind(dim=1), chosen, strict=True):
        region = np.asarray(scenes.regions[i])
        inner = interior(region)
        full = upsample_chroma(draws.float(), region.shape)
        for index, kind in enumerate(scenes.kinds[i]):
            mask = torch.from_numpy(inner & (region == index))
            if kind in SEVERAL_COLOURED and mask.sum() >= SMALLEST:
                yield i, index, full[:, :, mask].mean(dim=-1)


def _check(answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None) -> Sequence[int]:
    if answers.ndim != 5 or answers.shape[2] != 2 or not 1 <= answers.shape[1] <= len(scenes):
        raise ValueError(
            f"want answers (n, N, 2, h, w) to at most {len(scenes)} scenes, got "
            f"{tuple(answers.shape)}"
        )
    chosen = range(answers.shape[1]) if indices is None else indices
    if len(chosen) != answers.shape[1]:
        raise ValueError(f"answers to {answers.shape[1]} scenes, but {len(chosen)} indices")
    return chosen


def _measure(draws: Tensor, scenes: SceneSet, i: int, best: str) -> dict[str, float]:
    """Every measure of one scene; draws are (n, 2, h, w)."""
    region, kinds = np.asarray(scenes.regions[i]), scenes.kinds[i]
    exact = _exact(scenes.seeds[i], region.shape[0])
    truth, mean, own = exact["truth"], exact["l2"], exact[best]
    full = upsample_chroma(draws, region.shape)
    inner = torch.from_numpy(interior(region))
    edge = ~inner
    for side in (slice(None, _FRAME), slice(-_FRAME, None)):
        edge[side] = edge[:, side] = False
    several, plain = (
        torch.from_numpy(np.array(fits)[region])
        for fits in (
            [kind in SEVERAL_COLOURED for kind in kinds],
            [len(PALETTES[kind]) == 1 for kind in kinds],
        )
    )
    middle = full.mean(dim=0)
    # The exact answer to what has one colour is the truth.
    to_plain = _distance(full[0], mean)
    measures = {
        "to_best": _distance(middle, own)[several & inner].mean().item(),
        "to_mean": _distance(middle, mean)[several & inner].mean().item(),
        "energy_distance": _to_palettes(draws, scenes, i),
        "near_borders": to_plain[plain & edge].mean().item(),
        "inside": to_plain[plain & inner].mean().item(),
    }
    if len(draws) > 1:
        # Not the picture's own truth: rounding to 8 bit would set it apart from exact draws.
        held = in_prediction_set(full[:, None], truth[None], LEVEL)[0]
        measures["held"] = held[several & inner].float().mean().item()
    return measures


@lru_cache(maxsize=16)  # one model after another asks for the same scenes
def _exact(seed: int, size: int) -> dict[str, Tensor]:
    """Exact ab (2, S, S) of a scene under each rule."""
    rules = ("truth", "l2", "l1", "l1-vector")
    return dict(zip(rules, torch.from_numpy(ab_fields(seed, size, rules)).float(), strict=True))


def _to_palettes(draws: Tensor, scenes: SceneSet, i: int) -> float:
    """Mean energy distance of a scene's things to their palettes."""
    distances = []
    for _, index, colours in painted_things(draws[:, None], scenes, [i]):
        palette = PALETTES[scenes.kinds[i][index]]
        stated = torch.as_tensor(palette.at(scenes.hours[i])).double()
        prob = torch.as_tensor(palette.prob).double()
        distances.append(energy_distance(colours.double(), stated, prob))
    return float(np.mean(distances)) if distances else float("nan")


def _distance(ab: Tensor, other: Tensor) -> Tensor:
    return (ab - other).square().sum(dim=0).sqrt()
