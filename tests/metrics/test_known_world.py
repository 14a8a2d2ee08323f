"""The known world measured on models whose answers are known: the exact ones, gray, and leaks."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from colorlab.data.scenes import PALETTES, exact_samples, scene_set
from colorlab.metrics.known_world import (
    energy_distance,
    exact_answer,
    known_world,
    painted_things,
)

COUNT = 12


@pytest.fixture(scope="module")
def scenes():
    return scene_set(COUNT, size=128, split="val")


@pytest.fixture(scope="module")
def best(scenes):
    """The exact L2 answer as one answer (1, N, 2, S, S)."""
    return torch.as_tensor(scenes.optimal("l2")).float()[None]


def test_the_best_single_answer_is_at_no_distance_but_from_the_palette(scenes, best):
    measures = known_world(best, scenes)
    for name in ("to_best", "to_mean", "inside", "near_borders"):
        assert measures[name].shape == (COUNT,)
        assert measures[name].max() == 0
    assert measures["energy_distance"].min() > 5, "brown is no balloon"
    assert "held" not in measures


def test_each_loss_has_its_own_best_answer(scenes):
    for loss in ("l1", "l1-vector"):
        answer = torch.as_tensor(scenes.optimal(loss)).float()[None]
        measures = known_world(answer, scenes, best=loss)
        assert measures["to_best"].max() == 0
        assert measures["to_mean"].max() > 1


def test_the_loss_of_a_model_says_which_answer_is_best():
    def model(**config):
        return SimpleNamespace(config=SimpleNamespace(**config))

    assert exact_answer(model(loss="mse")) == "l2"
    assert exact_answer(model(loss="l1")) == "l1"
    assert exact_answer(model(loss="huber")) == "l1-vector"
    assert exact_answer(model(l1_weight=10.0)) == "l1"
    assert exact_answer(None) == exact_answer(model(sigma=6.0)) == "l2"


def test_an_error_on_things_of_several_colours_is_no_error_on_plain_ones(scenes, best):
    fields = best.clone()
    for i, kinds in enumerate(scenes.kinds):
        several = np.array([len(PALETTES[kind]) > 1 for kind in kinds])[scenes.regions[i]]
        fields[0, i, 0, torch.from_numpy(several)] += 6
    measures = known_world(fields, scenes)
    np.testing.assert_allclose(measures["to_mean"], 6, atol=1e-4)
    assert measures["inside"].max() == 0


def test_gray_is_off_by_the_chroma_of_the_mean(scenes):
    measures = known_world(torch.zeros(1, COUNT, 2, 32, 32), scenes)
    assert measures["to_mean"].mean() > 3
    assert measures["inside"].mean() > 10


def test_exact_draws_follow_the_palette_and_are_calibrated(scenes, best):
    draws = torch.as_tensor(exact_samples(scenes, 9, seed=1))
    measures = known_world(draws, scenes)
    assert measures["inside"].mean() < 1e-3
    assert measures["near_borders"].mean() < 0.6
    assert measures["held"].mean() > 0.8
    single = known_world(best, scenes)["energy_distance"]
    assert abs(measures["energy_distance"].mean()) < 0.25 * single.mean()
    same = known_world(draws[:1].expand(9, -1, -1, -1, -1), scenes)
    assert same["energy_distance"].mean() > single.mean(), "one answer nine times is not varied"
    assert same["to_mean"].mean() > measures["to_mean"].mean()


def test_the_energy_distance_of_two_points_is_known_by_hand():
    palette, half = torch.tensor([[0.0, 0.0], [10.0, 0.0]]), torch.tensor([0.5, 0.5])
    # Always the first colour: 2 * 5 - 0 - 5.
    assert energy_distance(palette[:1], palette, half) == pytest.approx(5)
    # Both, once each: 2 * 5 - 10 - 5, below 0 as the pair without repetition is too varied.
    assert energy_distance(palette, palette, half) == pytest.approx(-5)
    generator = torch.Generator().manual_seed(0)
    drawn = palette[(torch.rand(20_000, generator=generator) < 0.5).long()]
    assert energy_distance(drawn, palette, half) == pytest.approx(0, abs=0.05)


def test_blurred_colours_leak_at_borders_only(scenes, best):
    measures = known_world(torch.nn.functional.avg_pool2d(best[0], 8)[None], scenes)
    assert measures["near_borders"].mean() > 2 * measures["inside"].mean() > 0


def test_the_frame_of_the_picture_is_no_border(scenes, best):
    fields = best.clone()
    fields[..., :2] += 50
    assert known_world(fields, scenes)["near_borders"].max() == 0


def test_a_scene_counts_for_itself(scenes, best):
    fields = best[:, [3, 7]].clone()
    fields[:, 1] += 4
    measures = known_world(fields, scenes, [3, 7])
    assert measures["inside"][0] == 0
    assert measures["inside"][1] == pytest.approx(4 * 2**0.5, abs=1e-4)


def test_painted_colours_are_means_over_the_inside(scenes, best):
    answers = best.repeat(2, 1, 1, 1, 1)
    answers[1] += 5
    painted = list(painted_things(answers, scenes))
    assert len(painted) > COUNT
    for i, index, colours in painted:
        palette = PALETTES[scenes.kinds[i][index]]
        mean = torch.as_tensor(palette.prob @ palette.at(scenes.hours[i])).float()
        # A basket's ropes or a sill may cross what counts as inside.
        torch.testing.assert_close(colours, torch.stack((mean, mean + 5)), atol=1, rtol=0)


def test_what_cannot_be_measured_is_refused(scenes):
    for shape in ((1, COUNT + 1, 2, 32, 32), (1, 2, 3, 32, 32), (2, 2, 32, 32)):
        with pytest.raises(ValueError, match="at most 12 scenes"):
            known_world(torch.zeros(shape), scenes)
    with pytest.raises(ValueError, match="2 scenes, but 1 indices"):
        known_world(torch.zeros(1, 2, 2, 32, 32), scenes, [0])
