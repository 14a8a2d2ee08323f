"""Levin's equations for SciPy's direct solver: the reference for ours."""

import numpy as np
import torch
from scipy.sparse import coo_array
from scipy.sparse.linalg import spsolve

from colorlab.classical.gridsolver import NEIGHBOURS
from colorlab.classical.scribbles import affinities

SIZE = 256  # of the photographs in the tests and the benchmark


def equations(L, ab, mask):
    """The equations for SciPy: matrix, and right sides (H * W, 2)."""
    weights = (affinities(L)[0] * ~mask[0]).numpy()  # (8, H, W), none for hints
    height, width = L.shape[-2:]
    number = np.arange(height * width).reshape(height, width)
    steps = np.array([dy * width + dx for dy, dx in NEIGHBOURS])
    k, y, x = np.nonzero(weights)
    rows = np.concatenate([number.ravel(), number[y, x]])
    columns = np.concatenate([number.ravel(), number[y, x] + steps[k]])
    values = np.concatenate([np.ones(height * width), -weights[k, y, x]])
    right = torch.where(mask, ab, 0).double().flatten(2)[0].T.numpy()
    return coo_array((values, (rows, columns))).tocsc(), right


def solve_directly(matrix, right):
    """Both channels, (2, H * W), by a call each."""
    return np.stack([spsolve(matrix, channel) for channel in right.T])


def next_strokes(mask):
    """What a hand may do next: a short stroke, a long one, a broad one, and rubbing out."""
    short, long, broad, rubbed = (torch.zeros_like(mask) for _ in range(4))
    short[..., 60:63, 100:140] = True
    for t in range(400):
        y, x = 20 + t // 2, 30 + t // 3
        long[..., y : y + 3, x : x + 3] = True
    broad[..., 180:200, 120:200] = True
    rubbed[..., 60:63, 110:130] = True
    added = [mask | short, mask | short | long, mask | short | long | broad]
    return [*added, added[-1] & ~rubbed]


def far(answer, direct):
    """The largest distance over pixels, in CIE units."""
    return np.hypot(*(answer[0].flatten(1).numpy() - direct)).max()
