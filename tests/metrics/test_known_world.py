"""The known world measured on models whose answers are known: the exact ones, gray, and leaks."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from colorlab.data.scenes import PALETTES, exact_samples, scene_set
from colorlab.metrics.known_world import colours_of, known_world
from colorlab.plots_known import painted_colours

COUNT = 12


@pytest.fixture(scope="module")
def scenes():
    return scene_set(COUNT, size=128, split="val")


@pytest.fixture(scope="module")
def best(scenes):
    """The exact L2 answer as one answer (1, N, 2, S, S)."""
    return torch.as_tensor(scenes.optimal("l2")).float()[None]


def test_the_best_single_answer_is_at_no_distance_and_covers_little(scenes, best):
    measures = known_world(best, scenes)
    assert measures["draws"] == 1
    assert measures["to_mean"] == measures["inside"] == measures["near_borders"] == 0
    assert measures["total_variation"] > 0.6, "brown is no balloon"
    assert measures["held"] is None


def test_an_error_on_things_of_several_colours_is_no_error_on_plain_ones(scenes, best):
    fields = best.clone()
    for i, kinds in enumerate(scenes.kinds):
        several = np.array([len(PALETTES[kind]) > 1 for kind in kinds])[scenes.regions[i]]
        fields[0, i, 0, torch.from_numpy(several)] += 6
    measures = known_world(fields, scenes)
    assert measures["to_mean"] == pytest.approx(6, abs=1e-4)
    assert measures["inside"] == 0


def test_gray_is_off_by_the_chroma_of_the_mean(scenes):
    measures = known_world(torch.zeros(1, COUNT, 2, 32, 32), scenes)
    assert measures["to_mean"] > 3 and measures["inside"] > 10


def test_exact_draws_are_varied_and_calibrated(scenes):
    draws = torch.as_tensor(exact_samples(scenes, 9, seed=1))
    measures = known_world(draws, scenes)
    assert measures["draws"] == 9
    assert measures["total_variation"] < measures["noise"] + 0.12
    assert measures["coverage"] > 0.9 and measures["between"] < 0.05
    assert measures["inside"] < 1e-3 and measures["near_borders"] < 0.6
    assert measures["held"] > 0.8
    same = known_world(draws[:1].expand(9, -1, -1, -1, -1), scenes)
    assert same["coverage"] < measures["coverage"], "one answer nine times is not varied"
    assert same["to_mean"] > measures["to_mean"]


def test_blurred_colours_leak_at_borders_only(scenes, best):
    measures = known_world(torch.nn.functional.avg_pool2d(best[0], 8)[None], scenes)
    assert measures["near_borders"] > 2 * measures["inside"] > 0


def test_the_frame_of_the_picture_is_no_border(scenes, best):
    fields = best.clone()
    fields[..., :2] += 50
    assert known_world(fields, scenes)["near_borders"] == 0


def test_painted_colours_are_means_over_the_inside(scenes, best):
    hour = next(
        hour for hour, kinds in zip(scenes.hours, scenes.kinds, strict=True) if "balloon" in kinds
    )
    answers = best.repeat(2, 1, 1, 1, 1)
    answers[1] += 5
    painted = colours_of(answers, scenes, "balloon", hour)
    mean = torch.as_tensor(PALETTES["balloon"].at(hour)).T @ torch.as_tensor(
        PALETTES["balloon"].prob
    )
    assert len(painted) % 2 == 0 and len(painted) > 0
    distance = torch.minimum((painted - mean).norm(dim=1), (painted - mean - 5).norm(dim=1))
    assert distance.max() < 1e-2
    assert colours_of(answers, scenes, "balloon", hour, smallest=10**6).shape == (0, 2)
    figure = painted_colours({"exact": painted, "none": painted[:0]}, "balloon", hour)
    assert [ax.get_title() for ax in figure.axes] == ["exact", "none", ""], "the last is the legend"
    cross, rings, dots = (c.get_offsets() for c in figure.axes[0].collections)
    assert len(rings) == 3 and len(dots) == len(painted)
    np.testing.assert_allclose(cross[0], mean.numpy(), atol=1e-6)


def test_what_cannot_be_measured_is_refused(scenes):
    for shape in ((1, COUNT + 1, 2, 32, 32), (1, 2, 3, 32, 32), (2, 2, 32, 32)):
        with pytest.raises(ValueError, match="at most 12 scenes"):
            known_world(torch.zeros(shape), scenes)
    with pytest.raises(ValueError, match="'dragon'"):
        painted_colours({"x": torch.zeros(0, 2)}, "dragon", "noon")
