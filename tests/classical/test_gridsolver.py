"""The grid solver against SciPy's direct solver, and what a second system costs."""

import numpy as np
import pytest
import torch
from scipy.sparse import coo_matrix
from scipy.sparse.linalg import spsolve

from colorlab.classical import gridsolver
from colorlab.classical.gridsolver import NEIGHBOURS, GridSolver


def _system(size, seed=0):
    """Random and lopsided: no symmetry, both signs, and just dominant."""
    g = torch.Generator().manual_seed(seed)
    system = torch.randn(11, *size, generator=g, dtype=torch.float64)
    system[8] = system[:8].abs().sum(0) * 1.01
    return system


def _direct(system):
    _, height, width = system.shape
    s = system.numpy()
    rows, columns, values = [], [], []
    for y, x in np.ndindex(height, width):
        for k, (dy, dx) in enumerate([*NEIGHBOURS, (0, 0)]):
            v, u = y + dy, x + dx
            if 0 <= v < height and 0 <= u < width:
                rows.append(y * width + x)
                columns.append(v * width + u)
                values.append(s[k, y, x])
    n = height * width
    matrix = coo_matrix((values, (rows, columns)), shape=(n, n)).tocsc()
    solved = [np.reshape(spsolve(matrix, right.ravel()), (height, width)) for right in s[9:]]
    return torch.from_numpy(np.stack(solved))


@pytest.mark.parametrize("size", [(1, 1), (1, 30), (8, 8), (9, 9), (17, 40), (64, 33)])
def test_equals_scipy(size):
    system = _system(size)
    solved = GridSolver(size).solve(system)
    torch.testing.assert_close(solved, _direct(system), atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("reusable", [True, False])
def test_each_further_system_equals_a_fresh_solve(reusable):
    size = (70, 90)
    solver, system = GridSolver(size, reusable=reusable), _system(size)
    solver.solve(system)
    g = torch.Generator().manual_seed(1)
    for share in (0.0005, 0.02, 1.0, 0.0):
        changed = torch.rand(size, generator=g) < share
        system = torch.where(changed, _system(size, seed=round(share * 1e4)), system)
        fresh = GridSolver(size).solve(system)
        torch.testing.assert_close(solver.solve(system, changed), fresh, atol=1e-11, rtol=1e-11)


@pytest.mark.parametrize("least", [0, 40, 200])
def test_a_change_of_a_single_pixel_is_followed(least, monkeypatch):
    # However many of the pieces are kept from one system to the next.
    monkeypatch.setattr(gridsolver, "_KEPT", least)
    size = (19, 22)
    solver, system, other = GridSolver(size), _system(size), _system(size, seed=1)
    solver.solve(system)
    for pixel in range(0, size[0] * size[1], 11):
        changed = torch.arange(size[0] * size[1]).view(size) == pixel
        system = torch.where(changed, other, system)
        fresh = GridSolver(size).solve(system)
        torch.testing.assert_close(solver.solve(system, changed), fresh, atol=1e-11, rtol=1e-11)
