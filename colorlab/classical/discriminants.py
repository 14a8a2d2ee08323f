"""Fisher's linear discriminants: along which directions of the features colours differ.

They make the distances of :mod:`colorlab.classical.neighbours` count what tells colours
apart. Taught in notebook 02.
"""

from __future__ import annotations

import numpy as np
import scipy.linalg
import torch
from torch import Tensor

_SHRINKAGE = 0.01  # share of the identity in the scatter within classes, so that it inverts


def discriminants(features: Tensor, labels: Tensor, dimensions: int) -> tuple[Tensor, Tensor]:
    """Directions in which classes differ most, measured by how much each class spreads itself.

    Fisher's linear discriminants: the eigenvectors of the scatter between classes against the
    scatter within them (Hastie, Tibshirani and Friedman, section 4.3.3). Distances along them
    count what tells colours apart; plain distances count whatever varies most.

    Args:
        features: (M, D).
        labels: (M,) int64, the class of each.
        dimensions: how many directions, at most D.

    Returns:
        The features' mean (D,) and the directions (D, dimensions), the most telling first. Along
        each the scatter within classes is the ratio of the two scatters, so that a direction
        counts as much as it tells.
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
