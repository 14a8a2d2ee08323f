"""Painters of the land: sky, clouds, mountains, meadows, water, sand, road, trees."""

from __future__ import annotations

from dataclasses import dataclass
from math import copysign

import numpy as np

from colorlab.data.scenes.canvas import Canvas
from colorlab.data.scenes.layout import Waves, height

# L of the sky at the zenith and at the horizon, far apart, so that gray tells the hour.
SKY = {"dawn": (52, 84), "noon": (62, 88), "evening": (28, 72), "night": (7, 24)}
CLOUD = {"dawn": 82, "noon": 93, "evening": 58, "night": 22}
# Factor on the L of things that do not shine, and the strength of cast shadows, in L.
GAIN = {"dawn": 0.9, "noon": 1.0, "evening": 0.82, "night": 0.5}
SHADOW = {"dawn": 7.0, "noon": 15.0, "evening": 9.0, "night": 4.0}
HALO = {"dawn": 8.0, "noon": 10.0, "evening": 9.0, "night": 12.0}
MIST = {"dawn": 14.0, "noon": 5.0, "evening": 4.0, "night": 2.0}
_ALL = np.ones((1, 1), np.float32)  # full coverage


@dataclass(frozen=True)
class Light:
    """The light of a scene: hour, sun or moon in unit coordinates, direction to it.

    `side` is -1 (sun on the left) to 1, `shadow` and `mist` are strengths in L.
    """

    hour: str
    x: float
    y: float

    @property
    def side(self) -> float:
        side = max(-1.0, min(1.0, (self.x - 0.5) * 3.0))
        return copysign(max(abs(side), 0.4), side)  # never flat, also at high noon

    @property
    def shadow(self) -> float:
        return SHADOW[self.hour]

    @property
    def mist(self) -> float:
        return MIST[self.hour]


def sky(canvas: Canvas, light: Light, things, stars, bottom: float) -> None:
    air, low, sun = things
    zenith, horizon = SKY[light.hour]
    w = canvas.window(0, 0, 1, bottom + 0.06)
    t = np.minimum(w.y / bottom, 1)
    # Gaussian glows are products of a row and a column: no exponential per pixel.
    dx2, dy2 = (w.x - light.x) ** 2, (w.y - light.y) ** 2
    wide = {"dawn": 0.35, "noon": 0.2, "evening": 0.5, "night": 0.25}[light.hour]
    glow = (wide * np.exp(-14 * dx2)) * np.exp(-14 * dy2)
    halo = (HALO[light.hour] * np.exp(-160 * dx2)) * np.exp(-160 * dy2)
    w.paint(air, _ALL, zenith + (horizon - zenith) * t**1.3 + 8 * glow + halo)
    w.paint(low, np.minimum(t**1.6 + glow, 1), w.canvas.planes[0, w.rows, w.cols])
    if light.hour == "night":
        _stars(canvas, stars, bottom)
    radius = 0.045 if light.hour in ("dawn", "evening") else 0.034
    w = canvas.window(light.x - 0.05, light.y - 0.05, light.x + 0.05, light.y + 0.05)
    r = np.sqrt((w.x - light.x) ** 2 + (w.y - light.y) ** 2)
    disc = {"dawn": 90.0, "noon": 97.0, "evening": 84.0, "night": 88.0}[light.hour]
    if light.hour == "night":
        disc = disc - 5 * np.maximum(w.texture("soft", stars), 0)
    w.paint(sun, w.edge(radius - r), disc)


def _stars(canvas: Canvas, stars, bottom: float) -> None:
    rng = np.random.default_rng(int(stars[0] * 2**32))
    for x, y, bright in rng.random((28, 3)).tolist():
        y = y * bottom * 0.85
        w = canvas.window(x - 0.01, y - 0.01, x + 0.01, y + 0.01)
        r2 = (w.x - x) ** 2 + (w.y - y) ** 2
        w.light(np.exp(-r2 * (1 / (0.0035 + 0.002 * bright)) ** 2), 25 + 45 * bright)


def cloud(canvas: Canvas, light: Light, things, centre, radius, offset) -> None:
    (cx, cy), (rx, ry) = centre, radius
    w = canvas.window(cx - 1.3 * rx, cy - 2.2 * ry, cx + 1.3 * rx, cy + 1.3 * ry)
    dy = (w.y - cy) / ry
    # A flat base and a billowing top.
    r2 = ((w.x - cx) / rx) ** 2 + np.where(dy > 0, dy * 1.5, dy * 0.62) ** 2
    noise = w.texture("cloud", offset)
    cover = np.clip((0.75 - r2) * 1.3 + 0.42 * noise, 0, 1)
    cover = cover * cover * (3 - 2 * cover) * 0.96
    bright = CLOUD[light.hour]
    w.paint(things[0], cover, bright - bright * 0.09 * (dy + 0.6) + 3.0 * noise)


def mountain(canvas: Canvas, light: Light, things, base, waves: Waves, snow, offset) -> None:
    rock, cap = things
    top = base - 1.9 * waves[0][0]
    w = canvas.window(0, top, 1, base + 0.14)
    # Folding the first wave gives pointed peaks.
    (a, f, p), *rest = waves
    peak = np.abs(np.sin(np.pi * f * w.x + p))
    crest = base - 1.7 * a * (1 - peak) ** 1.2
    for a, f, p in rest:
        crest = crest - 0.8 * a * (1 - np.abs(np.sin(np.pi * f * w.x + p)))
    slope = np.gradient(crest[0]) * canvas.size
    noise = w.texture("rock", offset)
    depth = w.y - crest
    # Ridges run down from the crest and wander: look the slope up sideways of the pixel.
    wander = depth * (canvas.size * 0.55) * (w.texture("soft", offset) + 0.35 * noise)
    column = np.arange(canvas.size)[None, :] + wander.astype(np.int32)
    facet = np.tanh(1.1 * light.side * slope).take(column, mode="clip")
    tone = 53 + 10 * facet + 2.0 * noise + (36 + 4 * light.mist) * depth
    cover = w.edge(depth)
    w.paint(rock, cover, tone)
    line = snow - w.y - 0.014 * noise - 0.02 * facet
    w.paint(cap, np.minimum(cover, w.edge(line * 0.6)), 86 + 8 * facet)


def forest(canvas: Canvas, light: Light, things, base, waves: Waves, offset) -> None:
    w = canvas.window(0, base - 0.11, 1, base + 0.2)
    noise = w.texture("leaf", offset)
    crest = height(w.x, base, waves).astype(np.float32)
    depth = w.y - crest
    cover = w.edge(depth + 0.006 * noise)
    w.paint(things[0], cover, 40 + 5.0 * noise + light.mist * np.clip(depth * 9, 0, 1.4))


def meadow(canvas: Canvas, light: Light, things, base, waves: Waves, depth, offset) -> None:
    """Grass; `depth` 0 (far) to 1 (near) sets contrast and size of the blades."""
    reach = sum(a for a, _, _ in waves)
    w = canvas.window(0, base - reach - 0.01, 1, 1)
    crest = height(w.x, base, waves).astype(np.float32)
    slope = np.gradient(crest[0]) * canvas.size
    below = w.y - crest
    blades = w.texture("grass", offset)
    rolling = w.texture("soft", offset)
    near = 0.35 + 0.65 * depth
    tone = 63 - 5 * depth + 14 * light.side * slope[None, :] + 3.0 * rolling
    tone = tone - (10 + 8 * depth) * np.minimum(below * 2.2, 1) + (2.2 + 2.6 * near) * blades
    tone += (1 - depth) * light.mist * 0.4 + 7 * np.exp(-below * 45)
    ragged = 0.006 * near * blades
    w.paint(things[0], w.edge(below + ragged), tone)


def water(canvas: Canvas, light: Light, things, top, shore, offset) -> None:
    """Water down from `top`; with a `shore`, the far bank darkens it by its reflection."""
    w = canvas.window(0, top, 1, 1)
    down = np.clip((w.y - top) * 2.2, 0, 1)
    ripple = w.texture("water", offset)
    horizon = SKY[light.hour][1]
    tone = 0.84 * horizon - 0.36 * horizon * down + (0.035 * horizon + 1.2) * (0.35 + down) * ripple
    if shore:
        tone = tone - 0.16 * horizon * np.exp(-(((w.y - top + 0.012 * ripple) / 0.075) ** 2))
    column = np.exp(-(((w.x - light.x) / (0.035 + 0.1 * down)) ** 2))
    glitter = {"dawn": 12.0, "noon": 6.0, "evening": 17.0, "night": 20.0}[light.hour]
    tone = tone + glitter * column * np.clip(ripple + 0.4, 0, 2)
    w.paint(things[0], w.edge(w.y - top), tone)


def sand(canvas: Canvas, light: Light, things, base, waves: Waves, offset) -> None:
    reach = sum(a for a, _, _ in waves)
    w = canvas.window(0, base - reach - 0.03, 1, 1)
    below = w.y - height(w.x, base, waves).astype(np.float32)
    soft, fine = w.texture("soft", offset), w.texture("rock", offset)
    # Foam along the water's edge, then wet sand, then dry sand: light alone.
    foam = np.exp(-(((below + 0.008 + 0.004 * soft) / 0.007) ** 2))
    w.light(foam, 26 * GAIN[light.hour])
    tone = 80 + 2.4 * soft + 1.5 * fine - 15 * np.exp(-np.maximum(below, 0) * 26)
    w.paint(things[0], w.edge(below), tone)


def road(canvas: Canvas, light: Light, things, top, offset) -> None:
    bottom = top + 0.15
    w = canvas.window(0, top, 1, bottom)
    tone = 44 + 1.6 * w.texture("rock", offset) + 1.5 * w.texture("soft", offset)
    middle = (top + bottom) / 2 + 0.03
    dash = w.edge(0.006 - np.abs(w.y - middle)) * ((w.x * 5 + offset[0]) % 1 < 0.55)
    tone = tone + 38 * dash
    kerb = w.edge(0.007 - np.abs(w.y - top - 0.008))
    tone = tone + 16 * kerb
    w.paint(things[0], w.edge(np.minimum(w.y - top, bottom - w.y)), tone)


def tree(canvas: Canvas, light: Light, things, foot, tall, offset) -> None:
    crown, trunk = things
    x, y = foot
    ground_shadow(canvas, light, x, y, 0.34 * tall)
    w = canvas.window(x - 0.05 * tall, y - 0.55 * tall, x + 0.05 * tall, y)
    if w is None:
        return
    half = (0.028 + 0.03 * (w.y - y + 0.5 * tall) / tall) * tall
    side = (w.x - x) / (0.05 * tall)
    w.paint(
        trunk,
        np.minimum(w.edge(half - np.abs(w.x - x)), w.edge(y - w.y)),
        38 + 12 * light.side * side,
    )
    cy, rx, ry = y - 0.66 * tall, 0.36 * tall, 0.4 * tall
    w = canvas.window(x - 1.3 * rx, cy - 1.3 * ry, x + 1.3 * rx, cy + 1.3 * ry)
    noise = w.texture("leaf", offset)
    u, v = (w.x - x) / rx, (w.y - cy) / ry
    r = np.sqrt(u * u + v * v)
    cover = w.edge((1 + 0.09 * noise - r) * rx)
    w.paint(crown, cover, 46 + 11 * (light.side * u - 0.75 * v) + 6.5 * noise - 5 * r)


def fir(canvas: Canvas, light: Light, things, foot, tall, offset) -> None:
    needles, trunk = things
    x, y = foot
    ground_shadow(canvas, light, x, y, 0.24 * tall)
    w = canvas.window(x - 0.03 * tall, y - 0.14 * tall, x + 0.03 * tall, y)
    if w is None:
        return
    cover = np.minimum(w.edge(0.028 * tall - np.abs(w.x - x)), w.edge(y - w.y))
    w.paint(trunk, cover, 34.0)
    w = canvas.window(x - 0.3 * tall, y - tall, x + 0.3 * tall, y - 0.08 * tall)
    if w is None:
        return
    t = np.clip((w.y - y + tall) / (0.92 * tall), 0, 1)
    tier = (t * 5) % 1
    noise = w.texture("leaf", offset)
    half = tall * (0.22 * t + 0.05 * (tier - 0.5) * (t > 0.1)) + 0.012 * tall * noise
    cover = np.minimum(w.edge(half - np.abs(w.x - x)), w.edge(y - 0.08 * tall - w.y))
    side = (w.x - x) / (0.22 * tall)
    w.paint(needles, cover, 34 + 10 * light.side * side + 8 * (tier - 0.5) + 4.5 * noise)


def ground_shadow(canvas: Canvas, light: Light, x: float, y: float, radius: float) -> None:
    """Cast a soft shadow on the ground, away from the sun: L alone."""
    reach = radius * (1.3 if light.hour == "noon" else 2.0)
    cx, ry = x - light.side * 0.6 * reach, 0.22 * radius + 0.006
    w = canvas.window(cx - 1.4 * reach, y - 1.5 * ry, cx + 1.4 * reach, y + 1.5 * ry)
    if w is None:
        return
    r2 = ((w.x - cx) / reach) ** 2 + ((w.y - y) / ry) ** 2
    w.light(np.clip(1.4 - 1.2 * r2, 0, 1), -light.shadow)
