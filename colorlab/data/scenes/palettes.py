"""What colours the drawn world has, and the best answer under each loss.

A *kind* of thing (grass, balloon, ...) owns a palette: K colours with stated
probabilities. Most kinds have one colour. Several have more, all possible at the same
lightness, so that a gray picture cannot tell which one was drawn. The best prediction is
then known exactly: the mean under a squared error, a median under an absolute error, the
whole distribution under a log loss or for a sampler.

Colours are (a, b) of CIELAB (D65, 2 degree observer), in CIE units, as seen at noon. The
other hours map all of them by one affine rule, so means and medians follow the same rule.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache

import numpy as np

HOURS = ("dawn", "noon", "evening", "night")

# ab at an hour = scale * ab at noon + tint. Low light has less chroma; the tint is the
# colour of the light: rosy at dawn, warm in the evening, blue at night.
HOUR_COLOUR: dict[str, tuple[float, tuple[float, float]]] = {
    "dawn": (0.80, (4.0, 1.0)),
    "noon": (1.00, (0.0, 0.0)),
    "evening": (0.80, (6.0, 5.0)),
    "night": (0.62, (1.0, -8.0)),
}


@dataclass(frozen=True)
class Palette:
    """The colours that one kind of thing may have.

    Attributes:
        kind: name of the kind, a key of `PALETTES`.
        names: K colour names.
        ab: (K, 2) float array, the colours at noon, CIE units.
        prob: (K,) float array, their probabilities, which sum to 1.
        by_hour: for some one-coloured kinds (sky, water, ...) the (1, 2) colour at each
            hour, in place of the affine rule `HOUR_COLOUR`.
    """

    kind: str
    names: tuple[str, ...]
    ab: np.ndarray
    prob: np.ndarray
    by_hour: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.names)

    def at(self, hour: str) -> np.ndarray:
        """Return the (K, 2) colours at an hour of `HOURS`, CIE units."""
        if hour not in HOURS:
            raise ValueError(f"hour must be one of {', '.join(HOURS)}, got {hour!r}")
        if hour in self.by_hour:
            return self.by_hour[hour]
        scale, tint = HOUR_COLOUR[hour]
        return scale * self.ab + np.asarray(tint)


def _several(kind: str, **colours: tuple[float, float, float]) -> Palette:
    """Palette from name=(probability, a, b)."""
    table = np.array(list(colours.values()), dtype=np.float64)
    names = tuple(name.replace("_", " ") for name in colours)
    return Palette(kind, names, ab=table[:, 1:], prob=table[:, 0])


def _single(kind: str, name: str, a: float, b: float) -> Palette:
    return Palette(kind, (name,), np.array([[a, b]], dtype=np.float64), np.ones(1))


def _hourly(kind: str, **ab: tuple[float, float]) -> Palette:
    by_hour = {hour: np.array([ab[hour]], dtype=np.float64) for hour in HOURS}
    return Palette(kind, (kind,), by_hour["noon"], np.ones(1), by_hour)


def _hues(chroma: float, *degrees: float) -> list[tuple[float, float]]:
    angles = np.deg2rad(degrees)
    return [(chroma * np.cos(t), chroma * np.sin(t)) for t in angles]


# Three hues 120 degrees apart, one third each: the mean is neutral gray, exactly, and so
# is the geometric median. The purest case of "the L2 answer is gray".
_TENT = _hues(34.0, 25.0, 145.0, 265.0)
_THIRD = 1.0 / 3.0

_PALETTES = (
    # Several colours at equal lightness.
    _several("balloon", red=(0.3, 52, 30), blue=(0.5, 4, -42), green=(0.2, -40, 32)),
    _several("tent", red=(_THIRD, *_TENT[0]), green=(_THIRD, *_TENT[1]), blue=(_THIRD, *_TENT[2])),
    # The majority is yellow: each median is yellow, the mean is a dull gray-green.
    _several("house wall", yellow=(0.6, 2, 36), blue=(0.4, -4, -24)),
    _several("apple", red=(0.45, 44, 28), yellow=(0.3, 0, 50), green=(0.25, -30, 40)),
    _several("flower bed", pink=(0.4, 46, -8), yellow=(0.35, 0, 52), violet=(0.25, 24, -36)),
    _several("sail", white=(0.4, 0, 3), orange=(0.35, 24, 34), turquoise=(0.25, -26, -9)),
    _several("parasol", orange=(0.55, 36, 36), blue=(0.45, -2, -36)),
    _several("car", silver=(0.4, 0, -2), red=(0.3, 48, 26), blue=(0.3, 2, -38)),
    # One colour, or one colour at each hour.
    _hourly("sky", dawn=(2, -20), noon=(-2, -32), evening=(14, -26), night=(7, -22)),
    _hourly("horizon", dawn=(16, 14), noon=(-8, -12), evening=(26, 44), night=(2, -22)),
    _hourly("cloud", dawn=(12, 6), noon=(-1, -3), evening=(28, 16), night=(4, -14)),
    _hourly("sun", dawn=(5, 22), noon=(-2, 14), evening=(8, 45), night=(-1, 6)),
    _hourly("water", dawn=(2, -10), noon=(-10, -20), evening=(13, -8), night=(4, -20)),
    _hourly("window", dawn=(-2, -8), noon=(-3, -10), evening=(12, 48), night=(10, 46)),
    _single("mountain", "slate", 1, -12),
    _single("snow", "snow", -1, -4),
    _single("forest", "dark green", -16, 10),
    _single("meadow", "grass green", -24, 34),
    _single("sand", "sand", 5, 24),
    _single("road", "asphalt", 1, -1),
    _single("crown", "leaf green", -28, 30),
    _single("fir", "fir green", -17, 8),
    _single("trunk", "brown", 9, 16),
    _single("roof", "terracotta", 26, 26),
    _single("wood", "oak", 12, 26),
    _single("rubber", "black", 0, 0),
    _single("stem", "leaf", -14, 22),
)

PALETTES: dict[str, Palette] = {palette.kind: palette for palette in _PALETTES}
SEVERAL_COLOURED = tuple(p.kind for p in _PALETTES if len(p) > 1)


def _palette(kind: str) -> Palette:
    if kind not in PALETTES:
        raise ValueError(f"no kind {kind!r} in the drawn world; kinds: {', '.join(PALETTES)}")
    return PALETTES[kind]


def distribution(kind: str, hour: str = "noon") -> tuple[np.ndarray, np.ndarray]:
    """Return the exact colour distribution of a kind, the optimum of the log loss.

    Args:
        kind: a key of `PALETTES`.
        hour: one of `HOURS`.

    Returns:
        ab (K, 2) in CIE units and probabilities (K,).

    Raises:
        ValueError: if the kind or the hour does not exist.
    """
    palette = _palette(kind)
    return palette.at(hour), palette.prob


def weighted_median(values: np.ndarray, prob: np.ndarray) -> float:
    """Return a median: the minimiser of sum p |x - v|, mid-way where it is not unique."""
    order = np.argsort(values)
    values, total = values[order], np.cumsum(prob[order])
    low = values[np.searchsorted(total, 0.5 - 1e-9)]
    high = values[np.searchsorted(total, 0.5 + 1e-9)]
    return float(low + high) / 2


def geometric_median(ab: np.ndarray, prob: np.ndarray, steps: int = 500) -> np.ndarray:
    """Return the minimiser of sum p ||x - v||, by Weiszfeld's iteration.

    A palette colour itself is the answer when the pull of the others does not exceed its
    own probability (Vardi and Zhang 2000, equation 2.6): tested first, since the
    iteration divides by the distance.

    Args:
        ab: (K, 2) points.
        prob: (K,) weights that sum to 1.
        steps: number of iterations.
    """
    for k, point in enumerate(ab):
        away = ab - point
        distance = np.linalg.norm(away, axis=1)
        others = distance > 0
        pull = (prob[others, None] * away[others] / distance[others, None]).sum(axis=0)
        if np.linalg.norm(pull) <= prob[~others].sum():
            return ab[k].copy()
    x = prob @ ab
    for _ in range(steps):
        weight = prob / np.maximum(np.linalg.norm(ab - x, axis=1), 1e-9)
        x = weight @ ab / weight.sum()
    return x


@cache
def _best(kind: str, loss: str) -> tuple[float, float]:
    palette = _palette(kind)
    if loss == "l2":
        best = palette.prob @ palette.ab
    elif loss == "l1":
        best = [weighted_median(palette.ab[:, c], palette.prob) for c in (0, 1)]
    elif loss == "l1-vector":
        best = geometric_median(palette.ab, palette.prob)
    else:
        raise ValueError(f"loss must be 'l2', 'l1' or 'l1-vector', got {loss!r}")
    return float(best[0]), float(best[1])


def best_ab(kind: str, loss: str, hour: str = "noon") -> np.ndarray:
    """Return the one colour (2,) that minimises the expected loss over a kind's palette.

    Args:
        kind: a key of `PALETTES`.
        loss: "l2" (squared error: the mean), "l1" (absolute error of a and of b: the
            median of each) or "l1-vector" (length of the error: the geometric median).
        hour: one of `HOURS`.

    Raises:
        ValueError: if the kind, the loss or the hour does not exist.
    """
    palette = _palette(kind)
    best = np.array(_best(kind, loss))
    if hour in palette.by_hour:
        return palette.at(hour)[0]
    if hour not in HOURS:
        raise ValueError(f"hour must be one of {', '.join(HOURS)}, got {hour!r}")
    scale, tint = HOUR_COLOUR[hour]
    return scale * best + np.asarray(tint)
