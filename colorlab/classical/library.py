"""Choose the reference for Welsh's transfer automatically, from a library of pictures.

The paper leaves the choice to a person. Here each gray picture takes the reference that looks
most alike in gray: the same tones in the same places. What is kept of each library picture
is a short description of its gray layout and some 256 sampled colours without their places,
not the picture. Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.checks import check_lightness, check_names
from colorlab.classical.welsh import NEIGHBOURHOOD, SAMPLES, Samples, take_samples, welsh_chroma
from colorlab.color import from_uint8, join, lightness

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures

_SIDE = 32  # pixels, of the thumbnail that is described
_BINS = 16  # of the histogram of L
_CELLS, _ORIENTATIONS = 4, 8  # of the histograms of gradients


def describe(L: Tensor) -> Tensor:
    """Describe the gray layout of pictures.

    Three parts of unit length each: the histogram of L (square roots, so that distances are
    Hellinger's), an 8x8 thumbnail without its mean, and histograms of oriented gradients in
    4x4 cells (the idea of Dalal and Triggs 2005).

    Args:
        L: (N, 1, H, W) in [0, 100], any size.

    Returns:
        (N, 208) float32.
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
    """Welsh's transfer with the reference chosen for each picture: the most alike in gray.

    Attributes:
        descriptors: (M, 208) float32, one row a reference; see :func:`describe`.
        references: M sampled references.
        indices: (M,) int64, which of the fitted pictures each reference is.
    """

    def __init__(self, descriptors: Tensor, references: list[Samples], indices: Tensor) -> None:
        if not len(descriptors) == len(references) == len(indices):
            raise ValueError(
                f"{len(descriptors)} descriptors, {len(references)} references and "
                f"{len(indices)} indices do not belong together"
            )
        self.descriptors, self.references, self.indices = descriptors, references, indices

    @classmethod
    def fit(
        cls, pictures: Pictures, count: int = 1000, samples: int = SAMPLES, seed: int = 0
    ) -> WelshLibrary:
        """Sample up to ``count`` of the pictures, chosen at random.

        Raises:
            ValueError: no pictures, or pictures under 5x5.
        """
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
        """Which reference suits each picture of L (N, 1, H, W): (N,) int64, rows of this library.

        ``library.indices[library.choose(L)]`` are the numbers of the fitted pictures.
        """
        check_lightness(L, least=NEIGHBOURHOOD)
        return torch.cdist(describe(L).cpu(), self.descriptors).argmin(dim=1)

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100], at least 5x5, to sRGB (N, 3, H, W); L is kept.

        Raises:
            ValueError: wrong shape, too small, or values that are not lightness.
        """
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
        """Undo :meth:`tensors`. Raises ValueError where they are another row's."""
        check_names(tensors, {"descriptors", "pixels", "lightness", "indices"})
        references = [
            Samples(pixels, *whole)
            for pixels, whole in zip(
                tensors["pixels"].double().numpy(), tensors["lightness"].tolist(), strict=True
            )
        ]
        return cls(tensors["descriptors"].float(), references, tensors["indices"])
