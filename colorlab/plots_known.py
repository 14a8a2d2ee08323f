"""The known world at a glance: the stated colours of a thing, and what each model paints it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from colorlab.color import from_uint8, join, rgb_to_lab, to_uint8
from colorlab.data.scenes import PALETTES, SceneSet
from colorlab.plots import ab_plane, new_figure

_RING = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.6, "zorder": 4}
_CROSS = {"s": 130, "marker": "x", "color": "black", "linewidths": 2.0, "zorder": 3}
_DOT = {"s": 12, "color": "white", "edgecolors": "black", "linewidths": 0.6, "zorder": 5}
_ANSWERS = 4  # shown of one thing
_AROUND = 6  # pixels of the scene about it
_EXTENT = 100.0  # of the a-axis, in CIE units: vivid answers reach beyond the palettes
_SHARE = 0.8  # of it that the b-axis reaches


def painted_colours(
    details: Mapping[str, Any],
    scenes: SceneSet,
    captions: Mapping[str, str],
    thing: int = 0,
    width: float = 10.0,
) -> Figure:
    """One panel a model: what it painted things of one kind, over their stated palette.

    A ring is a stated colour, the larger the likelier; the cross is their mean, the best single
    answer under the squared error; a dot is one thing in one answer. Below, one of these things
    with the mean colour of each answer laid into the scene; all else in it is true.

    Args:
        details: of :func:`colorlab.metrics.evaluate_known`.
        scenes: the set that was measured, or its first scenes.
        captions: row -> a line or two below its name, in the order of the panels.
        thing: which of the kept things is shown in its scene.
        width: of the figure, in inches.

    Raises:
        ValueError: no rows.
    """
    if not captions:
        raise ValueError("want a caption for at least one row")
    palette = PALETTES[details["kind"]]
    stated = torch.as_tensor(palette.at(details["hour"])).double()  # (K, 2)
    prob = torch.as_tensor(palette.prob).double()
    columns = min(len(captions), 5)
    lines = ceil(len(captions) / columns)
    figure, axes = new_figure(
        width,
        lines * (1.12 * width / columns + 0.43) + 0.35,
        nrows=2 * lines,
        ncols=columns,
        height_ratios=(_ANSWERS * _SHARE, 1) * lines,
    )
    figure.get_layout_engine().set(h_pad=0.04, w_pad=0.02, hspace=0, wspace=0)
    for ax in axes.flat:
        ax.set_axis_off()
    scene, index = details["things"][thing]
    for k, (model, caption) in enumerate(captions.items()):
        top, below = axes[2 * (k // columns) : 2 * (k // columns) + 2, k % columns]
        top.set_axis_on()
        ab_plane(top, extent=_EXTENT)
        dots = torch.tensor(details["ab"][model]).flatten(0, 1)
        top.scatter(*(prob @ stated), label="their mean: the best answer under L2", **_CROSS)
        top.scatter(*stated.T, s=700 * prob, label="a stated colour", **_RING)
        top.scatter(*dots.T, label=f"one {details['kind']} in one answer", **_DOT)
        top.set_title(f"{model}\n{caption}", fontsize=10)
        top.set(xticks=[], yticks=[], xlabel="", ylabel="")
        top.set_ylim(-_SHARE * _EXTENT, _SHARE * _EXTENT)
        answers = filled(scenes, scene, index, details["ab"][model][thing][:_ANSWERS])
        below.imshow(_strip(answers))
    for name, share, place in zip(palette.names, prob.tolist(), stated.tolist(), strict=True):
        axes[0, 0].annotate(
            f"{name} {share:.0%}",
            place,
            (0, -8 - 6 * share),
            textcoords="offset points",
            ha="center",
            va="top",
            fontsize=10,
        )
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=11
    )
    for handle in legend.legend_handles:
        handle.set_sizes([50])
    return figure


def filled(scenes: SceneSet, scene: int, index: int, colours: Sequence[Sequence[float]]) -> Tensor:
    """A scene with one of its things in other colours, cut out: sRGB (n, 3, h, w) in [0, 1].

    Args:
        scenes: the set.
        scene: its index in the set.
        index: of the thing in that scene.
        colours: n times (a, b), CIE units.
    """
    lab = rgb_to_lab(from_uint8(scenes.pictures.rgb[scene : scene + 1]))
    mask = torch.from_numpy(np.asarray(scenes.regions[scene]) == index)
    ab = lab[:, 1:].repeat(len(colours), 1, 1, 1)
    ab[:, :, mask] = torch.tensor(colours, dtype=ab.dtype)[:, :, None]
    rows, columns = (mask.any(dim=d).nonzero().flatten() for d in (1, 0))
    middle = (rows[0] + rows[-1]) // 2, (columns[0] + columns[-1]) // 2
    half = int(max(rows[-1] - rows[0], columns[-1] - columns[0])) // 2 + _AROUND
    size = mask.shape[0]
    top, left = (int(min(max(m - half, 0), max(size - 2 * half, 0))) for m in middle)
    pictures = join(lab[:, :1].expand(len(colours), -1, -1, -1), ab)
    return pictures[:, :, top : top + 2 * half, left : left + 2 * half]


def _strip(answers: Tensor) -> np.ndarray:
    """Up to four pictures (n, 3, h, w) side by side, in the middle of a white strip."""
    n, _, h, w = answers.shape
    strip = np.full((h, _ANSWERS * (w + 2), 3), 255, dtype=np.uint8)
    start = (_ANSWERS - n) * (w + 2) // 2
    for i, answer in enumerate(answers):
        left = start + i * (w + 2) + 1
        strip[:, left : left + w] = to_uint8(answer)
    return strip
