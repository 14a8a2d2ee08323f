"""Ridge regression from the features of a cell to its chroma: linear, closed form, one minute.

Deshpande, Rock and Forsyth 2015 ("Learning Large-Scale Automatic Image Colorization") learn
a quadratic objective over local features. This is a smaller version: the features of
:mod:`colorlab.classical.features`, random ramps of them, which make the model nonlinear (after
Rahimi and Recht 2008, "Random Features for Large-Scale Kernel Machines"), and one linear system.
Taught in lesson 02.

The released ``ridge`` holds weights for the features and ramps in this order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from colorlab.checks import check_names
from colorlab.classical.features import resized_features, sample_cells
from colorlab.color import join

if TYPE_CHECKING:
    from colorlab.data.cache import Pictures

_ROWS = 8192  # cells expanded at a time
_LEAST_ERROR = 1.0  # CIE units; errors below this are not weighted any higher
_NAMES = ("center", "scale", "directions", "offsets", "weights")  # tensors, beside the size
_EXTREME = 5.0  # standard deviations; features are clipped here to limit extrapolation


class RidgeColorizer:
    """Chroma as a linear function of random ramps of local features.

    Args:
        tensors: ``center`` and ``scale`` (D,) of the features; ``directions`` (D, R) and
            ``offsets`` (R,) of the ramps; ``weights`` (1 + D + R, 2), CIE units; ``size``, the
            side of the pictures it was fitted on.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self.center, self.scale, self.directions, self.offsets, self.weights = (
            tensors[name].float() for name in _NAMES
        )
        self.size = int(tensors["size"])

    @classmethod
    def fit(
        cls,
        pictures: Pictures,
        cells: int = 250_000,
        ramps: int = 512,
        penalty: float = 1e-2,
        rounds: int = 2,
        seed: int = 0,
    ) -> RidgeColorizer:
        """Fit on cells sampled from the pictures.

        Args:
            pictures: the training set; sides are multiples of 4, at least 16.
            cells: about how many cells of 4x4 pixels to learn from.
            ramps: how many random features max(0, x . d + o); 0 makes a plain linear model.
            penalty: on the weights, as a share of the number of cells.
            rounds: of reweighting, each a weighted ridge with weights 1 / error. 0 is least
                squares and gives the mean colour, gray where colours disagree; further rounds
                approach the median, which Delta-E rewards.
            seed: of the cells and the ramps.
        """
        sample = sample_cells(pictures, cells, seed)
        generator = torch.Generator().manual_seed(seed)
        count, width = sample.features.shape
        model = cls(
            {
                "center": sample.features.mean(dim=0),
                "scale": sample.features.std(dim=0, correction=0).clamp_min(1e-4),
                "directions": torch.randn(width, ramps, generator=generator) / width**0.5,
                "offsets": torch.rand(ramps, generator=generator) * 2 - 1,
                "weights": torch.zeros(1 + width + ramps, 2),
                "size": torch.tensor(pictures.size),
            }
        )
        weight = torch.ones(count)
        for _ in range(rounds + 1):
            error = model._refit(sample.features, sample.ab, weight, penalty)
            weight = 1 / error.clamp_min(_LEAST_ERROR)
        return model

    def _refit(self, features: Tensor, ab: Tensor, weight: Tensor, penalty: float) -> Tensor:
        """Solve for the weights, with ``weight`` (M,) on the cells; return their errors (M,).

        |X w - y|^2 + penalty |w|^2 is least at w = (X^T X + penalty I)^-1 X^T y.
        """
        width = len(self.weights)
        gram = torch.zeros(width, width, dtype=torch.float64)
        moment = torch.zeros(width, 2, dtype=torch.float64)
        for x, y, w in zip(
            features.split(_ROWS), ab.split(_ROWS), weight.split(_ROWS), strict=True
        ):
            expanded = self._expand(x)
            weighted = (expanded * w[:, None]).T
            gram += weighted @ expanded
            moment += weighted @ y
        ridge = torch.full((width,), penalty * weight.sum().item(), dtype=torch.float64)
        ridge[0] = 0  # the first column of X is 1: the intercept has no penalty
        self.weights = torch.linalg.solve(gram + torch.diag(ridge), moment).float()
        predicted = torch.cat([self._expand(x) @ self.weights for x in features.split(_ROWS)])
        return (predicted - ab).norm(dim=1)

    def _expand(self, features: Tensor) -> Tensor:
        """Features (M, D) to what the weights multiply: 1, the features and the ramps."""
        z = ((features - self.center) / self.scale).clamp(-_EXTREME, _EXTREME)
        ramps = torch.addmm(self.offsets, z, self.directions).relu_()
        return torch.cat([torch.ones_like(z[:, :1]), z, ramps], dim=1)

    def chroma(self, L: Tensor) -> Tensor:
        """Coarse chroma of L (N, 1, H, W): (N, 2, h, w) in CIE units, a quarter of its size."""
        features = resized_features(L, self.size)  # (N, D, h, w)
        rows = features.flatten(2).transpose(1, 2)  # (N, h*w, D)
        ab = torch.stack([self._expand(one) @ self.weights for one in rows])
        return ab.transpose(1, 2).unflatten(2, features.shape[-2:]).to(L)

    def colorize(self, L: Tensor) -> Tensor:
        """L (N, 1, H, W) in [0, 100], any size, to sRGB (N, 3, H, W); L is kept."""
        return join(L, self.chroma(L))

    def tensors(self) -> dict[str, Tensor]:
        """What :meth:`from_tensors` needs, in half precision, to be stored as safetensors."""
        return {name: getattr(self, name).half() for name in _NAMES} | {
            "size": torch.tensor(self.size)
        }

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> RidgeColorizer:
        """Undo :meth:`tensors`; ValueError if they belong to another method."""
        check_names(tensors, {*_NAMES, "size"})
        return cls(tensors)
