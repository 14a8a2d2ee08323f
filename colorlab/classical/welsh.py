"""Colour a gray picture from one coloured reference: Welsh, Ashikhmin and Mueller 2002.

"Transferring Color to Greyscale Images", SIGGRAPH 2002. Every gray pixel takes the chroma of
the reference pixel whose lightness and local texture are most like its own. No learning, no
labels: who chooses the reference chooses the colours. The paper works in l-alpha-beta; here it
is CIE Lab, as in the whole package, so that L is kept exactly. Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree
from torch import Tensor

from colorlab.checks import check_lightness, one_picture
from colorlab.color import join, rgb_to_lab

NEIGHBOURHOOD = 5  # pixels, side of the square whose deviation tells the texture (section 3.1)
SAMPLES = 256  # a 16x16 grid; the paper finds about 200 enough
SWATCH_SAMPLES = 50  # in each swatch (section 3.2)
_FLAT = 1e-3  # a deviation of lightness below this is rounding
_ROWS = 4096  # pixels compared with the swatches at a time


@dataclass(frozen=True)
class Samples:
    """What a picture lends to others: some of its pixels, and its lightness as a whole.

    Attributes:
        pixels: (n, 4) float64: L, the deviation of L around the pixel, a, b; in CIE units.
        mean: of L over the picture.
        deviation: of L over the picture.
    """

    pixels: np.ndarray
    mean: float
    deviation: float


class Rectangle(NamedTuple):
    """A part of a picture, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return (
            slice(self.top, self.top + self.height),
            slice(self.left, self.left + self.width),
        )


class SwatchPair(NamedTuple):
    """A part of the gray picture and the part of the reference to take its colours from."""

    target: Rectangle
    reference: Rectangle


def take_samples(
    reference_rgb: Tensor, count: int = SAMPLES, seed: int = 0, part: Rectangle | None = None
) -> Samples:
    """Sample a reference on a jittered grid, section 3.1.

    Args:
        reference_rgb: (3, h, w) or (1, 3, h, w) sRGB in [0, 1], at least 5x5.
        count: about how many samples; one at random in each cell of an even grid.
        seed: of the jitter.
        part: sample this part alone; the neighbourhoods still see the whole picture.

    Raises:
        ValueError: wrong shape, too small, a NaN, values outside [0, 1], or ``count`` < 1.
    """
    if count < 1:
        raise ValueError(f"count must be at least 1, got {count}")
    reference = one_picture(reference_rgb, least=NEIGHBOURHOOD)
    lab = rgb_to_lab(reference.double())[0].cpu().numpy()  # (3, h, w)
    channels = np.stack([lab[0], local_deviation(lab[0]), lab[1], lab[2]])
    if part is not None:
        _check_inside(part, lab.shape[1:], "reference")
        channels = channels[:, *part.slices]
    y, x = _jittered_grid(*channels.shape[1:], count, np.random.default_rng(seed))
    return Samples(channels[:, y, x].T, channels[0].mean().item(), channels[0].std().item())


def welsh(
    L: Tensor,
    reference_rgb: Tensor,
    samples: int = SAMPLES,
    seed: int = 0,
) -> Tensor:
    """Colour gray pictures with the chroma of one reference, section 3.1 of the paper.

    The reference's lightness is shifted and scaled to the target's mean and deviation; then
    each pixel takes the chroma of the sample with the least 0.5 |L difference| + 0.5
    |deviation difference|, the deviation being that of L over 5x5 pixels. A KD-tree finds the
    same sample as the paper's brute search.

    Args:
        L: (N, 1, H, W) in [0, 100], at least 5x5.
        reference_rgb: (3, h, w) or (1, 3, h, w) sRGB in [0, 1], at least 5x5.
        samples: about how many pixels of the reference to choose from.
        seed: of the jittered grid.

    Returns:
        (N, 3, H, W) sRGB, L kept. Every chroma is one that the reference holds.

    Raises:
        ValueError: wrong shapes, too small, a NaN, or values out of range.
    """
    return join(L, welsh_chroma(L, take_samples(reference_rgb, samples, seed)))


def welsh_chroma(L: Tensor, samples: Samples) -> Tensor:
    """The chroma that :func:`welsh` lays under L (N, 1, H, W): (N, 2, H, W), CIE units."""
    check_lightness(L, least=NEIGHBOURHOOD)
    ab = []
    for picture in L[:, 0].double().cpu().numpy():
        ab.append(_match(picture, local_deviation(picture), samples))
    return torch.from_numpy(np.stack(ab)).to(L)


def welsh_swatches(
    L: Tensor,
    reference_rgb: Tensor,
    pairs: Sequence[SwatchPair],
    samples: int = SWATCH_SAMPLES,
    seed: int = 0,
) -> Tensor:
    """Colour one gray picture by pairs of swatches, section 3.2 of the paper.

    Each target swatch is coloured from its reference swatch as in :func:`welsh`. Then the
    reference has served: every other pixel takes the chroma of the swatch pixel in the same
    gray picture whose 5x5 patch of lightness is nearest (squared differences), as texture
    synthesis does.

    Args:
        L: (1, 1, H, W) in [0, 100], at least 5x5.
        reference_rgb: (3, h, w) or (1, 3, h, w) sRGB in [0, 1], at least 5x5.
        pairs: at least one pair of rectangles; where targets overlap, the later one wins.
        samples: about how many pixels of each reference swatch to choose from.
        seed: of the jittered grids.

    Returns:
        (1, 3, H, W) sRGB, L kept.

    Raises:
        ValueError: more than one picture, no pair, a rectangle that is empty or outside its
            picture, or as :func:`welsh`.
    """
    check_lightness(L, least=NEIGHBOURHOOD)
    if len(L) != 1:
        raise ValueError(f"swatches belong to one picture, got {len(L)}")
    if not pairs:
        raise ValueError("no pair of swatches; give at least one")
    gray = L[0, 0].double().cpu().numpy()
    deviation = local_deviation(gray)
    ab = np.zeros((2, *gray.shape))
    colored = np.zeros(gray.shape, dtype=bool)
    for target, reference in pairs:
        _check_inside(target, gray.shape, "target")
        here = target.slices
        taken = take_samples(reference_rgb, samples, seed, reference)
        ab[:, *here] = _match(gray[here], deviation[here], taken)
        colored[here] = True
    _spread(gray, ab, colored)
    return join(L, torch.from_numpy(ab[None]).to(L))


def local_deviation(L: np.ndarray) -> np.ndarray:
    """Standard deviation of L (H, W) over 5x5 pixels, mirrored at the border: (H, W)."""
    # Centred first, so that the difference of two squares keeps its digits.
    L = L - L.mean()
    mean = uniform_filter(L, NEIGHBOURHOOD, mode="reflect")
    square = uniform_filter(L * L, NEIGHBOURHOOD, mode="reflect")
    return np.sqrt(np.maximum(square - mean * mean, 0))


def _match(L: np.ndarray, deviation: np.ndarray, samples: Samples) -> np.ndarray:
    """Chroma (2, H, W) of the nearest sample for each pixel of L (H, W)."""
    # Luminance remapping: the samples' lightness gets the target's mean and deviation.
    gain = L.std() / samples.deviation if samples.deviation > _FLAT else 1.0
    lightness = (samples.pixels[:, 0] - samples.mean) * gain + L.mean()
    tree = cKDTree(np.stack([lightness, samples.pixels[:, 1] * gain], axis=1))
    # Equal weights and p=1: the sum of absolute differences, which halving both leaves in order.
    _, nearest = tree.query(np.stack([L.ravel(), deviation.ravel()], axis=1), p=1)
    return samples.pixels[nearest, 2:].T.reshape(2, *L.shape)


def _spread(gray: np.ndarray, ab: np.ndarray, colored: np.ndarray) -> None:
    """Fill ``ab`` (2, H, W) where not ``colored`` from the most similar coloured patches."""
    margin = NEIGHBOURHOOD // 2
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(gray, margin, mode="symmetric"), (NEIGHBOURHOOD, NEIGHBOURHOOD)
    )  # (H, W, 5, 5)
    known = torch.from_numpy(windows[colored].reshape(-1, NEIGHBOURHOOD**2)).float()
    colors = ab[:, colored]
    found = [
        colors[:, torch.cdist(patches, known).argmin(dim=1).numpy()]
        for patches in _in_rows(windows[~colored])
    ]
    if found:
        ab[:, ~colored] = np.concatenate(found, axis=1)


def _in_rows(windows: np.ndarray) -> Iterator[Tensor]:
    for start in range(0, len(windows), _ROWS):
        rows = windows[start : start + _ROWS]
        yield torch.from_numpy(rows.reshape(len(rows), -1)).float()


def _jittered_grid(
    height: int, width: int, count: int, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """About ``count`` pixels, one at random in each cell of an even grid: rows and columns."""
    rows = min(height, max(1, round((count * height / width) ** 0.5)))
    columns = min(width, max(1, round(count / rows)))
    y = (np.arange(rows)[:, None] + random.random((rows, columns))) * (height / rows)
    x = (np.arange(columns)[None] + random.random((rows, columns))) * (width / columns)
    return y.astype(int).ravel(), x.astype(int).ravel()


def _check_inside(part: Rectangle, size: tuple[int, ...], what: str) -> None:
    height, width = size
    if (
        min(part.height, part.width) < 1
        or min(part.top, part.left) < 0
        or part.top + part.height > height
        or part.left + part.width > width
    ):
        raise ValueError(f"the {what} swatch {tuple(part)} is empty or outside {height}x{width}")
