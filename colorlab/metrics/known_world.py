"""Models against the drawn world, whose colours are known: how far off, how varied, how sure.

A scene states the probability of every colour. So a single prediction can be compared with the
best one under its loss, and the samples of a model with the stated distribution: whether they use
the colours as often as stated, and whether the truth lies among them as often as it should.

:func:`known_world` measures one model scene by scene, :func:`in_prediction_set` its calibration,
:func:`evaluate_known` makes the table of several models, and of samples of the world itself. How
often the stated colours are used can only be counted over all scenes. Every column has a bootstrap
interval over scenes. Taught in notebooks 10 and 11.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from colorlab.color import downsample_chroma, rgb_to_lab, upsample_chroma
from colorlab.data.scenes import (
    PALETTES,
    SEVERAL_COLOURED,
    SceneSet,
    ab_fields,
    exact_samples,
    interior,
    palette_frequencies,
)
from colorlab.data.scenes.scores import COVERED, SMALLEST
from colorlab.metrics.evaluation import Batch, measure_rows, summarize
from colorlab.metrics.pairs import length
from colorlab.metrics.protocol import KNOWN
from colorlab.metrics.report import N_RESAMPLES, SEED, Evaluation, Interval
from colorlab.metrics.rows import WORLD

LEVEL = 0.9  # of the prediction sets
SHOWN = ("balloon", "noon", 24)  # objects whose painted colours are kept: class, hour, how many
CHUNK = 8  # scenes at a time; each chunk has a generator of its own
_FRAME = 2  # pixels: the frame of an image is no border between objects
_COUNTED = ("total_variation", "coverage")  # over all scenes
_KEPT = ("to_best", "energy_distance", "near_borders", "held")  # scene by scene
_DIGITS = 3  # of what is kept
_COLOURS = max(len(PALETTES[kind]) for kind in SEVERAL_COLOURED)


def in_prediction_set(draws: Tensor, truth: Tensor, level: float = 0.9) -> Tensor:
    """Where the truth lies in the prediction set of the draws: is it like one more of them?

    A set that should hold the truth with 90 % must do so for 90 % of the pixels, no less and no
    more. For each pixel the truth joins its n draws. Each of the n + 1 colours has a distance to
    its nearest neighbour among the others; the set leaves out those whose distance is among the
    largest. If the truth comes from the distribution of the draws, all n + 1 are exchangeable, and
    it is in the set with probability :func:`exact_coverage`, whatever the distribution is. The set
    need not be connected: it may be three islands of colour.

    Source: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", section
    2.2 (transductive conformal prediction), with the distance to the nearest neighbour.

    Args:
        draws: (n, N, 2, h, w) ab, CIE units, n samples of one model, at least 2.
        truth: (N, 2, h, w) ab.
        level: share of the pixels that the set should hold, in (0, 1).

    Returns:
        (N, h, w) bool.
    """
    if draws.ndim != 5 or draws.shape[1:] != truth.shape:
        raise ValueError(
            f"want draws (n, N, 2, h, w) and truth (N, 2, h, w), got {tuple(draws.shape)} and "
            f"{tuple(truth.shape)}"
        )
    n = len(draws)
    rank = _rank(n, level)
    inside = []
    for own, true in zip(draws.unbind(dim=1), truth, strict=True):
        colours = torch.cat((own, true[None])).flatten(2).permute(2, 0, 1)  # (hw, n + 1, 2)
        apart = torch.cdist(colours, colours, compute_mode="donot_use_mm_for_euclid_dist")
        apart.diagonal(dim1=1, dim2=2).fill_(math.inf)
        nearest = apart.amin(dim=2)  # (hw, n + 1)
        below = (nearest[:, :n] < nearest[:, n:]).sum(dim=1)
        inside.append((below < rank).view(true.shape[-2:]))
    return torch.stack(inside)


def exact_coverage(n: int, level: float = 0.9) -> float:
    """Share of truths in :func:`in_prediction_set` if they come from the draws' distribution.

    ``level``, rounded up to a multiple of 1 / (n + 1): 0.9 for 9, 19 or 29 draws.
    """
    return _rank(n, level) / (n + 1)


def _rank(n: int, level: float) -> int:
    if n < 2:
        raise ValueError(f"want at least two draws, got {n}")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    return math.ceil(level * (n + 1) - 1e-9)


def exact_answer(model: Any) -> str:
    """Which exact answer a model's prediction should equal: a loss of `data.scenes.best_ab`.

    A regressor's follows from its loss. A GAN's adversarial term has no single best answer, but
    its L1 term has: the median of a and of b. All others are compared with the mean, models that
    sample by the mean of their samples.
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
        answers: (n, N, 2, h, w) ab in CIE units, n samples of each scene, or 1 of a deterministic
            model; smaller ab is upsampled as in an image. With 9 samples, the 90 % sets hold the
            truth in exactly 90 % if the samples have its distribution.
        scenes: a set that the model has not seen.
        indices: which N scenes of the set; None means the first N.
        best: the loss whose exact answer is the model's, see :func:`exact_answer`.

    Returns:
        Each (N,), ab distances in CIE units:
        ``to_best`` and ``to_mean``: of the mean of the answers to the exact answer under
        ``best``, and under the squared error, inside objects that can have several colours;
        ``energy_distance``: of an object's mean colours to its palette, the mean over objects, see
        :func:`energy_distance`;
        ``near_borders`` and ``inside``: of one answer to the truth, on objects of one colour. More
        near borders than inside is a leak, since these colours are not ambiguous. A soft border to
        an object of several colours costs even exact samples a few tenths;
        ``held``, where n > 1: share of the pixels inside objects of several colours whose truth
        lies in the 90 % set of the samples (0.9 is calibrated).
        A scene without such pixels gives NaN; the lessons' test scenes all have some.
    """
    chosen = _check(answers, scenes, indices)
    rows = [
        _measure_scene(draws.float(), scenes, i, best)
        for draws, i in zip(answers.unbind(dim=1), chosen, strict=True)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def energy_distance(colours: Tensor, palette: Tensor, prob: Tensor) -> float:
    """Energy distance of n colours to a palette: 0 for the same distribution, in CIE units.

    Twice the mean distance of a colour to one sampled from the palette, less the mean distance of
    two colours, less that of two sampled from the palette. Pairs of a colour with itself are left
    out, so the mean over exact samples is 0, and one set of samples may lie a little below it. One
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
    """Each object that can have several colours, and its mean ab in each answer.

    Args:
        answers: as of :func:`known_world`.
        scenes: the set.
        indices: which N scenes of it; None means the first N.

    Yields:
        The scene's index, the object's index in it, and (n, 2) ab. Objects with fewer than 16
        inner pixels are left out.
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


def _measure_scene(draws: Tensor, scenes: SceneSet, i: int, best: str) -> dict[str, float]:
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
    # Of an object of one colour, the exact answer is the truth.
    to_plain = length(full[0] - mean)
    measures = {
        "to_best": length(middle - own)[several & inner].mean().item(),
        "to_mean": length(middle - mean)[several & inner].mean().item(),
        "energy_distance": _to_palettes(draws, scenes, i),
        "near_borders": to_plain[plain & edge].mean().item(),
        "inside": to_plain[plain & inner].mean().item(),
    }
    if len(draws) > 1:
        # Not the image's own truth: rounding to 8 bit would distinguish it from exact samples.
        held = in_prediction_set(full[:, None], truth[None], LEVEL)[0]
        measures["held"] = held[several & inner].float().mean().item()
    return measures


@lru_cache(maxsize=16)  # one model after another asks for the same scenes
def _exact(seed: int, size: int) -> dict[str, Tensor]:
    """Exact ab (2, S, S) of a scene under each rule."""
    rules = ("truth", "l2", "l1", "l1-vector")
    return dict(zip(rules, torch.from_numpy(ab_fields(seed, size, rules)).float(), strict=True))


def _to_palettes(draws: Tensor, scenes: SceneSet, i: int) -> float:
    """Mean energy distance of a scene's objects to their palettes."""
    distances = []
    for _, index, colours in painted_things(draws[:, None], scenes, [i]):
        palette = PALETTES[scenes.kinds[i][index]]
        stated = torch.as_tensor(palette.at(scenes.hours[i])).double()
        prob = torch.as_tensor(palette.prob).double()
        distances.append(energy_distance(colours.double(), stated, prob))
    return float(np.mean(distances)) if distances else float("nan")


def evaluate_known(
    models: Mapping[str, Any],
    scenes: SceneSet,
    n: int = 9,
    *,
    device: torch.device | str = "cpu",
    n_resamples: int = N_RESAMPLES,
    seed: int = SEED,
    progress: bool = True,
    provenance: Mapping[str, Any] | None = None,
) -> Evaluation:
    """Measure every model on every scene, beside n samples of the world itself.

    Columns: those of :func:`known_world`, and ``total_variation`` and ``coverage`` of
    :func:`colorlab.data.scenes.palette_frequencies`, over all objects.

    Args:
        models: row name -> model, already on ``device``. One with ``answers`` gives n samples of a
            scene, or one prediction if it is deterministic; of any other row the ab of its image
            counts.
        scenes: a set that no model has seen.
        n: samples of each scene, at least 2; 9 make the 90 % sets exact.
        device: where the models are.
        n_resamples: of the bootstrap over scenes.
        seed: of the bootstrap and the samples. Every 8 scenes have a generator of their own, so a
            shorter set has the same first values.
        progress: show a bar over scenes times rows.
        provenance: more to record, such as the command.

    Returns:
        A table like :func:`colorlab.metrics.evaluate`'s. ``per_picture`` holds four of the columns
        to three digits; ``details`` holds the colours that each row gave the first balloons at
        noon: an object in n samples.

    Raises:
        ValueError: no models or scenes, n below 2, a row that sees the truth, or a scene so small
            that no object of several colours has inner pixels.
    """
    if not models or not len(scenes):
        raise ValueError(f"nothing to evaluate: {len(models)} models, {len(scenes)} scenes")
    if n < 2:
        raise ValueError(f"the known world needs at least 2 draws a scene, got n={n}")
    for name, model in models.items():
        if name == WORLD or not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} is no model by itself; give the model that draws")
    device = torch.device(device)
    rows = {**models, WORLD: None}
    best = {name: exact_answer(model) for name, model in rows.items()}
    kind, hour, count = SHOWN
    shown: dict[str, list[tuple[int, int, list]]] = {name: [] for name in rows}

    def measure(name: str, model: Any, batch: Batch) -> dict[str, np.ndarray]:
        answers = _answers(model, scenes, batch, n, seed + batch.indices.start)
        shown[name] += [
            (i, index, np.round(colours.tolist(), 1).tolist())
            for i, index, colours in painted_things(answers, scenes, batch.indices)
            if scenes.hours[i] == hour and scenes.kinds[i][index] == kind
        ]
        counts = _count(answers, scenes, batch.indices)
        return known_world(answers, scenes, batch.indices, best[name]) | counts

    measured = measure_rows(
        rows,
        scenes.pictures,
        CHUNK,
        measure,
        device=device,
        seed=seed,
        progress=progress,
        unit="scene",
    )
    counts = {name: (own.pop("things"), own.pop("hits")) for name, own in measured.items()}
    lacking = np.isnan(np.stack(list(measured[WORLD].values()))).any(axis=0)
    if lacking.any():
        name = scenes.pictures.names[int(lacking.argmax())]
        raise ValueError(f"{name} at {scenes.pictures.size} pixels is too small to measure inside")
    columns = [column for column in KNOWN if column not in _COUNTED]
    table = summarize(
        measured,
        columns,
        scenes.pictures,
        device=device,
        n_resamples=n_resamples,
        seed=seed,
        notes=[f"{n} draws a scene of a model that draws; {WORLD}: draws of the world itself"],
        provenance={"draws": n, "exact_answer": best, **(provenance or {})},
    )
    counted = {name: _counted_cells(*own, n_resamples, seed) for name, own in counts.items()}
    return replace(
        table,
        rows=[
            {"model": row["model"]} | {c: (row | counted[row["model"]])[c] for c in KNOWN}
            for row in table.rows
        ],
        per_picture={
            name: {c: np.round(values[c], _DIGITS) for c in _KEPT if c in values}
            for name, values in measured.items()
        },
        details={
            "kind": kind,
            "hour": hour,
            "things": [[i, index] for i, index, _ in shown[WORLD][:count]],
            "ab": {name: [colours for *_, colours in own[:count]] for name, own in shown.items()},
        },
    )


def _answers(model: Any, scenes: SceneSet, batch: Batch, n: int, seed: int) -> Tensor:
    """*ab* (n or 1, N, 2, h, w) of a batch's scenes, on the CPU; None stands for the world."""
    if model is None:
        return torch.from_numpy(exact_samples(scenes, n, batch.indices, seed))
    with torch.inference_mode():
        if not hasattr(model, "answers"):
            return downsample_chroma(rgb_to_lab(model.colorize(batch.L))[:, 1:])[None].cpu()
        draws = 1 if model.deterministic else n
        generator = torch.Generator(batch.L.device).manual_seed(seed)
        ab = model.answers(batch.L, draws, generator)
        return (rgb_to_lab(ab)[:, :, 1:] if ab.shape[2] == 3 else ab).cpu()


def _count(answers: Tensor, scenes: SceneSet, chosen: range) -> dict[str, np.ndarray]:
    """How many ``things`` (N, kinds) there are, and how many have each stated colour, ``hits``.

    (N, kinds, K); an object counts once, each of its n samples as 1 / n.
    """
    kinds = list(SEVERAL_COLOURED)
    things = np.zeros((len(chosen), len(kinds)))
    hits = np.zeros((*things.shape, _COLOURS))
    for column, i in enumerate(chosen):
        for row in palette_frequencies(answers[:, column : column + 1], scenes, [i]):
            if row["things"]:
                position = column, kinds.index(row["kind"])
                things[position] = row["things"]
                hits[position][: len(row["prob"])] = row["things"] * row["frequency"]
    return {"things": things, "hits": hits}


def _counted_cells(
    things: np.ndarray, hits: np.ndarray, n_resamples: int, seed: int
) -> dict[str, dict[str, float]]:
    """Cells of the columns that are counted over all scenes."""
    random = np.random.default_rng(seed)
    weights = np.stack(
        [
            np.bincount(random.integers(len(things), size=len(things)), minlength=len(things))
            for _ in range(n_resamples)
        ]
    )  # how often each resample holds each scene
    again = np.einsum("rs,sk->rk", weights, things), np.tensordot(weights, hits, axes=1)
    cells = {}
    for i, column in enumerate(_COUNTED):
        low, high = np.quantile(_shares(*again)[i], (0.025, 0.975), method="nearest")
        whole = _shares(things.sum(axis=0), hits.sum(axis=0))[i]
        cells[column] = Interval(float(whole), float(low), float(high))._asdict()
    return cells


def _shares(things: np.ndarray, hits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Total variation and coverage from counts (..., kinds) and (..., kinds, K), over things."""
    prob = np.zeros((things.shape[-1], _COLOURS))
    for k, kind in enumerate(SEVERAL_COLOURED):
        prob[k, : len(PALETTES[kind])] = PALETTES[kind].prob
    present = things > 0
    frequency = hits / np.where(present, things, 1)[..., None]
    between = 1 - frequency.sum(axis=-1)
    variation = (np.abs(frequency - prob).sum(axis=-1) + between) / 2
    covered = ((frequency >= COVERED * prob) & (prob > 0)).sum(axis=-1) / (prob > 0).sum(axis=-1)
    total = things.sum(axis=-1)
    return (variation * things).sum(axis=-1) / total, (covered * things).sum(axis=-1) / total
