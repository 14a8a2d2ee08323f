"""Render one scene from a seed: picture, region map, palettes, exact predictions.

Lightness and colour are computed apart: geometry, light and texture decide L; the palettes decide
ab; a picture is both in CIELAB (D65), rounded to 8-bit sRGB. L is clipped to a range that fits
sRGB for all entries of a palette at once, and the L before rounding is the same bit for bit,
whatever colours are sampled. Borders mix two objects, and sky and horizon fade into each other, so
a few pixels still lie outside sRGB: 4 in 10,000, in one scene of six. They are clipped, which moves
their L by up to 0.35. Elsewhere rounding to 8 bits moves L by about 0.01 and ab by about 0.7 (root
mean square and median). L to one decimal, finer than the 256 levels of a gray file, reveals no
colour. L with all its digits does: the rounding differs with the colour, so the models of the
lessons, which see it, could cheat in principle.

The bytes of every scene depend on this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colorlab.data.scenes import painters
from colorlab.data.scenes.canvas import GRAIN, Canvas, lab_to_uint8, lightness_range
from colorlab.data.scenes.layout import Layout, Thing, draw_layout
from colorlab.data.scenes.palettes import PALETTES, best_ab

MIN_SIZE, MAX_SIZE = 32, 512
_SHINES = {"sky", "horizon", "cloud", "sun", "window", "water"}  # painters set L by the hour


@dataclass(frozen=True)
class Scene:
    """A rendered scene of S x S pixels."""

    rgb: np.ndarray  # (S, S, 3) uint8 sRGB
    regions: np.ndarray  # (S, S) uint8, index into `things` of what covers most of a pixel
    things: tuple[Thing, ...]  # with the colours sampled
    hour: str  # one of `HOURS`
    lab: np.ndarray  # (3, S, S) float32, before rounding to 8 bits
    seed: int

    def palette_table(self) -> list[dict]:
        """Return a row for each region: what it is, and the K colours it could have had.

        `region`, `kind`, `pixels`, `drawn` (index of the colour), `names` (K), `ab` (K, 2) at the
        scene's hour in CIE units, and `prob` (K,).
        """
        pixels = np.bincount(self.regions.ravel(), minlength=len(self.things))
        return [
            {
                "region": region,
                "kind": thing.kind,
                "pixels": int(pixels[region]),
                "drawn": thing.choice,
                "names": PALETTES[thing.kind].names,
                "ab": PALETTES[thing.kind].at(self.hour),
                "prob": PALETTES[thing.kind].prob,
            }
            for region, thing in enumerate(self.things)
        ]


def _gain(kind: str, hour: str) -> float:
    if kind in _SHINES:
        return 1.0
    if kind == "balloon" and hour == "night":
        return 0.8  # lit from within by the burner
    return painters.GAIN[hour]


def _draw(layout: Layout, size: int, rules: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Draw a layout; return planes (1 + 2F, S, S), L then ab of each rule, and regions."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"a scene's size must be {MIN_SIZE} to {MAX_SIZE} pixels, got {size}")
    hour, kinds = layout.hour, [thing.kind for thing in layout.things]
    truth = [PALETTES[thing.kind].at(hour)[thing.choice] for thing in layout.things]
    colours = [
        truth if rule == "truth" else [best_ab(kind, rule, hour) for kind in kinds]
        for rule in rules
    ]
    canvas = Canvas(size, np.stack(colours, axis=1), [_gain(kind, hour) for kind in kinds])
    light = painters.Light(hour, *layout.sun)
    for item in layout.items:
        getattr(painters, item.painter)(canvas, light, item.things, **item.where)
    lightness = canvas.planes[0]
    lightness += GRAIN * canvas.texture("grain", layout.grain)
    low, high = np.array([lightness_range(kind, hour) for kind in kinds], np.float32).T
    np.clip(lightness, low[canvas.regions], high[canvas.regions], out=lightness)
    return canvas.planes, canvas.regions


def render(seed: int, size: int = 128, choices: Mapping[int | str, int] | None = None) -> Scene:
    """Render a scene of 32 to 512 pixels on each side.

    Args:
        seed: 0 or greater. The same seed gives the same bytes, and the same layout at every size.
        size: of each side, in pixels.
        choices: palette entries to force, by thing index or kind name, for "what if the
            balloon were green": L stays the same bit for bit.
    """
    layout = draw_layout(seed, choices)
    lab, regions = _draw(layout, size, ("truth",))
    return Scene(lab_to_uint8(lab), regions, layout.things, layout.hour, lab, int(seed))


def ab_fields(seed: int, size: int, rules: Sequence[str]) -> np.ndarray:
    """Return exact ab planes (F, 2, S, S) of a seed's scene under each of F rules.

    A rule is "truth" (the colours sampled) or a loss of `best_ab`: "l2", "l1", "l1-vector",
    "huber".
    """
    planes, _ = _draw(draw_layout(seed), size, rules)
    return planes[1:].reshape(len(rules), 2, size, size)


def optimal(scene: Scene, loss: str = "l2") -> np.ndarray:
    """Return the exact best ab (2, S, S), float32, CIE units, of a scene under a loss.

    No model can beat it on average, given the gray image: each thing takes the colour of
    `best_ab`. Soft borders mix these colours by coverage, which is exact for "l2", and for
    the medians wherever at most one several-coloured thing covers the pixel. The optimum is
    stated in ab; a loss on sRGB has a slightly different one.
    """
    return ab_fields(scene.seed, scene.rgb.shape[0], (loss,))[0]


def interior(regions: np.ndarray, radius: int = 2) -> np.ndarray:
    """Return a mask (..., H, W) of pixels whose whole neighbourhood is one region.

    A radius of 1 means 3x3 pixels, 2 means 5x5; the frame of the image counts as border.
    """
    height, width = regions.shape[-2:]
    inside = (..., slice(radius, height - radius), slice(radius, width - radius))
    inner = np.ones_like(regions[inside], dtype=bool)
    h, w = inner.shape[-2:]
    for y, x in np.ndindex(2 * radius + 1, 2 * radius + 1):
        inner &= regions[..., y : y + h, x : x + w] == regions[inside]
    mask = np.zeros(regions.shape, dtype=bool)
    mask[inside] = inner
    return mask
