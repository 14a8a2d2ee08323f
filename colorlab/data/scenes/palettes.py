"""The colours of the drawn world, and the best prediction under each loss.

Each object class (a *kind*: grass, balloon, ...) has a palette of K colours with stated
probabilities. The best prediction is then known exactly: the mean under a squared error, a median
under an absolute error, the whole distribution under a log loss or for a sampler.

Colours are (a, b) of CIELAB (D65, 2 degree observer) in CIE units, as seen at noon. At another
hour one affine map applies to all of them, so it also maps their means and medians.

The bytes of every scene depend on the numbers in this module.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache

import numpy as np

# ab at an hour = scale * ab at noon + tint. Low light has less chroma; the tint is the
# colour of the light: rosy at dawn, warm in the evening, blue at night.
HOUR_COLOUR: dict[str, tuple[float, tuple[float, float]]] = {
    "dawn": (0.80, (4.0, 1.0)),
    "noon": (1.00, (0.0, 0.0)),
    "evening": (0.80, (6.0, 5.0)),
    "night": (0.62, (1.0, -8.0)),
}
HOURS = tuple(HOUR_COLOUR)
HUBER_DELTA = 11.0  # CIE units: 0.1 of `colorlab.losses.huber`, which sees ab / 110


@dataclass(frozen=True)
class Palette:
    """The K colours that objects of one kind may have."""

    kind: str
    names: tuple[str, ...]
    ab: np.ndarray  # (K, 2), at noon, CIE units
    prob: np.ndarray  # (K,), sums to 1
    by_hour: Mapping[str, np.ndarray] = field(default_factory=dict)  # (1, 2), not `HOUR_COLOUR`

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


def _palette(kind: str, **colours: tuple[float, float, float]) -> Palette:
    """Palette from name=(probability, a, b)."""
    table = np.array(list(colours.values()), dtype=np.float64)
    names = tuple(name.replace("_", " ") for name in colours)
    return Palette(kind, names, ab=table[:, 1:], prob=table[:, 0])


def _hourly(kind: str, **ab: tuple[float, float]) -> Palette:
    by_hour = {hour: np.array([ab[hour]], dtype=np.float64) for hour in HOURS}
    return Palette(kind, (kind,), by_hour["noon"], np.ones(1), by_hour)


# Three hues 120 degrees apart with equal probabilities: the mean is exactly neutral gray, and so
# is the geometric median. The purest case of "the L2 prediction is gray".
_TENT = {
    name: (34 * np.cos(hue), 34 * np.sin(hue))
    for name, hue in zip(("red", "green", "blue"), np.deg2rad((25, 145, 265)), strict=True)
}

_PALETTES = (
    # Several colours at equal lightness.
    _palette("balloon", red=(0.3, 52, 30), blue=(0.5, 4, -42), green=(0.2, -40, 32)),
    _palette("tent", **{name: (1 / 3, *ab) for name, ab in _TENT.items()}),
    # Most walls are yellow: each median is yellow, the mean is a dull gray-green.
    _palette("house wall", yellow=(0.6, 2, 36), blue=(0.4, -4, -24)),
    _palette("apple", red=(0.45, 44, 28), yellow=(0.3, 0, 50), green=(0.25, -30, 40)),
    _palette("flower bed", pink=(0.4, 46, -8), yellow=(0.35, 0, 52), violet=(0.25, 24, -36)),
    _palette("sail", white=(0.4, 0, 3), orange=(0.35, 24, 34), turquoise=(0.25, -26, -9)),
    _palette("parasol", orange=(0.55, 36, 36), blue=(0.45, -2, -36)),
    _palette("car", silver=(0.4, 0, -2), red=(0.3, 48, 26), blue=(0.3, 2, -38)),
    _palette("coat", blue=(0.4, 2, -38), red=(0.35, 44, 26), yellow=(0.25, 3, 46)),
    _palette("cow", brown=(0.6, 17, 30), gray=(0.4, 0, 2)),
    _palette("awning", red=(0.4, 46, 26), green=(0.35, -36, 28), blue=(0.25, 2, -38)),
    _palette("rowing boat", red=(0.55, 44, 30), green=(0.45, -32, 18)),
    # One colour, or one colour at each hour.
    _hourly("sky", dawn=(2, -20), noon=(-2, -32), evening=(14, -26), night=(7, -22)),
    _hourly("horizon", dawn=(16, 14), noon=(-8, -12), evening=(26, 44), night=(2, -22)),
    _hourly("cloud", dawn=(12, 6), noon=(-1, -3), evening=(28, 16), night=(4, -14)),
    _hourly("sun", dawn=(5, 22), noon=(-2, 14), evening=(8, 45), night=(-1, 6)),
    _hourly("water", dawn=(2, -10), noon=(-10, -20), evening=(13, -8), night=(4, -20)),
    _hourly("window", dawn=(-2, -8), noon=(-3, -10), evening=(12, 48), night=(10, 46)),
    _palette("mountain", slate=(1, 1, -12)),
    _palette("snow", snow=(1, -1, -4)),
    _palette("forest", dark_green=(1, -16, 10)),
    _palette("meadow", grass_green=(1, -24, 34)),
    _palette("sand", sand=(1, 5, 24)),
    _palette("road", asphalt=(1, 1, -1)),
    _palette("crown", leaf_green=(1, -28, 30)),
    _palette("fir", fir_green=(1, -17, 8)),
    _palette("trunk", brown=(1, 9, 16)),
    _palette("roof", terracotta=(1, 26, 26)),
    _palette("wood", oak=(1, 12, 26)),
    _palette("rubber", black=(1, 0, 0)),
    _palette("skin", skin=(1, 13, 18)),
    _palette("trousers", gray_blue=(1, 0, -8)),
    _palette("stem", leaf=(1, -14, 22)),
)

PALETTES: dict[str, Palette] = {palette.kind: palette for palette in _PALETTES}
SEVERAL_COLOURED = tuple(p.kind for p in _PALETTES if len(p) > 1)


def distribution(kind: str, hour: str = "noon") -> tuple[np.ndarray, np.ndarray]:
    """Return the exact colour distribution of a kind at an hour, which minimises the log loss.

    Returns:
        ab (K, 2) in CIE units and probabilities (K,).
    """
    if kind not in PALETTES:
        raise ValueError(f"no kind {kind!r} in the drawn world; kinds: {', '.join(PALETTES)}")
    return PALETTES[kind].at(hour), PALETTES[kind].prob


def weighted_median(values: np.ndarray, prob: np.ndarray) -> float:
    """Return a median: the minimiser of sum p |x - v|, the midpoint where it is not unique."""
    order = np.argsort(values)
    values, total = values[order], np.cumsum(prob[order])
    low = values[np.searchsorted(total, 0.5 - 1e-9)]
    high = values[np.searchsorted(total, 0.5 + 1e-9)]
    return float(low + high) / 2


def geometric_median(ab: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """Return the minimiser (2,) of sum p ||x - v|| over points (K, 2), by Weiszfeld's iteration.

    A palette colour itself is the minimiser if the pull of the others does not exceed its
    own probability (Vardi and Zhang 2000, equation 2.6). This is tested first, because the
    iteration divides by the distance.
    """
    for point in ab:
        away = ab - point
        distance = np.linalg.norm(away, axis=1)
        others = distance > 0
        pull = (prob[others, None] * away[others] / distance[others, None]).sum(axis=0)
        if np.linalg.norm(pull) <= prob[~others].sum():
            return point.copy()
    x = prob @ ab
    for _ in range(500):
        weight = prob / np.maximum(np.linalg.norm(ab - x, axis=1), 1e-9)
        x = weight @ ab / weight.sum()
    return x


def least_huber(ab: np.ndarray, prob: np.ndarray) -> np.ndarray:
    """Return the minimiser (2,) of the expected `colorlab.losses.huber` over points (K, 2).

    By iteratively reweighted least squares, as in Weiszfeld's iteration. The loss is smooth and
    strictly convex, so there is one minimiser and no point is special.
    """
    x = prob @ ab
    for _ in range(500):
        weight = prob / np.sqrt(((ab - x) ** 2).sum(axis=1) + HUBER_DELTA**2)
        x = weight @ ab / weight.sum()
    return x


@cache
def _best_at_noon(kind: str, loss: str) -> np.ndarray:
    ab, prob = distribution(kind)
    if loss == "l2":
        return prob @ ab
    if loss == "l1":
        return np.array([weighted_median(values, prob) for values in ab.T])
    if loss == "l1-vector":
        return geometric_median(ab, prob)
    raise ValueError(f"loss must be 'l2', 'l1', 'l1-vector' or 'huber', got {loss!r}")


def best_ab(kind: str, loss: str, hour: str = "noon") -> np.ndarray:
    """Return the one colour (2,) that minimises the expected loss over the palette of a kind.

    The loss is "l2" (squared error: the mean), "l1" (absolute error of a and of b: the median of
    each), "l1-vector" (Euclidean distance: the geometric median) or "huber" (the pseudo-Huber of
    the Euclidean distance with which the networks train: between the mean and that median).
    """
    if loss == "huber":  # its delta is a distance, so the hour's map does not commute with it
        return least_huber(*distribution(kind, hour))
    best = _best_at_noon(kind, loss)
    return replace(PALETTES[kind], ab=best[None]).at(hour)[0]
