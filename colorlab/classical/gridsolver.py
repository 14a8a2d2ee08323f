"""An exact solver on the pixel grid that recomputes only what a stroke changes.

A pixel depends on its eight neighbours alone, so a line of pixels, one wide, separates an image
into two halves that are coupled through the line only. Nested dissection cuts each half again,
across its longer side, down to pieces of a few pixels. From the smallest pieces up, each piece
eliminates its own pixels and passes to its parent a small dense matrix over the ring around it
(the Schur complement): all that the rest of the image needs to know of it. Then, from the whole
image down, each piece computes its own pixels. The cuts depend on the image size alone, and few
of the thousands of pieces differ in shape: those of one level and shape are processed together.

The solution is exact to rounding, without a tolerance. A stroke changes a few small pieces and
the larger ones that contain them. Only these are eliminated again.

Sources: A. George, "Nested dissection of a regular finite element mesh", SIAM J. Numer. Anal. 10,
1973; I. Duff, J. Reid, "The multifrontal solution of indefinite sparse symmetric linear
equations", ACM Transactions on Mathematical Software 9, 1983. Taught in lesson 02.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

# The eight neighbours as (row, column) steps; NEIGHBOURS[7 - k] is the opposite of NEIGHBOURS[k].
NEIGHBOURS = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
OWN, RIGHT_SIDES = 8, (9, 10)  # the other planes of a system, see GridSolver

_LEAF = 8  # pieces up to 8x8 are not cut: smaller ones cost more calls than they save arithmetic
_KEPT = 500  # pixels; recomputing the matrices of smaller pieces is cheaper than keeping them
_CHUNK = 1 << 18  # numbers eliminated at once: 2 MiB, which fit in the cache


class Shape(NamedTuple):
    """A piece: its size, and the sides with pixels. Its frame is one pixel wider on each side."""

    height: int
    width: int
    above: bool = False
    below: bool = False
    left: bool = False
    right: bool = False

    def ring(self) -> tuple[np.ndarray, np.ndarray]:
        """Rows and columns, in the frame, of the pixels around the piece."""
        frame = np.zeros((self.height + 2, self.width + 2), dtype=bool)
        rows = slice(not self.above, self.height + 1 + self.below)
        frame[rows, not self.left : self.width + 1 + self.right] = True
        frame[1:-1, 1:-1] = False
        return np.nonzero(frame)

    def cut(self) -> tuple[np.ndarray, list[tuple[Shape, int, int]]]:
        """The line across the longer side, as bool over the frame, and the halves.

        Each half comes with the step (rows, columns) from this frame to its own. A piece that is
        too small to cut is its own line.
        """
        line = np.zeros((self.height + 2, self.width + 2), dtype=bool)
        at = (max(self.height, self.width) - 1) // 2
        if max(self.height, self.width) <= _LEAF:
            line[1:-1, 1:-1] = True
            return line, []
        if self.width >= self.height:
            line[1:-1, 1 + at] = True
            first = self._replace(width=at, right=True)
            second = self._replace(width=self.width - at - 1, left=True)
            return line, [(first, 0, 0), (second, 0, at + 1)]
        line[1 + at, 1:-1] = True
        first = self._replace(height=at, below=True)
        second = self._replace(height=self.height - at - 1, above=True)
        return line, [(first, 0, 0), (second, at + 1, 0)]


class Child(NamedTuple):
    """One half of every piece of a group."""

    group: Group
    index: np.ndarray  # (B,) which pieces of that group
    place: Tensor  # (r of the child,) where its ring lies among the parent's pixels


@dataclass(eq=False)
class Group:
    """The pieces of one level that have the same shape, B of them.

    A piece has e pixels of its own, those of the line that cuts it or all if it is not cut, then
    a ring of r pixels that belong to larger pieces. Offsets count in the flattened image from the
    first pixel of the piece's frame.
    """

    shape: Shape
    tops: np.ndarray  # (B,) first row of the frame; -1 where it begins above the image
    lefts: np.ndarray  # (B,) first column
    own: Tensor  # (e,) offsets
    ring: Tensor  # (r,) offsets
    # Entry `source` of the flattened system, plus the piece's origin, belongs at `target` of the
    # piece's flattened matrix (e + r, e + r + 2), whose last two columns are the right sides.
    source: Tensor  # (k,)
    target: Tensor  # (k,)
    origin: Tensor  # (B,)
    children: list[Child] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.tops)


class _Half(NamedTuple):
    """Pieces of one shape that wait to be cut: one half of each piece of `parent`."""

    parent: Group | None
    tops: np.ndarray
    lefts: np.ndarray
    place: Tensor | None  # as in Child


@lru_cache(maxsize=4)
def plan(height: int, width: int, device: torch.device) -> list[list[Group]]:
    """Cut an image of this size: the groups of each level, from the whole image down."""
    whole = _Half(None, np.array([-1]), np.array([-1]), None)
    waiting: dict[Shape, list[_Half]] = {Shape(height, width): [whole]}
    levels = []
    while waiting:
        halves = defaultdict(list)
        level = []
        for shape, parts in waiting.items():
            tops = np.concatenate([part.tops for part in parts])
            lefts = np.concatenate([part.lefts for part in parts])
            place, *indices = _indices(shape, height, width)
            indices.append(tops * width + lefts)
            group = Group(shape, tops, lefts, *(torch.from_numpy(i).to(device) for i in indices))
            level.append(group)
            ends = np.cumsum([len(part.tops) for part in parts])
            for part, index in zip(parts, np.split(np.arange(ends[-1]), ends[:-1]), strict=True):
                if part.parent is not None:
                    part.parent.children.append(Child(group, index, part.place))
            for half, dy, dx in shape.cut()[1]:
                y, x = half.ring()
                where = torch.from_numpy(place[y + dy, x + dx]).to(device)
                halves[half].append(_Half(group, tops + dy, lefts + dx, where))
        levels.append(level)
        waiting = halves
    return levels


def _indices(shape: Shape, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Number the pixels of the frame, -1 for none; then own, ring, source, target of a `Group`.

    Each coefficient belongs to the piece that eliminates the first of the two pixels it couples.
    """
    y, x = np.nonzero(shape.cut()[0])
    ring_y, ring_x = shape.ring()
    e, n = len(y), len(y) + len(ring_y)
    place = np.full((shape.height + 2, shape.width + 2), -1)
    place[y, x] = np.arange(e)
    place[ring_y, ring_x] = np.arange(e, n)

    plane = height * width
    offset, row = y * width + x, np.arange(e) * (n + 2)
    source, target = [OWN * plane + offset], [row + np.arange(e)]
    for k, right_side in enumerate(RIGHT_SIDES):
        source.append(right_side * plane + offset)
        target.append(row + n + k)
    for k, (dy, dx) in enumerate(NEIGHBOURS):
        there = place[y + dy, x + dx]
        mine = there >= 0  # not eliminated in a smaller piece, and not outside the image
        source.append(k * plane + offset[mine])
        target.append(row[mine] + there[mine])
        back = there >= e  # a pixel of the ring looks back at the piece
        source.append((7 - k) * plane + offset[back] + dy * width + dx)
        target.append(there[back] * (n + 2) + np.flatnonzero(back))
    ring = ring_y * width + ring_x
    return place, offset, ring, np.concatenate(source), np.concatenate(target)


class GridSolver:
    """Solves a sequence of systems on a grid of pixels, reusing what did not change.

    A system is a tensor (11, H, W), float64. Planes 0 to 7 hold each pixel's coefficients of its
    eight neighbours, in the order of :data:`NEIGHBOURS`, plane 8 its own, planes 9 and 10 two
    right-hand sides. Coefficients of neighbours outside the image are not read. Pivoting stays
    within a piece, which is safe for diagonally dominant systems, as Levin's are.

    Args:
        size: (H, W).
        device: where to solve.
        reusable: keep what a later system can reuse, which takes twice the memory.
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

        ``changed`` (H, W) bool marks the pixels where it differs from the system of the last call;
        None in the first call, or if everything may differ.
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
        """Express own pixels by the ring, and store the Schur complement over the ring."""
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
        """From the whole image down, compute own pixels from the ring."""
        answer = system.new_zeros(system[0].numel(), 2)
        for level in self._levels:
            for group in level:
                inner, r = self._inner[group], len(group.ring)
                ring = answer[group.origin[:, None] + group.ring]  # (B, r, 2)
                own = torch.baddbmm(inner[:, :, r:], inner[:, :, :r], ring, alpha=-1)
                answer[group.origin[:, None] + group.own] = own  # (B, e, 2)
        return answer.T.unflatten(1, self.size)
