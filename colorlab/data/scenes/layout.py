"""What a layout is, and the two random streams that draw it.

Two streams come from one seed. The first decides all geometry, hence lightness; the second
draws palette entries only. So lightness cannot know the colours, by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi, sin

import numpy as np

from colorlab.data.scenes.palettes import PALETTES

Waves = tuple[tuple[float, float, float], ...]  # (amplitude, frequency, phase) of a ridge


@dataclass(frozen=True)
class Thing:
    """A thing in a scene: its kind and the index of the palette entry that was drawn."""

    kind: str
    choice: int = 0

    @property
    def colour(self) -> str:
        """Name of the drawn colour."""
        return PALETTES[self.kind].names[self.choice]


@dataclass(frozen=True)
class Item:
    """One call of a painter: its name, the things it paints, and where (unit coordinates)."""

    painter: str
    things: tuple[int, ...]
    where: dict


@dataclass(frozen=True)
class Layout:
    """All that decides a picture, before any pixel.

    Attributes:
        hour: one of `palettes.HOURS`.
        sun: (x, y) of the sun or moon in unit coordinates.
        things: what the region map indexes. One-coloured kinds appear once a scene;
            several-coloured kinds appear once for each instance.
        items: painter calls, back to front.
        grain: offset of the film grain.
    """

    hour: str
    sun: tuple[float, float]
    things: tuple[Thing, ...]
    items: tuple[Item, ...]
    grain: tuple[float, float]


def height(x, base: float, waves: Waves):
    """Return y of a ridge at x (float or array): a base line less a sum of sines."""
    wave = sin if isinstance(x, float) else np.sin
    y = base
    for amplitude, frequency, phase in waves:
        y = y - amplitude * wave(2 * pi * frequency * x + phase)
    return y


class Draw:
    """Collects things and items while a layout is drawn."""

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

    def thing(self, kind: str) -> int:
        """Return the index of a thing, drawing its colour if its kind has several."""
        palette = PALETTES[kind]
        index = len(self.things)
        if len(palette) == 1:
            if kind in self._single:
                return self._single[kind]
            self._single[kind] = index
            self.things.append(Thing(kind))
            return index
        # Always draw, so that forcing one thing leaves the others as they were.
        u = self._colour.random()
        choice = min(int(np.searchsorted(palette.prob.cumsum(), u, side="right")), len(palette) - 1)
        choice = self._choices.get(index, self._choices.get(kind, choice))
        if choice not in range(len(palette)):
            raise ValueError(f"{kind!r} has {len(palette)} colours, there is no entry {choice!r}")
        self.things.append(Thing(kind, int(choice)))
        return index

    def add(self, painter: str, *kinds: str, **where) -> None:
        self.items.append(Item(painter, tuple(self.thing(kind) for kind in kinds), where))

    def ridge(self, low: float, high: float, frequency: float) -> Waves:
        """Return waves of a ridge: each octave higher and lower in amplitude."""
        return tuple(
            (
                self.between(low, high) * 0.45**octave,
                frequency * 2.1**octave * self.between(0.8, 1.2),
                self.between(0, 2 * pi),
            )
            for octave in range(3)
        )
