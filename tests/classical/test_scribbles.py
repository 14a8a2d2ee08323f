"""Levin's colorization against its formula, SciPy's direct solver, and what it promises."""

import math

import numpy as np
import pytest
import torch
from levin_direct import equations, solve_directly

from colorlab.classical.gridsolver import NEIGHBOURS
from colorlab.classical.scribbles import Scribbles, affinities, levin
from colorlab.color import from_uint8, rgb_to_lab
from colorlab.data.photos import skimage_photos

SIDE = 96


@pytest.fixture(scope="module")
def lab():
    """Lab of five photographs, (5, 3, 96, 96), as 8-bit files hold them: with flat regions."""
    return rgb_to_lab(from_uint8(skimage_photos(SIDE).rgb))


def _window_weights(L: np.ndarray, y: int, x: int) -> dict[tuple[int, int], float]:
    """The weights of one pixel, straight from the paper and the constants of its program."""
    height, width = L.shape
    window = [
        (v, u)
        for v in range(max(0, y - 1), min(height, y + 2))
        for u in range(max(0, x - 1), min(width, x + 2))
    ]
    distances = {at: (L[at] / 100 - L[y, x] / 100) ** 2 for at in window if at != (y, x)}
    sigma = 0.6 * np.var([L[at] / 100 for at in window])
    sigma = max(sigma, -min(distances.values()) / math.log(0.01), 2e-6)
    weights = {at: math.exp(-distance / sigma) for at, distance in distances.items()}
    total = sum(weights.values())
    return {at: weight / total for at, weight in weights.items()}


def _naive(L, ab, mask, confidence=1.0):
    """A dense system, filled pixel by pixel: (H, W), (2, H, W), (H, W) -> (2, H, W)."""
    height, width = L.shape
    matrix, right = np.eye(height * width), np.zeros((height * width, 2))
    for y, x in np.ndindex(height, width):
        c = confidence if mask[y, x] else 0.0
        row = y * width + x
        right[row] = c * ab[:, y, x] if c else 0.0
        for (v, u), weight in _window_weights(L, y, x).items():
            matrix[row, v * width + u] = -(1 - c) * weight
    return np.linalg.solve(matrix, right).T.reshape(2, height, width)


def _direct(L, ab, mask):
    """SciPy's direct solver on the weights of the package: (1, 1, H, W) ... -> (1, 2, H, W)."""
    return torch.from_numpy(solve_directly(*equations(L, ab, mask))).view(ab.shape)


def _distance(x, y):
    """The largest distance between two chroma fields, in CIE units."""
    return torch.linalg.vector_norm(x.double() - y.double(), dim=1).max().item()


def _points(n, size=(SIDE, SIDE), seed=0):
    mask = torch.zeros(size[0] * size[1], dtype=torch.bool)
    mask[torch.randperm(len(mask), generator=torch.Generator().manual_seed(seed))[:n]] = True
    return mask.reshape(1, 1, *size)


def _stroke():
    """A broad line down the image."""
    mask = torch.zeros(1, 1, SIDE, SIDE, dtype=torch.bool)
    for t in range(SIDE):
        mask[..., t, t // 2 : t // 2 + 3] = True
    return mask


def _made(size=(9, 7), seed=0):
    """Lightness with flat parts and edges, chroma, and a few hints."""
    g = torch.Generator().manual_seed(seed)
    L = (torch.rand(1, 1, *size, generator=g, dtype=torch.float64) * 4).floor() * 20 + 10
    ab = torch.rand(1, 2, *size, generator=g, dtype=torch.float64) * 120 - 60
    return L, ab, _points(6, size, seed)


def test_weights_are_those_of_the_formula():
    L = _made()[0]
    L[..., :4, :] = 50
    L[..., 0, :3] = 60
    L[..., 1, 1] = 90  # like nothing around: the floor by the nearest neighbour
    L[..., :4, 3:] += 0.1 * torch.rand(4, 4, dtype=torch.float64)  # nearly flat: the last floor
    got = affinities(L)[0]
    for y, x in np.ndindex(9, 7):
        expected = _window_weights(L[0, 0].numpy(), y, x)
        for k, (dy, dx) in enumerate(NEIGHBOURS):
            weight = expected.get((y + dy, x + dx), 0.0)
            assert got[k, y, x].item() == pytest.approx(weight, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("confidence", [1.0, 0.3])
@pytest.mark.parametrize("size", [(1, 12), (12, 11)])
def test_equals_a_dense_solve_of_the_formula(size, confidence):
    L, ab, mask = _made(size)
    expected = _naive(L[0, 0].numpy(), ab[0].numpy(), mask[0, 0].numpy(), confidence)
    np.testing.assert_allclose(levin(L, ab, mask, confidence)[0], expected, atol=1e-6)


@pytest.mark.parametrize("mask", [_points(10), _points(200), _stroke()])
def test_equals_the_direct_solution_on_photographs_and_batches_single_images(lab, mask):
    L, ab = lab.split((1, 2), dim=1)
    got = levin(L, ab, mask.expand(5, 1, SIDE, SIDE))
    assert got.dtype == torch.float32
    for i in range(5):
        assert _distance(got[i : i + 1], _direct(L[i : i + 1], ab[i : i + 1], mask)) < 0.01


def test_a_drawing_of_flat_regions_equals_the_direct_solution():
    # Steps between flat regions give the most extreme weights that there are.
    L = torch.full((1, 1, 60, 80), 20.0)
    L[..., 10:50, 10:40] = 90.0
    L[..., 20:40, 30:70] = 55.0
    L[..., 5, 5] = 100.0  # a speck, which resembles nearly no pixel
    ab = torch.randn(1, 2, 60, 80, generator=torch.Generator().manual_seed(0)) * 40
    for n in (1, 50):
        mask = _points(n, (60, 80))
        assert _distance(levin(L, ab, mask), _direct(L, ab, mask)) < 0.01


def test_every_further_stroke_equals_a_fresh_solution(lab):
    L, ab = lab[1:2].split((1, 2), dim=1)
    scribbles, points = Scribbles(L), _points(50)
    added = points | _stroke()
    steps = [
        (ab, points),
        (ab, added),
        (torch.where(_stroke(), -ab, ab), added),
        (ab, points.roll(5, dims=-1)),
        (ab, points),
        (ab, points, 0.5),
    ]
    for step in steps:
        assert _distance(scribbles.solve(*step), levin(L, *step)) < 1e-4
    with pytest.raises(ValueError, match="no hint"):  # a refused stroke leaves the next one right
        scribbles.solve(ab, torch.zeros_like(points))
    assert _distance(scribbles.solve(ab, added), levin(L, ab, added)) < 1e-4


def test_hints_are_kept_exactly_and_chroma_stays_within_their_range(lab):
    L, ab = lab[:1].split((1, 2), dim=1)
    mask = _points(40)
    got = levin(L, ab, mask)
    hints = ab[mask.expand_as(ab)].view(2, -1)
    assert torch.equal(got[mask.expand_as(got)].view(2, -1), hints)
    for channel, values in zip(got[0], hints, strict=True):
        assert values.min() - 1e-3 <= channel.min() and channel.max() <= values.max() + 1e-3
    # A soft hint gives way to its neighbours, and only hints are read.
    assert (levin(L, ab, mask, 0.2) - got)[mask.expand_as(got)].abs().max() > 1
    assert torch.equal(levin(L, torch.where(mask, ab, math.nan), mask), got)
    everywhere, guess = torch.ones_like(mask), torch.where(mask, ab, 7.0)
    firm = levin(L, guess, everywhere, torch.where(mask, 1.0, 1e-9))
    assert _distance(firm, got) < 0.01


L, AB, MASK = _made()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((L, AB, torch.zeros_like(MASK)), ValueError, "picture 0 has no hint"),
        ((L, AB, MASK.float()), TypeError, "mask bool"),
        ((L, AB.where(~MASK, math.nan), MASK), ValueError, "ab holds a value that is not finite"),
        ((L, AB[:, :1], MASK), ValueError, r"ab must have shape \(1, 2, 9, 7\)"),
        ((L[0], AB, MASK), ValueError, "L must have shape"),
        ((L * math.nan, AB, MASK), ValueError, "L must lie"),
        ((L, AB.long(), MASK), TypeError, "ab must be floating point"),
        ((L, AB.numpy(), MASK), TypeError, "ab must be a torch tensor"),
        ((L, AB, MASK, 0.0), ValueError, "confidence must be above 0"),
        ((L, AB, MASK, 1.5), ValueError, "at most 1"),
        ((L, AB, MASK, torch.ones(9, 7)), ValueError, "confidence must be a number or"),
    ],
)
def test_mistakes_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        levin(*arguments)
    with pytest.raises(ValueError, match="want one picture"):
        Scribbles(L.expand(2, 1, 9, 7))
