"""Scribbles on photographs: the answers are those of SciPy's direct solver."""

from __future__ import annotations

import numpy as np
import pytest
from levin_direct import SIZE, equations, far, next_strokes, solve_directly

from colorlab.classical.hints import random_hints
from colorlab.classical.scribbles import Scribbles
from colorlab.color import from_uint8, lightness, rgb_to_lab
from colorlab.data.photos import skimage_photos


@pytest.fixture(scope="module")
def rgb():
    return from_uint8(skimage_photos(SIZE).rgb)


@pytest.mark.parametrize("n", [10, 200])
def test_answers_are_the_direct_ones(rgb, n):
    worst, ours, theirs = 0.0, [], []
    for picture in rgb[::2]:  # a direct answer takes seconds
        one = picture[None]
        L, truth = lightness(one), rgb_to_lab(one)[:, 1:]
        scribbles = Scribbles(L)
        hints = random_hints(one, n)[1]
        for mask in (hints, next_strokes(hints)[1]):
            expected = solve_directly(*equations(L, truth, mask))
            answer = scribbles.solve(truth, mask)
            worst = max(worst, far(answer, expected))
            truth_flat = truth[0].flatten(1).numpy()
            ours.append(np.hypot(*(answer[0].flatten(1).numpy() - truth_flat)).mean())
            theirs.append(np.hypot(*(expected - truth_flat)).mean())
    print(
        f"{n} hints: at most {worst:.1e} from the direct answer; {np.mean(ours):.4f} from the truth"
    )
    assert worst < 0.5
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.02)
