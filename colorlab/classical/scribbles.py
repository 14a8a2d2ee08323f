r"""Colour from a few scribbles: neighbours of similar lightness have similar colour.

Levin, Lischinski and Weiss ask each pixel r without a hint to be the weighted mean of its
neighbours s in the 3x3 window,

.. math:: x_r = \sum_s w_{rs} x_s, \qquad w_{rs} \propto e^{-(Y_r - Y_s)^2 / \sigma_r^2},

with :math:`\sigma_r^2` from the variance of the window. Hints are boundary values. The system has
one row per pixel, the same for a and b, and is solved exactly by nested dissection. Weights span
eleven orders of magnitude, so a small residual of an iterative solver does not mean a small error:
BiCGSTAB with incomplete LU left a residual of 8e-4 and chroma 17 units off.

The solution is that of a random walk: from r, step to s with probability w_rs until a hint is
reached; x_r is the expected colour of that hint, so chroma stays in the range of the hints.

Source: A. Levin, D. Lischinski, Y. Weiss, "Colorization using optimization", SIGGRAPH 2004. As in
the authors' published program, the variance is scaled and floored (the constants below), and rows
of hints are replaced. Theirs works on the Y of YIQ, ours on L / 100. Taught in lesson 02.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from colorlab.checks import check_lightness
from colorlab.classical.gridsolver import NEIGHBOURS, GridSolver

# Of the authors' program, for lightness in [0, 1].
_VARIANCE_SCALE = 0.6
_NEAREST_WEIGHT = 0.01  # the most similar neighbour weighs at least this much before scaling
_VARIANCE_FLOOR = 2e-6


def affinities(L: Tensor) -> Tensor:
    """The weights of the paper: how much each neighbour's colour counts, for L (N, 1, H, W).

    Returns:
        (N, 8, H, W) float64 in the order of :data:`colorlab.classical.gridsolver.NEIGHBOURS`.
        They sum to 1 over the neighbours; a neighbour outside the image has weight 0.
    """
    y = L.double() / 100
    height, width = y.shape[-2:]
    framed = F.pad(y, (1, 1, 1, 1), value=math.nan)
    around = torch.cat(
        [framed[..., 1 + dy :, 1 + dx :][..., :height, :width] for dy, dx in NEIGHBOURS], dim=1
    )  # (N, 8, H, W)
    inside = ~around.isnan()
    step = torch.where(inside, around - y, 0)
    # The variance of the window, its centre included, which has step 0.
    count = inside.sum(dim=1, keepdim=True) + 1
    variance = step.square().sum(1, True) / count - (step.sum(1, True) / count).square()
    nearest = torch.where(inside, step.square(), torch.inf).amin(dim=1, keepdim=True)
    sigma = torch.maximum(_VARIANCE_SCALE * variance, nearest / -math.log(_NEAREST_WEIGHT))
    weights = torch.exp(-step.square() / sigma.clamp_min(_VARIANCE_FLOOR)) * inside
    return weights / weights.sum(dim=1, keepdim=True)


def levin(L: Tensor, ab: Tensor, mask: Tensor, confidence: float | Tensor = 1.0) -> Tensor:
    """Spread the colour of hints over an image, by the method of Levin et al. 2004.

    Args:
        L: (N, 1, H, W) in [0, 100].
        ab: (N, 2, H, W), CIE units, read where ``mask`` is true only.
        mask: (N, 1, H, W) bool, true where there is a hint; at least one per image.
        confidence: c in (0, 1], a number or (N, 1, H, W), read where ``mask`` is true. There,
            x = c * hint + (1 - c) * sum(w * x): 1 keeps hints exactly, and a prediction for every
            pixel enters as a hint everywhere with a low c.

    Returns:
        (N, 2, H, W) chroma in CIE units, in the precision of ``L``. An image of 256x256 takes
        a quarter of a second on one core, one of 1024x1024 ten seconds and 1 GB.

    Raises:
        TypeError, ValueError: see :func:`check_hints`.
    """
    share, wanted = check_hints(L, ab, mask, confidence)
    weights = affinities(L)
    answers = []
    for i in range(len(L)):
        solver = GridSolver(tuple(L.shape[-2:]), L.device, reusable=False)
        answers.append(_solve(solver, weights[i], share[i], wanted[i]))
    return torch.stack(answers).to(L.dtype)


class Scribbles:
    """One image L (1, 1, H, W) with changing hints, for an interactive canvas.

    Each :meth:`solve` redoes only the part of the elimination that changed hints touch. The
    solution equals that of :func:`levin`, to rounding, whatever the hints were before. An image of
    256x256 keeps 50 MB, one of 1024x1024 1.5 GB.
    """

    def __init__(self, L: Tensor) -> None:
        check_lightness(L)
        if len(L) != 1:
            raise ValueError(f"want one picture, L of shape (1, 1, H, W), got {tuple(L.shape)}")
        self.L = L
        self._weights = affinities(L)[0]
        self._solver = GridSolver(tuple(L.shape[-2:]), L.device)
        self._last: tuple[Tensor, Tensor] | None = None

    def solve(self, ab: Tensor, mask: Tensor, confidence: float | Tensor = 1.0) -> Tensor:
        """Solve for the current hints: arguments, result and errors of :func:`levin`."""
        share, wanted = check_hints(self.L, ab, mask, confidence)
        share, wanted = share[0], wanted[0]
        changed = None
        if self._last is not None:
            before, colors = self._last
            changed = (share != before)[0] | (wanted != colors).any(dim=0)  # (H, W)
        self._last = None  # an interrupted solve leaves nothing to build on
        answer = _solve(self._solver, self._weights, share, wanted, changed)
        self._last = share, wanted
        return answer[None].to(self.L.dtype)


def _solve(
    solver: GridSolver,
    weights: Tensor,
    share: Tensor,
    wanted: Tensor,
    changed: Tensor | None = None,
) -> Tensor:
    """One image: weights (8, H, W), share (1, H, W), wanted colour (2, H, W) to (2, H, W)."""
    system = torch.cat([(share - 1) * weights, torch.ones_like(share), share * wanted])
    return torch.where(share == 1, wanted, solver.solve(system, changed))


def check_hints(
    L: Tensor, ab: Tensor, mask: Tensor, confidence: float | Tensor = 1.0
) -> tuple[Tensor, Tensor]:
    """Check the arguments of :func:`levin`.

    Returns:
        The share that each pixel takes from its hint, (N, 1, H, W), 0 without one; and the
        colours of the hints, (N, 2, H, W), 0 without one. Both float64.

    Raises:
        TypeError: not tensors of the right type.
        ValueError: shapes that differ, an image without a hint, a value that is not finite, or a
            confidence outside (0, 1].
    """
    for x, name in ((L, "L"), (ab, "ab"), (mask, "mask")):
        if not isinstance(x, Tensor):
            raise TypeError(f"{name} must be a torch tensor, got {type(x).__name__}")
    if not (L.is_floating_point() and ab.is_floating_point() and mask.dtype == torch.bool):
        types = f"{L.dtype}, {ab.dtype} and {mask.dtype}"
        raise TypeError(f"L and ab must be floating point and mask bool (mask > 0), got {types}")
    check_lightness(L)
    for x, name, channels in ((ab, "ab", 2), (mask, "mask", 1)):
        want = (len(L), channels, *L.shape[-2:])
        if x.shape != want:
            raise ValueError(f"{name} must have shape {want} like L, got {tuple(x.shape)}")
    empty = (~mask.flatten(1).any(dim=1)).nonzero().flatten().tolist()
    if empty:
        raise ValueError(f"picture {empty[0]} has no hint; colour at least one of its pixels")
    wanted = torch.where(mask, ab.detach().double(), 0)
    if not wanted.isfinite().all():
        raise ValueError("ab holds a value that is not finite where mask is true")
    c = torch.as_tensor(confidence, dtype=torch.float64, device=L.device)
    if c.ndim and c.shape != mask.shape:
        raise ValueError(
            f"confidence must be a number or {tuple(mask.shape)}, got {tuple(c.shape)}"
        )
    share = torch.where(mask, c, 0)
    if not ((share > 0) == mask).all() or not (share <= 1).all():
        raise ValueError("confidence must be above 0 and at most 1 where mask is true")
    return share, wanted
