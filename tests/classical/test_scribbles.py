"""Levin's colorization against its formula, SciPy's direct solver, and what it promises."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from levin_direct import SIZE, equations, far, next_strokes, solve_directly

from colorlab.classical.gridsolver import NEIGHBOURS
from colorlab.classical.hints import random_hints
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
    values = [L[at] / 100 for at in window]
    mean = sum(values) / len(values)
    variance = sum((value - mean) ** 2 for value in values) / len(values)
    distances = {at: (L[at] / 100 - L[y, x] / 100) ** 2 for at in window if at != (y, x)}
    sigma = 0.6 * variance
    sigma = max(sigma, -min(distances.values()) / math.log(0.01), 2e-6)
    weights = {at: math.exp(-distance / sigma) for at, distance in distances.items()}
    total = sum(weights.values())
    return {at: weight / total for at, weight in weights.items()}


def _naive(L, ab, mask, confidence=1.0):
    """A dense system, filled pixel by pixel: (H, W), (2, H, W), (H, W) -> (2, H, W)."""
    height, width = L.shape
    matrix, right = np.eye(height * width), np.zeros((height * width, 2))
    for y in range(height):
        for x in range(width):
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


def _strokes(count, size=(SIDE, SIDE), seed=0):
    """Straight strokes of three pixels' width."""
    g = torch.Generator().manual_seed(seed)
    mask = torch.zeros(1, 1, *size, dtype=torch.bool)
    for _ in range(count):
        y, x, v, u = (torch.rand(4, generator=g) * (torch.tensor(size * 2) - 4)).tolist()
        for t in torch.linspace(0, 1, 2 * max(size)).tolist():
            row, column = round(y + t * (v - y)), round(x + t * (u - x))
            mask[..., row : row + 3, column : column + 3] = True
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
    for y in range(9):
        for x in range(7):
            expected = _window_weights(L[0, 0].numpy(), y, x)
            for k, (dy, dx) in enumerate(NEIGHBOURS):
                weight = expected.get((y + dy, x + dx), 0.0)
                assert got[k, y, x].item() == pytest.approx(weight, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("confidence", [1.0, 0.3])
@pytest.mark.parametrize("size", [(9, 7), (1, 12), (12, 11)])
def test_equals_a_dense_solve_of_the_formula(size, confidence):
    L, ab, mask = _made(size)
    expected = _naive(L[0, 0].numpy(), ab[0].numpy(), mask[0, 0].numpy(), confidence)
    got = levin(L, ab, mask, confidence)
    np.testing.assert_allclose(got[0], expected, atol=1e-6)


@pytest.mark.parametrize("mask", [_points(10), _points(50), _points(200), _strokes(6)])
def test_equals_the_direct_answer_on_photographs(lab, mask):
    for picture in lab:
        L, ab = picture[None, :1], picture[None, 1:]
        expected = _direct(L, ab, mask)
        assert _distance(levin(L, ab, mask), expected) < 0.01
        assert _distance(Scribbles(L).solve(ab, mask), expected) < 0.01


@pytest.mark.parametrize("n", [10, 200])
def test_further_strokes_at_full_size_equal_the_direct_answer(n):
    worst, ours, theirs = 0.0, [], []
    for rgb in from_uint8(skimage_photos(SIZE).rgb)[::2]:  # a direct answer takes seconds
        L, truth = rgb_to_lab(rgb[None]).split((1, 2), dim=1)
        scribbles = Scribbles(L)
        hints = random_hints(rgb[None], n)[1]
        for mask in (hints, next_strokes(hints)[1]):
            expected = solve_directly(*equations(L, truth, mask))
            answer = scribbles.solve(truth, mask)
            worst = max(worst, far(answer, expected))
            truth_flat = truth[0].flatten(1).numpy()
            ours.append(np.hypot(*(answer[0].flatten(1).numpy() - truth_flat)).mean())
            theirs.append(np.hypot(*(expected - truth_flat)).mean())
    assert worst < 0.5
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.02)


def test_a_drawing_of_flat_regions_equals_the_direct_answer():
    # Steps between flat regions give the most extreme weights that there are.
    L = torch.full((1, 1, 60, 80), 20.0)
    L[..., 10:50, 10:40] = 90.0
    L[..., 20:40, 30:70] = 55.0
    L[..., 5, 5] = 100.0  # a speck, which nearly no one resembles
    ab = torch.randn(1, 2, 60, 80, generator=torch.Generator().manual_seed(0)) * 40
    for n in (1, 5, 50):
        mask = _points(n, (60, 80))
        assert _distance(levin(L, ab, mask), _direct(L, ab, mask)) < 0.01


def test_every_further_stroke_equals_the_direct_answer(lab):
    L, ab = lab[1:2, :1], lab[1:2, 1:]
    scribbles = Scribbles(L)
    points, more = _points(50), _strokes(3, seed=1)
    first = scribbles.solve(ab, points)
    added = scribbles.solve(ab, points | more)
    assert _distance(added, _direct(L, ab, points | more)) < 0.01
    recolored = torch.where(more, -ab, ab)
    assert (
        _distance(scribbles.solve(recolored, points | more), _direct(L, recolored, points | more))
        < 0.01
    )
    moved = points.roll(5, dims=-1)
    assert _distance(scribbles.solve(ab, moved), _direct(L, ab, moved)) < 0.01
    assert _distance(scribbles.solve(ab, points), first) < 1e-4
    soft = scribbles.solve(ab, points, 0.5)
    assert _distance(soft, levin(L, ab, points, 0.5)) < 1e-4


def test_a_refused_stroke_leaves_the_next_one_right(lab):
    L, ab = lab[:1, :1], lab[:1, 1:]
    scribbles = Scribbles(L)
    scribbles.solve(ab, _points(50))
    with pytest.raises(ValueError, match="no hint"):
        scribbles.solve(ab, torch.zeros_like(_points(1)))
    mask = _points(50) | _strokes(1)
    assert _distance(scribbles.solve(ab, mask), levin(L, ab, mask)) < 1e-4


def test_equal_hints_give_that_colour_everywhere(lab):
    ab = torch.tensor([31.0, -12.0]).view(1, 2, 1, 1).expand(5, 2, SIDE, SIDE)
    mask = _points(3).expand(5, 1, SIDE, SIDE)
    for confidence in (1.0, 0.05):
        got = levin(lab[:, :1], ab, mask, confidence)
        torch.testing.assert_close(got, ab.contiguous(), atol=1e-3, rtol=0)


def test_hints_are_kept_exactly_and_chroma_stays_within_their_range(lab):
    L, ab = lab[:1, :1], lab[:1, 1:]
    mask = _points(40)
    got = levin(L, ab, mask)
    hints = ab[mask.expand_as(ab)].view(2, -1)
    assert torch.equal(got[mask.expand_as(got)].view(2, -1), hints)
    for channel, values in zip(got[0], hints, strict=True):
        assert values.min() - 1e-3 <= channel.min() and channel.max() <= values.max() + 1e-3
    # A soft hint gives way to its neighbours.
    soft = levin(L, ab, mask, 0.2)
    assert (soft - got)[mask.expand_as(got)].abs().max() > 1


def test_confidence_of_each_pixel_tells_hint_from_guess(lab):
    L, ab = lab[:1, :1], lab[:1, 1:]
    points = _points(40)
    everywhere = torch.ones_like(points)
    guess = torch.where(points, ab, 7.0)
    firm = levin(L, guess, everywhere, torch.where(points, 1.0, 1e-9))
    assert _distance(firm, levin(L, ab, points)) < 0.01
    swayed = levin(L, guess, everywhere, torch.where(points, 1.0, 0.9))
    assert (swayed - guess).abs().median() < 0.5


def test_mirrored_pictures_give_mirrored_answers(lab):
    L, ab, mask = lab[:1, :1], lab[:1, 1:], _points(30)
    upright = levin(L, ab, mask)
    for dims in ((-1,), (-2,), (-2, -1)):
        mirrored = levin(L.flip(dims), ab.flip(dims), mask.flip(dims)).flip(dims)
        assert _distance(mirrored, upright) < 1e-3
    turned = levin(L.mT, ab.mT, mask.mT).mT
    assert _distance(turned, upright) < 1e-3


def test_a_wall_stops_the_leak():
    L = torch.full((1, 1, 40, 61), 60.0)
    ab = torch.zeros(1, 2, 40, 61)
    ab[:, 0, :, :30], ab[:, 0, :, 30:] = 50.0, -50.0
    mask = torch.zeros(1, 1, 40, 61, dtype=torch.bool)
    mask[..., 5] = mask[..., 55] = True
    probe = (0, 0, 20, 22)
    # Without a wall, colour runs from one stroke to the other in a straight line.
    open_field = levin(L, ab, mask)[probe].item()
    assert open_field == pytest.approx(50 - 100 * (22 - 5) / 50, abs=0.5)
    L[..., 29:32] = 10.0
    walled = levin(L, ab, mask)
    assert walled[probe].item() > 49
    assert walled[0, 0, 20, 38].item() < -49


def test_batches_equal_single_pictures(lab):
    L, ab = lab[:, :1], lab[:, 1:]
    mask = torch.cat([_points(20 + i, seed=i) for i in range(5)])
    got = levin(L, ab, mask)
    for i in range(5):
        one = slice(i, i + 1)
        assert torch.equal(got[one], levin(L[one], ab[one], mask[one]))
    assert got.dtype == torch.float32


def test_colour_is_read_at_hints_only():
    L, ab, mask = _made()
    blank = torch.where(mask, ab, math.nan)
    assert torch.equal(levin(L, blank, mask), levin(L, ab, mask))


L, AB, MASK = _made()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((L, AB, torch.zeros_like(MASK)), ValueError, "picture 0 has no hint"),
        ((L, AB, MASK.float()), TypeError, "mask must be bool"),
        ((L, AB.where(~MASK, math.nan), MASK), ValueError, "ab holds a value that is not finite"),
        ((L, AB[:, :1], MASK), ValueError, r"ab must have shape \(1, 2, 9, 7\)"),
        ((L, AB, MASK[0]), ValueError, r"mask must have shape \(1, 1, 9, 7\)"),
        ((L[0], AB, MASK), ValueError, "L must have shape"),
        ((L * math.nan, AB, MASK), ValueError, "L must lie"),
        ((L.long(), AB, MASK), TypeError, "L must be floating point"),
        ((L, AB.long(), MASK), TypeError, "ab must be floating point"),
        ((L.numpy(), AB, MASK), TypeError, "L must be a torch tensor"),
        ((L, AB.numpy(), MASK), TypeError, "ab must be a torch tensor"),
        ((L, AB, MASK, 0.0), ValueError, "confidence must be above 0"),
        ((L, AB, MASK, 1.5), ValueError, "at most 1"),
        ((L, AB, MASK, math.nan), ValueError, "confidence must be above 0"),
        ((L, AB, MASK, torch.ones(9, 7)), ValueError, "confidence must be a number or"),
    ],
)
def test_mistakes_are_named(arguments, error, message):
    with pytest.raises(error, match=message):
        levin(*arguments)


def test_the_picture_without_a_hint_is_named_and_scribbles_take_one_picture():
    two = L.expand(2, 1, 9, 7)
    with pytest.raises(ValueError, match="picture 1 has no hint"):
        levin(two, AB.expand(2, 2, 9, 7), torch.cat([MASK, ~MASK & MASK]))
    with pytest.raises(ValueError, match="want one picture"):
        Scribbles(two)
