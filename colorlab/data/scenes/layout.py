"""Sample what a scene contains: the hour, a place (valley, lake, beach, road) and its objects.

Two random streams come from one seed. The first decides all geometry, hence lightness; the
second samples palette entries only. So lightness is independent of the colours by construction.

The bytes of every scene depend on the order in which this module takes random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import pi, sin

import numpy as np

from colorlab.data.scenes.palettes import HOURS, PALETTES

Visit = Callable[[], None]  # adds the people, animals, stalls and rowing boats of a place
Waves = tuple[tuple[float, float, float], ...]  # (amplitude, frequency, phase) of a ridge


@dataclass(frozen=True)
class Thing:
    """An object in a scene: its kind and the index of the palette entry that was sampled."""

    kind: str
    choice: int = 0

    @property
    def colour(self) -> str:
        """Name of the sampled colour."""
        return PALETTES[self.kind].names[self.choice]


@dataclass(frozen=True)
class Item:
    """One call of a painter: its name, the things it paints, and where (unit coordinates)."""

    painter: str
    things: tuple[int, ...]
    where: dict


@dataclass(frozen=True)
class Layout:
    """Everything that decides a picture, before any pixel.

    A one-coloured kind is one thing of the scene, several-coloured kinds one for each instance.
    """

    hour: str  # one of `HOURS`
    sun: tuple[float, float]  # (x, y) of the sun or moon, unit coordinates
    things: tuple[Thing, ...]  # what the region map indexes
    items: tuple[Item, ...]  # back to front
    grain: tuple[float, float]  # offset of the film grain


def height(x, base: float, waves: Waves):
    """Return y of a ridge at x (float or array): a base line less a sum of sines."""
    wave = sin if isinstance(x, float) else np.sin
    y = base
    for amplitude, frequency, phase in waves:
        y = y - amplitude * wave(2 * pi * frequency * x + phase)
    return y


def draw_layout(seed: int, choices: Mapping[int | str, int] | None = None) -> Layout:
    """Sample a scene without rendering it; ``choices`` as in `rendering.render`."""
    if seed < 0:
        raise ValueError(f"a scene's seed must be 0 or greater, got {seed}")
    d = _Draw(int(seed), choices or {})
    hour = HOURS[d.count(0, 3)]
    low_sun = hour in ("dawn", "evening")
    sun = d.between(0.12, 0.88), d.between(0.36, 0.44) if low_sun else d.between(0.09, 0.2)
    horizon = d.between(0.46, 0.54)
    d.add("sky", "sky", "horizon", "sun", bottom=horizon + 0.08)
    for _ in range(d.count(1, 3)):
        centre = d.between(0.05, 0.95), d.between(0.08, 0.34)
        d.add("cloud", "cloud", centre=centre, radius=(d.between(0.14, 0.3), d.between(0.04, 0.08)))
    u = d.between(0, 1)
    place = _valley if u < 0.42 else _lake if u < 0.64 else _beach if u < 0.82 else _road
    visit = place(d, horizon)
    grain = d.offset()
    visit()  # sampled last: who comes and goes moves nothing else
    return Layout(hour, sun, tuple(d.things), tuple(d.items), grain)


class _Draw:
    """The two random streams, and the things and items collected so far."""

    def __init__(self, seed: int, choices: Mapping) -> None:
        self._geometry = np.random.default_rng([seed, 0])
        self._colour = np.random.default_rng([seed, 1])
        self._choices = choices
        self.things: list[Thing] = []
        self.items: list[Item] = []
        self._single: dict[str, int] = {}

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self._geometry.random()

    def count(self, low: int, high: int) -> int:
        return low + int((high - low + 1) * self._geometry.random())

    def chance(self, probability: float) -> bool:
        return self._geometry.random() < probability

    def offset(self) -> tuple[float, float]:
        return self._geometry.random(), self._geometry.random()

    def ridge(self, low: float, high: float, frequency: float) -> Waves:
        """Return waves of a ridge: higher octaves have lower amplitudes."""
        return tuple(
            (
                self.between(low, high) * 0.45**octave,
                frequency * 2.1**octave * self.between(0.8, 1.2),
                self.between(0, 2 * pi),
            )
            for octave in range(3)
        )

    def thing(self, kind: str) -> int:
        """Return the index of a thing, sampling its colour if its kind has several."""
        palette = PALETTES[kind]
        if len(palette) == 1:
            if kind not in self._single:
                self._single[kind] = len(self.things)
                self.things.append(Thing(kind))
            return self._single[kind]
        # Always sample, so that forcing one thing leaves the others as they were.
        u, index = self._colour.random(), len(self.things)
        choice = min(int(np.searchsorted(palette.prob.cumsum(), u, side="right")), len(palette) - 1)
        choice = self._choices.get(index, self._choices.get(kind, choice))
        if choice not in range(len(palette)):
            raise ValueError(f"{kind!r} has {len(palette)} colours, there is no entry {choice!r}")
        self.things.append(Thing(kind, int(choice)))
        return index

    def add(self, painter: str, *kinds: str, at: int | None = None, **where) -> None:
        """Add a painter's call, in front of all others or as item `at`; its offset comes last."""
        where["offset"] = self.offset()
        item = Item(painter, tuple(self.thing(kind) for kind in kinds), where)
        self.items.insert(len(self.items) if at is None else at, item)


def _valley(d: _Draw, horizon: float) -> Visit:
    _far(d, horizon)
    base = horizon + d.between(0.07, 0.11)
    waves = d.ridge(0.015, 0.035, d.between(0.6, 1.1))
    d.add("meadow", "meadow", base=base, waves=waves, depth=0.3)
    _trees(d, d.count(1, 3), base, waves, 0.15, 0.03)
    _houses(d, base, waves, d.count(0, 2))
    base = base + d.between(0.14, 0.18)
    waves = d.ridge(0.015, 0.03, d.between(0.5, 0.9))
    d.add("meadow", "meadow", base=base, waves=waves, depth=1.0)
    _trees(d, d.count(1, 2), base, waves, 0.26, 0.05)
    near = len(d.items)
    _front(d, base)

    def visit() -> None:
        if d.chance(0.5):
            _person(d, horizon, d.between(0.8, 0.86), near)
        if d.chance(0.25):
            _stall(d, horizon, base + d.between(0.03, 0.06), near)
        for _ in range(d.count(1, 2) if d.chance(0.4) else 0):
            _cow(d, horizon, base + d.between(0.0, 0.05), near)

    return visit


def _lake(d: _Draw, horizon: float) -> Visit:
    _far(d, horizon)
    d.add("water", "water", top=horizon + 0.02, shore=True)
    _boats(d, horizon + 0.02)
    afloat = len(d.items)
    base = d.between(0.8, 0.86)
    waves = d.ridge(0.015, 0.03, d.between(0.5, 0.9))
    d.add("meadow", "meadow", base=base, waves=waves, depth=1.0)
    _trees(d, d.count(1, 3), base, waves, 0.24, 0.06)
    near = len(d.items)
    if d.chance(0.6):
        _front(d, base)

    def visit() -> None:
        if d.chance(0.35):
            _person(d, horizon, base + d.between(0.03, 0.07), near)
        if d.chance(0.3):
            _cow(d, horizon, base + d.between(0.0, 0.03), near)
        if d.chance(0.55):
            _dinghy(d, d.between(0.7, 0.76), afloat)

    return visit


def _beach(d: _Draw, horizon: float) -> Visit:
    _balloons(d, horizon)
    d.add("water", "water", top=horizon, shore=False)
    _boats(d, horizon)
    base = d.between(0.74, 0.8)
    d.add("sand", "sand", base=base, waves=d.ridge(0.01, 0.025, 0.6))
    near = len(d.items)
    x = d.between(0.18, 0.4)
    for _ in range(d.count(1, 2)):
        foot = x, d.between(base + 0.09, 0.95)
        d.add("parasol", "parasol", "trunk", foot=foot, wide=d.between(0.26, 0.36))
        x += d.between(0.4, 0.5)

    def visit() -> None:
        if d.chance(0.55):
            _person(d, horizon, base + d.between(0.08, 0.14), len(d.items))
        if d.chance(0.5):
            _dinghy(d, base + d.between(0.06, 0.1), near)

    return visit


def _road(d: _Draw, horizon: float) -> Visit:
    _far(d, horizon)
    base = horizon + d.between(0.06, 0.1)
    waves = d.ridge(0.01, 0.025, d.between(0.6, 1.1))
    d.add("meadow", "meadow", base=base, waves=waves, depth=0.6)
    _trees(d, d.count(1, 4), base, waves, 0.19, 0.05)
    _houses(d, base, waves, d.count(0, 2))
    top = d.between(0.78, 0.81)
    near = len(d.items)
    d.add("road", "road", top=top)
    foot, wide = (d.between(0.25, 0.75), top + d.between(0.05, 0.1)), d.between(0.34, 0.46)
    d.add("car", "car", "window", "rubber", foot=foot, wide=wide, left=d.chance(0.5))

    def visit() -> None:
        if d.chance(0.5):
            _person(d, horizon, top - 0.005, near)
        if d.chance(0.5):
            _stall(d, horizon, top - 0.02, near)
        if d.chance(0.3):
            _cow(d, horizon, top - d.between(0.04, 0.08), near)

    return visit


def _far(d: _Draw, horizon: float) -> None:
    """Mountains with snow, balloons in the sky, and a wooded hill in front of them."""
    if d.chance(0.75):
        base = horizon - d.between(0.02, 0.08)
        waves = d.ridge(0.09, 0.14, d.between(0.9, 1.6))
        snow = base - d.between(0.06, 0.11)
        d.add("mountain", "mountain", "snow", base=base, waves=waves, snow=snow)
    _balloons(d, horizon)
    waves = d.ridge(0.012, 0.03, d.between(0.8, 1.4))
    d.add("forest", "forest", base=horizon, waves=waves)


def _front(d: _Draw, base: float) -> None:
    """The foreground: flowers, a tent, or fruit on the sill of a window to look out of."""
    u = d.between(0, 1)
    if u < 0.34:
        d.add("flowers", "flower bed", "stem", base=max(base, 0.8), waves=d.ridge(0.012, 0.02, 1.1))
    elif u < 0.62:
        foot = d.between(0.2, 0.8), d.between(0.88, 0.95)
        d.add("tent", "tent", foot=foot, wide=d.between(0.32, 0.44))
    else:
        top = d.between(0.83, 0.88)
        d.add("sill", "wood", top=top)
        x = d.between(0.1, 0.35)
        for _ in range(d.count(2, 4)):
            radius = d.between(0.075, 0.105)
            if x > 0.95:
                break
            d.add("apple", "apple", "trunk", radius=radius, foot=(x, top + d.between(0.025, 0.06)))
            x += 2.1 * radius + d.between(0, 0.12)


def _person(d: _Draw, horizon: float, y: float, at: int) -> None:
    kinds = "coat", "skin", "trousers", "trunk"
    foot, tall = (d.between(0.1, 0.9), y), 0.66 * (y - horizon) * d.between(0.9, 1.1)
    d.add("person", *kinds, at=at, foot=foot, tall=tall, left=d.chance(0.5))


def _cow(d: _Draw, horizon: float, y: float, at: int) -> None:
    foot, tall = (d.between(0.15, 0.85), y), 0.43 * (y - horizon) * d.between(0.9, 1.1)
    d.add("cow", "cow", "skin", at=at, foot=foot, tall=tall, left=d.chance(0.5))


def _stall(d: _Draw, horizon: float, y: float, at: int) -> None:
    foot, wide = (d.between(0.2, 0.8), y), 1.05 * (y - horizon) * d.between(0.9, 1.1)
    d.add("stall", "awning", "wood", "stem", at=at, foot=foot, wide=wide)


def _dinghy(d: _Draw, y: float, at: int) -> None:
    foot, wide = (d.between(0.15, 0.85), y), d.between(0.3, 0.38)
    d.add("dinghy", "rowing boat", "wood", at=at, foot=foot, wide=wide, left=d.chance(0.5))


def _balloons(d: _Draw, horizon: float) -> None:
    count = 0 if d.chance(0.35) else d.count(1, 2)
    slots = [0.28, 0.72] if d.chance(0.5) else [0.74, 0.3]
    for slot in slots[:count]:
        radius, x = d.between(0.085, 0.15), d.between(slot - 0.14, slot + 0.14)
        centre = x, d.between(radius + 0.03, horizon - 1.6 * radius)
        d.add("balloon", "balloon", "wood", centre=centre, radius=radius)


def _boats(d: _Draw, top: float) -> None:
    slots = [0.25, 0.7] if d.chance(0.5) else [0.75, 0.3]
    for slot in slots[: d.count(1, 2)]:
        foot = d.between(slot - 0.14, slot + 0.14), d.between(top + 0.1, 0.74)
        tall = 0.2 + 0.5 * (foot[1] - top) + d.between(0, 0.05)
        d.add("boat", "sail", "wood", foot=foot, tall=tall, left=d.chance(0.5))


def _trees(d: _Draw, count: int, base: float, waves: Waves, tall: float, sink: float) -> None:
    """Trees along a ridge; `sink` sets how far below its crest they may stand."""
    fir = d.chance(0.4)
    for _ in range(count):
        x = d.between(0.0, 1.0)
        foot = x, height(x, base, waves) + d.between(0.15, 1) * sink
        size = tall * d.between(0.75, 1.25)
        if fir != d.chance(0.15):
            d.add("fir", "fir", "trunk", foot=foot, tall=size * 1.15)
        else:
            d.add("tree", "crown", "trunk", foot=foot, tall=size)


def _houses(d: _Draw, base: float, waves: Waves, count: int) -> None:
    slots = [0.25, 0.75] if d.chance(0.5) else [0.7, 0.22]
    for slot in slots[:count]:
        x, wide = d.between(slot - 0.12, slot + 0.12), d.between(0.23, 0.32)
        foot = x, height(x, base, waves) + d.between(0.05, 0.09)
        kinds = "house wall", "roof", "window", "wood"
        d.add("house", *kinds, foot=foot, wide=wide, left=d.chance(0.5))
