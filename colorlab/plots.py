"""Figures of the lessons: one style, alt text, safe for colour-blind readers.

Each function returns a matplotlib figure; :func:`captioned` displays it with its caption, which is
the alt text too. Where colour has a meaning, a marker, a line style or a label has it as well.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from IPython.display import Image, Markdown, display
from matplotlib.figure import Figure
from PIL import Image as PilImage
from torch import Tensor

from colorlab.color import in_gamut, lab_to_rgb, to_uint8
from colorlab.training import History

# Okabe and Ito 2008, "Color universal design": distinct for all common kinds of colour vision.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000", "#7F7F7F")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
DPI = 85  # a figure 9 inches wide fills the text column, and a notebook stays under 1.5 MB
_WORTH_A_LOSS = 0.7  # ratio of JPEG to PNG bytes: photographs are well below, line plots above
_TRACE = 6  # of 255; rounding that does not count as another colour
_SEEN = 12  # of 255; readers do not notice a smaller change of a few pixels


def png(figure: Figure, dpi: int = DPI) -> bytes:
    """The figure as PNG bytes, for a widget."""
    stream = io.BytesIO()
    # No software tag, so that the bytes do not depend on the matplotlib version.
    figure.savefig(stream, format="png", dpi=dpi, metadata={"Software": None})
    return stream.getvalue()


def captioned(
    figure: Figure, caption: str, pixels: int = 1200, quality: int = 88, trace: int = _TRACE
) -> None:
    """Display ``figure`` sharp on any screen, with its caption printed below.

    The caption is the alt text too. Many viewers drop alt text, so it is printed. Colours are kept
    as they are: a lesson on colour must not round them.

    Line plots become a PNG. Figures of photographs become a JPEG without chroma subsampling,
    which takes half the bytes.

    Args:
        figure: to display, at its own size.
        caption: says what the figure shows.
        pixels: width of the stored image.
        quality: of the JPEG, where the figure holds photographs.
        trace: of 255, the change of a colour that a palette of 256 colours may make.

    Raises:
        ValueError: ``caption`` is empty.
    """
    if not caption.strip():
        raise ValueError("a figure needs a caption: say what a reader sees in it")
    inches = figure.get_figwidth()
    picture = PilImage.open(io.BytesIO(png(figure, pixels / inches))).convert("RGB")
    data, kind = _fewest_bytes(picture, picture, quality, trace)
    display(Image(data, format=kind, alt=caption, width=round(inches * DPI)))
    display(Markdown(f"*{caption}*"))


def compressed(picture: PilImage.Image) -> tuple[bytes, str]:
    """A rendered figure in few bytes, and their format, ``"png"`` or ``"jpeg"``."""
    picture = picture.convert("RGB")
    # Multiples of 4 take far fewer bytes, the difference is invisible, and white stays white.
    rounded = np.minimum((np.asarray(picture, dtype=np.uint16) + 2) // 4 * 4, 255).astype(np.uint8)
    return _fewest_bytes(picture, PilImage.fromarray(rounded), 85, _SEEN)


def _fewest_bytes(
    picture: PilImage.Image, lossless: PilImage.Image, quality: int, unseen: int
) -> tuple[bytes, str]:
    """``picture`` as JPEG where that is worth a loss, otherwise ``lossless`` as PNG.

    The PNG has a palette of 256 colours where it moves few pixels by more than ``unseen`` of 255:
    a plot of lines has few colours.
    """
    png_data, jpeg_data = _saved(lossless, "PNG"), _saved(picture, "JPEG", quality)
    if len(jpeg_data) < _WORTH_A_LOSS * len(png_data):
        return jpeg_data, "jpeg"
    few = lossless.quantize(256, method=PilImage.Quantize.MAXCOVERAGE, kmeans=2, dither=0)
    change = np.abs(np.asarray(few.convert("RGB"), np.int16) - np.asarray(lossless, np.int16))
    moved = (change.max(axis=-1) > unseen).mean()
    return (png_data if moved > 0.005 else _saved(few, "PNG")), "png"


def _saved(picture: PilImage.Image, kind: str, quality: int = 0) -> bytes:
    stream = io.BytesIO()
    options = {"quality": quality, "subsampling": 0} if kind == "JPEG" else {}
    picture.save(stream, format=kind, optimize=True, **options)
    return stream.getvalue()


def new_figure(width: float = 9.0, height: float = 3.2, **subplots) -> tuple[Figure, np.ndarray]:
    """A figure and its axes (rows, columns); ``subplots`` are arguments of ``Figure.subplots``.

    Made without pyplot: there is no global state, and the notebook shows no figure twice.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots(squeeze=False, **subplots)


def pictures(columns: Mapping[str, Tensor | np.ndarray], width: float = 9.0) -> Figure:
    """Columns of images side by side: Grayscale | Generated | Ground truth.

    Args:
        columns: title -> sRGB images (N, 3, H, W) in [0, 1], or scalar maps (N, H, W), which are
            drawn in a perceptually uniform colour map with a colour bar.
        width: of the figure, in inches.

    Raises:
        ValueError: no columns, or columns with different numbers of images.
    """
    counts = {title: len(batch) for title, batch in columns.items()}
    if len(set(counts.values())) != 1:
        raise ValueError(f"columns must hold the same number of pictures, got {counts}")
    rows = next(iter(counts.values()))
    cell = width / len(columns)
    figure, axes = new_figure(width, rows * cell + 0.4, nrows=rows, ncols=len(columns))
    for column, (title, batch) in enumerate(columns.items()):
        values = batch if batch.ndim == 4 else np.asarray(batch)
        for row in range(rows):
            ax = axes[row, column]
            ax.set_axis_off()
            if row == 0:
                ax.set_title(title, fontsize=min(11, 11 * cell))  # narrow columns, small titles
            if values.ndim == 4:
                ax.imshow(to_uint8(values[row]))
            else:
                image = ax.imshow(values[row], cmap="cividis", vmin=0, vmax=float(values.max()))
                if row == rows - 1:
                    figure.colorbar(image, ax=axes[:, column], shrink=0.7, location="right")
    return figure


def gallery(pictures: Tensor, titles: Sequence[str], columns: int, width: float = 9.0) -> Figure:
    """Images (N, 3, H, W), sRGB in [0, 1], in rows of ``columns``, each with its title.

    Raises:
        ValueError: the numbers of titles and images differ.
    """
    if len(titles) != len(pictures):
        raise ValueError(f"want a title for each of {len(pictures)} pictures, got {len(titles)}")
    rows, cell = -(-len(pictures) // columns), width / columns
    figure, axes = new_figure(width, rows * (cell + 0.2), nrows=rows, ncols=columns)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, picture, title in zip(axes.flat, pictures, titles, strict=False):
        ax.imshow(to_uint8(picture))
        ax.set_title(title, fontsize=10)
    return figure


def history(history: History, references: Mapping[str, float] | None = None) -> Figure:
    """The training loss and the validation score over steps, side by side.

    Args:
        history: of a training run.
        references: label -> a validation score drawn as a dashed line, for example that of gray.
    """
    figure, axes = new_figure(nrows=1, ncols=2)
    left, right = axes[0]
    terms = [name for name in history.rows[0] if name not in ("step", "score")]
    for i, name in enumerate(terms):
        left.plot(*history.column(name), color=PALETTE[i], marker=MARKERS[i], label=name)
    left.set(title="training loss", xlabel="step", ylabel="loss, network units")
    left.legend(frameon=False)
    right.plot(*history.column("score"), color=PALETTE[0], marker=MARKERS[0], label="validation")
    for i, (label, value) in enumerate((references or {}).items(), start=1):
        right.axhline(value, color=PALETTE[i], linestyle="--", label=label)
    right.margins(y=0.08)  # again, or a dashed line may lie on the frame
    right.set(title="colour error on validation images", xlabel="step", ylabel="ΔE76")
    right.legend(frameon=False)
    return figure


def intervals(
    rows: Sequence[str],
    values: Mapping[str, Sequence[tuple[float, float, float]]],
    better: Mapping[str, str] | None = None,
    width: float = 9.0,
) -> Figure:
    """Means with 95 % intervals, one panel a metric, one line a row.

    Args:
        rows: names from top to bottom.
        values: metric -> (mean, low, high) of each row.
        better: metric -> "lower" or "higher", shown in the panel's title.
        width: of the figure, in inches.
    """
    figure, axes = new_figure(
        width, 0.32 * len(rows) + 1.0, nrows=1, ncols=len(values), sharey=True
    )
    places = np.arange(len(rows))
    for i, (metric, triples) in enumerate(values.items()):
        mean, low, high = np.asarray(triples, dtype=float).T
        ax = axes[0, i]
        style = {"fmt": MARKERS[0], "color": PALETTE[0], "capsize": 3}
        ax.errorbar(mean, places, xerr=(mean - low, high - mean), **style)
        direction = (better or {}).get(metric)
        ax.set_title(f"{metric}\n({direction} is better)" if direction else metric, fontsize=10)
        ax.grid(axis="x", alpha=0.3)
    axes[0, 0].set_yticks(places, rows)
    axes[0, 0].invert_yaxis()
    return figure


def ab_plane(ax, lightness: float = 65.0, extent: float = 90.0) -> None:
    """Draw the ab plane at one lightness, behind a scatter plot; white is out of gamut."""
    axis = torch.linspace(-extent, extent, 181)
    b, a = torch.meshgrid(axis, axis, indexing="ij")
    lab = torch.stack((torch.full_like(a, lightness), a, b))
    rgb = torch.where(in_gamut(lab), lab_to_rgb(lab), torch.ones(3, 1, 1))
    ax.imshow(to_uint8(rgb), extent=(-extent, extent, -extent, extent), origin="lower", alpha=0.55)
    ax.axhline(0, color="black", linewidth=0.5)
    ax.axvline(0, color="black", linewidth=0.5)
    ax.set(xlabel="a (green to red)", ylabel="b (blue to yellow)")
