"""Prediction sets: exact where truths are like the draws, wrong where they are not."""

from __future__ import annotations

import pytest
import torch

from colorlab.metrics.calibration import exact_coverage, in_prediction_set

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
def test_bad_arguments_are_told(level):
    draws, truth = palette(3), palette(1)[0]
    with pytest.raises(ValueError, match="level must lie in"):
        in_prediction_set(draws, truth, level)
    with pytest.raises(ValueError, match="two draws, got 1"):
        in_prediction_set(draws[:1], truth)
    with pytest.raises(ValueError, match=r"truth \(N, 2, h, w\)"):
        in_prediction_set(draws, truth[:1])
