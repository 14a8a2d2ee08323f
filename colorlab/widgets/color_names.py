"""Names for colours, so that readers who cannot see a colour still know which one it is."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence

import torch

from colorlab.color import rgb_to_lab

# The eleven basic colour terms of Berlin and Kay 1969 and their shades in photographs, as sRGB.
# A name that covers many shades has several entries.
NAMES: tuple[tuple[str, str], ...] = (
    ("black", "#000000"),
    ("black", "#1a1a1a"),
    ("dark gray", "#454545"),
    ("dark gray", "#5b5b5b"),
    ("gray", "#7f7f7f"),
    ("gray", "#9e9e9e"),
    ("light gray", "#bdbdbd"),
    ("white", "#ffffff"),
    ("white", "#ececec"),
    ("dark red", "#6b0f12"),
    ("dark red", "#7f2a2a"),
    ("red", "#dc1414"),
    ("red", "#b5332e"),
    ("red", "#d9534f"),
    ("pink", "#ff8fc0"),
    ("pink", "#d98a9c"),
    ("deep pink", "#e8388f"),
    ("deep pink", "#b54a75"),
    ("pale pink", "#f7cfd8"),
    ("salmon", "#fa8573"),
    ("orange", "#f97a10"),
    ("orange", "#d9822e"),
    ("peach", "#ffbd8a"),
    ("peach", "#e6ab88"),
    ("brown", "#64380f"),
    ("brown", "#7d5538"),
    ("brown", "#9a5a2a"),
    ("dark brown", "#35210f"),
    ("light brown", "#b08a5e"),
    ("light brown", "#a8886f"),
    ("brown", "#8f4c0a"),
    ("brown", "#7b2d10"),
    ("brown", "#98781f"),
    ("dark brown", "#603c3d"),
    ("gray brown", "#85796b"),
    ("tan", "#cfb07a"),
    ("beige", "#e3d3ad"),
    ("beige", "#f2dfb5"),
    ("cream", "#fdf8cf"),
    ("yellow", "#fbee20"),
    ("yellow", "#e0c83c"),
    ("pale yellow", "#fbf39b"),
    ("dark yellow", "#b59b10"),
    ("olive green", "#6e7016"),
    ("olive green", "#7c7b4f"),
    ("dark green", "#0b3d12"),
    ("dark green", "#3c5535"),
    ("green", "#1fa62a"),
    ("green", "#4f7f3c"),
    ("green", "#4e9460"),
    ("light green", "#93ee7e"),
    ("light green", "#9dbb78"),
    ("pale green", "#c9efc0"),
    ("yellow green", "#b4d81e"),
    ("gray green", "#7e9479"),
    ("teal", "#0b8080"),
    ("teal", "#4a8a86"),
    ("turquoise", "#22c9b8"),
    ("turquoise", "#7fc4bc"),
    ("cyan", "#10f0f0"),
    ("dark teal", "#0a4448"),
    ("pale blue", "#c6e2fa"),
    ("pale blue", "#cbfafb"),
    ("sky blue", "#7cbcf5"),
    ("sky blue", "#86add0"),
    ("light blue", "#7d9ee6"),
    ("blue", "#1464f0"),
    ("blue", "#1a1af0"),
    ("blue", "#2f66b0"),
    ("gray blue", "#64829e"),
    ("gray blue", "#8fa2b2"),
    ("dark blue", "#0a1478"),
    ("dark blue", "#24406e"),
    ("navy blue", "#08123c"),
    ("purple", "#7d22a0"),
    ("purple", "#71518f"),
    ("violet", "#9440f0"),
    ("dark purple", "#3a1046"),
    ("lavender", "#bda2ec"),
    ("lavender", "#a99cc4"),
    ("pale lavender", "#ddd0f2"),
    ("gray purple", "#907f93"),
    ("magenta", "#d61ad6"),
    ("dark magenta", "#7d0f55"),
)


def hex_to_lab(text: str) -> tuple[float, float, float]:
    """(L, a, b) of a colour written as ``#rrggbb``."""
    rgb = torch.tensor(list(bytes.fromhex(text.removeprefix("#"))), dtype=torch.float64) / 255
    lightness, a, b = rgb_to_lab(rgb[:, None, None]).flatten().tolist()
    return lightness, a, b


@functools.cache
def named_labs() -> tuple[tuple[str, tuple[float, float, float]], ...]:
    """Name and (L, a, b) of each entry, in the order of :data:`NAMES`."""
    return tuple((name, hex_to_lab(code)) for name, code in NAMES)


def name_color(lab: Sequence[float]) -> str:
    """The name whose entry is nearest to ``lab`` = (L, a, b), by Delta-E 76."""
    return min(named_labs(), key=lambda entry: math.dist(entry[1], lab))[0]
