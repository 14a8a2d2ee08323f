"""Nested dissection of a pixel grid: how to cut a picture so that the cuts cost least.

A pixel depends on its eight neighbours. A line of pixels, one wide, therefore cuts a picture into
two halves that know each other through the line alone. Each half is cut again, across its longer
side, down to pieces of a few pixels. The cuts depend on the picture's size alone, and of its
thousands of pieces few differ in shape: pieces of one level and shape form a group, which
:mod:`colorlab.classical.gridsolver` treats in one call.

Source: A. George, "Nested dissection of a regular finite element mesh", SIAM J. Numer. Anal. 10,
1973. Taught in notebook 02.
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
# A system of equations on the grid is a tensor (11, H, W): the coefficients of the eight
# neighbours, that of the pixel itself, and two right sides.
OWN, RIGHT_SIDES = 8, (9, 10)

_LEAF = 8  # pieces up to 8x8 are not cut: smaller ones cost more calls than they save arithmetic


class Shape(NamedTuple):
    """The shape of a piece: its size, and on which sides of it there are pixels.

    Its frame is the rectangle of (height + 2) x (width + 2) around it.
    """

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
        """Cut across the longer side.

        Returns:
            The line as bool over the frame, or the whole piece where it is too small to cut;
            and the halves, each with the step (rows, columns) from this frame to its own.
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

    A piece has e pixels of its own, those of the line that cuts it or all if it is not cut, and
    around it a ring of r pixels that belong to larger pieces. Its pixels are counted in this
    order. Offsets count in the flattened picture from the first pixel of the piece's frame.
    """

    shape: Shape
    tops: np.ndarray  # (B,) first row of the frame; -1 where it begins above the picture
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
    """Cut a picture of this size: the groups of each level, from the whole picture down."""
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
            first = 0
            for part in parts:
                last = first + len(part.tops)
                if part.parent is not None:
                    part.parent.children.append(Child(group, np.arange(first, last), part.place))
                first = last
            for half, dy, dx in shape.cut()[1]:
                y, x = half.ring()
                where = torch.from_numpy(place[y + dy, x + dx]).to(device)
                halves[half].append(_Half(group, tops + dy, lefts + dx, where))
        levels.append(level)
        waiting = halves
    return levels


def _indices(shape: Shape, height: int, width: int) -> tuple[np.ndarray, ...]:
    """Number a piece's pixels, and find its part of the system.

    Each coefficient belongs to the piece that eliminates the first of the two pixels it couples.

    Returns:
        The number of each pixel of the frame, -1 for none; then own, ring, source and target of
        :class:`Group`.
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
        mine = there >= 0  # not eliminated in a smaller piece, and not outside the picture
        source.append(k * plane + offset[mine])
        target.append(row[mine] + there[mine])
        back = there >= e  # a pixel of the ring looks back at the piece
        source.append((7 - k) * plane + offset[back] + dy * width + dx)
        target.append(there[back] * (n + 2) + np.flatnonzero(back))
    ring = ring_y * width + ring_x
    return place, offset, ring, np.concatenate(source), np.concatenate(target)
