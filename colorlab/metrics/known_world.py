"""Models against the drawn world, whose colours are known: how far off, how varied, how sure.

A scene states the probability of every colour. So a single prediction can be compared with the
best one under its loss, and the samples of a model with the stated distribution: whether they use
the colours as often as stated, and whether the truth lies among them as often as it should.

:func:`score_by_kind` measures single predictions class by class, :func:`palette_frequencies`
counts colours, :func:`known_world` measures one model scene by scene, :func:`in_prediction_set` its
calibration. :func:`evaluate_known` makes the table of several models, and of samples of the world
itself (:func:`exact_samples`), which no model can beat. Every column has a bootstrap interval over
scenes. Taught in lessons 04 to 11.

Three ways to seem right are told apart. A colour between two palette colours counts for neither, so
brown is not a balloon colour. Each object counts by itself, so two balloons of an image are two.
And two samples of one object are compared, so a model that always paints this balloon red and that
one blue is seen not to vary.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colorlab.color import downsample_chroma, join, rgb_to_lab, upsample_chroma
from colorlab.data.scenes import (
    PALETTES,
    SEVERAL_COLOURED,
    SceneSet,
    ab_fields,
    distribution,
    interior,
    render,
)
from colorlab.metrics.evaluation import Batch, measure_table
from colorlab.metrics.pairs import length
from colorlab.metrics.report import SEED, Evaluation, Interval
from colorlab.metrics.rows import KNOWN, WORLD

LEVEL = 0.9  # of the prediction sets
SHOWN = ("balloon", "noon", 24)  # objects whose painted colours are kept: class, hour, how many
CHUNK = 8  # scenes at a time; each chunk has a generator of its own
SMALLEST = 16  # inner pixels of an object whose mean colour is taken
NEAR = 1 / 3  # of the way to the palette's next colour; L2 predictions lie beyond it, but for sails
COVERED = 0.25  # of its stated probability: below this, a colour counts as dropped
SAME = 1e-3  # units of L in [0, 100]: the lightness of one scene, read twice
_FRAME = 2  # pixels: the frame of an image is no border between objects
_COUNTED = ("total_variation", "coverage")  # over all scenes
_KEPT = ("to_best", "energy_distance", "near_borders", "held")  # scene by scene
_DIGITS = 3  # of what is kept
_COLOURS = max(len(PALETTES[kind]) for kind in SEVERAL_COLOURED)


# ---- objects and their colours


class PaintedObject(NamedTuple):
    """An object that can have several colours, in n samples of its scene.

    Attributes:
        scene: index of its scene in the set.
        index: of the object in the scene.
        kind: its class.
        pixels: (n, 2, P) ab of its P inner pixels, whose 5x5 neighbourhood is this object.
    """

    scene: int
    index: int
    kind: str
    pixels: Tensor


def painted_objects(
    answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None = None
) -> Iterator[PaintedObject]:
    """Each object that can have several colours. Those of fewer than 16 inner pixels are left out.

    Args:
        answers: (n, N, 2, h, w) ab in CIE units, n samples of each of N scenes; smaller ab is
            upsampled as in an image.
        scenes: the set.
        indices: which N scenes of it; None means the first N.
    """
    for draws, i in zip(answers.unbind(dim=1), _chosen(answers, scenes, indices), strict=True):
        region = np.asarray(scenes.regions[i])
        inner = interior(region)
        full = upsample_chroma(draws, region.shape)
        for index, kind in enumerate(scenes.kinds[i]):
            mask = torch.from_numpy(inner & (region == index))
            if kind in SEVERAL_COLOURED and mask.sum() >= SMALLEST:
                yield PaintedObject(i, index, kind, full[:, :, mask])


def _chosen(answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None) -> Sequence[int]:
    size = scenes.pictures.size
    if (
        answers.ndim != 5
        or answers.shape[2] != 2
        or max(answers.shape[3:]) > size
        or not 1 <= answers.shape[1] <= len(scenes)
    ):
        raise ValueError(
            f"want ab of shape (n, N, 2, h, w) for at most {len(scenes)} scenes of {size}x{size} "
            f"pixels, got {tuple(answers.shape)}"
        )
    chosen = range(answers.shape[1]) if indices is None else indices
    if len(chosen) != answers.shape[1]:
        raise ValueError(f"answers to {answers.shape[1]} scenes, but {len(chosen)} indices")
    return chosen


def _nearest_colours(thing: PaintedObject, hour: str) -> tuple[np.ndarray, np.ndarray]:
    """The nearest palette colour in each sample (n,), and whether it is near enough to count."""
    colours = thing.pixels.double().numpy().mean(axis=-1)
    palette = PALETTES[thing.kind].at(hour)
    distance = np.linalg.norm(colours[:, None] - palette, axis=-1)  # (n, K)
    gaps = np.linalg.norm(palette[:, None] - palette, axis=-1)  # (K, K)
    reach = NEAR * np.where(gaps > 0, gaps, np.inf).min(axis=1)  # (K,)
    nearest = distance.argmin(axis=1)
    return nearest, distance.min(axis=1) <= reach[nearest]


def _variation_and_coverage(
    frequency: np.ndarray, between: np.ndarray | float, prob: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Of frequencies (..., K): total variation from ``prob`` (K,), share of colours covered."""
    variation = (np.abs(frequency - prob).sum(axis=-1) + between) / 2
    return variation, (frequency >= COVERED * prob).mean(axis=-1)


# ---- class by class


def score_by_kind(
    ab: np.ndarray, scenes: SceneSet, indices: Sequence[int] | None = None
) -> list[dict]:
    """Score predicted colours class by class, against the truth and the exact L2 prediction.

    The distance is Delta-E 1976 at the true L, that is the Euclidean distance in ab. Only
    pixels whose 5x5 neighbourhood is one region count, so soft borders play no part.

    Args:
        ab: (N, 2, S, S) predictions in CIE units, at the full size of the images.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.

    Returns:
        A row for each class present, in the order of `PALETTES`: `kind`, `colours` (K),
        `pixels`, and the means over pixels `to_truth`, `to_best` and `best_to_truth`. For a
        class of one colour the exact L2 prediction is the truth.
    """
    chosen = list(range(len(ab)) if indices is None else indices)
    size = scenes.pictures.size
    if ab.shape != (len(chosen), 2, size, size):
        raise ValueError(f"want ab of shape {(len(chosen), 2, size, size)}, got {ab.shape}")
    kinds = list(PALETTES)
    totals = np.zeros((4, len(kinds)))  # pixels, to truth, to best, best to truth
    for predicted, i in zip(ab, chosen, strict=True):
        truth, best = ab_fields(scenes.seeds[i], size, ("truth", "l2"))
        region = np.asarray(scenes.regions[i])
        inner = interior(region)
        kind = np.array([kinds.index(name) for name in scenes.kinds[i]])[region[inner]]
        totals[0] += np.bincount(kind, minlength=len(kinds))
        errors = (predicted - truth, predicted - best, best - truth)
        for total, error in zip(totals[1:], errors, strict=True):
            total += np.bincount(kind, np.hypot(*error[:, inner]), minlength=len(kinds))
    names = ("to_truth", "to_best", "best_to_truth")
    return [
        {"kind": kind, "colours": len(PALETTES[kind]), "pixels": int(pixels)}
        | dict(zip(names, (sums / pixels).tolist(), strict=True))
        for kind, pixels, sums in zip(kinds, totals[0], totals[1:].T, strict=True)
        if pixels
    ]


def palette_frequencies(
    ab_samples: np.ndarray | Tensor, scenes: SceneSet, indices: Sequence[int] | None = None
) -> list[dict]:
    """Count which palette colour each sample gave each object of several colours.

    An object's colour is the mean ab over its inner pixels. It counts for the nearest palette
    colour (at the scene's hour), if it lies within a third of the distance from that colour to the
    palette's next one; else it is *between*. ab at a quarter of the size bleeds at borders, and
    still true colours pass this test.

    Args:
        ab_samples: (n, N, 2, h, w) in CIE units, n samples of N scenes; smaller ab is upsampled as
            in an image. n = 1 for a single prediction.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.

    Returns:
        A row for each class counted, in the order of `SEVERAL_COLOURED`:
        `kind`, `names` (K colours), `prob` (K,), as stated; `things`, how many objects;
        `frequency` (K,) and `between`, shares of all n * things samples, which sum to 1;
        `total_variation`, in [0, 1]: half the summed distance of `frequency` to `prob`, plus
        half of `between`, whose stated probability is 0;
        `nearest_variation`: the same where every sample counts for its nearest colour. Gray with a
        little noise has a good one: never report it alone;
        `noise`, the expected `total_variation` of as many independent exact samples;
        `coverage`, share of the K colours with at least a quarter of their stated probability: one
        stray sample in a thousand is not enough, and not all is needed, since frequencies scatter;
        `differ`, share of pairs of samples of one object which have two different palette
        colours, none of them between (None for n = 1), and `stated_differ`, 1 - sum prob^2.
    """
    ab = torch.as_tensor(ab_samples).detach().cpu()
    counted: dict[str, list[tuple[np.ndarray, np.ndarray]]] = {}
    for thing in painted_objects(ab, scenes, indices):
        entry = _nearest_colours(thing, scenes.hours[thing.scene])
        counted.setdefault(thing.kind, []).append(entry)
    return [_frequencies(kind, counted[kind]) for kind in SEVERAL_COLOURED if kind in counted]


def _frequencies(kind: str, things: list[tuple[np.ndarray, np.ndarray]]) -> dict:
    """A row of :func:`palette_frequencies`."""
    prob = PALETTES[kind].prob
    nearest, hit = (np.stack(part) for part in zip(*things, strict=True))  # (things, n) each
    n = hit.shape[1]
    frequency = np.bincount(nearest[hit], minlength=len(prob)) / hit.size
    every = np.bincount(nearest.ravel(), minlength=len(prob)) / hit.size
    between = float(1 - hit.mean())
    variation, coverage = _variation_and_coverage(frequency, between, prob)
    both = hit[:, :, None] & hit[:, None]
    unlike = both & (nearest[:, :, None] != nearest[:, None])  # (things, n, n)
    return {
        "kind": kind,
        "names": PALETTES[kind].names,
        "prob": prob,
        "things": len(things),
        "frequency": frequency,
        "between": between,
        "total_variation": float(variation),
        "nearest_variation": float(_variation_and_coverage(every, 0, prob)[0]),
        "noise": _expected_variation(prob, hit.size),
        "coverage": float(coverage),
        "differ": float(unlike.sum() / (len(things) * n * (n - 1))) if n > 1 else None,
        "stated_differ": float(1 - (prob**2).sum()),
    }


def _expected_variation(prob: np.ndarray, m: int) -> float:
    """Expected total variation of the frequencies of m independent samples from ``prob``."""
    from scipy.stats import binom

    count = np.arange(m + 1)
    p = prob[:, None]
    return float((binom.pmf(count, m, p) * np.abs(count / m - p)).sum() / 2)


def mean_over_things(rows: Sequence[dict], key: str) -> float:
    """A column of :func:`palette_frequencies` over all classes, each object counted once."""
    return float(np.average([row[key] for row in rows], weights=[row["things"] for row in rows]))


# ---- the exact sampler


def exact_samples(
    scenes: SceneSet, n: int, indices: Sequence[int] | None = None, seed: int = 0
) -> np.ndarray:
    """Sample from the true distribution of ab given gray: what no sampler can beat.

    Each object of several colours is sampled anew from its palette, independently; lightness
    stays the same bit for bit. Each sample costs one rendering.

    Args:
        scenes: the set.
        n: samples of each scene.
        indices: which N scenes; None means all.
        seed: of the samples.

    Returns:
        (n, N, 2, S, S) float32, CIE units.
    """
    chosen = range(len(scenes)) if indices is None else indices
    size = scenes.pictures.size
    random = np.random.default_rng(seed)
    out = np.empty((n, len(chosen), 2, size, size), dtype=np.float32)
    for column, i in enumerate(chosen):
        several = [(t, PALETTES[kind].prob) for t, kind in enumerate(scenes.kinds[i])]
        for sample in range(n):
            choices = {t: int(random.choice(len(p), p=p)) for t, p in several if len(p) > 1}
            out[sample, column] = render(scenes.seeds[i], size, choices).lab[1:]
    return out


class ExactDraws:
    """Samples made beforehand, as a row of a table: it recognises a scene by its gray image.

    Args:
        L: (N, 1, S, S) in [0, 100], of the scenes.
        samples: (n, N, 2, s, s) in CIE units, of :func:`exact_samples` or smaller.
    """

    def __init__(self, L: Tensor, samples: np.ndarray | Tensor) -> None:
        self.L, self.samples = L, torch.as_tensor(samples)

    def answers(self, L: Tensor, n: int, generator: torch.Generator | None = None) -> Tensor:
        """The first ``n`` samples (n, M, 2, s, s) of the scenes with lightness L (M, 1, S, S)."""
        if n > len(self.samples):
            raise ValueError(f"{len(self.samples)} draws of each scene were made, got n = {n}")
        apart = torch.stack([(self.L - one).abs().amax(dim=(1, 2, 3)) for one in L])  # (M, N)
        if apart.amin(dim=1).max() > SAME:
            raise ValueError("a gray picture is none of the scenes that were drawn beforehand")
        return self.samples[:n, apart.argmin(dim=1)]

    def finish(self, L: Tensor, ab: Tensor) -> Tensor:
        """Lightness and ab as sRGB (M, 3, S, S)."""
        return join(L, ab)

    def colorize(self, L: Tensor) -> Tensor:
        """The first sample as sRGB (M, 3, S, S)."""
        return self.finish(L, self.answers(L, 1)[0])


# ---- calibration


def in_prediction_set(
    draws: Tensor, truth: Tensor, level: float = LEVEL, seed: int = SEED
) -> Tensor:
    """Where the truth lies in the prediction set of the draws: is it like one more of them?

    A set that should hold the truth with 90 % must do so for 90 % of the pixels, no less and no
    more. For each pixel the truth joins its n draws. Each of the n + 1 colours has a distance to
    its nearest neighbour among the others; the set leaves out those whose distance is among the
    largest. If the truth comes from the distribution of the draws, all n + 1 are exchangeable, and
    it is in the set with probability ``level``, rounded up to a multiple of 1 / (n + 1). Equal
    distances, as where colours repeat or two are each other's nearest, are put in random order;
    without it such truths would nearly always count as inside. The set need not be connected: it
    may be three islands of colour.

    Source: Vovk, Gammerman and Shafer 2005, "Algorithmic learning in a random world", section
    2.2 (smoothed transductive conformal prediction), with the distance to the nearest neighbour.

    Args:
        draws: (n, N, 2, h, w) ab, CIE units, n samples of one model, at least 2.
        truth: (N, 2, h, w) ab.
        level: share of the pixels that the set should hold, in (0, 1).
        seed: of the order of equal distances.

    Returns:
        (N, h, w) bool.
    """
    if draws.ndim != 5 or draws.shape[1:] != truth.shape:
        raise ValueError(
            f"want draws (n, N, 2, h, w) and truth (N, 2, h, w), got {tuple(draws.shape)} and "
            f"{tuple(truth.shape)}"
        )
    n = len(draws)
    if n < 2 or not 0 < level < 1:
        raise ValueError(f"want 2 draws or more and a level in (0, 1), got {n} and {level}")
    rank = math.ceil(level * (n + 1) - 1e-9)
    order = torch.Generator().manual_seed(seed)
    inside = []
    for own, true in zip(draws.unbind(dim=1), truth, strict=True):
        colours = torch.cat((own, true[None])).flatten(2).permute(2, 0, 1)  # (hw, n + 1, 2)
        apart = torch.cdist(colours, colours, compute_mode="donot_use_mm_for_euclid_dist")
        apart.diagonal(dim1=1, dim2=2).fill_(math.inf)
        nearest = apart.amin(dim=2)  # (hw, n + 1)
        below = (nearest[:, :n] < nearest[:, n:]).sum(dim=1)
        equal = (nearest[:, :n] == nearest[:, n:]).sum(dim=1)
        below += (torch.rand(len(equal), generator=order).to(below.device) * (equal + 1)).long()
        inside.append((below < rank).view(true.shape[-2:]))
    return torch.stack(inside)


# ---- scene by scene


def exact_answer(model: Any) -> str:
    """Which exact answer a model's prediction should equal: a loss of `data.scenes.best_ab`.

    A regressor's follows from its loss. A GAN's adversarial term has no single best answer, but
    its L1 term has: the median of a and of b. All others are compared with the mean, models that
    sample by the mean of their samples.
    """
    config = getattr(model, "config", None)
    if hasattr(config, "l1_weight"):
        return "l1"
    loss = getattr(config, "loss", "")
    return loss if loss in ("l1", "huber") else "l2"


def known_world(
    answers: Tensor, scenes: SceneSet, indices: Sequence[int] | None = None, best: str = "l2"
) -> dict[str, np.ndarray]:
    """Measure the answers of one model, scene by scene.

    Args:
        answers: (n, N, 2, h, w) ab in CIE units, n samples of each scene, or 1 of a deterministic
            model; smaller ab is upsampled as in an image.
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
        lies in the 90 % set of the samples, see :func:`in_prediction_set`.

    Raises:
        ValueError: a scene so small that no object of several colours has inner pixels.
    """
    chosen = _chosen(answers, scenes, indices)
    rows = [
        _measure_scene(draws.float(), scenes, i, best)
        for draws, i in zip(answers.unbind(dim=1), chosen, strict=True)
    ]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


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
    several = torch.from_numpy(np.isin(kinds, SEVERAL_COLOURED)[region])
    to_palettes = [
        energy_distance(
            thing.pixels.mean(dim=-1).double(),
            *map(torch.from_numpy, distribution(thing.kind, scenes.hours[i])),
        )
        for thing in painted_objects(full[:, None], scenes, [i])
    ]
    if not to_palettes:
        name, size = scenes.pictures.names[i], scenes.pictures.size
        raise ValueError(f"{name} at {size} pixels is too small to measure inside")
    middle = full.mean(dim=0)
    # Of an object of one colour, the exact answer is the truth.
    to_plain = length(full[0] - mean)
    measures = {
        "to_best": length(middle - own)[several & inner].mean().item(),
        "to_mean": length(middle - mean)[several & inner].mean().item(),
        "energy_distance": float(np.mean(to_palettes)),
        "near_borders": to_plain[~several & edge].mean().item(),
        "inside": to_plain[~several & inner].mean().item(),
    }
    if len(draws) > 1:
        # Not the image's own truth: rounding to 8 bit would distinguish it from exact samples.
        held = in_prediction_set(full[:, None], truth[None], LEVEL, scenes.seeds[i])[0]
        measures["held"] = held[several & inner].float().mean().item()
    return measures


@lru_cache(maxsize=16)  # one model after another asks for the same scenes
def _exact(seed: int, size: int) -> dict[str, Tensor]:
    """Exact ab (2, S, S) of a scene under each rule."""
    rules = ("truth", "l2", "l1", "huber")
    return dict(zip(rules, torch.from_numpy(ab_fields(seed, size, rules)).float(), strict=True))


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


# ---- the table


def evaluate_known(
    models: Mapping[str, Any], scenes: SceneSet, n: int = 9, *, seed: int = SEED, **options: Any
) -> Evaluation:
    """Measure every model on every scene, beside n samples of the world itself.

    Columns: those of :func:`known_world`, and ``total_variation`` and ``coverage`` of
    :func:`palette_frequencies`, over all objects. These can only be counted over all scenes. A
    total variation is above 0 even for exact samples, since frequencies scatter, and a resample
    scatters once more: its percentile interval lies too high, most of all near 0. So compare it
    with the row of the world itself, not with 0.

    Args:
        models: row name -> model, already on the device. One with ``answers`` gives n samples of a
            scene, or one prediction if it is deterministic; of any other row the ab of its image
            counts.
        scenes: a set that no model has seen.
        n: samples of each scene, at least 2; with 9, 90 % is a multiple of 1 / (n + 1).
        seed: of the bootstrap and the samples. Every 8 scenes have a generator of their own, so a
            shorter set has the same first values.
        options: as of :func:`colorlab.metrics.evaluate`.

    Returns:
        A table like :func:`colorlab.metrics.evaluate`'s. ``per_picture`` holds four of the columns
        to three digits; ``details`` holds the colours that each row gave the first balloons at
        noon: an object in n samples.

    Raises:
        ValueError: no models or scenes, n below 2, a row that sees the truth, or a scene so small
            that no object of several colours has inner pixels.
    """
    if n < 2:
        raise ValueError(f"the known world needs at least 2 draws a scene, got n={n}")
    for name, model in models.items():
        if name == WORLD or not hasattr(model, "colorize"):
            raise ValueError(f"{name!r} is no model by itself; give the model that draws")
    rows = {**models, WORLD: None} if models else {}
    best = {name: exact_answer(model) for name, model in rows.items()}
    kind, hour, count = SHOWN
    shown: dict[str, list[tuple[int, int, list]]] = {name: [] for name in rows}

    def measure(name: str, model: Any, batch: Batch) -> dict[str, np.ndarray]:
        answers = _answers(model, scenes, batch, n, seed + batch.indices.start)
        things = list(painted_objects(answers.float(), scenes, batch.indices))
        shown[name] += [
            (i, index, np.round(pixels.mean(dim=-1).tolist(), 1).tolist())
            for i, index, own, pixels in things
            if scenes.hours[i] == hour and own == kind
        ]
        counts = _count(things, scenes, batch.indices)
        return known_world(answers, scenes, batch.indices, best[name]) | counts

    table = measure_table(
        rows,
        scenes.pictures,
        [column for column in KNOWN if column not in _COUNTED],
        measure,
        batch_size=CHUNK,
        notes=[
            f"{n} samples a scene of a model that samples; {WORLD}: samples of the world itself, "
            "whose palette is off by 0: its value there is sampling noise, by about which the "
            "intervals of that column lie too high"
        ],
        recorded={"draws": n, "exact_answer": best},
        seed=seed,
        **options,
    )
    n_resamples = table.provenance["bootstrap"]["n_resamples"]
    counted = {
        name: _counted_cells(values["things"], values["hits"], n_resamples, seed)
        for name, values in table.per_picture.items()
    }
    return replace(
        table,
        rows=[
            {"model": row["model"]} | {c: (row | counted[row["model"]])[c] for c in KNOWN}
            for row in table.rows
        ],
        per_picture={
            name: {c: np.round(values[c], _DIGITS) for c in _KEPT if c in values}
            for name, values in table.per_picture.items()
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


def _count(
    things: Sequence[PaintedObject], scenes: SceneSet, chosen: range
) -> dict[str, np.ndarray]:
    """How many ``things`` (N, kinds) there are, and how many have each stated colour, ``hits``.

    (N, kinds, K); an object counts once, each of its n samples as 1 / n.
    """
    kinds = list(SEVERAL_COLOURED)
    total = np.zeros((len(chosen), len(kinds)))
    hits = np.zeros((*total.shape, _COLOURS))
    for thing in things:
        position = chosen.index(thing.scene), kinds.index(thing.kind)
        nearest, hit = _nearest_colours(thing, scenes.hours[thing.scene])
        total[position] += 1
        hits[position] += np.bincount(nearest[hit], minlength=_COLOURS) / hit.size
    return {"things": total, "hits": hits}


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
        low, high = np.quantile(_over_things(*again)[i], (0.025, 0.975), method="nearest")
        whole = _over_things(things.sum(axis=0), hits.sum(axis=0))[i]
        cells[column] = Interval(float(whole), float(low), float(high))._asdict()
    return cells


def _over_things(things: np.ndarray, hits: np.ndarray) -> np.ndarray:
    """Total variation and coverage (2, ...) from counts (..., kinds) and (..., kinds, K)."""
    sums = 0.0
    for k, kind in enumerate(SEVERAL_COLOURED):
        prob = PALETTES[kind].prob
        weight = things[..., k]
        frequency = hits[..., k, : len(prob)] / np.maximum(weight, 1)[..., None]
        scores = _variation_and_coverage(frequency, 1 - frequency.sum(axis=-1), prob)
        sums += weight * np.stack(scores)
    return sums / things.sum(axis=-1)
