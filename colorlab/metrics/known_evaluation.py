"""The table of the known world: models against scenes whose colours are stated.

Distances and calibration are measured scene by scene; how often the stated colours are used can
only be counted over all scenes. Both get a bootstrap interval over scenes. Taught in notebook 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from colorlab.color import downsample_chroma, from_uint8, lightness, rgb_to_lab
from colorlab.data.scene_frequencies import COVERED
from colorlab.data.scenes import (
    PALETTES,
    SEVERAL_COLOURED,
    SceneSet,
    exact_samples,
    palette_frequencies,
)
from colorlab.metrics.evaluation import summarize
from colorlab.metrics.intervals import N_RESAMPLES, SEED, Interval
from colorlab.metrics.known_world import exact_answer, known_world, painted_things
from colorlab.metrics.protocol import KNOWN
from colorlab.metrics.report import Evaluation
from colorlab.metrics.rows import WORLD
from colorlab.progress import progress_bar

SHOWN = ("balloon", "noon", 24)  # things whose painted colours are kept: kind, hour, how many
_KEPT = ("to_best", "energy_distance", "near_borders", "held")  # scene by scene
_DIGITS = 3  # of what is kept
CHUNK = 8  # scenes at a time; each chunk draws from a generator of its own
_COLOURS = max(len(PALETTES[kind]) for kind in SEVERAL_COLOURED)


class _Part(NamedTuple):
    """What one row gave on one chunk of scenes.

    A thing counts once: each of its n draws for a share of 1 / n.
    """

    values: dict[str, np.ndarray]  # column -> (N,)
    things: np.ndarray  # (N, kinds): how many things of each kind
    hits: np.ndarray  # (N, kinds, K): how many of them got each stated colour
    shown: list[tuple[int, int, list[list[float]]]]  # scene, thing, its n colours


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
    """Measure every model on every scene, beside n draws of the world itself.

    Columns: those of :func:`colorlab.metrics.known_world.known_world`, and ``total_variation`` and
    ``coverage`` of :func:`colorlab.data.scenes.palette_frequencies`, over all things.

    Args:
        models: row name -> model, already on ``device``. One with ``answers`` gives n draws of a
            scene, or one answer if it is deterministic; any other row its picture's chroma.
        scenes: a set that no model has seen.
        n: draws of each scene, at least 2; 9 make the 90 % sets exact.
        device: where the models are.
        n_resamples: of the bootstrap over scenes.
        seed: of the bootstrap and the draws. Each 8 scenes draw anew: what follows them
            changes nothing.
        progress: show a bar over scenes times rows.
        provenance: more to record, such as the command.

    Returns:
        A table like :func:`colorlab.metrics.evaluate`'s. ``per_picture`` holds four of the columns
        to three digits; ``details`` holds what each row painted the first balloons at noon.

    Raises:
        ValueError: no models or scenes, n below 2, a row that sees the truth, or a scene so small
            that no thing of several colours has inner pixels.
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
    parts: dict[str, list[_Part]] = {name: [] for name in rows}
    with progress_bar(total=len(rows) * len(scenes), unit="scene", show=progress) as bar:
        for start in range(0, len(scenes), CHUNK):  # scenes outside: their exact answers are kept
            chosen = range(start, min(start + CHUNK, len(scenes)))
            for name, model in rows.items():
                ab = _answers(model, scenes, chosen, n, device, seed + start)
                parts[name].append(_measure(ab, scenes, chosen, best[name]))
                bar.update(len(chosen))
    measured = {
        name: {c: np.concatenate([part.values[c] for part in own]) for c in own[0].values}
        for name, own in parts.items()
    }
    lacking = np.isnan(np.stack(list(measured[WORLD].values()))).any(axis=0)
    if lacking.any():
        name = scenes.pictures.names[int(lacking.argmax())]
        raise ValueError(f"{name} at {scenes.pictures.size} pixels is too small to measure inside")
    columns = [column for column in KNOWN if column not in ("total_variation", "coverage")]
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
    counted = {
        name: _palette_cells(
            np.concatenate([part.things for part in own]),
            np.concatenate([part.hits for part in own]),
            n_resamples,
            seed,
        )
        for name, own in parts.items()
    }
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
        details=_details(parts),
    )


def _answers(
    model: Any, scenes: SceneSet, chosen: range, n: int, device: torch.device, seed: int
) -> Tensor:
    """Chroma (n or 1, N, 2, h, w) of the chosen scenes, on the CPU; None stands for the world."""
    if model is None:
        return torch.from_numpy(exact_samples(scenes, n, chosen, seed))
    L = lightness(from_uint8(scenes.pictures.rgb[chosen.start : chosen.stop]).to(device))
    with torch.inference_mode():
        if not hasattr(model, "answers"):
            return downsample_chroma(rgb_to_lab(model.colorize(L))[:, 1:])[None].cpu()
        draws = 1 if model.deterministic else n
        ab = model.answers(L, draws, torch.Generator(device).manual_seed(seed))
        return (rgb_to_lab(ab)[:, :, 1:] if ab.shape[2] == 3 else ab).cpu()


def _palette_cells(
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
    for i, column in enumerate(("total_variation", "coverage")):
        low, high = np.quantile(_shares(*again)[i], (0.025, 0.975), method="nearest")
        whole = _shares(things.sum(axis=0), hits.sum(axis=0))[i]
        cells[column] = Interval(float(whole), float(low), float(high))._asdict()
    return cells


def _measure(answers: Tensor, scenes: SceneSet, chosen: range, best: str) -> _Part:
    """Measure and count the answers (n, N, 2, h, w) of one row to the chosen scenes."""
    kinds = list(SEVERAL_COLOURED)
    things = np.zeros((len(chosen), len(kinds)))
    hits = np.zeros((*things.shape, _COLOURS))
    for column, i in enumerate(chosen):
        for row in palette_frequencies(answers[:, column : column + 1], scenes, [i]):
            if row["things"]:
                place = column, kinds.index(row["kind"])
                things[place] = row["things"]
                hits[place][: len(row["prob"])] = row["things"] * row["frequency"]
    kind, hour, _ = SHOWN
    shown = [
        (i, index, np.round(colours.tolist(), 1).tolist())
        for i, index, colours in painted_things(answers, scenes, chosen)
        if scenes.hours[i] == hour and scenes.kinds[i][index] == kind
    ]
    return _Part(known_world(answers, scenes, chosen, best), things, hits, shown)


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


def _details(parts: Mapping[str, list[_Part]]) -> dict[str, Any]:
    """What each row painted the first things of one kind at one hour: scenes, things, ab."""
    kind, hour, count = SHOWN
    shown = {name: [s for part in own for s in part.shown][:count] for name, own in parts.items()}
    return {
        "kind": kind,
        "hour": hour,
        "things": [[i, index] for i, index, _ in shown[WORLD]],
        "ab": {name: [colours for *_, colours in own] for name, own in shown.items()},
    }
