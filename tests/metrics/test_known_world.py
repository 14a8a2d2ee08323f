"""The known world on models whose answers are known, its table, and the calibration of samples."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy import stats

from colorlab.classical import Gray, Oracle
from colorlab.color import downsample_chroma, join, rgb_to_lab
from colorlab.data.loaders import make_batch
from colorlab.data.scenes import PALETTES, SEVERAL_COLOURED, ab_fields, best_ab, render, scene_set
from colorlab.figures import filled, painted_colours
from colorlab.metrics import Evaluation, evaluate_known, in_prediction_set
from colorlab.metrics import known_world as module
from colorlab.metrics.known_world import (
    ExactDraws,
    energy_distance,
    exact_answer,
    exact_samples,
    known_world,
    mean_over_things,
    painted_objects,
    palette_frequencies,
    score_by_kind,
)
from colorlab.metrics.rows import KNOWN

COUNT = 12


@pytest.fixture(scope="module")
def scenes():
    return scene_set(COUNT, size=128, split="val")


@pytest.fixture(scope="module")
def many():
    return scene_set(64, size=128, split="test")


@pytest.fixture(scope="module")
def truth(many):
    return np.stack([ab_fields(many.seeds[i], 128, ("truth",)) for i in range(40)], axis=1)


@pytest.fixture(scope="module")
def best(scenes):
    """The exact L2 answer as one answer (1, N, 2, S, S)."""
    return torch.as_tensor(scenes.optimal("l2")).float()[None]


def by_kind(rows):
    return {row["kind"]: row for row in rows}


def with_kind(scenes, kind: str) -> list[int]:
    return [i for i, kinds in enumerate(scenes.kinds) if kind in kinds]


# --- counts of palette colours


def test_true_pictures_hold_palette_colours_as_often_as_they_were_drawn(many, truth):
    drawn = [many.things[o.scene][o.index] for o in painted_objects(torch.tensor(truth), many)]
    rows = palette_frequencies(truth, many)
    assert [row["kind"] for row in rows] == [k for k in SEVERAL_COLOURED if k in by_kind(rows)]
    assert len(rows) >= 6
    for row in rows:
        choices = [thing.choice for thing in drawn if thing.kind == row["kind"]]
        assert row["things"] == len(choices)
        shares = np.bincount(choices, minlength=len(row["prob"])) / len(choices)
        np.testing.assert_allclose(row["frequency"], shares)
        assert row["between"] == 0
        assert row["differ"] is None
    # The sampling noise explains the distance from the stated probabilities.
    distance, noise = (np.mean([row[k] for row in rows]) for k in ("total_variation", "noise"))
    assert distance < 1.6 * noise
    coarse = downsample_chroma(torch.from_numpy(truth[0]))[None]
    assert coarse.shape[-1] == 32
    for row, full in zip(palette_frequencies(coarse, many), rows, strict=True):
        np.testing.assert_allclose(row["frequency"], full["frequency"], atol=0.05)


def test_an_exact_sampler_covers_every_colour_and_varies_as_stated(many, truth):
    chosen = with_kind(many, "balloon")[:12]
    balloon = by_kind(palette_frequencies(exact_samples(many, 8, chosen), many, chosen))["balloon"]
    assert balloon["things"] >= 12
    assert balloon["coverage"] == 1
    assert balloon["between"] == 0
    assert balloon["total_variation"] < 3 * balloon["noise"] < 0.2
    assert balloon["differ"] == pytest.approx(balloon["stated_differ"], abs=0.1)
    # The truth n times: good frequencies, and no diversity at all.
    for row in palette_frequencies(truth.repeat(3, axis=0), many):
        assert row["differ"] == 0
        assert row["stated_differ"] > 0.4


def test_the_exact_l2_answer_is_no_colour_of_the_palette(many):
    answer = many.optimal("l2", range(20))[None].repeat(3, axis=0)
    for row in palette_frequencies(answer, many, range(20)):
        assert row["differ"] == 0
        if row["kind"] == "sail":  # its mean is nearly white, one of its colours
            assert row["coverage"] <= 1 / 3
        else:
            assert row["coverage"] == 0
            assert row["between"] == row["total_variation"] == 1


def test_gray_with_a_little_noise_fools_nearest_counting_only(many):
    chosen = with_kind(many, "tent")
    noise = np.random.default_rng(0).normal(size=(64, len(chosen), 2, 1, 1)) * 2
    hours = [np.reshape(best_ab("tent", "l2", many.hours[i]), (2, 1, 1)) for i in chosen]
    ab = (noise + np.stack(hours)).repeat(8, axis=-1).repeat(8, axis=-2)
    tent = by_kind(palette_frequencies(ab, many, chosen))["tent"]
    assert tent["nearest_variation"] < 0.1
    assert tent["total_variation"] == 1


def test_a_dropped_colour_is_not_covered_and_things_count_one_by_one(many):
    for i in range(64):
        apples = [k for k, kind in enumerate(many.kinds[i]) if kind == "apple"]
        if sum((many.regions[i] == k).sum() > 100 for k in apples) >= 2:
            break
    choices = {k: j % 2 for j, k in enumerate(apples)}  # red, yellow, red, ...; never green
    ab = render(many.seeds[i], 128, choices).lab[None, None, 1:]
    apple = by_kind(palette_frequencies(ab, many, [i]))["apple"]
    assert 2 <= apple["things"] <= len(apples)
    assert apple["frequency"][:2].min() > 0
    assert apple["coverage"] == pytest.approx(2 / 3)
    assert apple["total_variation"] >= PALETTES["apple"].prob[2] - 1e-9


@pytest.mark.parametrize(("p", "m"), [([0.3, 0.5, 0.2], 40), ([0.6, 0.4], 1)])
def test_noise_equals_the_expectation_in_closed_form(p, m):
    # De Moivre; see P. Diaconis, S. Zabell, Statist. Sci. 6, 1991.
    v = np.floor(m * np.array(p)) + 1
    want = (v * stats.binom.pmf(v, m, p) * (1 - np.array(p)) / m).sum()
    assert module._expected_variation(np.array(p), m) == pytest.approx(want, rel=1e-9)


def test_of_two_samples_that_differ_neither_lies_between_colours():
    nearest, hit = np.array([0, 1, 2]), np.array([True, False, True])
    row = module._frequencies("balloon", [(nearest, hit)])
    assert row["differ"] == pytest.approx(2 / 6), "of six ordered pairs only red with green"


def test_the_mean_over_things_counts_each_thing_once():
    rows = [{"things": 3, "differ": 0.5}, {"things": 1, "differ": 0.1}]
    assert mean_over_things(rows, "differ") == pytest.approx(0.4)


def test_scores_know_the_exact_floor():
    scenes = scene_set(12, 64, "test")
    rows = by_kind(score_by_kind(scenes.optimal("l2"), scenes))
    for kind, row in rows.items():
        assert row["to_best"] == pytest.approx(0, abs=1e-4)
        assert row["colours"] == len(PALETTES[kind])
        if len(PALETTES[kind]) == 1:
            assert row["to_truth"] < 0.2
    assert rows["balloon"]["to_truth"] > 20
    shifted = scenes.optimal("l2", [4, 2]) + np.array([3.0, 4.0])[:, None, None]
    for row in score_by_kind(shifted, scenes, [4, 2]):
        assert row["to_best"] == pytest.approx(5, abs=1e-3)
    with pytest.raises(ValueError, match="want ab of shape"):
        score_by_kind(shifted[..., :16], scenes)


def test_exact_draws_are_a_row_that_knows_its_scenes(many):
    drawn = exact_samples(many, 2, range(4))
    batch = make_batch(many.pictures.rgb[:4])
    row = ExactDraws(batch.L, drawn)
    np.testing.assert_array_equal(row.answers(batch.L[[2, 0]], 2), drawn[:, [2, 0]])
    # Lightness survives the way through 8-bit sRGB: the things of one colour are the truth's.
    off = (row.colorize(batch.L) - batch.rgb).abs().amax(dim=1)
    assert (off < 0.02).float().mean() > 0.5
    with pytest.raises(ValueError, match="n = 3"):
        row.answers(batch.L, 3)
    with pytest.raises(ValueError, match="none of the scenes"):
        row.answers(batch.L.flip(3), 1)


# --- scene by scene


def test_the_best_single_answer_is_at_no_distance_but_from_the_palette(scenes, best):
    measures = known_world(best, scenes)
    for name in ("to_best", "to_mean", "inside", "near_borders"):
        assert measures[name].shape == (COUNT,)
        assert measures[name].max() == 0
    assert measures["energy_distance"].min() > 5, "brown is no balloon"
    assert "held" not in measures
    for loss in ("l1", "huber"):
        answer = torch.as_tensor(scenes.optimal(loss)).float()[None]
        measures = known_world(answer, scenes, best=loss)
        assert measures["to_best"].max() == 0
        assert measures["to_mean"].max() > 1


def test_the_loss_of_a_model_says_which_answer_is_best():
    def model(**config):
        return SimpleNamespace(config=SimpleNamespace(**config))

    assert exact_answer(model(loss="mse")) == "l2"
    assert exact_answer(model(loss="l1")) == "l1"
    assert exact_answer(model(loss="huber")) == "huber"
    assert exact_answer(model(l1_weight=10.0)) == "l1"
    assert exact_answer(None) == exact_answer(model(sigma=6.0)) == "l2"


def test_errors_count_where_they_are(scenes, best):
    on_several, in_frame = best.clone(), best.clone()
    for i, kinds in enumerate(scenes.kinds):
        several = np.array([len(PALETTES[kind]) > 1 for kind in kinds])[scenes.regions[i]]
        on_several[0, i, 0, torch.from_numpy(several)] += 6
    measures = known_world(on_several, scenes)
    np.testing.assert_allclose(measures["to_mean"], 6, atol=1e-4)
    assert measures["inside"].max() == 0
    in_frame[..., :2] += 50
    assert known_world(in_frame, scenes)["near_borders"].max() == 0
    blurred = torch.nn.functional.avg_pool2d(best[0], 8)[None]
    measures = known_world(blurred, scenes)
    assert measures["near_borders"].mean() > 2 * measures["inside"].mean() > 0
    second = best[:, [3, 7]].clone()
    second[:, 1] += 4
    inside = known_world(second, scenes, [3, 7])["inside"]
    assert inside == pytest.approx([0, 4 * 2**0.5], abs=1e-4)


def test_exact_draws_follow_the_palette_and_are_calibrated(scenes, best):
    draws = torch.as_tensor(exact_samples(scenes, 9, seed=1))
    measures = known_world(draws, scenes)
    assert measures["inside"].mean() < 1e-3
    assert measures["near_borders"].mean() < 0.6
    assert measures["held"].mean() == pytest.approx(0.9, abs=0.06), "whatever is tied"
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


def test_painted_colours_are_means_over_the_inside(scenes, best):
    answers = torch.cat((best, best + 5))
    painted = list(painted_objects(answers, scenes))
    assert len(painted) > COUNT
    for thing in painted:
        palette = PALETTES[thing.kind]
        mean = torch.as_tensor(palette.prob @ palette.at(scenes.hours[thing.scene])).float()
        # A basket's ropes or a sill may cross what counts as inside.
        colours = thing.pixels.mean(dim=-1)
        torch.testing.assert_close(colours, torch.stack((mean, mean + 5)), atol=1, rtol=0)


def test_answers_of_another_shape_are_refused(scenes):
    wrong = ((1, COUNT + 1, 2, 32, 32), (1, 2, 3, 32, 32), (2, 2, 32, 32), (1, 2, 2, 129, 129))
    for shape in wrong:
        for measure in (known_world, palette_frequencies):
            with pytest.raises(ValueError, match="at most 12 scenes of 128x128"):
                measure(torch.zeros(shape), scenes)
    with pytest.raises(ValueError, match="2 scenes, but 1 indices"):
        known_world(torch.zeros(1, 2, 2, 32, 32), scenes, [0])


# --- the table

FEW, DRAWS = 6, 3


class Drawn:
    """A model that knows the scenes' exact answers, and draws about them."""

    deterministic = False

    def __init__(self, scenes):
        self.exact, self.next = torch.from_numpy(scenes.optimal("l2")), 0

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
    rows = {"gray": Gray(), "drawn": Drawn(scenes)}
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
    world = np.concatenate([exact_samples(few, DRAWS, range(i, i + 2), i) for i in (0, 2, 4)], 1)
    for row, counted in (("gray", gray), ("world", palette_frequencies(world, few))):
        for column in ("total_variation", "coverage"):
            mean, low, high = table.interval(row, column)
            assert mean == pytest.approx(mean_over_things(counted, column), abs=1e-9)
            assert low <= mean <= high


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
        assert len(again.details["ab"][row]) == len(again.details["things"]) == 3
    assert again.details["things"][0][0] == 1
    for i, index in again.details["things"]:
        assert (few.hours[i], few.kinds[i][index]) == ("evening", "balloon")
    assert again.provenance["exact_answer"] == {"gray": "l2", "drawn": "l2", "world": "l2"}
    assert "▲" in again.to_markdown(ties=True)
    assert "▲" not in again.to_markdown(ties=True).splitlines()[-3], "the world leads by right"


def test_what_cannot_be_measured_is_refused(few):
    with pytest.raises(ValueError, match="at least 2 draws"):
        evaluate_known({"gray": Gray()}, few, 1)
    with pytest.raises(ValueError, match="0 models, 6 pictures"):
        evaluate_known({}, few)
    with pytest.raises(ValueError, match="at 32 pixels is too small"):
        evaluate_known({"gray": Gray()}, scene_set(4, size=32, split="val"), 2, progress=False)
    for rows in ({"oracle64": Oracle()}, {"world": Gray()}):
        with pytest.raises(ValueError, match=f"'{next(iter(rows))}' is no model"):
            evaluate_known(rows, few)


def test_a_panel_a_model_and_a_thing_in_its_scene(table, few):
    captions = {"world": "draws", "gray": "one answer"}
    first, second, *strips = painted_colours(table.details, few, captions).axes
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


@pytest.mark.parametrize(
    ("n", "level", "noise"),
    # Of a palette without noise most distances are 0; of few draws, two are often each other's
    # nearest. If equal distances counted as inside: .963 and .576 for the last two.
    [(9, 0.9, 2.0), (19, 0.5, 2.0), (8, 0.7, 2.0), (9, 0.9, 0.0), (5, 0.5, 2.0)],
)
def test_truths_like_the_draws_are_covered_as_stated(n, level, noise):
    together = palette(n + 1, noise=noise)
    inside = in_prediction_set(together[:-1], together[-1], level)
    assert inside.shape == (2, SIDE, SIDE)
    want = math.ceil(level * (n + 1)) / (n + 1)
    # Five standard errors of a share of 3,200 places.
    assert inside.float().mean().item() == pytest.approx(
        want, abs=5 * (want * (1 - want) / 3200) ** 0.5
    )


def test_draws_that_miss_a_colour_cover_too_little_and_wide_ones_too_much():
    truth = palette(1, seed=1)[0]
    assert not in_prediction_set(palette(1).expand(9, -1, -1, -1, -1), truth).any(), "no variety"
    missing = in_prediction_set(palette(19, prob=(0.375, 0.625, 0.0)), truth)
    assert missing.float().mean().item() == pytest.approx(0.8 * 0.9, abs=0.05)
    assert in_prediction_set(palette(19, noise=0.5), truth).float().mean() < 0.4
    assert in_prediction_set(palette(19, noise=8.0), truth).float().mean() > 0.95


def test_a_set_may_be_islands():
    draws = palette(29, noise=1.0)
    middle = draws.mean(dim=0)  # the mean of three colours is no colour of them
    assert in_prediction_set(draws, middle).float().mean() < 0.02
    assert in_prediction_set(draws[1:], draws[0]).float().mean() > 0.85


def test_bad_arguments_of_a_set_are_told():
    draws, truth = palette(3), palette(1)[0]
    for level in (0.0, 1.0):
        with pytest.raises(ValueError, match="a level in"):
            in_prediction_set(draws, truth, level)
    with pytest.raises(ValueError, match=r"2 draws or more .*got 1"):
        in_prediction_set(draws[:1], truth)
    with pytest.raises(ValueError, match=r"truth \(N, 2, h, w\)"):
        in_prediction_set(draws, truth[:1])
