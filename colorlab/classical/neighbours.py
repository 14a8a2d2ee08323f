"""k nearest neighbours: a distribution over colours for each cell, from cells that look alike.

Charpiat, Hofmann and Schoelkopf 2008 ("Automatic Image Colorization via Multimodal
Predictions") estimate, for every pixel, how probable each colour is, from the training
patches with the nearest descriptors, and decide for all pixels together. The same here, on
cells of 4x4 pixels: the features of :mod:`colorlab.classical.features`, projected on the
directions that tell colours apart, a KD-tree, a mean field. Taught in notebook 02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from colorlab.checks import check_lightness, check_names
from colorlab.classical.discriminants import discriminants
from colorlab.classical.distributions import annealed_mean, fit_bins, mean_field, nearest_bin
from colorlab.classical.features import SMALLEST, local_features, sample_cells
from colorlab.color import join
from colorlab.data.lab_cache import STRIDE
from colorlab.resizing import resize_to_area

if TYPE_CHECKING:
    from colorlab.data.pictures import Pictures

_PRIOR = 4.0  # the training set's own distribution counts as so many neighbours
_DIFFERENT = 15.0  # CIE units; suggested colours are at least this far apart
_SLACK = 1.0  # the k-th found is at most twice as far as the true k-th: a third of the time
_NAMES = {"exemplars", "labels", "centers", "prior", "center", "projection", "size", "settings"}


class KnnColorizer:
    """A distribution over colours for each cell, from its k nearest training cells.

    Args:
        tensors: ``exemplars`` (M, d), projected training cells; ``labels`` (M,), the bin of
            each; ``centers`` (K, 2), the bins' colours in CIE units; ``prior`` (K,), how often
            each occurs; ``center`` (D,) and ``projection`` (D, d) of the features; ``size``, the
            side of the pictures it was fitted on.
        neighbors: k.
        rebalance: exponent by which rare colours gain before one is chosen: p / prior^exponent,
            the remedy of Zhang, Isola and Efros 2016 against gray, which wins by being common.
        strength: of the smoothing, see :func:`colorlab.classical.distributions.mean_field`.
        temperature: of the answer, see :func:`colorlab.classical.distributions.annealed_mean`.

    Attributes:
        centers: (K, 2) float32, the bins' colours in CIE units.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        neighbors: int = 256,
        rebalance: float = 0.2,
        strength: float = 3.0,
        temperature: float = 0.5,
    ) -> None:
        self.exemplars = tensors["exemplars"].half()
        self.labels = tensors["labels"].to(torch.uint8)
        self.centers = tensors["centers"].float()
        self.prior = tensors["prior"].float()
        self.center = tensors["center"].float()
        self.projection = tensors["projection"].float()
        self.size = int(tensors["size"])
        if not 1 <= neighbors <= len(self.labels):
            raise ValueError(f"neighbors must be 1 to {len(self.labels)}, got {neighbors}")
        self.neighbors, self.rebalance = neighbors, rebalance
        self.strength, self.temperature = strength, temperature
        self._tree = cKDTree(self.exemplars.float().numpy(), leafsize=32)

    @classmethod
    def fit(
        cls,
        pictures: Pictures,
        cells: int = 250_000,
        exemplars: int = 60_000,
        dimensions: int = 8,
        seed: int = 0,
        **settings: float,
    ) -> KnnColorizer:
        """Fit on cells drawn from the pictures.

        Args:
            pictures: the training set; sides are multiples of 4, at least 16.
            cells: about how many cells of 4x4 pixels the bins and directions are learned from.
            exemplars: how many of them are kept to be found again.
            dimensions: directions to search in; a KD-tree slows down with each, and more than eight
                tell nothing more.
            seed: of the cells.
            settings: ``neighbors``, ``rebalance``, ``strength``, ``temperature``, see the class.

        Raises:
            ValueError: no pictures, or of a side that does not do.
        """
        sample = sample_cells(pictures, cells, seed)
        centers = fit_bins(sample.ab)
        labels = nearest_bin(sample.ab, centers)
        members = torch.bincount(labels, minlength=len(centers)).clamp_min(1)
        center, projection = discriminants(sample.features, labels, dimensions)
        kept = np.random.default_rng(seed).permutation(len(labels))[:exemplars]
        tensors = {
            "exemplars": (sample.features[kept] - center) @ projection,
            "labels": labels[kept],
            "centers": centers,
            "prior": members / members.sum(),
            "center": center,
            "projection": projection,
            "size": torch.tensor(pictures.size),
        }
        return cls(tensors, **settings)

    def distribution(self, L: Tensor, strength: float = 0.0, rebalance: float = 0.0) -> Tensor:
        """How probable each bin is in each cell: as estimated, unless told to change it.

        Args:
            L: (N, 1, H, W) in [0, 100], any size.
            strength: of the smoothing.
            rebalance: exponent by which rare colours gain, before the smoothing.

        Returns:
            (N, K, h, w) float32, summing to 1 over K; h and w are a quarter of L's size where
            L is as large as the training pictures. ``centers`` are the bins' colours.

        Raises:
            ValueError: wrong shape, values that are not lightness, or a negative strength.
        """
        features = self._features(L)  # (N, D, h, w)
        size = features.shape[-2:]
        rows = features.flatten(2).transpose(1, 2)  # (N, h*w, D)
        found = torch.stack([self._estimate(picture) for picture in rows])
        found = found * self.prior**-rebalance
        found = found / found.sum(dim=-1, keepdim=True)
        found = found.transpose(1, 2).unflatten(2, size)  # (N, K, h, w)
        return mean_field(found, 100 * features[:, :1], self.centers, strength)

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100], any size, to sRGB (N, 3, H, W); L is kept.

        Raises:
            ValueError: wrong shape, or values that are not lightness.
        """
        found = self.distribution(L, self.strength, self.rebalance)
        ab = annealed_mean(found, self.centers, self.temperature)
        return join(L, ab.to(L))

    def suggest(self, L: Tensor, y: int, x: int, n: int = 5) -> list[tuple[float, float, float]]:
        """The most probable colours at a pixel, for a person to choose from.

        Bins within 15 CIE units of a more probable one are counted to it, so that the
        suggestions differ. Nothing is smoothed: one cell is asked, in milliseconds.

        Args:
            L: (1, 1, H, W) in [0, 100].
            y: row of the pixel.
            x: column of the pixel.
            n: how many.

        Returns:
            n triples (a, b, probability), a and b in CIE units, the most probable first; fewer
            where the bins are fewer.

        Raises:
            ValueError: more than one picture, a pixel outside it, or as :meth:`distribution`.
        """
        features = self._features(L)
        height, width = L.shape[-2:]
        if len(L) != 1 or not (0 <= y < height and 0 <= x < width):
            raise ValueError(f"pixel ({y}, {x}) is not in one picture of {height}x{width}")
        rows, columns = features.shape[-2:]
        left = self._estimate(features[:, :, y * rows // height, x * columns // width])[0]
        near = torch.cdist(self.centers, self.centers) < _DIFFERENT
        found = []
        while len(found) < n and left.max() > 0:
            best = left.argmax()
            found.append((*self.centers[best].tolist(), left[near[best]].sum().item()))
            left = left.masked_fill(near[best], 0)
        return sorted(found, key=lambda triple: -triple[2])

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, to be stored as safetensors."""
        return {
            "exemplars": self.exemplars,
            "labels": self.labels,
            "centers": self.centers,
            "prior": self.prior,
            "center": self.center,
            "projection": self.projection,
            "size": torch.tensor(self.size),
            "settings": torch.tensor(
                [self.neighbors, self.rebalance, self.strength, self.temperature],
                dtype=torch.float64,
            ),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> KnnColorizer:
        """Undo :meth:`tensors`. Raises ValueError where they are another row's."""
        check_names(tensors, _NAMES)
        neighbors, *rest = tensors["settings"].tolist()
        return cls(tensors, int(neighbors), *rest)

    def _features(self, L: Tensor) -> Tensor:
        check_lightness(L)
        return local_features(resize_to_area(L.cpu(), self.size, STRIDE, SMALLEST))

    def _estimate(self, features: Tensor) -> Tensor:
        """Distributions (M, K) at the cells with these features (M, D).

        A neighbour counts the less the further it is, by a normal curve whose width is the
        distance of the last one. The training set's own distribution is mixed in, so that no
        colour is impossible.
        """
        queries = ((features - self.center) @ self.projection).numpy()
        distance, index = self._tree.query(
            queries, k=np.arange(1, self.neighbors + 1), eps=_SLACK, workers=-1
        )
        width = np.maximum(distance[:, -1:], 1e-6)
        weight = torch.from_numpy(np.exp(-2 * (distance / width) ** 2)).float()
        found = torch.zeros(len(features), len(self.centers))
        found.scatter_add_(1, self.labels[torch.from_numpy(index)].long(), weight)
        found += _PRIOR * self.prior
        return found / found.sum(dim=1, keepdim=True)
