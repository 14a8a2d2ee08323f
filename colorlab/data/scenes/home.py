"""Painters of house and garden: house, flower bed, window sill, apple."""

from __future__ import annotations

from functools import partial

import numpy as np

from colorlab.data.scenes.canvas import Canvas
from colorlab.data.scenes.land import GAIN, Light, ground_shadow
from colorlab.data.scenes.layout import Waves, height


def house(canvas: Canvas, light: Light, things, foot, wide, left, offset) -> None:
    """A gabled house, front wall and one long side; `left` puts the gable on the left."""
    wall, roof, window, wood = things
    (x, y), m = foot, -1.0 if left else 1.0
    ground_shadow(canvas, light, x - light.side * 0.2 * wide, y, 0.55 * wide)
    w = canvas.window(x - 0.56 * wide, y - 0.8 * wide, x + 0.56 * wide, y + 0.02 * wide)
    if w is None:
        return

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
    """A bed of tulips across the foreground: rows of round heads, green at the far edge."""
    bed, leaf = things
    w = canvas.window(0, base - 0.1, 1, 1)
    crest = height(w.x, base, waves).astype(np.float32)
    below = w.y - crest
    noise = w.texture("leaf", offset)
    w.paint(leaf, w.edge(below + 0.018 + 0.004 * noise), 38 + 5 * noise)
    # Rows come closer and smaller with distance: constant steps of log depth.
    row = np.log(np.maximum(below, 0) + 0.1) * 8
    k = np.floor(row)
    high = np.exp((k + 0.5) / 8) / 8  # of a row, and as wide is a flower
    u = (w.x - 0.5) / high + 0.5 * (k % 2) + offset[0]
    c = np.floor(u)
    # A hash of row and column gives each flower its own place and brightness.
    chaos = np.sin(c * 12.9 + k * 78.2 + 6.28 * offset[1])
    other = np.sin(c * 39.3 - k * 11.7)
    du, dv = u - c - 0.5 + 0.16 * chaos, row - k - 0.5 + 0.16 * other
    head = np.clip(1.45 - 5.5 * (du * du + 0.8 * dv * dv), 0, 1)
    petal = np.exp(-(((du - 0.06 * other) / 0.1) ** 2)) * (dv < 0.1)
    tone = 46 + (21 + 4 * chaos) * head - 5 * petal + 9 * light.side * du - 8 * dv + noise
    w.paint(bed, w.edge(below + 0.003 * noise), tone)


def sill(canvas: Canvas, light: Light, things, top, offset) -> None:
    w = canvas.window(0, top - 0.01, 1, 1)
    v = (w.y - top) / (1 - top)
    grain = w.texture("wood", offset)
    edge = 12 * np.exp(-(((v - 0.03) / 0.05) ** 2)) - 14 * (v > 0.82)
    tone = 60 + 3.5 * grain + edge + 8 * light.side * (w.x - 0.5) - 6 * v
    w.paint(things[0], w.edge(w.y - top), tone)


def apple(canvas: Canvas, light: Light, things, foot, radius, offset) -> None:
    fruit, stem = things
    (x, y), r = foot, radius
    cy = y - 0.9 * r
    ground_shadow(canvas, light, x, y, 0.85 * r)
    w = canvas.window(x - 1.1 * r, cy - 1.1 * r, x + 1.1 * r, y + 0.05 * r)
    if w is None:
        return
    u, v = (w.x - x) / r, (w.y - cy) / (0.93 * r)
    # A dimple at the top and a narrower foot make a disc an apple.
    au = np.abs(u)
    rim = 1 - 0.16 * np.exp(-((u / 0.26) ** 2)) * (v < 0) - 0.07 * np.clip(v, 0, 1) * au
    radial = np.sqrt(u * u + v * v)
    z = np.sqrt(np.clip(1 - radial * radial, 0, 1))
    tone = (
        51
        + 11 * z
        + 9 * light.side * u
        - 9 * v
        - 5 * np.exp(-((u / 0.3) ** 2 + ((v + 0.8) / 0.16) ** 2))
    )
    hx, hy = u - 0.38 * (1 if light.side > 0 else -1), v + 0.42
    tone = tone + 15 * np.exp(-(hx * hx + hy * hy) * 22) + 1.2 * w.texture("rock", offset)
    w.paint(fruit, w.edge((rim - radial) * r), tone)
    w = canvas.window(x - 0.2 * r, cy - 1.15 * r, x + 0.2 * r, cy - 0.68 * r)
    if w is None:
        return
    bend = 0.18 * (w.y - cy + 0.7 * r)
    stalk = np.minimum(
        0.045 * r - np.abs(w.x - x + bend), np.minimum(w.y - cy + 1.1 * r, cy - 0.72 * r - w.y)
    )
    w.paint(stem, w.edge(stalk), 30.0)
