"""k nearest neighbours: a distribution over colours for each cell, from similar training cells.

Charpiat, Hofmann and Schoelkopf 2008 ("Automatic Image Colorization via Multimodal
Predictions") estimate, for every pixel, how probable each colour is, from the training
patches with the nearest descriptors, and decide for all pixels together. Here the same is done on
cells of 4x4 pixels. The features of :mod:`colorlab.classical.features` are projected on the
directions that separate colours, a KD-tree finds the neighbours, a mean field smooths the
distributions, and only then one colour is taken: the average of "red or blue" would be purple.
The released ``knn`` holds the output of :func:`fit_bins` and :func:`discriminants`. Taught in
lesson 02.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import torch
import torch.nn.functional as F
from scipy.spatial import cKDTree
from torch import Tensor

from colorlab.checks import check_names
from colorlab.classical.features import resized_features, sample_cells
from colorlab.color import join
from colorlab.color_bins import WIDTH, annealed_mean

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

_MOST_BINS = 255  # so that a bin's number fits a byte
_SHRINKAGE = 0.01  # share of the identity in the scatter within classes, so that it inverts
_PRIOR = 4.0  # the training set's own distribution counts as so many neighbours
_SLACK = 1.0  # the k-th found is at most twice as far as the true k-th: a third of the time
_DIFFERENT = 15.0  # CIE units; suggested colours are at least this far apart
REACH = (1, 2, 4)  # cells, how far the smoothing looks in each of eight directions
EDGE = 8.0  # units of L, scale of the difference across which smoothing stops
FAR = 40.0  # CIE units; beyond this distance, two colours are not more different
_NAMES = ("exemplars", "labels", "centers", "prior", "center", "projection")  # beside the settings


def fit_bins(ab: Tensor, share: float = 1e-4) -> tuple[Tensor, Tensor]:
    """Find the bins that occur: squares of the ab plane with this share of the samples in them.

    Unlike the fixed grid of :mod:`colorlab.color_bins`, they follow the samples ab (M, 2).

    Returns:
        The mean (K, 2) of the samples in each square, at most 255 squares, the fullest first; and
        for each sample the nearest of them, (M,) int64.
    """
    squares, member, count = torch.unique(
        (ab / WIDTH).round().long(), dim=0, return_inverse=True, return_counts=True
    )
    sums = torch.zeros(len(squares), 2, dtype=torch.float64).index_add_(0, member, ab.double())
    order = count.argsort(descending=True, stable=True)
    order = order[count[order] >= max(1, share * len(ab))][:_MOST_BINS]
    centers = (sums[order] / count[order, None]).float()
    return centers, torch.cdist(ab, centers).argmin(dim=1)


def discriminants(features: Tensor, labels: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Directions in which classes differ most, relative to the spread within each class.

    Fisher's linear discriminants of features (M, D) with class labels (M,): the eigenvectors of
    the scatter between classes against the scatter within them (Hastie, Tibshirani and Friedman,
    section 4.3.3). Distances along them measure what separates colours.

    Returns:
        The features' mean (D,) and the directions (D, dimensions), the most discriminative first.
        Along each the scatter within classes is the ratio of the two scatters, so that a direction
        counts as much as it separates.
    """
    center = features.mean(dim=0)
    x = (features - center).double()
    scale = x.std(dim=0, correction=0).clamp_min(1e-4)
    x = x / scale
    members = torch.bincount(labels).double()
    means = torch.zeros(len(members), x.shape[1], dtype=torch.float64).index_add_(0, labels, x)
    means = means / members.clamp_min(1)[:, None]
    between = (means * members[:, None]).T @ means / len(x)
    within = x.T @ x / len(x) - between + _SHRINKAGE * torch.eye(x.shape[1], dtype=torch.float64)
    ratio, directions = scipy.linalg.eigh(between.numpy(), within.numpy())  # smallest first
    chosen = (directions * np.sqrt(np.maximum(ratio, 0)))[:, ::-1][:, :dimensions]
    return center, (torch.from_numpy(chosen.copy()) / scale[:, None]).float()


def mean_field(
    probabilities: Tensor, L: Tensor, centers: Tensor, strength: float, iterations: int = 8
) -> Tensor:
    """Smooth distributions over colours between similar cells, but not across edges in L.

    The energy is a unary term, -log p, and for each pair of neighbours w min(|c - c'|, FAR) /
    FAR, with w = exp(-(L difference / EDGE)^2 / 2). Charpiat, Hofmann and Schoelkopf 2008
    minimise it by graph cuts; the mean field keeps a distribution instead of one colour
    (Kraehenbuehl and Koltun 2011, algorithm 1, on a sparse neighbourhood). Weights are divided by
    the number of neighbours, so that cells at the border are smoothed as much as those inside.

    Args:
        probabilities: (N, K, h, w), summing to 1 over K.
        L: (N, 1, h, w) in [0, 100], of the same cells.
        centers: (K, 2) colours of the bins, CIE units.
        strength: of the pair term, at least 0; 0 changes nothing.
        iterations: parallel updates.
    """
    if strength < 0:
        raise ValueError(f"strength must be at least 0, got {strength}")
    unary = probabilities.log()  # what is impossible stays impossible
    price = torch.cdist(centers, centers).clamp_max(FAR) / FAR  # (K, K)
    inside = torch.stack(_views(torch.ones_like(L)))  # (24, N, 1, h, w)
    weights = torch.exp(-((L - torch.stack(_views(L))) / EDGE).square() / 2)
    weights = inside * weights / inside.sum(dim=0).clamp_min(1)
    belief = probabilities
    for _ in range(iterations if strength else 0):
        around = torch.zeros_like(belief)
        for weight, there in zip(weights, _views(belief), strict=True):
            around.addcmul_(weight, there)
        cost = torch.einsum("kc,nchw->nkhw", price, around)
        belief = (unary - strength * cost).softmax(dim=1)
    return belief


def _views(x: Tensor) -> list[Tensor]:
    """X (N, C, h, w) seen from each cell's 24 neighbours, 0 outside: views, not copies."""
    height, width = x.shape[-2:]
    margin = max(REACH)
    padded = F.pad(x, (margin,) * 4)
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if y or x]
    corners = [(margin + reach * y, margin + reach * x) for reach in REACH for y, x in steps]
    return [padded[..., y : y + height, x : x + width] for y, x in corners]


class KnnColorizer:
    """A distribution over colours for each cell, from its k nearest training cells.

    Args:
        tensors: ``exemplars`` (M, d), projected training cells; ``labels`` (M,), the bin of
            each; ``centers`` (K, 2), the bins' colours in CIE units; ``prior`` (K,), how often
            each occurs; ``center`` (D,) and ``projection`` (D, d) of the features; ``size``, the
            side of the pictures it was fitted on.
        neighbors: k.
        rebalance: exponent by which rare colours gain before one is chosen: p / prior^exponent
            (after Zhang, Isola and Efros 2016), since gray is the most common colour.
        strength: of the smoothing, see :func:`mean_field`.
        temperature: of the prediction, see :func:`colorlab.color_bins.annealed_mean`.
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
        """Fit on cells sampled from the pictures.

        Args:
            pictures: the training set; sides are multiples of 4, at least 16.
            cells: about how many cells of 4x4 pixels the bins and directions are learned from.
            exemplars: how many of them are kept for the search.
            dimensions: directions to search in; more than eight do not help.
            seed: of the cells.
            settings: ``neighbors``, ``rebalance``, ``strength``, ``temperature``, see the class.
        """
        sample = sample_cells(pictures, cells, seed)
        centers, labels = fit_bins(sample.ab)
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
        """The probability of each bin of ``centers`` in each cell, by default as estimated.

        Rare colours gain by the exponent ``rebalance``, then distributions are smoothed.

        Returns:
            (N, K, h, w) float32 for L (N, 1, H, W), summing to 1 over K; h and w are a quarter of
            L's size where L is as large as the training pictures.
        """
        features = resized_features(L, self.size)  # (N, D, h, w)
        rows = features.flatten(2).transpose(1, 2)  # (N, h*w, D)
        found = torch.stack([self._estimate(one) for one in rows])
        found = found * self.prior**-rebalance
        found = found / found.sum(dim=-1, keepdim=True)
        found = found.transpose(1, 2).unflatten(2, features.shape[-2:])  # (N, K, h, w)
        return mean_field(found, 100 * features[:, :1], self.centers, strength)

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100], any size, to sRGB (N, 3, H, W); L is kept."""
        found = self.distribution(L, self.strength, self.rebalance)
        return join(L, annealed_mean(found.log(), self.temperature, self.centers).to(L))

    def suggest(self, L: Tensor, y: int, x: int, n: int = 5) -> list[tuple[float, float, float]]:
        """The ``n`` most probable colours at row y and column x of L (1, 1, H, W).

        Bins within 15 CIE units of a more probable one are counted to it, so that the
        suggestions differ. There is no smoothing: one cell is estimated, in milliseconds.

        Returns:
            Triples (a, b, probability), the most probable first; fewer than n if bins are few.
        """
        features = resized_features(L, self.size)
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
        settings = [self.neighbors, self.rebalance, self.strength, self.temperature]
        return {name: getattr(self, name) for name in _NAMES} | {
            "size": torch.tensor(self.size),
            "settings": torch.tensor(settings, dtype=torch.float64),
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> KnnColorizer:
        """Undo :meth:`tensors`; ValueError if they belong to another method."""
        check_names(tensors, {*_NAMES, "size", "settings"})
        neighbors, *rest = tensors["settings"].tolist()
        return cls(tensors, int(neighbors), *rest)

    def _estimate(self, features: Tensor) -> Tensor:
        """Distributions (M, K) at the cells with these features (M, D).

        A neighbour's weight falls with its distance by a Gaussian whose width is the distance of
        the k-th. The prior is mixed in, so that no colour is impossible.
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
