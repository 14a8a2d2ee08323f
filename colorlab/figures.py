"""Figures of the evaluations: diversity, the known world, the error atlas, agreement of metrics.

Used in lessons 06 to 11; what every lesson draws with is in :mod:`colorlab.plots`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from math import ceil
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from torch import Tensor

from colorlab.color import from_uint8, join, lab_to_rgb, rgb_to_lab, to_uint8
from colorlab.data.scenes import PALETTES, SceneSet, distribution
from colorlab.metrics import Evaluation
from colorlab.metrics.atlas import Share
from colorlab.plots import MARKERS, PALETTE, ab_plane, new_figure

_CENTRED = {"ha": "center", "va": "center"}

# ---- diversity

_BAR_LIGHTNESS = 68.0  # of the palette colours in bars: black text is readable on all of them
_LETTER = 0.022  # width of a letter, as a fraction of a bar's length


def distortion_diversity(evaluation: Evaluation) -> Figure:
    """Colour error against the spread of the samples; a lower error is better.

    Filled markers show single samples, open markers the mean of n samples; a line connects the
    two of a model. Error bars are 95 % intervals over images. A model with a single prediction
    has diversity 0 and one marker.

    Args:
        evaluation: of :func:`colorlab.metrics.evaluate_diversity`.
    """
    figure, axes = new_figure(9.0, 4.4)
    ax = axes[0, 0]
    n = evaluation.provenance["draws"]
    places = []  # (x, y, model) of the filled markers
    for model, color, marker in zip(
        evaluation.models, cycle(PALETTE), cycle(MARKERS), strict=False
    ):
        spread, one, mean = (
            evaluation.interval(model, c) for c in ("pairwise_ab", "de76_one", "de76_mean")
        )
        places.append((spread.mean, one.mean, model))
        across = [[spread.mean - spread.low], [spread.high - spread.mean]]
        style = {"color": color, "marker": marker, "markersize": 8, "capsize": 2, "elinewidth": 1}
        points = [(one, color)] if spread.mean == 0 else [(one, color), (mean, "white")]
        ax.plot([spread.mean] * 2, [one.mean, mean.mean], color=color, linewidth=1)
        for value, face in points:
            up = [[value.mean - value.low], [value.high - value.mean]]
            ax.errorbar(spread.mean, value.mean, up, across, markerfacecolor=face, **style)

    # Names, right of the filled markers, moved up where they would overlap.
    right = max(x for x, _, _ in places) or 1.0
    low, high = ax.get_ylim()  # final, since all bars are drawn
    gap = 0.06 * (high - low)
    written: list[tuple[float, float]] = []
    for x, y, name in sorted(places, key=lambda place: place[1]):
        level = y
        for other_x, other_level in written:
            if abs(x - other_x) < 0.16 * right and level - other_level < gap:
                level = other_level + gap
        written.append((x, level))
        halo = [withStroke(linewidth=3, foreground="white")]
        spot = (x + 0.02 * right, level + gap / 3)
        ax.annotate(name, (x, y), spot, fontsize=10, path_effects=halo)

    ax.plot([], [], "o", color="black", label="one sample")
    ax.plot([], [], "o", color="black", markerfacecolor="white", label=f"mean of {n} samples")
    ax.legend(frameon=False, loc="lower right")
    ax.set(xlabel="diversity: ab distance between two samples", ylabel="distortion: ΔE76")
    ax.grid(alpha=0.3)
    ax.margins(x=0.14, y=0.12)
    right = max(ax.get_xlim()[1], 1.0)  # also if the spread of every model is 0
    ax.set_xlim(-0.05 * right, right)
    return figure


def palette_bars(models: Mapping[str, Sequence[dict]], kinds: Sequence[str]) -> Figure:
    """Sampled and true frequencies of palette colours: one panel a class, one bar a model.

    Each bar is divided into the palette's colours, in the palette's order and in their own
    colour, with name and share in percent; the hatched remainder lies between the colours. The
    top bar is the true distribution.

    Args:
        models: name -> rows of :func:`colorlab.metrics.known_world.palette_frequencies`.
        kinds: classes of objects, in this order.
    """
    tables = {name: {row["kind"]: row for row in rows} for name, rows in models.items()}
    missing = [kind for kind in kinds if not all(kind in table for table in tables.values())]
    if missing or not kinds:
        raise ValueError(f"no frequencies of {', '.join(missing) or 'any kind'} for every model")
    columns = min(2, len(kinds))
    lines = ceil(len(kinds) / columns)
    height = lines * (0.32 * (len(tables) + 1) + 0.45) + 0.3
    figure, axes = new_figure(9.0, height, nrows=lines, ncols=columns, sharey=True)
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    for ax, kind in zip(axes.flat, kinds, strict=False):
        rows = [table[kind] for table in tables.values()]
        stated, _ = distribution(kind)  # (K, 2), at noon
        ab = torch.as_tensor(stated, dtype=torch.float32).T[:, :, None]
        lab = torch.cat((torch.full_like(ab[:1], _BAR_LIGHTNESS), ab))
        styles = [{"facecolor": color} for color in lab_to_rgb(lab)[..., 0].T.numpy()]
        for place, shares in enumerate([rows[0]["prob"], *(row["frequency"] for row in rows)]):
            parts = list(zip(rows[0]["names"], shares, styles, strict=True))
            rest = 1 - sum(shares)
            if rest > 1e-9:
                parts.append(("between", rest, {"facecolor": "white", "hatch": "////"}))
            _stacked_bar(ax, place, parts)
        ax.set_title(f"{kind}, {rows[0]['things']} objects", fontsize=10)
        ax.set_xlim(-0.005, 1.005)
        ax.set_xticks([])
        ax.tick_params(axis="y", length=0)
        ax.spines[:].set_visible(False)
    names = ["stated", *tables]
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    return figure


def _stacked_bar(ax, place: int, parts: Sequence[tuple[str, float, dict]]) -> None:
    """A bar of (name, share, style), with name and percent, or percent only, where they fit."""
    left = 0.0
    for name, share, style in parts:
        ax.barh(place, share, left=left, height=0.78, edgecolor="black", linewidth=0.5, **style)
        percent = f"{100 * share:.0f}"
        fits = [s for s in (f"{name} {percent}", percent) if _LETTER * (len(s) + 1) <= share]
        if fits:
            box = (
                {"facecolor": "white", "edgecolor": "none", "pad": 1} if "hatch" in style else None
            )
            ax.text(left + share / 2, place, fits[0], bbox=box, fontsize=10, **_CENTRED)
        left += share


# ---- the known world

_RING = {"facecolors": "none", "edgecolors": "black", "linewidths": 1.6, "zorder": 4}
_CROSS = {"s": 130, "marker": "x", "color": "black", "linewidths": 2.0, "zorder": 3}
_DOT = {"s": 12, "color": "white", "edgecolors": "black", "linewidths": 0.6, "zorder": 5}
_ANSWERS = 4  # samples shown of one object
_AROUND = 6  # pixels of the scene around it
_EXTENT = 100.0  # of the a-axis, CIE units; saturated samples lie outside the palettes
_SHARE = 0.8  # extent of the b-axis, as a fraction of the a-axis


def painted_colours(
    details: Mapping[str, Any],
    scenes: SceneSet,
    captions: Mapping[str, str],
    thing: int = 0,
) -> Figure:
    """The colours that each model gave to objects of one class, over their true palette.

    One panel a model. A ring is a palette colour, larger if more probable; the cross is their
    mean, the best single prediction under the squared error; a dot is one object in one sample.
    Below, one object in its scene, filled with its mean colour in each sample; all other pixels
    are true.

    Args:
        details: of :func:`colorlab.metrics.evaluate_known`.
        scenes: the evaluated set, or its first scenes.
        captions: model -> a line or two below its name, in the order of the panels.
        thing: index, among the objects in ``details``, of the one shown in its scene.
    """
    if not captions:
        raise ValueError("want a caption for at least one row")
    palette = PALETTES[details["kind"]]
    stated = torch.as_tensor(palette.at(details["hour"])).double()  # (K, 2)
    prob = torch.as_tensor(palette.prob).double()
    columns = min(len(captions), 5)
    lines = ceil(len(captions) / columns)
    figure, axes = new_figure(
        10.0,
        lines * (11.2 / columns + 0.43) + 0.35,
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
        top.scatter(*(prob @ stated), label="their mean: the best prediction under L2", **_CROSS)
        top.scatter(*stated.T, s=700 * prob, label="a stated colour", **_RING)
        top.scatter(*dots.T, label=f"one {details['kind']} in one prediction", **_DOT)
        top.set_title(f"{model}\n{caption}", fontsize=10)
        top.set(xticks=[], yticks=[], xlabel="", ylabel="")
        top.set_ylim(-_SHARE * _EXTENT, _SHARE * _EXTENT)
        # The samples side by side with gaps of 2 pixels, centred in a white strip.
        cut = to_uint8(filled(scenes, scene, index, details["ab"][model][thing][:_ANSWERS]))
        framed = np.pad(cut, ((0, 0), (0, 0), (1, 1), (0, 0)), constant_values=255)
        empty = (_ANSWERS - len(cut)) * framed.shape[2]
        sides = (empty // 2, empty - empty // 2)
        strip = np.pad(np.hstack(framed), ((0, 0), sides, (0, 0)), constant_values=255)
        below.imshow(strip)
    for name, share, place in zip(palette.names, prob.tolist(), stated.tolist(), strict=True):
        style = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 10}
        axes[0, 0].annotate(f"{name} {share:.0%}", place, (0, -8 - 6 * share), **style)
    handles, labels = axes[0, 0].get_legend_handles_labels()
    legend = figure.legend(
        handles, labels, frameon=False, loc="outside lower center", ncols=3, fontsize=11
    )
    for handle in legend.legend_handles:
        handle.set_sizes([50])
    return figure


def filled(scenes: SceneSet, scene: int, index: int, colours: Sequence[Sequence[float]]) -> Tensor:
    """A square cutout around one object, filled with each colour: sRGB (n, 3, h, h) in [0, 1].

    Args:
        scenes: the set.
        scene: index of the scene in the set.
        index: of the object in that scene.
        colours: n pairs (a, b), CIE units.
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


# ---- the error atlas

# Part of the error -> colour and hatch; the hatch makes them distinct without colour.
_PARTS = {"lightness": ("#000000", ""), "chroma": ("#56B4E9", "///"), "hue": ("#D55E00", "...")}
_LEAST = 0.01  # regions with a smaller share of the pixels are left out


def error_atlas(atlases: Mapping[str, Mapping[str, Share]]) -> Figure:
    """Mean squared Delta-E 76 as lightness, chroma and hue, and the chroma bias by region.

    Left, one bar a model over all pixels; it shows the *squared* error because only its parts add
    up. Right, predicted minus true chroma in each lightness band and region; it is negative where
    the colours are too pale.

    Args:
        atlases: model -> result of :func:`colorlab.metrics.atlas.atlas`. Regions with less than
            1 % of the pixels are left out.
    """
    if not atlases:
        raise ValueError("an atlas needs at least one model")
    height = 0.32 * len(atlases) + 2.4
    figure, axes = new_figure(9.0, height, nrows=1, ncols=2, width_ratios=(1, 1.45))
    left, right = axes[0]
    models = list(atlases)
    start = np.zeros(len(models))
    for part, (color, hatch) in _PARTS.items():
        squares = np.array([getattr(shares["all"], part) ** 2 for shares in atlases.values()])
        style = {"color": color, "hatch": hatch, "edgecolor": "white", "label": part}
        left.barh(models, squares, left=start, **style)
        start += squares
    left.invert_yaxis()
    left.set_xlabel("mean squared ΔE76")
    left.set_title("what the error is made of", fontsize=10)
    left.legend(
        frameon=False, fontsize=9, ncols=3, loc="upper center", bbox_to_anchor=(0.42, -0.14)
    )

    first = atlases[models[0]]
    part_of = {name: share.pixels / first["all"].pixels for name, share in first.items()}
    places = [name for name, part in part_of.items() if name != "all" and part > _LEAST]
    for i, (model, shares) in enumerate(atlases.items()):
        right.plot(
            [shares[place].chroma_bias for place in places],
            np.arange(len(places)) + 0.72 * ((i + 0.5) / len(models) - 0.5),
            marker=MARKERS[i % len(MARKERS)],
            color=PALETTE[i % len(PALETTE)],
            linestyle="",
            label=model,
        )
    right.axvline(0, color="black", linewidth=1)
    for edge in np.arange(len(places) - 1) + 0.5:
        right.axhline(edge, color="#CCCCCC", linewidth=0.8)
    labels = [f"{place}\n{part_of[place]:.0%} of pixels" for place in places]
    right.set_yticks(range(len(places)), labels, fontsize=8)
    right.invert_yaxis()
    right.grid(axis="x", alpha=0.3)
    right.set_xlabel("predicted minus true chroma, CIE units")
    right.set_title("too pale (left of 0) or too vivid", fontsize=10)
    right.legend(frameon=False, fontsize=8, loc="center left", bbox_to_anchor=(1.0, 0.5))
    return figure


# ---- agreement of metrics


def agreement(panels: Mapping[str, np.ndarray], labels: Sequence[str]) -> Figure:
    """Matrices of rank correlations side by side, with the number in each cell.

    Args:
        panels: title -> a (K, K) matrix of correlations in [-1, 1].
        labels: names of the K metrics.
    """
    for title, matrix in panels.items():
        if np.shape(matrix) != (len(labels), len(labels)):
            raise ValueError(f"{title}: {np.shape(matrix)} does not fit {len(labels)} labels")
    lowest = min(0.0, *(float(np.min(matrix)) for matrix in panels.values()))
    figure, axes = new_figure(9.0, 9.0 / len(panels) * 0.86, nrows=1, ncols=len(panels))
    for ax, (title, matrix) in zip(axes[0], panels.items(), strict=True):
        image = ax.imshow(matrix, cmap="cividis", vmin=lowest, vmax=1)
        ax.set_xticks(range(len(labels)), labels, rotation=30)
        ax.set_yticks(range(len(labels)), labels)
        ax.set_title(title, fontsize=10)
        for (row, column), value in np.ndenumerate(matrix):
            color = "black" if value > (1 + lowest) / 2 else "white"
            ax.text(column, row, f"{value:.2f}", color=color, fontsize=10, **_CENTRED)
    figure.colorbar(image, ax=axes[0, -1], shrink=0.8, label="rank correlation")
    return figure


def rank_grid(ranks: Mapping[str, Sequence[int]], rows: Sequence[str]) -> Figure:
    """A grid of the rank that each metric gives each model; 1 is the best.

    Args:
        ranks: metric -> rank of each model.
        rows: names of the models from top to bottom.
    """
    grid = np.array([list(column) for column in ranks.values()]).T  # (rows, metrics)
    if grid.shape != (len(rows), len(ranks)):
        raise ValueError(f"want {len(rows)} ranks a metric, got {grid.shape[:1]}")
    figure, axes = new_figure(7.0, 0.3 * len(rows) + 0.7)
    ax = axes[0, 0]
    ax.imshow(grid, cmap="cividis_r", aspect="auto", vmin=1, vmax=len(rows))
    for (row, column), value in np.ndenumerate(grid):
        color = "white" if value > len(rows) / 2 else "black"
        ax.text(column, row, value, color=color, fontsize=11, **_CENTRED)
    ax.set_xticks(range(len(ranks)), list(ranks))
    ax.set_yticks(range(len(rows)), rows)
    ax.tick_params(length=0)
    return figure
