"""An exact solver on the pixel grid that redoes only what a stroke changes.

From the smallest pieces of :mod:`colorlab.classical.dissection` up, each piece eliminates its own
pixels and hands its parent a small dense matrix over the ring around it: all that the rest of the
picture must know of it. Then, from the whole picture down, each piece finds its own pixels.

This is a direct method: the answer is exact to rounding, and there is no tolerance to trust. A
stroke changes a few small pieces and the larger ones that contain them, up to the whole
picture. Only these are eliminated again, and all others keep the matrix that they handed on.

Source: I. Duff, J. Reid, "The multifrontal solution of indefinite sparse symmetric linear
equations", ACM Transactions on Mathematical Software 9, 1983. Taught in notebook 02.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from colorlab.classical.dissection import Group, plan

_KEPT = 500  # pixels; the matrices of smaller pieces are sooner made again than kept in memory
_CHUNK = 1 << 18  # numbers eliminated at once: 2 MiB, which stay in a cache


class GridSolver:
    """Solves one system after another on a grid of pixels, each from what the last one left.

    A system is a tensor (11, H, W), float64. Planes 0 to 7 hold each pixel's coefficients of its
    eight neighbours, in the order of :data:`colorlab.classical.dissection.NEIGHBOURS`, plane 8
    its own, planes 9 and 10 two right sides. Coefficients of neighbours outside the picture are
    not read. Rows are exchanged within a piece only, which is safe where a pixel's own
    coefficient is at least the sum of the sizes of its neighbours', as it is in every system of
    :mod:`colorlab.classical.scribbles`.

    Args:
        size: (H, W).
        device: where to solve.
        reusable: keep what a later system needs, which takes twice the memory.
    """

    def __init__(
        self, size: tuple[int, int], device: torch.device | str = "cpu", reusable: bool = True
    ) -> None:
        self.size = size
        self.reusable = reusable
        self._levels = plan(*size, torch.device(device))
        # Own pixels, given the ring: own = inner[:, :, r:] - inner[:, :, :r] @ ring.
        self._inner: dict[Group, Tensor] = {}  # (B, e, r + 2)
        # What each piece adds to its parent: a matrix over its ring, and right sides.
        self._outer: dict[Group, Tensor] = {}  # (B, r, r + 2)

    def solve(self, system: Tensor, changed: Tensor | None = None) -> Tensor:
        """Solve ``system`` (11, H, W) and return (2, H, W).

        Args:
            system: as told above.
            changed: (H, W) bool, the pixels where it differs from the system of the last call;
                None in a first call, or where everything may differ.
        """
        touched = {} if changed is None else self._touched(changed.cpu().numpy())
        flat = system.flatten()
        below: list[Group] = []
        for level in reversed(self._levels):
            for group in level:
                self._eliminate(group, touched.get(group, np.arange(len(group))), flat)
            for group in below:
                if not self._keeps(group):
                    del self._outer[group]
            below = level
        return self._substitute(system)

    def _keeps(self, group: Group) -> bool:
        return self.reusable and group.shape.height * group.shape.width >= _KEPT

    def _touched(self, changed: np.ndarray) -> dict[Group, np.ndarray]:
        """Which pieces of each group must be eliminated again."""
        # Changed pixels above and left of each corner: four look-ups count those in a frame.
        height, width = self.size
        count = np.zeros((height + 1, width + 1), dtype=np.int64)
        count[1:, 1:] = changed.cumsum(0).cumsum(1)
        again = {g: np.zeros(len(g), dtype=bool) for level in self._levels for g in level}
        for group, pieces in again.items():  # parents come first
            y0, y1 = group.tops.clip(0), (group.tops + group.shape.height + 2).clip(max=height)
            x0, x1 = group.lefts.clip(0), (group.lefts + group.shape.width + 2).clip(max=width)
            pieces |= count[y1, x1] - count[y0, x1] - count[y1, x0] + count[y0, x0] > 0
            for child in group.children:
                if not self._keeps(child.group):
                    again[child.group][child.index[pieces]] = True
        return {group: np.flatnonzero(pieces) for group, pieces in again.items()}

    def _eliminate(self, group: Group, pieces: np.ndarray, flat: Tensor) -> None:
        """Express own pixels by the ring, and pass on what remains to be said of the ring."""
        e, r = len(group.own), len(group.ring)
        n = e + r
        for store, rows in ((self._inner, e), (self._outer, r)):
            if group not in store:
                store[group] = flat.new_empty(len(group), rows, r + 2)
        at_once = max(1, _CHUNK // (n * (n + 2)))
        for start in range(0, len(pieces), at_once):
            some = pieces[start : start + at_once]
            here = torch.from_numpy(some).to(flat.device)
            front = flat.new_zeros(len(some), n * (n + 2))
            front.index_copy_(1, group.target, flat[group.origin[here, None] + group.source])
            for child in group.children:
                columns = torch.cat((child.place, child.place.new_tensor([n, n + 1])))
                target = (child.place[:, None] * (n + 2) + columns).flatten()
                theirs = torch.from_numpy(child.index[some]).to(flat.device)
                front.index_add_(1, target, self._outer[child.group][theirs].flatten(1))
            front = front.unflatten(1, (n, n + 2))
            inner = torch.linalg.solve(front[:, :e, :e], front[:, :e, e:])  # (b, e, r + 2)
            self._inner[group][here] = inner
            self._outer[group][here] = torch.baddbmm(
                front[:, e:, e:], front[:, e:, :e], inner, alpha=-1
            )  # (b, r, r + 2)

    def _substitute(self, system: Tensor) -> Tensor:
        """From the whole picture down, find own pixels from the ring."""
        answer = system.new_zeros(system[0].numel(), 2)
        for level in self._levels:
            for group in level:
                inner, r = self._inner[group], len(group.ring)
                ring = answer[group.origin[:, None] + group.ring]  # (B, r, 2)
                own = torch.baddbmm(inner[:, :, r:], inner[:, :, :r], ring, alpha=-1)
                answer[group.origin[:, None] + group.own] = own  # (B, e, 2)
        return answer.T.unflatten(1, self.size)
