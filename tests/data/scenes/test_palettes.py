"""The palettes of the drawn world, and the best prediction under each loss."""

from __future__ import annotations

import numpy as np
import pytest

from colorlab.data.scenes import HOURS, PALETTES, SEVERAL_COLOURED, best_ab, distribution
from colorlab.data.scenes.palettes import geometric_median, weighted_median


def test_the_world_has_the_promised_kinds():
    assert len(PALETTES) >= 10
    assert len(SEVERAL_COLOURED) >= 6
    assert len(HOURS) == 4
    balloon = PALETTES["balloon"]
    assert dict(zip(balloon.names, balloon.prob, strict=True)) == pytest.approx(
        {"red": 0.3, "blue": 0.5, "green": 0.2}
    )
    for palette in PALETTES.values():
        assert palette.prob.sum() == pytest.approx(1)
        assert palette.ab.shape == (len(palette), 2)


@pytest.mark.parametrize("kind", SEVERAL_COLOURED)
@pytest.mark.parametrize("hour", HOURS)
def test_best_answers_minimise_their_expected_loss(kind, hour):
    ab, prob = distribution(kind, hour)
    losses = {
        "l2": lambda x: prob @ ((ab - x) ** 2).sum(axis=1),
        "l1": lambda x: prob @ np.abs(ab - x).sum(axis=1),
        "l1-vector": lambda x: prob @ np.linalg.norm(ab - x, axis=1),
    }
    grid = np.stack(np.meshgrid(np.arange(-80, 81, 2), np.arange(-80, 81, 2)), -1).reshape(-1, 2)
    for name, loss in losses.items():
        best = loss(best_ab(kind, name, hour))
        assert best <= min(loss(x) for x in grid) + 1e-6
        assert best <= min(loss(x) for x in ab) + 1e-6


def test_medians_against_hand_worked_cases():
    assert weighted_median(np.array([5.0, -1.0, 2.0]), np.array([0.2, 0.3, 0.5])) == 2
    assert weighted_median(np.array([4.0, 0.0]), np.array([0.5, 0.5])) == 2
    # The Fermat point of a right isosceles triangle, legs 1: (t, t), t = (3 - sqrt 3) / 6.
    corner = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    t = (3 - 3**0.5) / 6
    np.testing.assert_allclose(geometric_median(corner, np.ones(3) / 3), [t, t], atol=1e-6)
    # An obtuse corner of more than 120 degrees is itself the answer.
    wide = np.array([[0.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    np.testing.assert_array_equal(geometric_median(wide, np.ones(3) / 3), [0, 0])


def test_one_mean_is_gray_and_one_median_is_far_from_the_mean():
    np.testing.assert_allclose(best_ab("tent", "l2"), 0, atol=1e-9)
    wall = best_ab("house wall", "l2"), best_ab("house wall", "l1")
    assert np.linalg.norm(wall[0] - wall[1]) > 20


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: distribution("zebra"), "no kind 'zebra'"),
        (lambda: distribution("balloon", "tea time"), "hour must be"),
        (lambda: best_ab("balloon", "l3"), "loss must be"),
    ],
)
def test_unknown_names_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()
