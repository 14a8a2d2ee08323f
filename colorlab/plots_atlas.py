"""Figures of the comparison: the error atlas, and how far metrics agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from colorlab.metrics.atlas import Share
from colorlab.plots import MARKERS, PALETTE, new_figure

# Part of the error -> colour and hatch: the hatch tells them apart without colour.
_PARTS = {"lightness": ("#000000", ""), "chroma": ("#56B4E9", "///"), "hue": ("#D55E00", "...")}
_LEAST = 0.01  # share of the pixels below which a mean says little


def error_atlas(atlases: Mapping[str, Mapping[str, Share]], width: float = 9.0) -> Figure:
    """Mean squared Delta-E 76 cut into lightness, chroma and hue, and the chroma bias by region.

    On the left one bar a model, over all pixels: the parts of a *squared* error add up. On the
    right generated less true chroma in each lightness band and region: below 0 is too pale.

    Args:
        atlases: model -> what :func:`colorlab.metrics.atlas.atlas` gave. Places with
            under 1 % of the pixels are left out.
        width: of the figure, in inches.

    Raises:
        ValueError: no models.
    """
    if not atlases:
        raise ValueError("an atlas needs at least one model")
    figure, axes = new_figure(
        width, 0.32 * len(atlases) + 2.4, nrows=1, ncols=2, width_ratios=(1, 1.45)
    )
    left, right = axes[0]
    models = list(atlases)
    start = np.zeros(len(models))
    for part, (color, hatch) in _PARTS.items():
        squares = np.array([getattr(shares["all"], part) ** 2 for shares in atlases.values()])
        left.barh(
            models, squares, left=start, color=color, hatch=hatch, edgecolor="white", label=part
        )
        start += squares
    left.invert_yaxis()
    left.set_xlabel("mean squared Delta-E 76")
    left.set_title("what the error is made of", fontsize=10)
    left.legend(frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.42, -0.2))

    first = next(iter(atlases.values()))
    least = _LEAST * first["all"].pixels
    places = [name for name in first if name != "all" and first[name].pixels > least]
    for i, (model, shares) in enumerate(atlases.items()):
        right.plot(
            [shares[place].chroma_bias for place in places],
            np.arange(len(places)) + 0.09 * (i - (len(models) - 1) / 2),
            marker=MARKERS[i % len(MARKERS)],
            color=PALETTE[i % len(PALETTE)],
            linestyle="",
            label=model,
        )
    right.axvline(0, color="black", linewidth=1)
    labels = [f"{p}\n{first[p].pixels / first['all'].pixels:.0%} of pixels" for p in places]
    right.set_yticks(range(len(places)), labels, fontsize=8)
    right.invert_yaxis()
    right.grid(axis="x", alpha=0.3)
    right.set_xlabel("generated less true chroma, CIE units")
    right.set_title("too pale (left of 0) or too vivid", fontsize=10)
    right.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


def agreement(
    panels: Mapping[str, np.ndarray], labels: Sequence[str], width: float = 9.0
) -> Figure:
    """Tables of rank correlations side by side, each cell with its number.

    Args:
        panels: title to a (K, K) matrix of correlations in [-1, 1].
        labels: names of the K metrics.
        width: of the figure, in inches.

    Raises:
        ValueError: a matrix that does not fit the labels.
    """
    for title, matrix in panels.items():
        if np.shape(matrix) != (len(labels), len(labels)):
            raise ValueError(f"{title}: {np.shape(matrix)} does not fit {len(labels)} labels")
    lowest = min(0.0, *(float(np.min(matrix)) for matrix in panels.values()))
    figure, axes = new_figure(width, width / len(panels) * 0.86, nrows=1, ncols=len(panels))
    for ax, (title, matrix) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(matrix, cmap="cividis", vmin=lowest, vmax=1)
        ax.set_xticks(range(len(labels)), labels, rotation=30)
        ax.set_yticks(range(len(labels)), labels)
        ax.set_title(title, fontsize=10)
        for i, line in enumerate(np.asarray(matrix)):
            for j, value in enumerate(line):
                color = "black" if value > (1 + lowest) / 2 else "white"
                ax.text(j, i, f"{value:.2f}", ha="center", va="center", color=color, fontsize=10)
    figure.colorbar(image, ax=axes[0, -1], shrink=0.8, label="rank correlation")
    return figure


def rank_grid(
    ranks: Mapping[str, Sequence[int]], rows: Sequence[str], width: float = 7.0
) -> Figure:
    """The rank that each metric gives each row, written into a grid; 1 is the best.

    Args:
        ranks: metric -> rank of each row.
        rows: names from top to bottom.
        width: of the figure, in inches.

    Raises:
        ValueError: not one rank a row.
    """
    grid = np.array([list(column) for column in ranks.values()]).T  # (rows, metrics)
    if grid.shape != (len(rows), len(ranks)):
        raise ValueError(f"want {len(rows)} ranks a metric, got {grid.shape[:1]}")
    figure, axes = new_figure(width, 0.3 * len(rows) + 0.7)
    ax = axes[0, 0]
    ax.imshow(grid, cmap="cividis_r", aspect="auto", vmin=1, vmax=len(rows))
    for (row, column), value in np.ndenumerate(grid):
        color = "white" if value > len(rows) / 2 else "black"
        ax.text(column, row, value, ha="center", va="center", color=color, fontsize=11)
    ax.set_xticks(range(len(ranks)), list(ranks))
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    return figure
