"""Predictions against the known colours: errors, colour frequencies, and the exact sampler.

The drawn world states with what probability a balloon is red, so the best prediction under a loss
and the right frequency of each colour are known. `score_by_kind` measures single predictions,
`palette_frequencies` measures samples, and `exact_samples` are samples that no model can beat.

Three ways to seem right without being so are told apart. A colour between two palette colours
counts for neither, so brown is not a balloon colour. Each object counts by itself, so two balloons
of a picture are two. And two samples of one object are compared, so a model that always paints
this balloon red and that one blue is seen not to vary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import exp, floor, lgamma, log

import numpy as np
import torch
from torch import Tensor

from colorlab.color import join, upsample_chroma
from colorlab.data.scenes.layout import Thing
from colorlab.data.scenes.palettes import PALETTES, SEVERAL_COLOURED
from colorlab.data.scenes.rendering import ab_fields, interior, render
from colorlab.data.scenes.sets import SceneSet

SMALLEST = 16  # interior pixels of a thing whose mean colour is taken
NEAR = 1 / 3  # of the way to the palette's next colour; L2 predictions lie beyond it, but for sails
COVERED = 0.25  # of its stated probability: below this, a colour counts as dropped
SAME = 1e-3  # units of L in [0, 100]: the lightness of one scene, read twice


def score_by_kind(
    ab: np.ndarray, scenes: SceneSet, indices: Sequence[int] | None = None
) -> list[dict]:
    """Score predicted colours kind by kind, against the truth and the exact L2 prediction.

    The distance is Delta-E 1976 at the true L, that is the Euclidean distance in ab. Only
    pixels whose 5x5 neighbourhood is one region count, so soft borders play no part.

    Args:
        ab: (N, 2, S, S) predictions in CIE units, at the full size of the pictures.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.

    Returns:
        A row for each kind present, in the order of `PALETTES`: `kind`, `colours` (K),
        `pixels`, and the means over pixels `to_truth`, `to_best` and `best_to_truth`. For a
        one-coloured kind the exact L2 prediction is the truth.
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
    ab_samples: np.ndarray | Tensor,
    scenes: SceneSet,
    indices: Sequence[int] | None = None,
    near: float = NEAR,
    covered: float = COVERED,
) -> list[dict]:
    """Count which palette colour each sample gave each thing of several colours.

    A thing's colour is the mean ab over its interior: pixels whose 5x5 neighbourhood is this
    thing. It counts for the nearest palette colour (at the scene's hour), if it lies within
    ``near`` of the distance from that colour to the palette's next one; else it is *between*.
    Chroma at a quarter of the size bleeds at borders, and still true colours pass this test.

    Args:
        ab_samples: (n, N, 2, S, S) in CIE units, n samples of N scenes of size S, or smaller
            chroma such as (n, N, 2, S/4, S/4), upsampled as in a picture. n = 1 for a single
            prediction.
        scenes: the set.
        indices: which N scenes of the set; None means the first N.
        near: share of the way to the next colour, in (0, 0.5].
        covered: a colour is covered if its frequency is at least this share of its stated
            probability. A single sample is not enough, since one stray sample in a thousand
            would count; nor need it be all, since frequencies of finitely many samples scatter.

    Returns:
        A row for each kind present, in the order of `SEVERAL_COLOURED`:
        `kind`, `names` (K colours), `prob` (K,), as stated;
        `things` counted and `too_small` ones left out, fewer than 16 interior pixels;
        `frequency` (K,) and `between`, shares of all n * things samples, which sum to 1;
        `total_variation`, in [0, 1]: half the summed distance of `frequency` to `prob`, plus
        half of `between`, whose stated probability is 0;
        `nearest` (K,) and `nearest_variation`: the same where every sample counts for its
        nearest colour. Gray with a little noise has a good one: never report it alone;
        `noise`, the expected `total_variation` of as many independent exact samples;
        `coverage`, share of the K colours covered;
        `differ`, share of pairs of samples of one thing which have two different palette
        colours, none of them between (None for n = 1), and `stated_differ`, 1 - sum prob^2;
        `truth_frequency` (K,) and `truth_variation`, of the colours in the true pictures: one
        sample a thing, so they scatter more than `noise` where n > 1.
        Where all things are too small, the numbers are None.
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
    entries: dict[str, list[tuple[np.ndarray, np.ndarray, int]]] = {}
    too_small = dict.fromkeys(SEVERAL_COLOURED, 0)
    for column, i in enumerate(chosen):
        for thing, colours in _thing_colours(ab[:, column], scenes, i):
            mine = entries.setdefault(thing.kind, [])
            if colours is None:
                too_small[thing.kind] += 1
                continue
            palette = PALETTES[thing.kind].at(scenes.hours[i])
            distance = np.linalg.norm(colours[:, None] - palette, axis=-1)  # (n, K)
            gaps = np.linalg.norm(palette[:, None] - palette, axis=-1)  # (K, K)
            reach = near * np.where(gaps > 0, gaps, np.inf).min(axis=1)  # (K,)
            nearest = distance.argmin(axis=1)
            mine.append((nearest, distance.min(axis=1) <= reach[nearest], thing.choice))
    return [
        _row(kind, entries[kind], too_small[kind], covered)
        for kind in SEVERAL_COLOURED
        if kind in entries
    ]


def _thing_colours(
    ab: Tensor, scenes: SceneSet, i: int
) -> Iterator[tuple[Thing, np.ndarray | None]]:
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


def _row(
    kind: str, things: list[tuple[np.ndarray, np.ndarray, int]], too_small: int, covered: float
) -> dict:
    """A row of :func:`palette_frequencies`; of each thing (nearest entries, hits, true entry)."""
    prob = PALETTES[kind].prob
    row = {
        "kind": kind,
        "names": PALETTES[kind].names,
        "prob": prob,
        "things": len(things),
        "too_small": too_small,
        "stated_differ": float(1 - (prob**2).sum()),
    }
    if not things:
        missing = "frequency between total_variation nearest nearest_variation noise coverage"
        missing += " differ truth_frequency truth_variation"
        return row | dict.fromkeys(missing.split())
    nearest = np.stack([thing[0] for thing in things])  # (things, n)
    hit = np.stack([thing[1] for thing in things])
    n = hit.shape[1]
    frequency = np.bincount(nearest[hit], minlength=len(prob)) / hit.size
    every = np.bincount(nearest.ravel(), minlength=len(prob)) / hit.size
    truth = np.bincount([thing[2] for thing in things], minlength=len(prob)) / len(things)
    between = float(1 - hit.mean())
    both = hit[:, :, None] & hit[:, None]
    unlike = both & (nearest[:, :, None] != nearest[:, None])  # (things, n, n)
    return row | {
        "frequency": frequency,
        "between": between,
        "total_variation": _variation(frequency, prob) + between / 2,
        "nearest": every,
        "nearest_variation": _variation(every, prob),
        "noise": _expected_variation(prob, hit.size),
        "coverage": float((frequency >= covered * prob).mean()),
        "differ": float(unlike.sum() / (len(things) * n * (n - 1))) if n > 1 else None,
        "truth_frequency": truth,
        "truth_variation": _variation(truth, prob),
    }


def _variation(p: np.ndarray, q: np.ndarray) -> float:
    return float(np.abs(p - q).sum() / 2)


def _expected_variation(prob: np.ndarray, m: int) -> float:
    """Expected total variation of the frequencies of m independent samples from ``prob``.

    Half the sum of binomial mean absolute deviations, exact (De Moivre; see P. Diaconis,
    S. Zabell, "Closed form summation for classical distributions", Statist. Sci. 6, 1991).
    """
    total = 0.0
    for p in prob:
        v = floor(m * p) + 1
        choose = lgamma(m + 1) - lgamma(v + 1) - lgamma(m - v + 1)
        total += 2 * v * exp(choose + v * log(p) + (m - v + 1) * log(1 - p)) / m
    return total / 2


def mean_over_things(rows: Sequence[dict], key: str) -> float:
    """A column of :func:`palette_frequencies` over all kinds, each thing counted once."""
    counted = [row for row in rows if row["things"]]
    return float(np.average([row[key] for row in counted], weights=[r["things"] for r in counted]))


def exact_samples(
    scenes: SceneSet, n: int, indices: Sequence[int] | None = None, seed: int = 0
) -> np.ndarray:
    """Sample from the true distribution of ab given gray: what no sampler can beat.

    Each thing of several colours is sampled anew from its palette, independently; lightness
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
