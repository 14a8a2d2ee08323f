"""The drawn world: scenes whose colours are known.

Skies at four hours, mountains, meadows, water, trees, houses, market stalls, people, cows, boats,
balloons, fruit. Some kinds have one colour (grass); others are sampled from a stated palette at
equal lightness (a balloon is red 30 %, blue 50 %, green 20 %), so the gray image does not determine
their colour. Hence the best prediction under each loss is known exactly, which no set of
photographs can give.

    scene = render(seed=7, size=256)            # picture, regions, palettes
    scene = render(7, choices={"balloon": 2})   # the same L, a green balloon
    best = optimal(scene, "l2")                 # no model can beat it, given gray
    train = scene_set(3600, split="train")      # cached on disk once rendered

To read in this order: `palettes` (colours and best predictions), `layout` (what is where),
`canvas` (textures, Lab to sRGB), `painters` (one function an object), `rendering` (one picture),
`sets` (many pictures, cached). Predictions are measured in :mod:`colorlab.metrics.known_world`.
"""

from __future__ import annotations

from colorlab.data.scenes.layout import draw_layout
from colorlab.data.scenes.palettes import HOURS, PALETTES, SEVERAL_COLOURED, best_ab, distribution
from colorlab.data.scenes.rendering import ab_fields, interior, optimal, render
from colorlab.data.scenes.sets import SceneSet, scene_set, split_seeds

__all__ = [
    "HOURS",
    "PALETTES",
    "SEVERAL_COLOURED",
    "SceneSet",
    "ab_fields",
    "best_ab",
    "distribution",
    "draw_layout",
    "interior",
    "optimal",
    "render",
    "scene_set",
    "split_seeds",
]
