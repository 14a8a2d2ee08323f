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
from collections.abc import Mapping, Sequence
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
        the input of :func:`colorlab.classical.scribbles.levin`.
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
    radius = max(float(radius), SMALLEST_RADIUS)
    covered = np.zeros(shape, dtype=bool)
    start, end = (points, points) if len(points) == 1 else (points[:-1], points[1:])
    # Only the pixels around a segment are looked at, inside the image.
    low = np.floor(np.minimum(start, end) - radius).clip(0, shape[::-1])
    high = np.ceil(np.maximum(start, end) + radius).clip(0, shape[::-1])
    windows = np.hstack((low, high)).astype(np.int64).tolist()
    segments = zip(windows, start, end - start, strict=True)
    for (left, top, right, bottom), (x0, y0), (dx, dy) in segments:
        x = np.arange(left, right) + 0.5 - x0
        y = (np.arange(top, bottom) + 0.5 - y0)[:, None]
        t = ((x * dx + y * dy) / max(dx**2 + dy**2, 1e-12)).clip(0, 1)
        covered[top:bottom, left:right] |= np.hypot(x - t * dx, y - t * dy) <= radius
    return covered


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
    """Save strokes on an image of ``shape`` (H, W) as JSON; ``path`` ends in .json."""
    path = Path(path)
    if path.suffix != ".json":
        raise ValueError(f"strokes are written as JSON: {path.name} must end in .json")
    check_strokes(strokes)
    record = {"picture_size": list(shape), "strokes": list(strokes)}
    path.write_text(json.dumps(record), encoding="utf-8")


def read_strokes(path: str | Path, shape: tuple[int, int]) -> list[Stroke]:
    """Read strokes that :func:`write_strokes` saved.

    Raises:
        ValueError: the file holds something else, or strokes on an image of another size than
            ``shape`` (H, W); the message names the file.
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
