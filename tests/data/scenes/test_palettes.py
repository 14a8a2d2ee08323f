"""The palettes of the drawn world, and the best prediction under each loss."""

from __future__ import annotations

import numpy as np
import pytest

from colorlab.data.scenes import HOURS, PALETTES, SEVERAL_COLOURED, best_ab, distribution
from colorlab.data.scenes.palettes import geometric_median, weighted_median


def test_palettes_are_what_the_lessons_state():
    assert distribution("balloon")[1].tolist() == [0.3, 0.5, 0.2]  # red, blue, green
    for palette in PALETTES.values():
        assert palette.prob.sum() == pytest.approx(1)
        assert palette.ab.shape == (len(palette), 2)
    # One mean is gray, and one median is far from the mean.
    np.testing.assert_allclose(best_ab("tent", "l2"), 0, atol=1e-9)
    assert np.linalg.norm(best_ab("house wall", "l2") - best_ab("house wall", "l1")) > 20
    # By Nelder-Mead on the loss itself; the geometric median is blue, (4, -42).
    np.testing.assert_allclose(best_ab("balloon", "huber"), [6.3, -28.0], atol=0.05)


@pytest.mark.parametrize("hour", HOURS)
def test_best_predictions_minimise_their_expected_loss(hour):
    grid = np.stack(np.meshgrid(np.arange(-80, 81, 2), np.arange(-80, 81, 2)), -1).reshape(-1, 2)
    for kind in SEVERAL_COLOURED:
        ab, prob = distribution(kind, hour)
        away = np.concatenate([grid, ab])[:, None] - ab  # (points, K, 2)
        losses = {
            "l2": lambda x: (x**2).sum(axis=-1),
            "l1": lambda x: np.abs(x).sum(axis=-1),
            "l1-vector": lambda x: np.linalg.norm(x, axis=-1),
            "huber": lambda x: np.sqrt((x**2).sum(axis=-1) + 11**2) - 11,
        }
        for name, loss in losses.items():
            best = loss(best_ab(kind, name, hour) - ab) @ prob
            assert best <= (loss(away) @ prob).min() + 1e-6, (kind, name)


def test_medians_against_hand_worked_cases():
    assert weighted_median(np.array([5.0, -1.0, 2.0]), np.array([0.2, 0.3, 0.5])) == 2
    assert weighted_median(np.array([4.0, 0.0]), np.array([0.5, 0.5])) == 2
    # The Fermat point of a right isosceles triangle, legs 1: (t, t), t = (3 - sqrt 3) / 6.
    corner = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    t = (3 - 3**0.5) / 6
    np.testing.assert_allclose(geometric_median(corner, np.ones(3) / 3), [t, t], atol=1e-6)
    # An obtuse corner of more than 120 degrees is itself the minimiser.
    wide = np.array([[0.0, 0.0], [1.0, 0.1], [-1.0, 0.1]])
    np.testing.assert_array_equal(geometric_median(wide, np.ones(3) / 3), [0, 0])


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
