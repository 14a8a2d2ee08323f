"""Levin's system at 256x256: ours beside two calls of SciPy's direct solver, in one run.

Beside SciPy stands what a user would write: `spsolve` with its defaults on the same equations,
once for a and once for b, its matrix already built. Our first solve includes weights, checks and
cutting the picture. Each further stroke is measured with all that a canvas calls.
"""

import numpy as np
import pytest
import torch
from levin_direct import SIZE, equations, far, next_strokes, solve_directly
from measure import in_turns

from colorlab.classical.gridsolver import NEIGHBOURS, GridSolver, plan
from colorlab.classical.hints import random_hints
from colorlab.classical.scribbles import Scribbles, affinities, levin
from colorlab.color import from_uint8, lightness, rgb_to_lab
from colorlab.data.photos import skimage_photos

ROUNDS = 3


@pytest.fixture(scope="module")
def rgb():
    return from_uint8(skimage_photos(SIZE).rgb)


def _first(L, ab, mask):
    plan.cache_clear()
    return Scribbles(L).solve(ab, mask)


def test_first_solve_and_further_strokes_against_scipy(benchmark, rgb):
    L, truth = lightness(rgb[:1]), rgb_to_lab(rgb[:1])[:, 1:]
    mask = random_hints(rgb[:1], 50)[1]
    system = equations(L, truth, mask)
    expected = solve_directly(*system)
    assert far(_first(L, truth, mask), expected) < 0.5
    scribbles = Scribbles(L)
    # The fastest of each: the run that was disturbed least.
    direct, first, _, *strokes = in_turns(
        lambda: solve_directly(*system),
        lambda: _first(L, truth, mask),
        *(lambda m=m: scribbles.solve(truth, m) for m in (mask, *next_strokes(mask))),
        rounds=ROUNDS,
        of=min,
    )
    ratios = {"first": direct / first, "stroke": direct / max(strokes)}
    for name, ratio in ratios.items():
        benchmark.extra_info[f"{name}: times as fast as spsolve twice"] = round(ratio, 1)
    print(f"spsolve twice {direct:.2f} s, first solve {first:.2f} s, {ratios['first']:.1f}x")
    print(f"strokes {np.round(np.multiply(strokes, 1e3))} ms, the slowest {ratios['stroke']:.0f}x")

    toggled = [mask, next_strokes(mask)[0]]

    def stroke():
        toggled.reverse()
        return scribbles.solve(truth, toggled[0])

    benchmark.pedantic(stroke, rounds=10, warmup_rounds=1)
    assert ratios["first"] >= 2
    assert ratios["stroke"] >= 8


def test_a_picture_of_1024x1024(benchmark, rgb):
    """Too large for SciPy: a known answer is put through the equations and found again."""
    size = (1024, 1024)
    grown = torch.nn.functional.interpolate(rgb[:1], size, mode="bicubic").clamp(0, 1)
    L = lightness(grown)
    mask = random_hints(grown, 200)[1]
    share = mask[0].double()
    own = torch.ones_like(share)
    system = torch.cat([(share - 1) * affinities(L)[0], own, own, own])
    known = rgb_to_lab(grown)[0, 1:].double()
    framed = torch.nn.functional.pad(known, (1, 1, 1, 1))
    system[9:] = known
    for k, (dy, dx) in enumerate(NEIGHBOURS):
        system[9:] += system[k] * framed[:, 1 + dy :, 1 + dx :][:, : size[0], : size[1]]
    found = GridSolver(size, reusable=False).solve(system)
    far = (found - known).norm(dim=0).max().item()
    print(f"1024x1024: at most {far:.1e} from the known answer")
    assert far < 1e-3
    benchmark.pedantic(levin, (L, known[None].float(), mask), rounds=1)
