"""Render one scene from a seed: picture, region map, palettes, exact answers.

Light and colour never meet: geometry, light and texture decide L; the palettes decide ab; a
picture is their sum in CIELAB (D65), rounded to 8-bit sRGB. L ranges are held inside sRGB for
all entries of a palette at once, so nothing is clipped and the L before rounding is the same
bit for bit, whatever colours are drawn. Rounding to 8 bits moves L by about 0.005 and ab by
about 0.5 (root mean square and median); L to one decimal tells no colour.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from colorlab.data.scenes import home, land, objects
from colorlab.data.scenes.canvas import GRAIN, Canvas, lab_to_uint8, lightness_range
from colorlab.data.scenes.layout import Layout, Thing
from colorlab.data.scenes.palettes import PALETTES, best_ab, distribution
from colorlab.data.scenes.places import draw_layout

MIN_SIZE, MAX_SIZE = 32, 512

_PAINTERS = {
    name: getattr(module, name)
    for module, names in (
        (land, "sky cloud mountain forest meadow water sand road tree fir"),
        (objects, "balloon boat car tent parasol"),
        (home, "house flowers sill apple"),
    )
    for name in names.split()
}
_SHINES = {"sky", "horizon", "cloud", "sun", "window", "water"}  # painters set L by the hour


@dataclass(frozen=True)
class Scene:
    """A rendered scene.

    Attributes:
        rgb: (S, S, 3) uint8 sRGB.
        regions: (S, S) uint8, index into `things` of what covers most of a pixel.
        things: the things of the scene with the colours drawn.
        hour: one of `HOURS`.
        lab: (3, S, S) float32, the picture before rounding to 8 bits.
        seed: what it was rendered from.
    """

    rgb: np.ndarray
    regions: np.ndarray
    things: tuple[Thing, ...]
    hour: str
    lab: np.ndarray
    seed: int

    def palette_table(self) -> list[dict]:
        """Return one row for each region: what it is, what it could have been.

        A row has `region`, `kind`, `pixels`, `drawn` (index), `names` (K), `ab` (K, 2) at
        the scene's hour in CIE units, and `prob` (K,).
        """
        pixels = np.bincount(self.regions.ravel(), minlength=len(self.things))
        rows = []
        for region, thing in enumerate(self.things):
            ab, prob = distribution(thing.kind, self.hour)
            rows.append(
                {
                    "region": region,
                    "kind": thing.kind,
                    "pixels": int(pixels[region]),
                    "drawn": thing.choice,
                    "names": PALETTES[thing.kind].names,
                    "ab": ab,
                    "prob": prob,
                }
            )
        return rows


def _colours(layout: Layout, rules: Sequence[str]) -> np.ndarray:
    """Return (T, F, 2): the ab of each thing under each rule ("truth" or a loss)."""
    return np.array(
        [
            [
                PALETTES[thing.kind].at(layout.hour)[thing.choice]
                if rule == "truth"
                else best_ab(thing.kind, rule, layout.hour)
                for rule in rules
            ]
            for thing in layout.things
        ]
    )


def _gain(kind: str, hour: str) -> float:
    if kind in _SHINES:
        return 1.0
    if kind == "balloon" and hour == "night":
        return 0.8  # lit from within by the burner
    return land.GAIN[hour]


def _draw(layout: Layout, size: int, rules: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Draw a layout; return planes (1 + 2F, S, S), L then ab of each rule, and regions."""
    if not MIN_SIZE <= size <= MAX_SIZE:
        raise ValueError(f"a scene's size must be {MIN_SIZE} to {MAX_SIZE} pixels, got {size}")
    gains = [_gain(thing.kind, layout.hour) for thing in layout.things]
    canvas = Canvas(size, _colours(layout, rules), gains)
    light = land.Light(layout.hour, *layout.sun)
    for item in layout.items:
        _PAINTERS[item.painter](canvas, light, item.things, **item.where)
    lightness = canvas.planes[0]
    lightness += GRAIN * canvas.window(0, 0, 1, 1).texture("grain", layout.grain)
    limits = np.array([lightness_range(t.kind, layout.hour) for t in layout.things], np.float32)
    low, high = limits.T
    np.maximum(lightness, low[canvas.regions], out=lightness)
    np.minimum(lightness, high[canvas.regions], out=lightness)
    return canvas.planes, canvas.regions


def render(seed: int, size: int = 128, choices: Mapping[int | str, int] | None = None) -> Scene:
    """Render a scene.

    Args:
        seed: non-negative integer. The same seed gives the same bytes, and the same layout
            at every size.
        size: 32 to 512 pixels on each side.
        choices: palette entries to force, by thing index or kind name, for "what if the
            balloon were green": L stays the same bit for bit.

    Raises:
        ValueError: for a size or seed out of range, or a palette entry that does not exist.
    """
    layout = draw_layout(seed, choices)
    lab, regions = _draw(layout, size, ("truth",))
    return Scene(lab_to_uint8(lab), regions, layout.things, layout.hour, lab, int(seed))


def ab_fields(seed: int, size: int, rules: Sequence[str]) -> np.ndarray:
    """Return exact ab planes (F, 2, S, S) of a seed's scene under each rule.

    Args:
        seed: the scene.
        size: 32 to 512 pixels.
        rules: each "truth" (the colours drawn) or a loss of `best_ab`: "l2", "l1",
            "l1-vector".
    """
    planes, _ = _draw(draw_layout(seed), size, rules)
    return planes[1:].reshape(len(rules), 2, size, size)


def optimal(scene: Scene, loss: str = "l2") -> np.ndarray:
    """Return the exact best ab (2, S, S), float32, CIE units, of a scene under a loss.

    What no model can beat on average, given gray: each thing takes the best one colour for
    its palette. Soft borders mix the answers by coverage, which is exact for "l2", and for
    the medians wherever at most one several-coloured thing covers the pixel. "l1" is the
    median of a and of b, "l1-vector" the geometric median; for the log loss see
    `distribution`. The optimum is stated in ab; a loss on sRGB has a slightly other one.
    """
    return ab_fields(scene.seed, scene.rgb.shape[0], (loss,))[0]


def interior(regions: np.ndarray, radius: int = 2) -> np.ndarray:
    """Return a mask (..., H, W) of pixels whose whole neighbourhood is one region.

    Args:
        regions: (..., H, W) region maps.
        radius: 1 for 3x3 neighbourhoods, 2 for 5x5; the frame of the picture counts as
            border.
    """
    h, w = regions.shape[-2:]
    mask = np.zeros(regions.shape, dtype=bool)
    inner = np.ones(regions[..., radius : h - radius, radius : w - radius].shape, dtype=bool)
    centre = regions[..., radius : h - radius, radius : w - radius]
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            y, x = radius + dy, radius + dx
            inner &= regions[..., y : y + centre.shape[-2], x : x + centre.shape[-1]] == centre
    mask[..., radius : h - radius, radius : w - radius] = inner
    return mask
