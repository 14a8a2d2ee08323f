"""Measure what models draw on a set of pictures: one draw, mean, best, spread, energy score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from colorlab.color import lightness
from colorlab.metrics.diversity import energy_score, pairwise
from colorlab.metrics.evaluation import batches, seeded, summarize
from colorlab.metrics.intervals import N_RESAMPLES, SEED
from colorlab.metrics.pairs import colorfulness, delta_e76
from colorlab.metrics.perceptual import LPIPSUnavailable, load_lpips, lpips
from colorlab.metrics.protocol import round_to_8_bit
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import MeanOf, Row, picture_generator
from colorlab.progress import progress_bar

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures


def evaluate_diversity(
    models: Mapping[str, Row],
    pictures: Pictures,
    n: int = 8,
    *,
    pairwise_lpips: bool = False,
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Draw n colourings of every picture with every model, and measure them.

    All columns of a row come from the same n draws, rounded to 8 bit:

    - ``de76_one``: Delta-E 76 of one draw, the mean over the n draws.
    - ``de76_mean``: of the mean of the draws, taken in chroma and then made a picture.
    - ``de76_best``: of the best draw. It sees the truth and falls with n by chance alone.
    - ``energy``: the energy score, and ``pairwise_ab``: see :mod:`colorlab.metrics.diversity`.
    - ``pairwise_lpips``: mean LPIPS between two draws; n (n - 1) distances a picture, slow.
    - ``colorfulness``: of one draw, the mean over the n draws.

    Args:
        models: row name -> model. A row without draws (gray, a table) gives its one answer.
        pictures: the set.
        n: draws a picture, at least 2.
        pairwise_lpips: measure that column too.
        device: where the models are.
        n_resamples: of the bootstrap over pictures.
        seed: of the bootstrap and of the draws; the draws do not depend on n.
        progress: show a bar over pictures times rows.
        provenance: more to record, such as the command.

    Returns:
        A table like :func:`colorlab.metrics.evaluate`'s, with intervals, pairs and JSON.

    Raises:
        ValueError: nothing to measure, n below 2, or a row that is no model by itself (an
            oracle, or one draw of a model).
    """
    if not models or not len(pictures):
        raise ValueError(f"nothing to evaluate: {len(models)} models, {len(pictures)} pictures")
    if n < 2:
        raise ValueError(f"diversity needs at least 2 draws a picture, got n={n}")
    for name, model in models.items():
        if isinstance(model, MeanOf) or not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} is no model by itself; give the model that draws")
    device = torch.device(device)
    columns = ["de76_one", "de76_mean", "de76_best", "energy", "pairwise_ab"]
    notes = [f"{n} draws a picture; the best of them is an oracle's, and falls with n by chance"]
    columns += ["pairwise_lpips"] * pairwise_lpips + ["colorfulness"]
    if pairwise_lpips:
        try:
            load_lpips(device)
        except LPIPSUnavailable as reason:
            pairwise_lpips = False
            notes.append(str(reason))

    per_picture: dict[str, dict[str, np.ndarray]] = {}
    with progress_bar(total=len(models) * len(pictures), unit="picture", show=progress) as bar:
        for name, model in models.items():
            bar.set_description(name)
            rows = []
            with seeded(seed, device):
                for truth in batches(pictures, 1, device):
                    rows.append(_measure(model, truth, n, pairwise_lpips))
                    bar.update()
            per_picture[name] = {
                column: np.array([row[column] for row in rows], dtype=np.float64)
                for column in rows[0]
            }
    return summarize(
        per_picture,
        columns,
        pictures,
        device=device,
        n_resamples=n_resamples,
        seed=seed,
        notes=notes,
        provenance={"draws": n, **(provenance or {})},
    )


def draw_pictures(model: Row, L: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """Draw n colourings and take their mean, all rounded to 8 bit.

    Args:
        model: a :class:`Colorizer`, or a row with ``colorize`` alone, whose one answer counts
            as every draw.
        L: (1, 1, H, W) lightness of one picture in [0, 100].
        n: how many draws.

    Returns:
        The draws (n, 3, H, W) and their mean (1, 3, H, W), sRGB in [0, 1].
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


def _measure(model: Row, truth: Tensor, n: int, pairwise_lpips: bool) -> dict[str, float]:
    """Every column of one picture (1, 3, H, W)."""
    draws, mean = draw_pictures(model, lightness(truth), n)
    errors = delta_e76(draws, truth.expand_as(draws))  # (n,)
    samples = draws[:, None]  # (n, 1, 3, H, W)
    values = {
        "de76_one": errors.mean(),
        "de76_mean": delta_e76(mean, truth),
        "de76_best": errors.min(),
        "energy": energy_score(samples, truth),
        "pairwise_ab": pairwise(samples),
        "colorfulness": colorfulness(draws).mean(),
    }
    if pairwise_lpips:
        values["pairwise_lpips"] = pairwise(samples, lpips)
    return {column: float(value) for column, value in values.items()}
