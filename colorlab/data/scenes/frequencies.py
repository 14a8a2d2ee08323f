"""Drawn colours of scenes against the stated palettes: frequencies, coverage, mixed modes.

The drawn world states with what probability a balloon is red. A model that draws should use
the same colours as often. Three ways to seem right without being so are told apart: a colour
between two palette colours counts for neither, so brown is no balloon; each thing counts by
itself, so two balloons of a picture are two; and two draws of one thing are compared, so a
model that always paints this balloon red and that one blue shows that it does not vary.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, floor, lgamma, log

import numpy as np
import torch
from torch import Tensor

from colorlab.color import upsample_chroma
from colorlab.data.scenes.palettes import PALETTES, SEVERAL_COLOURED
from colorlab.data.scenes.rendering import interior
from colorlab.data.scenes.sets import SceneSet

SMALLEST = 16  # interior pixels of a thing whose mean colour is taken
NEAR = 1 / 3  # of the way to the palette's next colour; L2 answers lie beyond it, but for sails
COVERED = 0.25  # of its stated probability: below this, a colour counts as dropped


def palette_frequencies(
    ab_samples: np.ndarray | Tensor,
    scenes: SceneSet,
    indices: Sequence[int] | None = None,
    near: float = NEAR,
    covered: float = COVERED,
) -> list[dict]:
    """Count which palette colour each draw gave each thing of several colours.

    A thing's colour is the mean ab over its interior: pixels whose 5x5 neighbourhood is this
    thing. It counts for the nearest palette colour (at the scene's hour), if it lies within
    ``near`` of the distance from that colour to the palette's next one; else it is *between*.
    Chroma at a quarter of the size bleeds at borders, and still true colours pass this test.

    Args:
        ab_samples: (n, N, 2, S, S) in CIE units, n draws of N scenes of size S, or smaller
            chroma such as (n, N, 2, S/4, S/4), upsampled as in a picture. n = 1 for a single
            answer.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.
        near: share of the way to the next colour, in (0, 0.5].
        covered: a colour is covered if its frequency is at least this share of its stated
            probability. Not any draw suffices, since one stray draw in a thousand would; nor
            need it be all, since a finite number of draws scatters.

    Returns:
        A row for each kind present, in the order of `SEVERAL_COLOURED`:
        `kind`, `names` (K colours), `prob` (K,), as stated;
        `things` counted and `too_small` ones left out, fewer than 16 interior pixels;
        `frequency` (K,) and `between`, shares of all n * things draws, which sum to 1;
        `total_variation`, in [0, 1]: half the summed distance of `frequency` to `prob`, plus
        half of `between`, whose stated probability is 0;
        `nearest` (K,) and `nearest_variation`: the same where every draw counts for its
        nearest colour. Gray with a little noise has a good one: never report it alone;
        `noise`, the `total_variation` to expect of as many independent exact draws;
        `coverage`, share of the K colours covered;
        `differ`, share of pairs of draws of one thing which have two different palette
        colours, none of them between (None for n = 1), and `stated_differ`, 1 - sum prob^2;
        `truth_frequency` (K,) and `truth_variation`, of the colours in the true pictures: one
        draw a thing, so they scatter more than `noise` where n > 1.
        Where all things are too small, the numbers are None.

    Raises:
        ValueError: ab_samples of another shape than the scenes, or `near` or `covered` out of
            range.
    """
    ab = torch.as_tensor(ab_samples)
    if ab.ndim != 5 or ab.shape[2] != 2 or not ab.numel() or ab.shape[3] != ab.shape[4]:
        raise ValueError(f"want ab_samples of shape (n, N, 2, S, S), got {tuple(ab.shape)}")
    chosen = list(range(ab.shape[1]) if indices is None else indices)
    size = scenes.pictures.size
    if ab.shape[1] != len(chosen) or ab.shape[-1] > size:
        raise ValueError(
            f"{tuple(ab.shape)} does not fit {len(chosen)} scenes of {size}x{size} pixels"
        )
    if not 0 < near <= 0.5 or not 0 < covered <= 1:
        raise ValueError(f"want 0 < near <= 0.5 and 0 < covered <= 1, got {near} and {covered}")
    drawn: dict[str, list[tuple[np.ndarray, np.ndarray, int]]] = {}
    too_small = dict.fromkeys(SEVERAL_COLOURED, 0)
    for column, i in enumerate(chosen):
        for thing, colours in _thing_colours(ab[:, column], scenes, i):
            mine = drawn.setdefault(thing.kind, [])
            if colours is None:
                too_small[thing.kind] += 1
            else:
                palette = PALETTES[thing.kind].at(scenes.hours[i])
                mine.append((*_assign(colours, palette, near), thing.choice))
    return [
        _row(kind, drawn[kind], too_small[kind], covered)
        for kind in SEVERAL_COLOURED
        if kind in drawn
    ]


def mean_over_things(rows: Sequence[dict], key: str) -> float:
    """A column of :func:`palette_frequencies` over all kinds, each thing counted once."""
    counted = [row for row in rows if row["things"]]
    return float(np.average([row[key] for row in counted], weights=[r["things"] for r in counted]))


def _thing_colours(ab: Tensor, scenes: SceneSet, i: int):
    """Each several-coloured thing of scene i and its mean colours (n, 2), None if too small."""
    region = np.asarray(scenes.regions[i])
    inner = interior(region)
    full = None
    for index, thing in enumerate(scenes.things[i]):
        if thing.kind not in SEVERAL_COLOURED:
            continue
        mask = inner & (region == index)
        if mask.sum() < SMALLEST:
            yield thing, None
            continue
        if full is None:  # many scenes have no such thing
            full = ab if ab.shape[-1] == len(region) else upsample_chroma(ab, region.shape)
            full = full.detach().double().cpu().numpy()
        yield thing, full[:, :, mask].mean(axis=-1)


def _assign(colours: np.ndarray, palette: np.ndarray, near: float) -> tuple[np.ndarray, np.ndarray]:
    """Nearest palette entry of colours (n, 2), and whether each lies near it: both (n,)."""
    distance = np.linalg.norm(colours[:, None] - palette, axis=-1)  # (n, K)
    gaps = np.linalg.norm(palette[:, None] - palette, axis=-1)  # (K, K)
    reach = near * np.where(gaps > 0, gaps, np.inf).min(axis=1)  # (K,)
    nearest = distance.argmin(axis=1)
    return nearest, distance.min(axis=1) <= reach[nearest]


def _row(
    kind: str, things: list[tuple[np.ndarray, np.ndarray, int]], too_small: int, covered: float
) -> dict:
    palette = PALETTES[kind]
    row = {
        "kind": kind,
        "names": palette.names,
        "prob": palette.prob,
        "things": len(things),
        "too_small": too_small,
        "stated_differ": float(1 - (palette.prob**2).sum()),
    }
    if not things:
        missing = "frequency between total_variation nearest nearest_variation noise coverage"
        missing += " differ truth_frequency truth_variation"
        return row | dict.fromkeys(missing.split())
    nearest = np.stack([thing[0] for thing in things])  # (things, n)
    hit = np.stack([thing[1] for thing in things])
    frequency = _shares(nearest[hit], len(palette), hit.size)
    truth = _shares(np.array([thing[2] for thing in things]), len(palette), len(things))
    every = _shares(nearest.ravel(), len(palette), hit.size)
    between = float(1 - hit.mean())
    return row | {
        "frequency": frequency,
        "between": between,
        "total_variation": _variation(frequency, palette.prob) + between / 2,
        "nearest": every,
        "nearest_variation": _variation(every, palette.prob),
        "noise": _expected_variation(palette.prob, hit.size),
        "coverage": float((frequency >= covered * palette.prob).mean()),
        "differ": _differ(np.where(hit, nearest, -1)),
        "truth_frequency": truth,
        "truth_variation": _variation(truth, palette.prob),
    }


def _shares(entries: np.ndarray, k: int, total: int) -> np.ndarray:
    return np.bincount(entries, minlength=k) / total


def _variation(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.abs(p - q).sum() / 2)


def _differ(entries: np.ndarray) -> float | None:
    """Share of pairs in a row of (things, n) with two different entries; -1 differs from none."""
    n = entries.shape[1]
    if n < 2:
        return None
    unlike = (entries[:, :, None] != entries[:, None]) & (entries[:, :, None] >= 0)
    unlike &= entries[:, None] >= 0
    return float(unlike.sum() / (len(entries) * n * (n - 1)))


def _expected_variation(prob: np.ndarray, m: int) -> float:
    """Expected total variation of the frequencies of m independent draws from ``prob``.

    Half the sum of binomial mean absolute deviations, exact (De Moivre; see P. Diaconis,
    S. Zabell, "Closed form summation for classical distributions", Statist. Sci. 6, 1991).
    """
    total = 0.0
    for p in prob:
        v = floor(m * p) + 1
        choose = lgamma(m + 1) - lgamma(v + 1) - lgamma(m - v + 1)
        deviation = 2 * v * exp(choose + v * log(p) + (m - v + 1) * log(1 - p))
        total += deviation / m
    return total / 2
