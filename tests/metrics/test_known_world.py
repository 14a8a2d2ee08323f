"""The known world on models whose answers are known, its table, and the calibration of samples."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from colorlab.classical import Gray, Oracle
from colorlab.color import join, rgb_to_lab
from colorlab.data.scenes import (
    PALETTES,
    exact_samples,
    mean_over_things,
    palette_frequencies,
    scene_set,
)
from colorlab.figures import filled, painted_colours
from colorlab.metrics import (
    Evaluation,
    evaluate_known,
    exact_coverage,
    in_prediction_set,
)
from colorlab.metrics import (
    known_world as module,
)
from colorlab.metrics.known_world import (
    energy_distance,
    exact_answer,
    known_world,
    painted_things,
)
from colorlab.metrics.protocol import KNOWN

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


def test_answers_of_another_shape_are_refused(scenes):
    for shape in ((1, COUNT + 1, 2, 32, 32), (1, 2, 3, 32, 32), (2, 2, 32, 32)):
        with pytest.raises(ValueError, match="at most 12 scenes"):
            known_world(torch.zeros(shape), scenes)
    with pytest.raises(ValueError, match="2 scenes, but 1 indices"):
        known_world(torch.zeros(1, 2, 2, 32, 32), scenes, [0])


# --- the table

FEW, DRAWS = 6, 3


class Drawn:
    """A model that knows the scenes' exact answers, and draws about them."""

    deterministic = False

    def __init__(self, scenes):
        self.exact = torch.from_numpy(scenes.optimal("l2"))

    def answers(self, L, n, generator):
        start, self.next = self.next, self.next + len(L)
        exact = self.exact[start : self.next]
        return exact + 3 * torch.randn((n, *exact.shape), generator=generator)

    def colorize(self, L):
        return join(L, self.exact[: len(L)])


@pytest.fixture(scope="module")
def few():
    return scene_set(FEW, size=128, split="val")


def _table(scenes):
    drawn = Drawn(scenes)
    drawn.next = 0
    rows = {"gray": Gray(), "drawn": drawn}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "CHUNK", 2)
        patch.setattr(module, "SHOWN", ("balloon", "evening", 3))
        return evaluate_known(rows, scenes, DRAWS, n_resamples=200, progress=False)


@pytest.fixture(scope="module")
def table(few):
    return _table(few)


def test_the_world_itself_stands_last_and_nearest(table):
    assert table.models == ("gray", "drawn", "world")
    assert table.metrics == tuple(KNOWN)
    for column in ("energy_distance", "total_variation", "near_borders", "inside"):
        means = [table.interval(row, column).mean for row in table.models]
        assert min(means) == means[2] < means[0], column
    assert table.interval("world", "coverage").mean > 0.8
    assert table.interval("gray", "coverage").mean < 0.6
    assert table.interval("gray", "held") is None, "one answer has no sets"
    assert table.interval("drawn", "to_mean").mean < 4
    assert "world" in table.notes[0]


def test_the_palettes_are_counted_over_all_scenes(table, few):
    gray = palette_frequencies(torch.zeros(1, FEW, 2, 32, 32), few)
    for column in ("total_variation", "coverage"):
        low, mean, high = (
            getattr(table.interval("gray", column), x) for x in ("low", "mean", "high")
        )
        assert mean == pytest.approx(mean_over_things(gray, column), abs=1e-9)
        assert low <= mean <= high
    assert table.interval("gray", "total_variation").high > 0


def test_a_shorter_set_has_the_same_first_scenes(table):
    short = _table(scene_set(4, size=128, split="val"))
    for row in short.models:
        for column, values in short.per_picture[row].items():
            np.testing.assert_array_equal(values, table.per_picture[row][column][:4])
    assert short.rows != table.rows


def test_what_is_kept_survives_the_file(table, few, tmp_path):
    table.to_json(tmp_path / "table.json")
    again = Evaluation.read(tmp_path / "table.json")
    assert again.details == table.details
    assert set(again.per_picture["world"]) == {"to_best", "energy_distance", "near_borders", "held"}
    for row in table.models:
        assert len(again.details["ab"][row]) == len(again.details["things"])
    assert again.details["things"][0][0] == 1 and len(again.details["things"]) == 3
    for i, index in again.details["things"]:
        assert (few.hours[i], few.kinds[i][index]) == ("evening", "balloon")
    assert again.provenance["exact_answer"] == {"gray": "l2", "drawn": "l2", "world": "l2"}
    assert "▲" in again.to_markdown(ties=True)
    assert "▲" not in again.to_markdown(ties=True).splitlines()[-3], "the world leads by right"


def test_what_cannot_be_measured_is_refused(few):
    with pytest.raises(ValueError, match="at least 2 draws"):
        evaluate_known({"gray": Gray()}, few, 1)
    with pytest.raises(ValueError, match="0 models, 6 scenes"):
        evaluate_known({}, few)
    with pytest.raises(ValueError, match="at 32 pixels is too small"):
        evaluate_known({"gray": Gray()}, scene_set(4, size=32, split="val"), 2, progress=False)
    for rows in ({"oracle64": Oracle()}, {"world": Gray()}):
        with pytest.raises(ValueError, match=f"'{next(iter(rows))}' is no model"):
            evaluate_known(rows, few)


def test_a_panel_a_model_and_a_thing_in_its_scene(table, few):
    captions = {"world": "draws", "gray": "one answer"}
    figure = painted_colours(table.details, few, captions)
    first, second, *strips = figure.axes
    assert [ax.get_title() for ax in (first, second)] == ["world\ndraws", "gray\none answer"]
    count = len(table.details["things"])
    _, rings, dots = (c.get_offsets() for c in first.collections)
    assert (len(rings), len(dots)) == (3, DRAWS * count)
    assert len(second.collections[2].get_offsets()) == count
    assert all(len(ax.images) == 1 for ax in strips)
    with pytest.raises(ValueError, match="at least one row"):
        painted_colours(table.details, few, {})


def test_a_filled_thing_has_the_colour_and_the_scene_its_own(table, few):
    i, index = table.details["things"][0]
    colours = [[20.0, 30.0], [-20.0, 10.0]]
    cut = filled(few, i, index, colours)
    assert cut.shape[0] == 2 and cut.shape[2] == cut.shape[3]
    changed = (cut[0] - cut[1]).abs().amax(dim=0) > 0.01
    mask = np.asarray(few.regions[i]) == index
    assert 0.9 * mask.sum() <= changed.sum() <= mask.sum()
    ab = rgb_to_lab(cut)[:, 1:, changed].median(dim=-1).values
    torch.testing.assert_close(ab, torch.tensor(colours), atol=1, rtol=0)


# --- calibration

SIDE = 40


def palette(n: int, seed: int = 0, prob=(0.3, 0.5, 0.2), noise: float = 2.0) -> torch.Tensor:
    """n colourings (n, 2, 2, SIDE, SIDE), each place by itself, of three colours and noise."""
    g = torch.Generator().manual_seed(seed)
    colours = torch.tensor([[52.0, 30.0], [4.0, -42.0], [-40.0, 32.0]])
    chosen = torch.multinomial(torch.tensor(prob), n * 2 * SIDE**2, True, generator=g)
    ab = colours[chosen].view(n, 2, SIDE, SIDE, 2).permute(0, 1, 4, 2, 3)
    return ab + noise * torch.randn(ab.shape, generator=g)


@pytest.mark.parametrize(("n", "level"), [(9, 0.9), (19, 0.9), (19, 0.5), (8, 0.7)])
def test_truths_like_the_draws_are_covered_as_stated(n, level):
    together = palette(n + 1)
    inside = in_prediction_set(together[:-1], together[-1], level)
    assert inside.shape == (2, SIDE, SIDE)
    want = exact_coverage(n, level)
    assert level <= want < level + 1 / (n + 1)
    # Five standard errors of a share of 3,200 places.
    assert inside.float().mean().item() == pytest.approx(
        want, abs=5 * (want * (1 - want) / 3200) ** 0.5
    )


def test_one_sure_answer_covers_nothing():
    answer = palette(1).expand(9, -1, -1, -1, -1)
    assert not in_prediction_set(answer, palette(1, seed=1)[0]).any()


def test_draws_that_miss_a_colour_cover_too_little_and_wide_ones_too_much():
    truth = palette(1, seed=1)[0]
    missing = in_prediction_set(palette(19, prob=(0.375, 0.625, 0.0)), truth)
    assert missing.float().mean().item() == pytest.approx(0.8 * 0.9, abs=0.05)
    narrow = in_prediction_set(palette(19, noise=0.5), truth)
    wide = in_prediction_set(palette(19, noise=8.0), truth)
    assert narrow.float().mean() < 0.4
    assert wide.float().mean() > 0.95


def test_a_set_may_be_islands():
    draws = palette(29, noise=1.0)
    middle = draws.mean(dim=0)  # the mean of three colours is no colour of them
    assert in_prediction_set(draws, middle).float().mean() < 0.02
    assert in_prediction_set(draws[1:], draws[0]).float().mean() > 0.85


@pytest.mark.parametrize("level", [0.0, 1.0])
def test_bad_arguments_of_a_set_are_told(level):
    draws, truth = palette(3), palette(1)[0]
    with pytest.raises(ValueError, match="level must lie in"):
        in_prediction_set(draws, truth, level)
    with pytest.raises(ValueError, match="two draws, got 1"):
        in_prediction_set(draws[:1], truth)
    with pytest.raises(ValueError, match=r"truth \(N, 2, h, w\)"):
        in_prediction_set(draws, truth[:1])
