"""Painters of what people take outdoors: balloon, boat, car, tent, parasol.

Each several-coloured thing is shaded by light alone: its ab is one colour, its L says
where the light comes from, and film grain covers the last trace of 8-bit rounding.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from colorlab.data.scenes.canvas import Canvas
from colorlab.data.scenes.land import Light, ground_shadow


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
    if w is None:
        return
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
    if w is not None:
        t = (w.y - y) / tall
        wobble = 0.012 * w.texture("water", offset)
        cover = w.edge(tall * (0.33 - 0.45 * t) + wobble - np.abs(w.x - x))
        w.light(cover * np.clip(1 - 1.7 * t, 0, 1), -0.7 * light.shadow)
    w = canvas.window(x - reach, y - tall, x + reach, y + 0.02 * tall)
    if w is None:
        return

    shape = partial(w.polygon, x, y, tall, m)
    cloth = 1.0 * w.texture("rock", offset)
    u, v = (w.x - x) * (m / tall), (y - w.y) / tall
    seam = 2.2 * (((v * 9) % 1) < 0.12)
    billow = 9 * np.sin(np.clip(u * 7, -1.5, 3.0))
    w.paint(
        sail,
        shape((0.015, 0.98), (0.38, 0.15), (0.015, 0.13)),
        73 + billow * light.side * m + cloth - seam,
    )
    w.paint(
        sail,
        shape((-0.015, 0.88), (-0.015, 0.14), (-0.3, 0.12)),
        76 + 14 * u * light.side + cloth - seam,
    )
    w.paint(hull, shape((-0.008, 1.0), (0.008, 1.0), (0.008, 0.08), (-0.008, 0.08)), 44.0)
    deck = shape((-0.34, 0.1), (0.36, 0.1), (0.26, 0.0), (-0.26, 0.0))
    w.paint(hull, deck, 46 + 120 * (v - 0.05) + 10 * light.side * u * m)


def car(canvas: Canvas, light: Light, things, foot, wide, left, offset) -> None:
    body, glass, rubber = things
    (x, y), m = foot, -1.0 if left else 1.0
    ground_shadow(canvas, light, x + 0.1 * light.side * wide, y, 0.42 * wide)
    w = canvas.window(x - 0.54 * wide, y - 0.46 * wide, x + 0.54 * wide, y + 0.04 * wide)
    if w is None:
        return

    shape = partial(w.polygon, x, y, wide, m)
    u, v = (w.x - x) * (m / wide), (y - w.y) / wide
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
    ground_shadow(canvas, light, x, y, 0.5 * wide)
    w = canvas.window(x - 0.55 * wide, y - 0.62 * wide, x + 0.62 * wide, y + 0.03 * wide)
    if w is None:
        return
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
    ground_shadow(canvas, light, x, y, 0.9 * r)
    w = canvas.window(x - 0.03 * r, top, x + 0.03 * r, y)
    if w is not None:
        w.paint(pole, np.minimum(w.edge(0.03 * r - np.abs(w.x - x)), w.edge(y - w.y)), 58.0)
    w = canvas.window(x - 1.05 * r, top - 0.08 * r, x + 1.05 * r, top + 0.95 * r)
    if w is None:
        return
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
