"""The known world at a glance: the stated colours of a thing, and what each model paints it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import torch
from matplotlib.figure import Figure
from torch import Tensor

from colorlab.data.scenes import PALETTES
from colorlab.plots import ab_plane, new_figure

_RING = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.8, "zorder": 4}
_CROSS = {"s": 160, "marker": "x", "color": "black", "linewidths": 2.2, "zorder": 3}
_DOT = {"s": 16, "color": "white", "edgecolors": "black", "linewidths": 0.7, "zorder": 5}


def painted_colours(
    painted: Mapping[str, Tensor], kind: str, hour: str, width: float = 9.0
) -> Figure:
    """One panel a model: what it painted things of one kind, over their stated palette.

    A ring is a stated colour, the larger the likelier; the cross is their mean, the best single
    answer under the squared error; a dot is one thing in one answer.

    Args:
        painted: model -> ab (M, 2), CIE units, of
            :func:`colorlab.metrics.known_world.colours_of`.
        kind: such as ``"balloon"``.
        hour: such as ``"noon"``.
        width: of the figure, in inches.

    Raises:
        ValueError: no models, or a kind that is not in the palettes.
    """
    if not painted or kind not in PALETTES:
        raise ValueError(f"want models and a kind of {', '.join(PALETTES)}, got {kind!r}")
    palette = PALETTES[kind]
    ab = torch.as_tensor(palette.at(hour)).double()  # (K, 2)
    prob = torch.as_tensor(palette.prob).double()
    columns = min(len(painted) + 1, 3)  # one more cell for the legend
    lines = ceil((len(painted) + 1) / columns)
    figure, axes = new_figure(width, lines * width / columns, nrows=lines, ncols=columns)
    for ax, (model, dots) in zip(axes.flat, painted.items(), strict=False):
        ab_plane(ax)
        ax.scatter(*(prob @ ab), label="their mean, the best answer under L2", **_CROSS)
        ax.scatter(*ab.T, s=1800 * prob, label="a stated colour: the larger, the likelier", **_RING)
        ax.scatter(*dots.T, label=f"what the model painted one {kind}", **_DOT)
        ax.set_title(model, fontsize=12)
        ax.label_outer()
    for name, share, place in zip(palette.names, prob.tolist(), ab.tolist(), strict=True):
        for ax in axes.flat[: len(painted)]:
            ax.annotate(
                f"{name} {share:.0%}",
                place,
                (0, -19 - 9 * share),
                textcoords="offset points",
                ha="center",
                va="top",
                fontsize=9,
            )
    for ax in axes.flat[len(painted) :]:
        ax.set_axis_off()
    handles, labels = axes.flat[0].get_legend_handles_labels()
    legend = axes.flat[len(painted)].legend(
        handles, labels, frameon=False, loc="center", fontsize=9, labelspacing=1.6
    )
    for handle in legend.legend_handles:
        handle.set_sizes([60])
    return figure
