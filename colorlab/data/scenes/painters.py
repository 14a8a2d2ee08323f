"""Painters: one function for each class of object, from the sky to a cow.

A painter adds its things to the canvas by shape and lightness alone; the palettes give the ab of
each thing, which is one flat colour. `light` says where the light comes from, `offset` which part
of the textures to use, and the other arguments where the object is, in unit coordinates. Film
grain covers the last trace of 8-bit rounding.

The bytes of every scene depend on every number here and on the order of the operations.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from math import copysign

import numpy as np

from colorlab.data.scenes.canvas import Canvas
from colorlab.data.scenes.layout import Waves, height

# L of the sky at the zenith and at the horizon, far apart, so that the gray image shows the hour.
SKY = {"dawn": (52, 84), "noon": (62, 88), "evening": (28, 72), "night": (7, 24)}
CLOUD = {"dawn": 82, "noon": 93, "evening": 58, "night": 22}
# Factor on the L of things that do not shine; then strengths in L of cast shadows, halo and mist.
GAIN = {"dawn": 0.9, "noon": 1.0, "evening": 0.82, "night": 0.5}
SHADOW = {"dawn": 7.0, "noon": 15.0, "evening": 9.0, "night": 4.0}
HALO = {"dawn": 8.0, "noon": 10.0, "evening": 9.0, "night": 12.0}
MIST = {"dawn": 14.0, "noon": 5.0, "evening": 4.0, "night": 2.0}
_ALL = np.ones((1, 1), np.float32)  # full coverage


@dataclass(frozen=True)
class Light:
    """The light of a scene: the hour, and the sun or moon in unit coordinates."""

    hour: str
    x: float
    y: float

    @property
    def side(self) -> float:
        """Direction of the light, from -1 (sun on the left) to 1."""
        side = max(-1.0, min(1.0, (self.x - 0.5) * 3.0))
        return copysign(max(abs(side), 0.4), side)  # never flat, also at high noon


def sky(canvas: Canvas, light: Light, things, bottom: float, offset) -> None:
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
    w.paint(low, np.minimum(t**1.6 + glow, 1), w.planes[0])
    if light.hour == "night":
        stars = np.random.default_rng(int(offset[0] * 2**32)).random((28, 3)).tolist()
        for x, y, bright in stars:
            y = y * bottom * 0.85
            w = canvas.window(x - 0.01, y - 0.01, x + 0.01, y + 0.01)
            r2 = (w.x - x) ** 2 + (w.y - y) ** 2
            w.light(np.exp(-r2 * (1 / (0.0035 + 0.002 * bright)) ** 2), 25 + 45 * bright)
    radius = 0.045 if light.hour in ("dawn", "evening") else 0.034
    w = canvas.window(light.x - 0.05, light.y - 0.05, light.x + 0.05, light.y + 0.05)
    r = np.sqrt((w.x - light.x) ** 2 + (w.y - light.y) ** 2)
    disc = {"dawn": 90.0, "noon": 97.0, "evening": 84.0, "night": 88.0}[light.hour]
    if light.hour == "night":
        disc = disc - 5 * np.maximum(w.texture("soft", offset), 0)
    w.paint(sun, w.edge(radius - r), disc)


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
    w = canvas.window(0, base - 1.9 * waves[0][0], 1, base + 0.14)
    # Folding the first wave gives pointed peaks.
    (a, f, p), *rest = waves
    crest = base - 1.7 * a * (1 - np.abs(np.sin(np.pi * f * w.x + p))) ** 1.2
    for a, f, p in rest:
        crest = crest - 0.8 * a * (1 - np.abs(np.sin(np.pi * f * w.x + p)))
    slope = np.gradient(crest[0]) * canvas.size
    noise = w.texture("rock", offset)
    depth = w.y - crest
    # Ridges run down from the crest and wander: look the slope up sideways of the pixel.
    wander = depth * (canvas.size * 0.55) * (w.texture("soft", offset) + 0.35 * noise)
    column = np.arange(canvas.size)[None, :] + wander.astype(np.int32)
    facet = np.tanh(1.1 * light.side * slope).take(column, mode="clip")
    tone = 53 + 10 * facet + 2.0 * noise + (36 + 4 * MIST[light.hour]) * depth
    cover = w.edge(depth)
    w.paint(rock, cover, tone)
    line = snow - w.y - 0.014 * noise - 0.02 * facet
    w.paint(cap, np.minimum(cover, w.edge(line * 0.6)), 86 + 8 * facet)


def forest(canvas: Canvas, light: Light, things, base, waves: Waves, offset) -> None:
    w = canvas.window(0, base - 0.11, 1, base + 0.2)
    noise = w.texture("leaf", offset)
    depth = w.y - height(w.x, base, waves)
    cover = w.edge(depth + 0.006 * noise)
    w.paint(things[0], cover, 40 + 5.0 * noise + MIST[light.hour] * np.clip(depth * 9, 0, 1.4))


def meadow(canvas: Canvas, light: Light, things, base, waves: Waves, depth, offset) -> None:
    """Grass; `depth` 0 (far) to 1 (near) sets contrast and size of the blades."""
    reach = sum(a for a, _, _ in waves)
    w = canvas.window(0, base - reach - 0.01, 1, 1)
    crest = height(w.x, base, waves)
    slope = np.gradient(crest[0]) * canvas.size
    below = w.y - crest
    blades, rolling = w.texture("grass", offset), w.texture("soft", offset)
    near = 0.35 + 0.65 * depth
    tone = 63 - 5 * depth + 14 * light.side * slope[None, :] + 3.0 * rolling
    tone = tone - (10 + 8 * depth) * np.minimum(below * 2.2, 1) + (2.2 + 2.6 * near) * blades
    tone += (1 - depth) * MIST[light.hour] * 0.4 + 7 * np.exp(-below * 45)
    w.paint(things[0], w.edge(below + 0.006 * near * blades), tone)


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
    below = w.y - height(w.x, base, waves)
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
    kerb = w.edge(0.007 - np.abs(w.y - top - 0.008))
    w.paint(things[0], w.edge(np.minimum(w.y - top, bottom - w.y)), tone + 38 * dash + 16 * kerb)


def tree(canvas: Canvas, light: Light, things, foot, tall, offset) -> None:
    crown, trunk = things
    x, y = foot
    _shadow(canvas, light, x, y, 0.34 * tall)
    w = canvas.window(x - 0.05 * tall, y - 0.55 * tall, x + 0.05 * tall, y)
    half = (0.028 + 0.03 * (w.y - y + 0.5 * tall) / tall) * tall
    cover = np.minimum(w.edge(half - np.abs(w.x - x)), w.edge(y - w.y))
    w.paint(trunk, cover, 38 + 12 * light.side * ((w.x - x) / (0.05 * tall)))
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
    _shadow(canvas, light, x, y, 0.24 * tall)
    w = canvas.window(x - 0.03 * tall, y - 0.14 * tall, x + 0.03 * tall, y)
    cover = np.minimum(w.edge(0.028 * tall - np.abs(w.x - x)), w.edge(y - w.y))
    w.paint(trunk, cover, 34.0)
    w = canvas.window(x - 0.3 * tall, y - tall, x + 0.3 * tall, y - 0.08 * tall)
    t = np.clip((w.y - y + tall) / (0.92 * tall), 0, 1)
    tier = (t * 5) % 1
    noise = w.texture("leaf", offset)
    half = tall * (0.22 * t + 0.05 * (tier - 0.5) * (t > 0.1)) + 0.012 * tall * noise
    cover = np.minimum(w.edge(half - np.abs(w.x - x)), w.edge(y - 0.08 * tall - w.y))
    side = (w.x - x) / (0.22 * tall)
    w.paint(needles, cover, 34 + 10 * light.side * side + 8 * (tier - 0.5) + 4.5 * noise)


def balloon(canvas: Canvas, light: Light, things, centre, radius, offset) -> None:
    envelope, basket = things
    (x, y), r = centre, radius
    bottom = y + 1.32 * r
    w = canvas.window(x - 1.05 * r, y - 1.05 * r, x + 1.05 * r, bottom)
    u, v = (w.x - x) / r, (w.y - y) / r
    # Half-width of the envelope: a circle above, a cone towards the mouth below.
    round_ = np.sqrt(np.clip(1 - v * v, 0, 1))
    cone = 0.857 - 0.601 * (v - 0.515)
    half = np.maximum(np.where(v < 0.515, round_, np.clip(cone, 0.1, 1)), 1e-3)
    side = np.clip(u / half, -1, 1)
    # Gores are meridians: equal steps of the angle around the envelope.
    turn = np.arcsin(side)
    gore = np.cos(turn * 8 + offset[0] * 6)
    front = np.cos(turn)
    tone = 51 + 11 * light.side * side - 7 * v + 8 * (front - 0.7) + 3.2 * np.tanh(3 * gore)
    tone = tone - 3.0 * (np.abs(gore) < 0.16)
    band = np.exp(-(((v - 0.16 - 0.04 * (1 - front)) / 0.11) ** 4))
    tone = tone + 4.5 * band * (1 if offset[1] < 0.5 else -1) + 0.8 * w.texture("rock", offset)
    inside = np.where(v < 0.515, 1 - np.sqrt(u * u + v * v), (half - np.abs(u)) * 0.857)
    cover = np.minimum(w.edge(inside * r), w.edge(bottom - w.y))
    w.paint(envelope, cover, tone)
    # Ropes and basket.
    w = canvas.window(x - 0.2 * r, bottom, x + 0.2 * r, bottom + 0.5 * r)
    t = (w.y - bottom) / (0.22 * r)
    rope = w.edge(0.02 * r - np.abs(np.abs(w.x - x) - r * (0.34 - 0.24 * (1 - t) * 0.4) * 0.42))
    w.paint(basket, rope * ((t > 0) & (t < 1.1)) * 0.8, 30.0)
    box = np.minimum(0.14 * r - np.abs(w.x - x), 0.11 * r - np.abs(w.y - bottom - 0.32 * r))
    weave = 5 * np.sin((w.y - bottom) / r * 110)
    w.paint(basket, w.edge(box), 42 + 40 * light.side * (w.x - x) / r + weave)


def boat(canvas: Canvas, light: Light, things, foot, tall, left, offset) -> None:
    """A sailing boat: main sail, jib, hull, and their reflection in light alone."""
    sail, hull = things
    (x, y), m = foot, -1.0 if left else 1.0
    reach = 0.42 * tall
    w = canvas.window(x - reach, y, x + reach, y + 0.6 * tall)
    t = (w.y - y) / tall
    wobble = 0.012 * w.texture("water", offset)
    cover = w.edge(tall * (0.33 - 0.45 * t) + wobble - np.abs(w.x - x))
    w.light(cover * np.clip(1 - 1.7 * t, 0, 1), -0.7 * SHADOW[light.hour])
    w = canvas.window(x - reach, y - tall, x + reach, y + 0.02 * tall)
    shape = partial(w.polygon, x, y, tall, m)
    cloth = 1.0 * w.texture("rock", offset)
    u, v = (w.x - x) * (m / tall), (y - w.y) / tall
    seam = 2.2 * (((v * 9) % 1) < 0.12)
    billow = 9 * np.sin(np.clip(u * 7, -1.5, 3.0))
    main = shape((0.015, 0.98), (0.38, 0.15), (0.015, 0.13))
    w.paint(sail, main, 73 + billow * light.side * m + cloth - seam)
    jib = shape((-0.015, 0.88), (-0.015, 0.14), (-0.3, 0.12))
    w.paint(sail, jib, 76 + 14 * u * light.side + cloth - seam)
    mast = shape((-0.008, 1.0), (0.008, 1.0), (0.008, 0.08), (-0.008, 0.08))
    w.paint(hull, mast, 44.0)
    deck = shape((-0.34, 0.1), (0.36, 0.1), (0.26, 0.0), (-0.26, 0.0))
    w.paint(hull, deck, 46 + 120 * (v - 0.05) + 10 * light.side * u * m)


def car(canvas: Canvas, light: Light, things, foot, wide, left, offset) -> None:
    body, glass, rubber = things
    (x, y), m = foot, -1.0 if left else 1.0
    _shadow(canvas, light, x + 0.1 * light.side * wide, y, 0.42 * wide)
    w, shape, u, v = _frame(canvas, foot, wide, m, 0.54, 0.46, 0.04)
    paint = 0.9 * w.texture("soft", offset)
    shine = 13 * np.exp(-(((v - 0.205) / 0.025) ** 2)) + 40 * (v - 0.15) + 7 * light.side * m * u
    cabin = shape((-0.26, 0.4), (0.1, 0.4), (0.29, 0.2), (-0.38, 0.2))
    w.paint(body, cabin, 56 + 10 * light.side * m * u + paint + 40 * (v - 0.33))
    pane = (62.0 if light.hour in ("evening", "night") else 26.0) + 60 * (v - 0.28) + 10 * u
    w.paint(glass, shape((-0.235, 0.37), (-0.07, 0.37), (-0.07, 0.235), (-0.32, 0.235)), pane)
    w.paint(glass, shape((-0.04, 0.37), (0.08, 0.37), (0.21, 0.235), (-0.04, 0.235)), pane)
    # Rounded box: distance to a core rectangle.
    qx, qy = np.maximum(np.abs(u) - 0.42, 0), np.maximum(np.abs(v - 0.155) - 0.035, 0)
    box = w.edge((0.065 - np.sqrt(qx * qx + qy * qy)) * wide)
    seam = 6 * ((np.abs(u + 0.055) < 0.006) | (np.abs(v - 0.13) < 0.004))
    w.paint(body, box, 50 + shine + paint - seam)
    for hub in (-0.27, 0.28):
        r = np.sqrt((u - hub) ** 2 + (v - 0.065) ** 2)
        w.paint(rubber, w.edge((0.082 - r) * wide), 20 + 36 * (r < 0.045) + 12 * (r < 0.02))


def tent(canvas: Canvas, light: Light, things, foot, wide, offset) -> None:
    """A ridge tent seen from the front corner, with a dark doorway."""
    (cloth,) = things
    x, y = foot
    _shadow(canvas, light, x, y, 0.5 * wide)
    w = canvas.window(x - 0.55 * wide, y - 0.62 * wide, x + 0.62 * wide, y + 0.03 * wide)
    m = 1.0 if offset[0] < 0.5 else -1.0
    shape = partial(w.polygon, x, y, wide, m)
    fold = 1.1 * w.texture("soft", offset) + 0.8 * w.texture("rock", offset)
    lit = 8 * light.side * m
    v = (y - w.y) / wide
    long = shape((-0.1, 0.56), (0.4, 0.5), (0.56, 0.06), (0.2, 0.0))
    w.paint(cloth, long, 55 + lit + fold + 22 * (v - 0.3))
    front = shape((-0.1, 0.57), (0.2, 0.0), (-0.46, 0.02))
    w.paint(cloth, front, 66 - lit + fold + 14 * (v - 0.3))
    door = shape((-0.1, 0.4), (0.03, 0.0), (-0.2, 0.012))
    w.paint(cloth, door, 40.0 + 12 * v)
    flap = shape((-0.1, 0.4), (0.03, 0.0), (0.09, 0.0))
    w.paint(cloth, flap, 74.0 - lit + fold)


def parasol(canvas: Canvas, light: Light, things, foot, wide, offset) -> None:
    cloth, pole = things
    x, y = foot
    r = wide / 2
    top = y - 1.75 * r
    _shadow(canvas, light, x, y, 0.9 * r)
    w = canvas.window(x - 0.03 * r, top, x + 0.03 * r, y)
    w.paint(pole, np.minimum(w.edge(0.03 * r - np.abs(w.x - x)), w.edge(y - w.y)), 58.0)
    w = canvas.window(x - 1.05 * r, top - 0.08 * r, x + 1.05 * r, top + 0.95 * r)
    u, v = (w.x - x) / r, (w.y - top) / (0.8 * r)
    turn = np.arcsin(np.clip(u / np.sqrt(np.clip(v * (2 - v), 0.02, 1)), -1, 1))
    panel = np.cos(turn * 5 + 0.5)
    scallop = 0.9 + 0.1 * np.abs(np.cos(np.arcsin(np.clip(u, -1, 1)) * 4))
    dome = (1 - np.sqrt(u * u + (1 - v) ** 2)) * 0.85
    cover = np.minimum(w.edge(dome * r), w.edge((scallop - v) * 0.8 * r))
    tone = 59 + 10 * light.side * u - 13 * (v - 0.5) + 3.5 * np.tanh(4 * panel)
    tone = tone - 3 * (np.abs(panel) < 0.12) + 0.8 * w.texture("rock", offset)
    w.paint(cloth, cover, tone)
    w.paint(pole, w.edge(0.035 * r - np.sqrt((w.x - x) ** 2 + (w.y - top) ** 2)), 64.0)


def house(canvas: Canvas, light: Light, things, foot, wide, left, offset) -> None:
    """A gabled house, front wall and one long side; `left` puts the gable on the left."""
    wall, roof, window, wood = things
    (x, y), m = foot, -1.0 if left else 1.0
    _shadow(canvas, light, x - light.side * 0.2 * wide, y, 0.55 * wide)
    w = canvas.window(x - 0.56 * wide, y - 0.8 * wide, x + 0.56 * wide, y + 0.02 * wide)
    shape = partial(w.polygon, x, y, wide, m)

    def box(u: float, v: float, half_width: float, half_height: float) -> np.ndarray:
        cx, cy = x + m * u * wide, y - v * wide
        away = np.abs(w.x - cx) - half_width * wide, np.abs(w.y - cy) - half_height * wide
        return w.edge(-np.maximum(*away))

    plaster = 1.3 * w.texture("rock", offset)
    lit = 5.0 * light.side * m
    front = shape((0.08, 0.38), (0.29, 0.66), (0.5, 0.38), (0.5, 0.0), (0.08, 0.0))
    long = shape((-0.48, 0.38), (0.08, 0.38), (0.08, 0.0), (-0.48, 0.0))
    fade = 14 * np.clip((y - 0.3 * wide - w.y) / wide + 0.1, 0, 1)
    eaves = 11 * np.exp(-(((y - w.y) / wide - 0.36) ** 2) * 900)
    w.paint(wall, long, 66 - lit + plaster - 2 * fade - eaves)
    w.paint(wall, front, 74 + lit + plaster - 0.5 * fade)
    tiles = 3.0 * np.sin((w.y - y) / wide * 95) + 1.5 * w.texture("rock", offset)
    slab = shape((-0.4, 0.7), (0.29, 0.7), (0.03, 0.345), (-0.54, 0.345))
    w.paint(roof, slab, 48 - lit + tiles)
    verge = shape((0.27, 0.7), (0.31, 0.7), (0.56, 0.355), (0.51, 0.355))
    w.paint(roof, verge, 56 + lit)
    under = shape((0.29, 0.67), (0.29, 0.61), (0.07, 0.33), (0.02, 0.345))
    w.paint(roof, under, 40 + lit)
    glow = light.hour in ("evening", "night")
    for u, v, high in ((-0.33, 0.2, 0.065), (-0.1, 0.2, 0.065), (0.29, 0.41, 0.05)):
        w.light(box(u, v, 0.075, high + 0.02), 9 * GAIN[light.hour])
        w.paint(window, box(u, v, 0.055, high), (72.0 if glow else 30.0) + 8 * (w.x - x) / wide)
    w.paint(wood, box(0.295, 0.11, 0.065, 0.11), 38.0 + 1.5 * w.texture("wood", offset))


def flowers(canvas: Canvas, light: Light, things, base, waves: Waves, offset) -> None:
    """A bed of tulips across the foreground: rows of cups on stems, leaves between them."""
    bed, leaf = things
    w = canvas.window(0, base - 0.1, 1, 1)
    below = w.y - height(w.x, base, waves)
    noise, blades = w.texture("leaf", offset), w.texture("grass", offset)
    # Rows come closer and smaller with distance: constant steps of log depth.
    row = np.log(np.maximum(below, 0) + 0.1) * 2.5
    k = np.floor(row)
    high = np.exp((k + 0.5) / 2.5) / 2.5  # of a row, and as wide is a flower
    u = (w.x - 0.5) / high + 0.5 * (k % 2) + offset[0]
    c = np.floor(u)
    # A hash of row and column gives each flower its own place and brightness.
    chaos = np.sin(c * 12.9 + k * 78.2 + 6.28 * offset[1])
    other = np.sin(c * 39.3 - k * 11.7)
    du, dv = u - c - 0.5 + 0.09 * chaos, row - k - 0.42 + 0.07 * other
    stem = np.exp(-((du / 0.07) ** 2)) * (dv > 0.2)
    w.paint(leaf, w.edge(below + 0.02 + 0.006 * blades), 34 + 6 * blades + 3 * noise + 14 * stem)
    # A cup: an ellipse, cut off above by the tips of three petals.
    cup = 1 - np.hypot(du / 0.41, (dv - 0.02) / 0.45)
    tips = dv + 0.25 + 0.14 * np.abs(np.cos(1.5 * np.pi * du / 0.38))
    fold = np.exp(-(((np.abs(du) - 0.13 - 0.1 * dv) / 0.035) ** 2)) * (dv < 0.2)
    tone = 62 + 5 * chaos - 9 * fold + 26 * light.side * du - 20 * np.maximum(dv, 0) + noise
    cover = w.edge(np.minimum(0.41 * cup, tips) * high) * w.edge(below)
    w.paint(bed, cover, tone + 9 * np.exp(-((du / 0.12) ** 2)))


def sill(canvas: Canvas, light: Light, things, top, offset) -> None:
    """The window that the fruit lies in: its sill, and its frame against the light."""
    (wood,) = things
    frame = 0.04
    bevel = np.minimum(np.minimum(canvas.x, 1 - canvas.x), canvas.y)  # from the nearest side
    tone = 44 + 30 * np.exp(-(((bevel - frame) / 0.008) ** 2))
    tone = tone + 8 * (bevel < 0.55 * frame) + 1.5 * canvas.texture("wood", offset)
    canvas.paint(wood, canvas.edge(frame - bevel), tone)
    w = canvas.window(0, top - 0.01, 1, 1)
    v = (w.y - top) / (1 - top)
    grain = w.texture("wood", offset)
    edge = 12 * np.exp(-(((v - 0.03) / 0.05) ** 2)) - 14 * (v > 0.82)
    tone = 60 + 3.5 * grain + edge + 8 * light.side * (w.x - 0.5) - 6 * v
    w.paint(wood, w.edge(w.y - top), tone)


def apple(canvas: Canvas, light: Light, things, foot, radius, offset) -> None:
    fruit, stem = things
    (x, y), r = foot, radius
    cy = y - 0.9 * r
    _shadow(canvas, light, x, y, 0.85 * r)
    w = canvas.window(x - 1.1 * r, cy - 1.1 * r, x + 1.1 * r, y + 0.05 * r)
    u, v = (w.x - x) / r, (w.y - cy) / (0.93 * r)
    # A dimple at the top and a narrower foot make a disc an apple.
    au = np.abs(u)
    rim = 1 - 0.16 * np.exp(-((u / 0.26) ** 2)) * (v < 0) - 0.07 * np.clip(v, 0, 1) * au
    radial = np.sqrt(u * u + v * v)
    z = np.sqrt(np.clip(1 - radial * radial, 0, 1))
    dimple = 5 * np.exp(-((u / 0.3) ** 2 + ((v + 0.8) / 0.16) ** 2))
    tone = 51 + 11 * z + 9 * light.side * u - 9 * v - dimple
    hx, hy = u - 0.38 * (1 if light.side > 0 else -1), v + 0.42
    tone = tone + 15 * np.exp(-(hx * hx + hy * hy) * 22) + 1.2 * w.texture("rock", offset)
    w.paint(fruit, w.edge((rim - radial) * r), tone)
    w = canvas.window(x - 0.2 * r, cy - 1.15 * r, x + 0.2 * r, cy - 0.68 * r)
    bend = 0.18 * (w.y - cy + 0.7 * r)
    upright = np.minimum(w.y - cy + 1.1 * r, cy - 0.72 * r - w.y)
    w.paint(stem, w.edge(np.minimum(0.045 * r - np.abs(w.x - x + bend), upright)), 30.0)


def person(canvas: Canvas, light: Light, things, foot, tall, left, offset) -> None:
    """Somebody in a coat, walking to the right or to the `left`."""
    coat, skin, trousers, hair = things
    (x, y), m = foot, -1.0 if left else 1.0
    _shadow(canvas, light, x, y, 0.2 * tall)
    w, shape, u, v = _frame(canvas, foot, tall, m, 0.24, 1.02, 0.02)

    def disc(cu: float, cv: float, radius: float) -> np.ndarray:
        return w.edge((radius - np.hypot(u - cu, v - cv)) * tall)

    lit = light.side * m
    face = 46 + 26 * offset[1]  # from dark to fair
    leg = 27 + 60 * lit * (u - 0.03)
    w.paint(trousers, shape((-0.08, 0.42), (0.02, 0.42), (-0.06, 0.02), (-0.13, 0.02)), leg - 4)
    w.paint(trousers, shape((-0.02, 0.42), (0.08, 0.42), (0.12, 0.02), (0.05, 0.02)), leg)
    w.paint(hair, shape((-0.14, 0.035), (-0.06, 0.035), (-0.04, 0.0), (-0.14, 0.0)), 24.0)
    w.paint(hair, shape((0.05, 0.035), (0.12, 0.035), (0.16, 0.0), (0.05, 0.0)), 26.0)
    w.paint(skin, np.maximum(disc(0.135, 0.46, 0.028), disc(-0.145, 0.46, 0.028)), face)
    cloth = 56 + 1.5 * w.texture("soft", offset) + 60 * lit * u + 10 * (v - 0.55)
    back = shape((-0.1, 0.8), (-0.03, 0.78), (-0.11, 0.47), (-0.18, 0.47))
    w.paint(coat, back, cloth - 7)
    body = shape(
        (-0.05, 0.83), (0.05, 0.83), (0.11, 0.79), (0.14, 0.33), (-0.13, 0.33), (-0.11, 0.79)
    )
    belt = 9 * (np.abs(v - 0.56) < 0.014) + 6 * (np.abs(u - 0.035) < 0.006)
    w.paint(coat, body, cloth - belt)
    front = shape((0.01, 0.79), (0.09, 0.79), (0.17, 0.49), (0.1, 0.46))
    w.paint(coat, front, cloth + 7)
    w.paint(skin, shape((-0.03, 0.86), (0.03, 0.86), (0.035, 0.82), (-0.035, 0.82)), face - 8)
    w.paint(hair, disc(-0.015, 0.92, 0.078), 30 + 8 * lit)
    profile = shape((0.0, 0.945), (0.075, 0.945), (0.06, 0.85), (0.0, 0.84))
    w.paint(skin, np.minimum(disc(0.015, 0.9, 0.07), profile), face + 90 * lit * (u - 0.03))


def cow(canvas: Canvas, light: Light, things, foot, tall, left, offset) -> None:
    """A pied cow, facing to the right or to the `left`; her spots are lightness alone."""
    hide, muzzle = things
    (x, y), m = foot, -1.0 if left else 1.0
    _shadow(canvas, light, x, y, 0.7 * tall)
    w, shape, u, v = _frame(canvas, foot, tall, m, 1.1, 1.2, 0.02)
    spots = 13 * np.tanh(5 * w.texture("soft", offset))
    tone = 58 + 32 * (v - 0.7) + 5 * light.side * m * u
    for hip in (-0.4, 0.44):  # the far legs
        w.paint(hide, shape((hip, 0.5), (hip + 0.1, 0.5), (hip + 0.08, 0), (hip + 0.01, 0)), 38.0)
    w.paint(hide, shape((-0.63, 0.9), (-0.56, 0.92), (-0.66, 0.36), (-0.7, 0.36)), tone - 8)
    # Rounded box: distance to a core rectangle.
    trunk = np.hypot(np.maximum(np.abs(u) - 0.42, 0), np.maximum(np.abs(v - 0.7) - 0.05, 0))
    cover = np.maximum(
        w.edge((0.2 - trunk) * tall),
        shape((0.35, 0.9), (0.72, 1.12), (0.86, 0.92), (0.55, 0.6)),
    )
    for hip in (-0.6, 0.34):
        near = shape((hip, 0.7), (hip + 0.16, 0.6), (hip + 0.1, 0), (hip + 0.02, 0))
        cover = np.maximum(cover, near)
    w.paint(hide, cover, tone + spots)
    w.paint(muzzle, shape((-0.34, 0.5), (-0.18, 0.5), (-0.22, 0.42), (-0.32, 0.42)), 66.0)
    head = shape((0.64, 1.14), (0.86, 1.12), (1.03, 0.8), (0.93, 0.76), (0.68, 0.92))
    w.paint(hide, head, tone + 5)
    w.paint(hide, shape((0.52, 1.12), (0.68, 1.1), (0.66, 1.02), (0.56, 1.02)), tone - 12)
    w.paint(muzzle, shape((0.94, 0.88), (1.03, 0.84), (1.01, 0.76), (0.91, 0.78)), 64.0)


def stall(canvas: Canvas, light: Light, things, foot, wide, offset) -> None:
    """A market stall: an awning with stripes, vegetables on a counter."""
    cloth, wood, greens = things
    x, y = foot
    _shadow(canvas, light, x, y, 0.5 * wide)
    w = canvas.window(x - 0.58 * wide, y - 0.98 * wide, x + 0.58 * wide, y + 0.02 * wide)
    shape = partial(w.polygon, x, y, wide, 1.0)
    u, v = (w.x - x) / wide, (y - w.y) / wide
    plank = 1.5 * w.texture("wood", offset)
    w.paint(wood, shape((-0.44, 0.7), (0.44, 0.7), (0.44, 0.3), (-0.44, 0.3)), 30 + plank + 16 * v)
    post = np.minimum(0.022 - np.abs(np.abs(u) - 0.46), np.minimum(v, 0.75 - v))
    w.paint(wood, w.edge(post * wide), 46.0)
    heap = (u * 3.1 + 1.55) % 1 - 0.5
    mound = np.minimum(0.42 + 0.03 * np.round(np.sin(9 * u)) - 0.5 * heap**2 - v, v - 0.28)
    cover = w.edge(np.minimum(mound, 0.43 - np.abs(u)) * wide)
    w.paint(greens, cover, 52 + 9 * w.texture("leaf", offset) - 60 * heap**2)
    counter = 58 + plank + 10 * light.side * u - 9 * (((v * 14) % 1) < 0.14)
    w.paint(wood, shape((-0.5, 0.3), (0.5, 0.3), (0.47, 0.0), (-0.47, 0.0)), counter)
    w.paint(wood, shape((-0.53, 0.33), (0.53, 0.33), (0.53, 0.285), (-0.53, 0.285)), counter + 9)
    # Stripes run down the slope of the cloth, and each ends in a scallop.
    across = u / (0.44 + 0.1 * np.clip((0.95 - v) / 0.3, 0, 1))
    stripe = np.tanh(9 * np.sin(5 * np.pi * across))
    scallop = 0.585 + 0.035 * np.abs(np.sin(5 * np.pi * across)) ** 0.5
    roof = np.minimum(np.minimum(v - 0.66, 0.94 - v), (1 - np.abs(across)) * 0.5)
    drape = np.minimum(np.minimum(v - scallop, 0.665 - v), 0.54 - np.abs(u))
    tone = 57 + 9 * stripe + 6 * light.side * u + w.texture("soft", offset)
    w.paint(cloth, w.edge(roof * wide), tone + 24 * (v - 0.75))
    w.paint(cloth, w.edge(drape * wide), tone - 9)


def dinghy(canvas: Canvas, light: Light, things, foot, wide, left, offset) -> None:
    """A rowing boat with its oars, afloat or drawn up on the sand."""
    hull, wood = things
    (x, y), m = foot, -1.0 if left else 1.0
    _shadow(canvas, light, x, y, 0.45 * wide)
    w, shape, u, v = _frame(canvas, foot, wide, m, 0.6, 0.46, 0.04)
    bow = np.clip(u + 0.5, 0, 1) ** 2  # the sheer rises towards the bow
    ends = np.clip(1 - (2 * u) ** 2, 0, 1)
    rim, keel = 0.19 + 0.1 * bow - 0.02 * ends, 0.2 * np.abs(2 * u) ** 5
    far = rim + 0.09 * np.sqrt(ends)
    inside = w.edge(np.minimum(far - v, v - rim + 0.01) * wide)
    w.paint(hull, w.edge(np.minimum(far + 0.022 - v, v - rim + 0.01) * wide), 66.0)
    w.paint(wood, inside, 36 + 60 * (v - rim))
    for bench in (-0.2, 0.1):
        board = shape((bench, 0.4), (bench + 0.09, 0.4), (bench + 0.09, 0), (bench, 0))
        w.paint(wood, inside * board, 60.0)
    plank = 4 * ((((v - rim) * 16) % 1) < 0.16) - 1.5 * w.texture("rock", offset)
    side = np.minimum(rim - v, v - keel)
    gunwale = 12 * np.exp(-(((rim - v) / 0.02) ** 2))
    tone = 54 + 70 * (v - 0.1) + 8 * light.side * m * u - plank + gunwale
    w.paint(hull, w.edge(side * wide), tone)
    oar = shape((-0.3, 0.36), (-0.27, 0.38), (0.28, 0.12), (0.26, 0.09))
    w.paint(wood, oar, 64.0)
    w.paint(wood, shape((0.22, 0.15), (0.27, 0.17), (0.42, 0.06), (0.38, 0.01)), 60.0)


def _frame(canvas: Canvas, foot, scale: float, m: float, half: float, up: float, down: float):
    """A window around an object, its polygons, and u, v: right of and above its foot, in `scale`.

    `half`, `up` and `down` are the window's half-width and what it holds above and below the foot,
    in `scale` too; `m` is 1, or -1 to mirror the object.
    """
    x, y = foot
    w = canvas.window(x - half * scale, y - up * scale, x + half * scale, y + down * scale)
    u, v = (w.x - x) * (m / scale), (y - w.y) / scale
    return w, partial(w.polygon, x, y, scale, m), u, v


def _shadow(canvas: Canvas, light: Light, x: float, y: float, radius: float) -> None:
    """Cast a soft shadow on the ground, away from the sun: L alone."""
    reach = radius * (1.3 if light.hour == "noon" else 2.0)
    cx, ry = x - light.side * 0.6 * reach, 0.22 * radius + 0.006
    w = canvas.window(cx - 1.4 * reach, y - 1.5 * ry, cx + 1.4 * reach, y + 1.5 * ry)
    r2 = ((w.x - cx) / reach) ** 2 + ((w.y - y) / ry) ** 2
    w.light(np.clip(1.4 - 1.2 * r2, 0, 1), -SHADOW[light.hour])
