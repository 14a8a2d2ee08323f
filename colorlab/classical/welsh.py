"""Colour a gray image from a coloured reference: Welsh, Ashikhmin and Mueller 2002.

"Transferring Color to Greyscale Images", SIGGRAPH 2002. Every gray pixel takes the chroma of
the reference pixel whose lightness and local texture are most similar to its own. The paper works
in l-alpha-beta; here it is CIE Lab, as in the whole package, so that L is kept exactly. Images are
at least 5x5 pixels; others are refused by ValueError.

The paper leaves the choice of the reference to a person. :class:`WelshLibrary` makes it: each gray
image takes the reference that looks most similar in gray. The library keeps no image, only a short
description of its gray layout and some 256 sampled colours without their positions. The released
``welsh`` would change with the numbers here. Taught in lesson 02.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import uniform_filter
from scipy.spatial import cKDTree
from torch import Tensor

from colorlab.checks import check_lightness, check_names, one_picture
from colorlab.color import from_uint8, join, lightness, rgb_to_lab

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

NEIGHBOURHOOD = 5  # pixels, side of the square whose deviation measures texture (section 3.1)
SAMPLES = 256  # a 16x16 grid; the paper finds about 200 enough
SWATCH_SAMPLES = 50  # in each swatch (section 3.2)
_FLAT = 1e-3  # a deviation of lightness below this is rounding
_ROWS = 4096  # pixels compared with the swatches at a time

# What describes a gray layout.
_SIDE = 32  # pixels, of the thumbnail that is described
_BINS = 16  # of the histogram of L
_CELLS, _ORIENTATIONS = 4, 8  # of the histograms of gradients


@dataclass(frozen=True)
class Samples:
    """What the transfer needs of a reference: some of its pixels, and its lightness statistics."""

    pixels: np.ndarray  # (n, 4) float64: L, the deviation of L around the pixel, a, b
    mean: float  # of L over the image
    deviation: float


class Rectangle(NamedTuple):
    """A part of an image, in pixels."""

    top: int
    left: int
    height: int
    width: int

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.top + self.height), slice(self.left, self.left + self.width)


class SwatchPair(NamedTuple):
    """A part of the gray image and the part of the reference to take its colours from."""

    target: Rectangle
    reference: Rectangle


def take_samples(
    reference_rgb: Tensor, count: int = SAMPLES, seed: int = 0, part: Rectangle | None = None
) -> Samples:
    """Sample a reference, (3, h, w) or (1, 3, h, w) sRGB in [0, 1], section 3.1.

    About ``count`` pixels are taken, one at random in each cell of an even grid; of one ``part``
    alone if there is one, whose neighbourhoods still see the whole image.
    """
    reference = one_picture(reference_rgb, least=NEIGHBOURHOOD)
    lab = rgb_to_lab(reference.double())[0].cpu().numpy()  # (3, h, w)
    channels = np.stack([lab[0], local_deviation(lab[0]), lab[1], lab[2]])
    if part is not None:
        _check_inside(part, lab.shape[1:], "reference")
        channels = channels[:, *part.slices]
    height, width = channels.shape[1:]
    rows = min(height, max(1, round((count * height / width) ** 0.5)))
    columns = min(width, max(1, round(count / rows)))
    random = np.random.default_rng(seed)
    y = (np.arange(rows)[:, None] + random.random((rows, columns))) * (height / rows)
    x = (np.arange(columns)[None] + random.random((rows, columns))) * (width / columns)
    pixels = channels[:, y.astype(int).ravel(), x.astype(int).ravel()].T
    return Samples(pixels, channels[0].mean().item(), channels[0].std().item())


def welsh(L: Tensor, reference_rgb: Tensor, samples: int = SAMPLES, seed: int = 0) -> Tensor:
    """Colour gray images with the chroma of one reference, section 3.1 of the paper.

    The reference's lightness is shifted and scaled to the target's mean and deviation; then
    each pixel takes the chroma of the sample with the least 0.5 |L difference| + 0.5
    |deviation difference|, the deviation being that of L over 5x5 pixels.

    Args:
        L: (N, 1, H, W) in [0, 100].
        reference_rgb: (3, h, w) or (1, 3, h, w) sRGB in [0, 1].
        samples: about how many pixels of the reference to choose from.
        seed: of the samples.

    Returns:
        (N, 3, H, W) sRGB, L kept. Every chroma occurs in the reference.
    """
    return join(L, welsh_chroma(L, take_samples(reference_rgb, samples, seed)))


def welsh_chroma(L: Tensor, samples: Samples) -> Tensor:
    """The chroma of :func:`welsh` for L (N, 1, H, W): (N, 2, H, W), CIE units."""
    check_lightness(L, least=NEIGHBOURHOOD)
    grays = L[:, 0].double().cpu().numpy()
    return torch.from_numpy(np.stack([_match(g, local_deviation(g), samples) for g in grays])).to(L)


def welsh_swatches(
    L: Tensor,
    reference_rgb: Tensor,
    pairs: Sequence[SwatchPair],
    samples: int = SWATCH_SAMPLES,
    seed: int = 0,
) -> Tensor:
    """Colour one gray image (1, 1, H, W) by pairs of swatches, section 3.2 of the paper.

    Each target swatch is coloured from its reference swatch as in :func:`welsh`, the later one
    where two overlap. Every other pixel then takes the chroma of the swatch pixel of the same gray
    image whose 5x5 patch of lightness is nearest (squared differences), as in texture synthesis.
    Returns (1, 3, H, W) sRGB, L kept.
    """
    check_lightness(L, least=NEIGHBOURHOOD)
    if len(L) != 1 or not pairs:
        raise ValueError(f"want one picture and a pair or more, got {len(L)} and {len(pairs)}")
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
    remapped = (samples.pixels[:, 0] - samples.mean) * gain + L.mean()
    tree = cKDTree(np.stack([remapped, samples.pixels[:, 1] * gain], axis=1))
    # p=1 is the sum of absolute differences; the factors 0.5 do not change which is least.
    _, nearest = tree.query(np.stack([L.ravel(), deviation.ravel()], axis=1), p=1)
    return samples.pixels[nearest, 2:].T.reshape(2, *L.shape)


def _spread(gray: np.ndarray, ab: np.ndarray, colored: np.ndarray) -> None:
    """Fill ``ab`` (2, H, W) where not ``colored`` from the most similar coloured patches."""
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(gray, NEIGHBOURHOOD // 2, mode="symmetric"), (NEIGHBOURHOOD, NEIGHBOURHOOD)
    )  # (H, W, 5, 5)
    known, wanted = (
        torch.from_numpy(windows[where].reshape(-1, NEIGHBOURHOOD**2)).float()
        for where in (colored, ~colored)
    )
    nearest = [torch.cdist(some, known).argmin(dim=1) for some in wanted.split(_ROWS)]
    ab[:, ~colored] = ab[:, colored][:, torch.cat(nearest).numpy()]


def _check_inside(part: Rectangle, size: tuple[int, ...], what: str) -> None:
    height, width = size
    y, x = part.slices
    if not (0 <= y.start < y.stop <= height and 0 <= x.start < x.stop <= width):
        raise ValueError(f"the {what} swatch {tuple(part)} is empty or outside {height}x{width}")


def describe(L: Tensor) -> Tensor:
    """Describe the gray layout of L (N, 1, H, W) in [0, 100], any size: (N, 208) float32.

    Three parts of unit length each: the histogram of L (square roots, so that distances are
    Hellinger distances), an 8x8 thumbnail without its mean, and histograms of oriented gradients
    in 4x4 cells (after Dalal and Triggs 2005).
    """
    small = F.interpolate(
        L.float() / 100, size=(_SIDE, _SIDE), mode="bilinear", antialias=True, align_corners=False
    )
    level = (small * _BINS).long().clamp(0, _BINS - 1).flatten(1)  # (N, 1024)
    tones = F.one_hot(level, _BINS).float().mean(dim=1).sqrt()  # (N, 16)
    layout = F.adaptive_avg_pool2d(small, 8).flatten(1)  # (N, 64)
    layout = F.normalize(layout - layout.mean(dim=1, keepdim=True), dim=1)
    padded = F.pad(small, (1, 1, 1, 1), mode="replicate")
    dx = padded[:, 0, 1:-1, 2:] - padded[:, 0, 1:-1, :-2]
    dy = padded[:, 0, 2:, 1:-1] - padded[:, 0, :-2, 1:-1]
    # An edge and its negative are one orientation: angles are taken modulo half a turn.
    turn = torch.atan2(dy, dx) / torch.pi % 1
    bins = (turn * _ORIENTATIONS).long().clamp_max(_ORIENTATIONS - 1)  # (N, 32, 32)
    votes = F.one_hot(bins, _ORIENTATIONS).permute(0, 3, 1, 2) * torch.hypot(dx, dy)[:, None]
    edges = F.adaptive_avg_pool2d(votes, _CELLS).flatten(1).sqrt()  # (N, 8*4*4)
    return torch.cat([tones, layout, F.normalize(edges, dim=1)], dim=1)


class WelshLibrary:
    """Welsh's transfer with a reference chosen for each image: the most similar one in gray.

    Attributes:
        descriptors: (M, 208) float32, one row per reference; see :func:`describe`.
        references: M sampled references.
        indices: (M,) int64, which of the fitted images each reference is.
    """

    def __init__(self, descriptors: Tensor, references: list[Samples], indices: Tensor) -> None:
        self.descriptors, self.references, self.indices = descriptors, references, indices

    @classmethod
    def fit(
        cls, pictures: Pictures, count: int = 1000, samples: int = SAMPLES, seed: int = 0
    ) -> WelshLibrary:
        """Sample up to ``count`` of the pictures, chosen at random."""
        if not len(pictures):
            raise ValueError(f"no pictures in {pictures.source}")
        random = np.random.default_rng(seed)
        chosen = np.sort(random.permutation(len(pictures))[:count])
        descriptors, references = [], []
        for i in chosen:
            rgb = from_uint8(pictures.rgb[i : i + 1])
            descriptors.append(describe(lightness(rgb)))
            references.append(take_samples(rgb, samples, seed))
        return cls(torch.cat(descriptors), references, torch.from_numpy(chosen))

    def choose(self, L: Tensor) -> Tensor:
        """The reference for each image of L (N, 1, H, W): (N,) int64, rows of this library."""
        check_lightness(L, least=NEIGHBOURHOOD)
        return torch.cdist(describe(L).cpu(), self.descriptors).argmin(dim=1)

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100] to sRGB (N, 3, H, W); L is kept."""
        ab = [
            welsh_chroma(L[i : i + 1], self.references[reference])
            for i, reference in enumerate(self.choose(L).tolist())
        ]
        return join(L, torch.cat(ab))

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, in half precision, to be stored as safetensors."""
        pixels = np.stack([reference.pixels for reference in self.references])
        whole = [(reference.mean, reference.deviation) for reference in self.references]
        return {
            "descriptors": self.descriptors.half(),
            "pixels": torch.from_numpy(pixels).half(),  # (M, n, 4)
            "lightness": torch.tensor(whole).half(),  # (M, 2)
            "indices": self.indices,
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> WelshLibrary:
        """Undo :meth:`tensors`; ValueError if they belong to another method."""
        check_names(tensors, {"descriptors", "pixels", "lightness", "indices"})
        references = [
            Samples(pixels, *whole)
            for pixels, whole in zip(
                tensors["pixels"].double().numpy(), tensors["lightness"].tolist(), strict=True
            )
        ]
        return cls(tensors["descriptors"].float(), references, tensors["indices"])
