"""Strokes as data: where a reader painted, how wide, and in which colour.

A stroke is a dict that JSON can hold::

    {"points": [[x, y], ...], "radius": 4, "ab": [20.0, 55.0]}  # paints
    {"points": [[x, y], ...], "radius": 4, "ab": None}  # erases what earlier strokes painted

x runs to the right and y down, in pixels of the image: the pixel in row r and column c has its
centre at (c + 0.5, r + 0.5). A stroke sets *ab* only; the image keeps its lightness.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.color import join

Stroke = Mapping[str, Any]

FIELDS = ("points", "radius", "ab")
LARGEST_AB = 128.0  # larger than in any real colour, so a larger value is in the wrong unit
SMALLEST_RADIUS = math.sqrt(0.5)  # a disk of this radius covers a pixel centre wherever it lies
WINDOW = 1 << 20  # pixels processed at a time, so that a long stroke takes little memory
SHOWN_LIGHTNESS = 65.0  # of strokes in a figure: most values of ab are inside sRGB at this L


def check_strokes(strokes: Sequence[Stroke]) -> None:
    """Check that :func:`paint` can read these strokes.

    Points may lie outside the image; painting clips them.

    Raises:
        ValueError: names the stroke, counted from 0, its wrong field and the value.
    """
    if isinstance(strokes, (str, bytes)) or not isinstance(strokes, Sequence):
        raise ValueError(f"strokes must be a list of dicts, got {type(strokes).__name__}")
    for number, stroke in enumerate(strokes):
        where = f"stroke {number}"
        if not isinstance(stroke, Mapping):
            raise ValueError(f"{where} must be a dict, got {type(stroke).__name__}")
        for field in FIELDS:
            if field not in stroke:
                raise ValueError(f'{where} lacks the field "{field}"')
        unknown = sorted(set(stroke) - set(FIELDS))
        if unknown:
            raise ValueError(f'{where} has an unknown field "{unknown[0]}"; known: {FIELDS}')
        points, radius, ab = (stroke[field] for field in FIELDS)
        listed = isinstance(points, (list, tuple)) and points
        wrong = [point for point in points if not _is_pair(point)] if listed else [points]
        if wrong:
            raise ValueError(
                f'{where}: "points" must be a list of [x, y] numbers, got {wrong[0]!r}'
            )
        if not _is_number(radius) or radius <= 0:
            raise ValueError(f'{where}: "radius" must be a number above 0, got {radius!r}')
        if ab is not None and not (_is_pair(ab) and max(map(abs, ab)) <= LARGEST_AB):
            raise ValueError(
                f'{where}: "ab" must be [a, b] in CIE units from -{LARGEST_AB:.0f} to '
                f"{LARGEST_AB:.0f}, or None for the eraser, got {ab!r}"
            )


def _is_number(value: object) -> bool:
    """A finite number; JSON also holds NaN, and integers that no float can hold."""
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    return number and abs(value) <= sys.float_info.max


def _is_pair(value: object) -> bool:
    return isinstance(value, (list, tuple)) and len(value) == 2 and all(map(_is_number, value))


def paint(strokes: Sequence[Stroke], shape: tuple[int, int]) -> tuple[Tensor, Tensor]:
    """Rasterise strokes with a round brush; later strokes cover earlier ones.

    A pixel is painted if its centre is at most one radius away from the line through the
    stroke's points. Parts outside the image are clipped.

    Args:
        strokes: see the module's docstring.
        shape: (H, W) of the image.

    Returns:
        ab (1, 2, H, W) in CIE units, 0 where nothing is painted, and mask (1, 1, H, W) bool:
        the input of :func:`colorlab.classical.levin`.

    Raises:
        ValueError: a malformed stroke, see :func:`check_strokes`.
    """
    check_strokes(strokes)
    height, width = shape
    ab = np.zeros((2, height, width), dtype=np.float32)
    mask = np.zeros((height, width), dtype=bool)
    for stroke in strokes:
        covered = _brush(np.asarray(stroke["points"], dtype=np.float64), stroke["radius"], shape)
        ab[:, covered] = np.array(stroke["ab"] or [0, 0], dtype=np.float32)[:, None]
        mask[covered] = stroke["ab"] is not None
    return torch.from_numpy(ab)[None], torch.from_numpy(mask)[None, None]


def _brush(points: np.ndarray, radius: float, shape: tuple[int, int]) -> np.ndarray:
    """Pixels (H, W) whose centre is within ``radius`` of the line through ``points`` (n, 2)."""
    height, width = shape
    radius = max(float(radius), SMALLEST_RADIUS)
    # A piece is at most one radius long, so its pixels fit in a window of three radii.
    side_x, side_y = (min(math.ceil(3 * radius) + 2, side) for side in (width, height))
    covered = np.zeros(height * width, dtype=bool)
    for start, end in _pieces(points, radius, shape, max(1, WINDOW // (side_x * side_y))):
        corner = np.floor(np.minimum(start, end) - radius)  # (k, 2)
        corner = corner.clip(0, [width - side_x, height - side_y]).astype(np.int64)
        x = corner[:, 0, None] + np.arange(side_x)  # (k, side_x)
        y = corner[:, 1, None] + np.arange(side_y)  # (k, side_y)
        from_x = (x + 0.5 - start[:, :1])[:, None, :]  # (k, 1, side_x)
        from_y = (y + 0.5 - start[:, 1:])[:, :, None]  # (k, side_y, 1)
        along_x, along_y = ((end - start)[:, i, None, None] for i in range(2))
        squared = np.maximum(along_x**2 + along_y**2, 1e-12)
        t = ((from_x * along_x + from_y * along_y) / squared).clip(0, 1)
        near = (from_x - t * along_x) ** 2 + (from_y - t * along_y) ** 2 <= radius**2
        covered[(y[:, :, None] * width + x[:, None, :])[near]] = True
    return covered.reshape(height, width)


def _pieces(
    points: np.ndarray, radius: float, shape: tuple[int, int], at_once: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Cut the line into pieces of at most ``radius``, without the parts that reach no pixel.

    Yields the start and end points (k, 2) of ``at_once`` pieces at a time.
    """
    start = points if len(points) == 1 else points[:-1]
    along = (points if len(points) == 1 else points[1:]) - start
    # Clip each segment to [enter, leave] in the image enlarged by the radius (Liang, Barsky 1984).
    low, high = np.full(2, -radius), np.array(shape[::-1], dtype=np.float64) + radius
    still = np.abs(along) < 1e-9
    divisor = np.where(still, 1, along)
    first, second = (low - start) / divisor, (high - start) / divisor
    outside = still & ((start < low) | (start > high))
    first, second = np.where(still, -np.inf, first), np.where(still, np.inf, second)
    enter = np.minimum(first, second).max(1).clip(min=0)
    leave = np.maximum(first, second).min(1).clip(max=1)
    kept = (enter <= leave) & ~outside.any(1)
    start = start[kept] + enter[kept, None] * along[kept]
    along = along[kept] * (leave - enter)[kept, None]
    pieces = np.ceil(np.hypot(*along.T) / radius).clip(min=1).astype(np.int64)
    which = np.repeat(np.arange(len(pieces)), pieces)
    number = np.arange(len(which)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    step = along[which] / pieces[which, None]
    begin = start[which] + number[:, None] * step
    for i in range(0, len(which), at_once):
        yield begin[i : i + at_once], begin[i : i + at_once] + step[i : i + at_once]


def sketch(L: Tensor, strokes: Sequence[Stroke]) -> Tensor:
    """The gray image with its strokes drawn on it, for figures.

    All strokes have the same lightness and a dark rim, so that dark, pale and gray ones are
    visible too.

    Args:
        L: (1, 1, H, W) in [0, 100].
        strokes: see the module's docstring.

    Returns:
        (1, 3, H, W) sRGB in [0, 1].
    """
    ab, mask = paint(strokes, (L.shape[-2], L.shape[-1]))
    rim = (F.max_pool2d(mask.float(), 3, stride=1, padding=1) > 0) & ~mask
    shown = torch.where(mask, L.new_tensor(SHOWN_LIGHTNESS), L)
    return join(torch.where(rim, L.new_tensor(15.0), shown), ab)


def write_strokes(path: str | Path, strokes: Sequence[Stroke], shape: tuple[int, int]) -> None:
    """Save strokes on an image of ``shape`` (H, W) as JSON.

    Raises:
        ValueError: ``path`` does not end in .json, or a malformed stroke.
    """
    path = Path(path)
    if path.suffix != ".json":
        raise ValueError(f"strokes are written as JSON: {path.name} must end in .json")
    check_strokes(strokes)
    record = {"picture_size": list(shape), "strokes": list(strokes)}
    path.write_text(json.dumps(record), encoding="utf-8")


def read_strokes(path: str | Path, shape: tuple[int, int]) -> list[Stroke]:
    """Read strokes that :func:`write_strokes` saved.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds something else, a malformed stroke, or strokes on an image of
            another size than ``shape`` (H, W); the message names the file.
    """
    path = Path(path)
    try:
        record = json.loads(path.read_text("utf-8"))
        strokes, size = record["strokes"], tuple(record["picture_size"])
        check_strokes(strokes)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path.name} does not hold strokes: {error}") from error
    if size != tuple(shape):
        raise ValueError(f"{path.name} holds strokes of a {size} picture, not {tuple(shape)}")
    return strokes
