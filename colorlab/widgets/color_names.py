"""Names for colours, so that readers who cannot see a colour still know which one it is."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from colorlab.color import rgb_to_lab

# The eleven basic colour terms of Berlin and Kay 1969 and their shades in photographs, as sRGB.
SHADES = {
    "black": "#000000 #1a1a1a",
    "dark gray": "#454545 #5b5b5b",
    "gray": "#7f7f7f #9e9e9e",
    "light gray": "#bdbdbd",
    "white": "#ffffff #ececec",
    "dark red": "#6b0f12 #7f2a2a",
    "red": "#dc1414 #b5332e #d9534f",
    "pink": "#ff8fc0 #d98a9c",
    "deep pink": "#e8388f #b54a75",
    "pale pink": "#f7cfd8",
    "salmon": "#fa8573",
    "orange": "#f97a10 #d9822e",
    "peach": "#ffbd8a #e6ab88",
    "brown": "#64380f #7d5538 #9a5a2a #8f4c0a #7b2d10 #98781f",
    "dark brown": "#35210f #603c3d",
    "light brown": "#b08a5e #a8886f",
    "gray brown": "#85796b",
    "tan": "#cfb07a",
    "beige": "#e3d3ad #f2dfb5",
    "cream": "#fdf8cf",
    "yellow": "#fbee20 #e0c83c",
    "pale yellow": "#fbf39b",
    "dark yellow": "#b59b10",
    "olive green": "#6e7016 #7c7b4f",
    "dark green": "#0b3d12 #3c5535",
    "green": "#1fa62a #4f7f3c #4e9460",
    "light green": "#93ee7e #9dbb78",
    "pale green": "#c9efc0",
    "yellow green": "#b4d81e",
    "gray green": "#7e9479",
    "teal": "#0b8080 #4a8a86",
    "turquoise": "#22c9b8 #7fc4bc",
    "cyan": "#10f0f0",
    "dark teal": "#0a4448",
    "pale blue": "#c6e2fa #cbfafb",
    "sky blue": "#7cbcf5 #86add0",
    "light blue": "#7d9ee6",
    "blue": "#1464f0 #1a1af0 #2f66b0",
    "gray blue": "#64829e #8fa2b2",
    "dark blue": "#0a1478 #24406e",
    "navy blue": "#08123c",
    "purple": "#7d22a0 #71518f",
    "violet": "#9440f0",
    "dark purple": "#3a1046",
    "lavender": "#bda2ec #a99cc4",
    "pale lavender": "#ddd0f2",
    "gray purple": "#907f93",
    "magenta": "#d61ad6",
    "dark magenta": "#7d0f55",
}


def hex_to_lab(text: str) -> tuple[float, float, float]:
    """(L, a, b) of a colour written as ``#rrggbb``."""
    rgb = torch.tensor(list(bytes.fromhex(text.removeprefix("#"))), dtype=torch.float64) / 255
    lightness, a, b = rgb_to_lab(rgb[:, None, None]).flatten().tolist()
    return lightness, a, b


@functools.cache
def named_labs() -> tuple[tuple[str, tuple[float, float, float]], ...]:
    """Name and (L, a, b) of each shade of :data:`SHADES`."""
    return tuple((name, hex_to_lab(code)) for name in SHADES for code in SHADES[name].split())


def name_color(lab: Sequence[float]) -> str:
    """The name whose entry is nearest to ``lab`` = (L, a, b), by Delta-E 76."""
    return min(named_labs(), key=lambda entry: math.dist(entry[1], lab))[0]
