"""Figures of models that draw: distortion against diversity, and drawn palette frequencies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke

from colorlab.color import lab_to_rgb
from colorlab.plots import MARKERS, PALETTE, new_figure

if TYPE_CHECKING:
    from colorlab.metrics import Evaluation

_BAR_LIGHTNESS = 68.0  # palette colours are drawn at this L: black text reads on all of them
_LETTER = 0.022  # width of a letter, as a share of a bar: what does not fit is not written


def distortion_diversity(evaluation: Evaluation, width: float = 9.0) -> Figure:
    """Colour error against the spread of the draws: lower is better, further right is not.

    Filled markers are one draw, open ones the mean of n draws, a line ties the two of a model.
    Bars are 95 % intervals over pictures. A model with one answer stands at 0, with one marker.

    Args:
        evaluation: of :func:`colorlab.metrics.evaluate_diversity`.
        width: of the figure, in inches.

    Raises:
        KeyError: the table of another function.
    """
    figure, axes = new_figure(width, 4.4)
    ax = axes[0, 0]
    n = evaluation.provenance["draws"]
    for i, model in enumerate(evaluation.models):
        spread, one, mean = (
            evaluation.interval(model, c) for c in ("pairwise_ab", "de76_one", "de76_mean")
        )
        color, marker = PALETTE[i % len(PALETTE)], MARKERS[i % len(MARKERS)]
        across = [[spread.mean - spread.low], [spread.high - spread.mean]]
        style = {"color": color, "marker": marker, "markersize": 8, "capsize": 2, "elinewidth": 1}
        points = [(one, color)] if spread.mean == 0 else [(one, color), (mean, "white")]
        ax.plot([spread.mean] * 2, [one.mean, mean.mean], color=color, linewidth=1)
        for value, face in points:
            up = [[value.mean - value.low], [value.high - value.mean]]
            ax.errorbar(spread.mean, value.mean, up, across, markerfacecolor=face, **style)
    _label_points(ax, evaluation)
    ax.plot([], [], "o", color="black", label="one draw")
    ax.plot([], [], "o", color="black", markerfacecolor="white", label=f"mean of {n} draws")
    ax.legend(frameon=False, loc="lower right")
    ax.set(xlabel="diversity: ab distance between two draws", ylabel="distortion: Delta-E 76")
    ax.grid(alpha=0.3)
    ax.margins(x=0.14, y=0.12)
    right = max(ax.get_xlim()[1], 1.0)  # also where no model varies
    ax.set_xlim(-0.05 * right, right)
    return figure


def _label_points(ax, evaluation: Evaluation) -> None:
    """Write each model's name right of its one-draw marker, moved apart where names would meet."""
    places = [
        (evaluation.interval(m, "pairwise_ab").mean, evaluation.interval(m, "de76_one").mean, m)
        for m in evaluation.models
    ]
    right = max(x for x, _, _ in places) or 1.0
    low, high = ax.get_ylim()  # the bars are drawn: this is the height of the axes
    gap = 0.06 * (high - low)
    written: list[tuple[float, float]] = []
    for x, y, name in sorted(places, key=lambda place: place[1]):
        level = y
        for other_x, other_level in written:
            if abs(x - other_x) < 0.16 * right and level - other_level < gap:
                level = other_level + gap
        written.append((x, level))
        ax.annotate(
            name,
            (x, y),
            (x + 0.02 * right, level + gap / 3),
            fontsize=10,
            path_effects=[withStroke(linewidth=3, foreground="white")],
        )


def palette_bars(
    models: Mapping[str, Sequence[dict]], kinds: Sequence[str] | None = None, width: float = 9.0
) -> Figure:
    """Drawn against stated palette frequencies: one panel a kind, one bar a model.

    Each bar is cut into the palette's colours, in the palette's order and in their own colour,
    with name and share in percent; the hatched rest is between the colours. The bar on top is
    the stated distribution.

    Args:
        models: name -> rows of :func:`colorlab.data.scenes.palette_frequencies`.
        kinds: which, in this order; None means all that every model has counted.
        width: of the figure, in inches.

    Raises:
        ValueError: no kind was counted for every model.
    """
    tables = {
        name: {row["kind"]: row for row in rows if row["things"]} for name, rows in models.items()
    }
    if kinds is None:
        first = next(iter(tables.values()), {})
        kinds = [kind for kind in first if all(kind in table for table in tables.values())]
    missing = [kind for kind in kinds if any(kind not in table for table in tables.values())]
    if missing or not kinds:
        raise ValueError(f"no frequencies of {', '.join(missing) or 'any kind'} for every model")
    columns = min(2, len(kinds))
    lines = ceil(len(kinds) / columns)
    height = lines * (0.32 * (len(tables) + 1) + 0.45) + 0.3
    figure, axes = new_figure(width, height, nrows=lines, ncols=columns, sharey=True)
    for ax, kind in zip(axes.flat, kinds, strict=False):
        _kind_panel(ax, kind, {name: table[kind] for name, table in tables.items()})
    for ax in axes.flat[len(kinds) :]:
        ax.set_axis_off()
    names = ["stated", *tables]
    axes[0, 0].set_yticks(range(len(names)), names)
    axes[0, 0].invert_yaxis()
    return figure


def _kind_panel(ax, kind: str, rows: Mapping[str, dict]) -> None:
    stated = next(iter(rows.values()))
    colors = _palette_colors(kind)
    bars = [stated["prob"], *(row["frequency"] for row in rows.values())]
    for place, shares in enumerate(bars):
        left = 0.0
        for k, share in enumerate(shares):
            _segment(ax, place, left, share, stated["names"][k], facecolor=colors[k])
            left += share
        if left < 1 - 1e-9:
            _segment(ax, place, left, 1 - left, "between", facecolor="white", hatch="////")
    ax.set_title(f"{kind}, {stated['things']} things", fontsize=10)
    ax.set_xlim(-0.005, 1.005)
    ax.set_xticks([])
    ax.tick_params(axis="y", length=0)
    ax.spines[:].set_visible(False)


def _segment(ax, place: int, left: float, share: float, name: str, **style) -> None:
    """One part of a bar, with its name and percent, or the percent alone where room is short."""
    ax.barh(place, share, left=left, height=0.78, edgecolor="black", linewidth=0.5, **style)
    percent = f"{100 * share:.0f}"
    fits = [text for text in (f"{name} {percent}", percent) if _LETTER * (len(text) + 1) <= share]
    if fits:
        box = {"facecolor": "white", "edgecolor": "none", "pad": 1} if "hatch" in style else None
        middle = {"ha": "center", "va": "center", "fontsize": 10}
        ax.text(left + share / 2, place, fits[0], bbox=box, **middle)


def _palette_colors(kind: str) -> np.ndarray:
    """The colours of a kind at noon as sRGB (K, 3) in [0, 1], all at one lightness."""
    from colorlab.data.scenes import distribution

    ab = torch.as_tensor(distribution(kind)[0], dtype=torch.float32).T[:, :, None]  # (2, K, 1)
    lab = torch.cat((torch.full_like(ab[:1], _BAR_LIGHTNESS), ab))
    return lab_to_rgb(lab)[..., 0].T.numpy()
