"""Predictions against the known colours: predictors and samplers whose scores are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats

from colorlab.color import downsample_chroma
from colorlab.data.loaders import make_batch
from colorlab.data.scenes import (
    PALETTES,
    SEVERAL_COLOURED,
    ExactDraws,
    ab_fields,
    best_ab,
    exact_samples,
    mean_over_things,
    palette_frequencies,
    render,
    scene_set,
    score_by_kind,
)
from colorlab.data.scenes.scores import _expected_variation

N = 40


@pytest.fixture(scope="module")
def scenes():
    return scene_set(64, size=128, split="test")


@pytest.fixture(scope="module")
def truth(scenes):
    return np.stack([ab_fields(scenes.seeds[i], 128, ("truth",)) for i in range(N)], axis=1)


def by_kind(rows):
    return {row["kind"]: row for row in rows}


def test_true_pictures_hold_palette_colours_as_often_as_they_were_drawn(scenes, truth):
    rows = palette_frequencies(truth, scenes)
    assert len(rows) >= 6
    counted = 0
    for row in rows:
        np.testing.assert_allclose(row["frequency"], row["truth_frequency"])
        assert row["between"] == 0
        assert row["total_variation"] == pytest.approx(row["truth_variation"])
        assert row["differ"] is None
        counted += row["things"] + row["too_small"]
    several = [t for i in range(N) for t in scenes.things[i] if t.kind in SEVERAL_COLOURED]
    assert counted == len(several)
    # The drawn world keeps its word: the sampling noise explains the distance.
    assert np.mean([row["truth_variation"] for row in rows]) < 1.6 * np.mean(
        [row["noise"] for row in rows]
    )


def test_coarse_chroma_counts_as_full_chroma_does(scenes, truth):
    coarse = downsample_chroma(torch.from_numpy(truth[0]))[None]
    assert coarse.shape[-1] == 32
    for row in palette_frequencies(coarse, scenes):
        assert row["between"] <= 0.05
        np.testing.assert_allclose(row["nearest"], row["truth_frequency"])


def test_an_exact_sampler_covers_every_colour_and_varies_as_stated(scenes):
    chosen = [i for i in range(64) if any(t.kind == "balloon" for t in scenes.things[i])][:12]
    rows = by_kind(palette_frequencies(exact_samples(scenes, 8, chosen), scenes, chosen))
    balloon = rows["balloon"]
    assert balloon["things"] >= 12
    assert balloon["coverage"] == 1
    assert balloon["between"] == 0
    assert balloon["total_variation"] < 3 * balloon["noise"] < 0.2
    assert balloon["differ"] == pytest.approx(balloon["stated_differ"], abs=0.1)


def test_the_exact_l2_answer_is_no_colour_of_the_palette(scenes):
    chosen = range(20)
    answer = scenes.optimal("l2", chosen)[None].repeat(3, axis=0)
    for row in palette_frequencies(answer, scenes, chosen):
        assert row["differ"] == 0
        # Nearest-colour counting gives all to one colour (the tent's gray is a tie).
        assert row["nearest"].max() == pytest.approx(1) or row["kind"] == "tent"
        if row["kind"] == "sail":  # its mean is nearly white, one of its colours
            assert row["coverage"] <= 1 / 3
        else:
            assert row["coverage"] == 0
            assert row["between"] == row["total_variation"] == 1


def test_gray_with_a_little_noise_fools_nearest_counting_only(scenes):
    chosen = [i for i in range(64) if any(t.kind == "tent" for t in scenes.things[i])]
    noise = np.random.default_rng(0).normal(size=(64, len(chosen), 2, 1, 1)) * 2
    hours = [np.reshape(best_ab("tent", "l2", scenes.hours[i]), (2, 1, 1)) for i in chosen]
    ab = (noise + np.stack(hours)).repeat(8, axis=-1).repeat(8, axis=-2)
    tent = by_kind(palette_frequencies(ab, scenes, chosen))["tent"]
    assert tent["nearest_variation"] < 0.1
    assert tent["total_variation"] == 1


def test_a_model_that_never_varies_is_found_out(scenes, truth):
    """The truth n times: good frequencies, and no diversity at all."""
    for row in palette_frequencies(truth.repeat(3, axis=0), scenes):
        assert row["differ"] == 0
        assert row["stated_differ"] > 0.4


def test_a_dropped_colour_is_not_covered_and_things_count_one_by_one(scenes):
    for i in range(64):
        apples = [k for k, kind in enumerate(scenes.kinds[i]) if kind == "apple"]
        if sum((scenes.regions[i] == k).sum() > 100 for k in apples) >= 2:
            break
    choices = {k: j % 2 for j, k in enumerate(apples)}  # red, yellow, red, ...; never green
    ab = render(scenes.seeds[i], 128, choices).lab[None, None, 1:]
    apple = by_kind(palette_frequencies(ab, scenes, [i]))["apple"]
    assert apple["things"] + apple["too_small"] == len(apples)
    assert apple["frequency"][0] > 0
    assert apple["frequency"][1] > 0
    assert apple["coverage"] == pytest.approx(2 / 3)
    assert apple["total_variation"] >= PALETTES["apple"].prob[2] - 1e-9


@pytest.mark.parametrize(("p", "m"), [([0.3, 0.5, 0.2], 40), ([1 / 3] * 3, 7), ([0.6, 0.4], 1)])
def test_noise_equals_the_expectation_over_all_binomial_outcomes(p, m):
    k = np.arange(m + 1)
    want = sum((stats.binom.pmf(k, m, q) * abs(k / m - q)).sum() for q in p) / 2
    assert _expected_variation(np.array(p), m) == pytest.approx(want, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, scenes: palette_frequencies(x[0], scenes), r"\(n, N, 2, S, S\)"),
        (lambda x, scenes: palette_frequencies(x, scenes, range(3)), "3 scenes"),
        (lambda x, scenes: palette_frequencies(x, scenes, near=0.7), "near"),
        (lambda x, scenes: score_by_kind(x[0, ..., :16], scenes), "want ab of shape"),
    ],
)
def test_wrong_shapes_and_shares_are_refused(scenes, truth, call, message):
    with pytest.raises(ValueError, match=message):
        call(truth, scenes)


def test_exact_draws_are_a_row_that_knows_its_scenes(scenes):
    drawn = exact_samples(scenes, 2, range(4))
    batch = make_batch(scenes.pictures.rgb[:4])
    row = ExactDraws(batch.L, drawn)
    back = row.answers(batch.L[[2, 0]], 2)
    np.testing.assert_array_equal(back, drawn[:, [2, 0]])
    # Lightness survives the way through 8-bit sRGB: the things of one colour are the truth's.
    off = (row.colorize(batch.L) - batch.rgb).abs().amax(dim=1)
    assert (off < 0.02).float().mean() > 0.5
    with pytest.raises(ValueError, match="n = 3"):
        row.answers(batch.L, 3)
    with pytest.raises(ValueError, match="none of the scenes"):
        row.answers(batch.L.flip(3), 1)


def test_the_mean_over_things_counts_each_thing_once():
    rows = [
        {"things": 3, "differ": 0.5},
        {"things": 1, "differ": 0.1},
        {"things": 0, "differ": None},
    ]
    assert mean_over_things(rows, "differ") == pytest.approx(0.4)


def test_scores_know_the_exact_floor():
    scenes = scene_set(12, 64, "test")
    rows = {row["kind"]: row for row in score_by_kind(scenes.optimal("l2"), scenes)}
    for kind, row in rows.items():
        assert row["to_best"] == pytest.approx(0, abs=1e-4)
        assert row["to_truth"] == pytest.approx(row["best_to_truth"], abs=1e-4)
        if len(PALETTES[kind]) == 1:
            assert row["to_truth"] < 0.2
    assert rows["balloon"]["to_truth"] > 20
    shifted = scenes.optimal("l2", [4, 2]) + np.array([3.0, 4.0])[:, None, None]
    for row in score_by_kind(shifted, scenes, [4, 2]):
        assert row["to_best"] == pytest.approx(5, abs=1e-3)
