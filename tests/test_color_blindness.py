"""Figures under deuteranopia, the commonest colour blindness: what colour tells stays told.

Every pair of colours that carry meaning in one panel must be apart by at least 10 CIEDE2000 as a
reader without green-sensitive cones sees them, or be told apart without colour: by marker, line
style or hatch. 10 is far above a just noticeable difference, about 1.

Source of the simulation: Machado, Oliveira and Fernandes 2009, "A physiologically-based model for
simulation of color vision deficiency", IEEE TVCG 15(6), table 1 (deuteranomaly, severity 1.0).
"""

from itertools import combinations

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.lines import Line2D

from colorlab import figures, plots
from colorlab.color import linear_to_srgb, rgb_to_lab, srgb_to_linear
from colorlab.data.scenes import PALETTES
from colorlab.metrics import Evaluation, ciede2000
from colorlab.metrics.atlas import atlas
from colorlab.training import History

APART = 10.0
DEUTERANOPIA = torch.tensor(
    [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ]
)


def seen(color) -> torch.Tensor:
    """A colour of matplotlib as Lab (3, 1, 1), as a reader with deuteranopia sees it."""
    linear = DEUTERANOPIA @ srgb_to_linear(torch.tensor(to_rgb(color)))  # on linear light
    return rgb_to_lab(linear_to_srgb(linear.clamp(0, 1)).view(3, 1, 1))


def apart(one, other) -> float:
    return ciede2000(seen(one), seen(other)).item()


def without_colour(artist) -> tuple:
    """Marker, line style, open or filled, hatch: what tells artists apart in black and white."""
    if isinstance(artist, Line2D):
        return artist.get_marker(), artist.get_linestyle(), artist.get_markerfacecolor() == "white"
    if hasattr(artist, "patches"):  # bars
        return (artist.patches[0].get_hatch(),)
    if hasattr(artist, "lines"):  # dots with intervals
        return (artist.lines[0].get_marker(),)
    return ()


def color_of(artist):
    if hasattr(artist, "patches"):
        return artist.patches[0].get_facecolor()[:3]
    if hasattr(artist, "lines"):
        return artist.lines[0].get_color()
    return artist.get_color()


def confused(ax) -> list[tuple[str, str, float]]:
    """Pairs of the legend that neither colour nor shape tells apart."""
    handles, labels = ax.get_legend_handles_labels()
    return [
        (a, b, apart(color_of(one), color_of(other)))
        for (one, a), (other, b) in combinations(zip(handles, labels, strict=True), 2)
        if without_colour(one) == without_colour(other)
        and apart(color_of(one), color_of(other)) < APART
    ]


def test_the_colours_of_the_lessons_stay_apart_but_for_green_and_gray():
    distance = {pair: apart(*pair) for pair in combinations(plots.PALETTE, 2)}
    close = {pair for pair in distance if distance[pair] < APART}
    assert close == {("#009E73", "#7F7F7F")}, "the two that only their markers tell apart"
    assert min(distance.values()) > 8
    assert len(set(plots.MARKERS)) == len(plots.MARKERS) == len(plots.PALETTE)


def test_the_scale_of_error_maps_grows_lighter():
    scale = matplotlib.colormaps["cividis"]
    lightness = [seen(scale(part)[:3])[0].item() for part in (0.0, 0.25, 0.5, 0.75, 1.0)]
    assert np.diff(lightness).min() > 10


def _atlases() -> dict:
    generator = torch.Generator().manual_seed(0)
    pictures = torch.rand(9, 1, 3, 16, 16, generator=generator)
    return {f"model {i}": atlas(pictures[0], pictures[i + 1]) for i in range(8)}


def _diversity() -> Evaluation:
    cell = {"mean": 4.0, "low": 3.0, "high": 5.0}
    cells = dict.fromkeys(("de76_one", "de76_mean", "pairwise_ab"), cell)
    rows = [{"model": name} | cells for name in ("vae", "unet_vae", "diffusion")]
    return Evaluation(rows, {}, ("a",), {"draws": 5})


RUN = History(rows=[{"step": s, "a": 1.0, "b": 2.0, "c": 3.0, "score": 4.0} for s in (1, 2)])
FIGURES = {
    "history": lambda: plots.history(RUN, {"gray": 9.0, "UNet": 7.0, "oracle": 2.0}),
    "error atlas": lambda: figures.error_atlas(_atlases()),
    "diversity": lambda: figures.distortion_diversity(_diversity()),
}


@pytest.mark.parametrize("name", FIGURES)
def test_what_a_legend_names_is_told_apart(name):
    panels = FIGURES[name]().axes
    assert any(ax.get_legend_handles_labels()[0] for ax in panels)
    for ax in panels:
        assert confused(ax) == []


def test_the_colours_of_things_carry_their_names():
    # Red and green balloons look alike here. Their colours are the subject: a name must stand by.
    palette = PALETTES["balloon"]
    row = {"kind": "balloon", "names": palette.names, "prob": palette.prob, "things": 9}
    row["frequency"] = np.array(palette.prob)
    figure = figures.palette_bars({"model": [row]}, ["balloon"])
    written = " ".join(text.get_text() for text in figure.axes[0].texts)
    assert all(name in written for name in palette.names)
