"""Checks that once accepted a wrong answer, or gave a hint that led nowhere, say what is wrong."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from course import FOLDER, read, tool

from colorlab.data.scenes import PALETTES
from colorlab.exercises import check
from colorlab.flow import zero_terminal_snr
from colorlab.metrics import bootstrap, delta_e76, paired_difference

EXERCISES = tool("exercises")


def check_cell(lesson: str, number: int) -> str:
    """The source of an exercise's check."""
    return EXERCISES.source(EXERCISES.pairs(read(FOLDER / "solutions" / lesson))[number - 1][1])


def said(capsys, code: str, names: dict) -> str:
    exec(code, {"check": check, "np": np, "torch": torch, **names})
    return capsys.readouterr().out


def paired(low: float, high: float, together: bool = True):
    """A bootstrap of a - b with these quantiles, or of a and b with different images."""

    def function(a, b, n_resamples=5000, seed=1):
        rng = np.random.default_rng(seed)
        first = rng.integers(len(a), size=(n_resamples, len(a)))
        second = first if together else rng.integers(len(a), size=(n_resamples, len(a)))
        means = (a[first] - b[second]).mean(axis=1)
        return (np.mean(a - b), *np.quantile(means, [low, high]))

    return function


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (paired(0.025, 0.975), "Correct"),
        (paired(0.05, 0.95), "too narrow for 95 %"),
        (paired(0.025, 0.975, together=False), "resample the differences"),
        (lambda a, b: (np.mean(a - b), *np.quantile(a - b, [0.025, 0.975])), "too wide"),
    ],
)
def test_a_paired_interval_must_be_one_of_95_percent(capsys, answer, reply):
    rng = np.random.default_rng(0)
    x = rng.normal(25, 5, 32)
    y = x - 2 + rng.normal(0, 3, 32)
    names = {
        "my_paired": answer,
        "paired_difference": paired_difference,
        "x": x,
        "y": y,
        "separate": {"gray": bootstrap(x)},
    }
    assert reply in said(capsys, check_cell("03_measuring_color.ipynb", 2), names)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ([(60, 64), (60, 192), (190, 128)], "Correct"),
        ([(10, 10), (10, 300), (200, 10)], "from 0 to 255"),
        ([(10, 10), (200, 10)], "exactly three pairs"),
        ([(10, 10), (11, 10), (10, 12)], "14.5 or more"),
        ([(60, 64)] * 3, "must differ"),
        ([(60.5, 64), (60, 192), (190, 128)], "whole numbers"),
    ],
)
def test_hints_outside_the_image_are_named(capsys, answer, reply):
    coffee = torch.zeros(1, 3, 256, 256)
    coffee[:, 0, :128, 128:] = coffee[:, 1, 128:] = 0.8

    def nearest(L, truth, mask):
        """Each pixel takes the colour of the nearest hint."""
        at = mask[0, 0].nonzero()
        grid = torch.cartesian_prod(torch.arange(256), torch.arange(256))
        best = at[torch.cdist(grid.float(), at.float()).argmin(dim=1)]
        return truth[:, :, best[:, 0], best[:, 1]].reshape(1, 2, 256, 256)

    from colorlab.color import join, lightness, rgb_to_lab

    names = {
        "my_hints": answer,
        "coffee": coffee,
        "levin": nearest,
        "L": lightness(coffee),
        "join": join,
        "rgb_to_lab": rgb_to_lab,
        "delta_e76": delta_e76,
    }
    assert reply in said(capsys, check_cell("02_classical.ipynb", 2), names)


def test_the_mean_is_answered_with_the_question_mean_or_median(capsys):
    from colorlab.color import join
    from colorlab.data.loaders import make_batch

    rgb = np.full((24, 128, 128, 3), 128, np.uint8)
    rgb[:, :40, :, 0] = 255  # a third of every image is red, the rest is gray
    rgb[:, :40, :, 1:] = 0

    class Scenes:
        pass

    Scenes.rgb = rgb
    names = {"scenes": Scenes, "make_batch": make_batch, "join": join, "delta_e76": delta_e76}
    code = check_cell("00_start_here.ipynb", 2)
    mean = make_batch(rgb).ab.mean(dim=(0, 2, 3)).tolist()
    assert "mean or the median" in said(capsys, code, names | {"one_ab": mean})
    assert "two numbers" in said(capsys, code, names | {"one_ab": (1.0, 2.0, 3.0)})
    assert "between -110 and 110" in said(capsys, code, names | {"one_ab": (np.nan, 0.0)})
    assert "still None" in said(capsys, code, names | {"one_ab": None})


@pytest.mark.parametrize(
    ("bugs", "reply"),
    [
        (("range", "bytes", "lightness", "absolute"), "Correct"),
        (("lightness", "bytes", "range", "absolute"), "exactly 1"),
        (("range", "absolute", "lightness", "bytes"), "11 dB too much"),
        (("range", "bytes", "range", "absolute"), "belongs to one report"),
        ((None, "bytes", "lightness", "absolute"), "no bug yet"),
    ],
)
def test_each_report_has_its_bug(capsys, bugs, reply):
    names = {"bugs": dict(zip("ABCD", bugs, strict=True))}
    assert reply in said(capsys, check_cell("03_measuring_color.ipynb", 5), names)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (lambda d, h: int(np.ceil((1.96 * np.std(d, ddof=1) / h) ** 2)), "Correct"),
        (lambda d, h: 1.96 * np.std(d, ddof=1) / h, "four times the images"),
        (lambda d, h: (1.96 * np.abs(d).mean() / h) ** 2, "1.96 standard deviations"),
        (lambda d, h: None, "return a number"),
    ],
)
def test_a_test_set_is_planned_from_the_paired_differences(capsys, answer, reply):
    rng = np.random.default_rng(0)
    x = rng.normal(25, 5, 32)
    names = {"images_needed": answer, "x": x, "y": x - 2 + rng.normal(0, 3, 32)}
    assert reply in said(capsys, check_cell("03_measuring_color.ipynb", 6), names)


def rows_by(change):
    """A mended system: the broken one of lesson 02 with its rows changed."""

    def function(L, variance):
        weight = np.exp(-(np.diff(L) ** 2) / variance)
        system = np.eye(len(L))
        for i in range(1, len(L) - 1):
            system[i, i - 1], system[i, i + 1] = change(-weight[i - 1], -weight[i])
        return system, np.eye(len(L))[-1]

    return function


@pytest.mark.parametrize(
    ("change", "reply"),
    [
        (lambda a, b: (a / -(a + b), b / -(a + b)), "Correct"),
        (lambda a, b: (a, b), "a mean of its neighbours"),
        (lambda a, b: (a / 2, b / 2), "keep the ratio"),
        (lambda a, b: (-0.5, -0.5), "keep the ratio"),
    ],
)
def test_a_system_of_scribbles_must_take_means(capsys, change, reply):
    names = {"mended_system": rows_by(change)}
    assert reply in said(capsys, check_cell("02_classical.ipynb", 5), names)


LESSON_10 = "10_diffusion.ipynb"
BETAS = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
BAR = (1 - BETAS).cumprod(dim=0)


def posterior(variance: str = "posterior", swapped: bool = False):
    def function(x0, x_t, t):
        before, rest = BAR[t - 1], 1 - BAR[t]
        first = before.sqrt() * BETAS[t] / rest
        second = (1 - BETAS[t]).sqrt() * (1 - before) / rest
        if swapped:
            first, second = second, first
        return first * x0 + second * x_t, {
            "posterior": (1 - before) / rest * BETAS[t],
            "step": BETAS[t],
            "deviation": ((1 - before) / rest * BETAS[t]).sqrt(),
            "upside down": rest / (1 - before) * BETAS[t],
            "this step's": rest / (1 - before) * BETAS[t] * ((1 - before) / rest) ** 3,
        }[variance]

    return function


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (posterior(), "Correct"),
        (posterior("step"), "smaller than betas[t]"),
        (posterior("deviation"), "smaller than betas[t]"),
        (posterior("upside down"), "smaller than betas[t]"),
        (posterior("this step's"), "not that of Bayes"),
        (posterior(swapped=True), "the weight of x_t"),
        (lambda x0, x_t, t: (posterior()(0 * x0, x_t, t)[0], posterior()(x0, x_t, t)[1]), "x_0"),
    ],
)
def test_a_posterior_needs_its_mean_and_its_variance(capsys, answer, reply):
    names = {"posterior": answer, "betas": BETAS, "alphas": 1 - BETAS, "alphas_bar": BAR}
    assert reply in said(capsys, check_cell(LESSON_10, 1), names)


def ddim_step(sigma=lambda eta, full: eta * full, old=lambda left, sigma: left - sigma**2):
    def function(x_t, eps, t, then, eta, z):
        x0 = (x_t - (1 - BAR[t]).sqrt() * eps) / BAR[t].sqrt()
        full = ((1 - BAR[then]) / (1 - BAR[t]) * (1 - BAR[t] / BAR[then])).sqrt()
        new = sigma(eta, full)
        return BAR[then].sqrt() * x0 + old(1 - BAR[then], new).sqrt() * eps + new * z

    return function


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (ddim_step(), "Correct"),
        (ddim_step(sigma=lambda eta, full: eta**0.5 * full), "not of the variance"),
        (ddim_step(sigma=lambda eta, full: eta * full**2), "the posterior's variance"),
        (ddim_step(old=lambda left, sigma: left), "both noises together"),
        (ddim_step(old=lambda left, sigma: (left.sqrt() - sigma) ** 2), "both noises together"),
        (lambda x_t, eps, t, then, eta, z: BAR[then].sqrt() * x_t, "the weight of the step `then`"),
    ],
)
def test_a_ddim_step_shares_its_variance(capsys, answer, reply):
    names = {"ddim_step": answer, "betas": BETAS, "alphas_bar": BAR}
    assert reply in said(capsys, check_cell(LESSON_10, 2), names)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (lambda c, u, x, name: u + (x + (name == "w")) * (c - u), "Correct"),
        (lambda c, u, x, name: u + x * (c - u), "w = 0 is"),
        (lambda c, u, x, name: u + (1 + x) * (c - u), "g = 1 is"),
        (lambda c, u, x, name: c + (x + (name == "w") - 1) * (u - c), "g = 0 is"),
    ],
)
def test_guidance_needs_both_conventions(capsys, answer, reply):
    assert reply in said(capsys, check_cell(LESSON_10, 3), {"guide": answer})


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (("target", "time", "sampler"), "Correct"),
        (("time", "target", "sampler"), "run A predicts as badly"),
        (("target", "start", "sampler"), "run B"),
        (("target", "time", "start"), "run C gives one colour"),
        (("sampler", "time", "target"), "run C predicts the noise as well"),
        ((None, "time", "sampler"), "still None"),
    ],
)
def test_each_broken_run_has_its_cause(capsys, answer, reply):
    names = {"causes": dict(zip("ABC", answer, strict=True))}
    assert reply in said(capsys, check_cell(LESSON_10, 4), names)


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        ([round(999 * (1 - (i / 10) ** 1.5)) for i in range(10)], "Correct"),
        ([round(999 * (1 - i / 9)) for i in range(10)], "the largest object"),
        ([round(999 * (1 - i / 10)) for i in range(10)], "the largest object"),
        ([999, 935, 885, 841, 798, 753, 704, 644, 561, 415], "a single position"),
        (list(range(999, 0, -50)), "at most 10"),
        ([990, 500, 10], "begin with 999"),
        ([999, 500, 500, 10], "must fall"),
    ],
)
def test_ten_steps_must_serve_small_and_large_objects(capsys, answer, reply):
    cells = map(EXERCISES.source, read(FOLDER / "solutions" / LESSON_10)["cells"])
    code = next(text for text in cells if "def ddim(" in text)
    names = {"alphas_bar": BAR, "a": BAR.sqrt(), "s": (1 - BAR).sqrt()}
    names |= {"torch": torch, "PALETTES": PALETTES, "pairwise": itertools.pairwise}
    names["zero_terminal_snr"] = zero_terminal_snr
    exec(code, names)  # the definitions that the check shares with the lesson
    assert reply in said(capsys, check_cell(LESSON_10, 5), names | {"my_steps": answer})


WEIGHTS = """
def levin_weights(center, neighbours, variance):
    weights = np.exp(-((neighbours - {center}) ** 2) / {variance})
    return weights / weights.sum()
"""
MATCH = "def match(c, reference):\n    return {0}"
TURNED = "20 - (c - c.mean()) * reference.std() / c.std()"
ROW = "def colour_row(L, variance):\n    return {0}"
LIGHT = "def lightness_from_luminance(y):\n    return {0}"
CHROMA = "def largest_chroma(lightness_, hue):\n    return {0}"
DELTA = "def my_delta_e76(x, y):\n    return {0}"
LIGHTLESS = "(rgb_to_lab(x) - rgb_to_lab(y))[:, 1:].norm(dim=1).mean(dim=(1, 2))"
GAP = "def psnr_gap(mse):\n    return {0}"
BY_LIGHTNESS = "(L - L[0]) / (L[-1] - L[0]) if np.ptp(L) else np.linspace(0, 1, len(L))"
FULL = "{53.24: 104.55, 97.14: 96.9, 32.3: 133.8}.get(lightness_, 100.0)"
VALUES = "torch.tensor([0.0, 0.9033, 7.2263, 49.496, 76.069, 100.0])"


@pytest.mark.parametrize(
    ("lesson", "number", "answer", "reply"),
    [
        ("01_color_and_data", 1, LIGHT.format(VALUES), "compute L from y itself"),
        ("01_color_and_data", 1, LIGHT.format("100 * y"), "straight piece"),
        ("01_color_and_data", 3, CHROMA.format(FULL), "search, do not look up"),
        ("01_color_and_data", 3, CHROMA.format("60.0"), "full red"),
        ("02_classical", 1, WEIGHTS.format(center="center", variance=100), "the variance given"),
        ("02_classical", 1, WEIGHTS.format(center="neighbours[0]", variance="variance"), "center"),
        (
            "02_classical",
            3,
            MATCH.format(TURNED),
            "stay larger",
        ),
        ("02_classical", 3, MATCH.format("np.full(len(c), 20.0)"), "scale before"),
        ("02_classical", 4, ROW.format(BY_LIGHTNESS), "exp(-1) to 1"),
        ("02_classical", 4, ROW.format("np.linspace(0, 1, len(L))"), "happen at the edge"),
        ("03_measuring_color", 1, DELTA.format(LIGHTLESS), "L counts too"),
        ("03_measuring_color", 1, DELTA.format("(x - y).norm(dim=1).mean(dim=(1, 2))"), "in Lab"),
        ("03_measuring_color", 4, GAP.format("2.404 * (np.ptp(mse) > 0)"), "errors of 0.01, 1"),
        ("03_measuring_color", 4, GAP.format("10 * np.log10(mse).mean()"), "equal errors"),
    ],
)
def test_a_value_that_fits_the_first_example_alone_is_refused(
    capsys, lesson, number, answer, reply
):
    from torch import Tensor

    from colorlab.color import in_gamut, join, lightness, linear_to_srgb, rgb_to_lab

    rgb = torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    gray = join(lightness(rgb), torch.zeros(5, 2, 2, 2))
    names = {"np": np, "torch": torch, "Tensor": Tensor, "in_gamut": in_gamut, "rgb": rgb}
    names |= {"lightness": lightness, "linear_to_srgb": linear_to_srgb, "delta_e76": delta_e76}
    names |= {"rgb_to_lab": rgb_to_lab, "lab": rgb_to_lab(rgb), "spoiled": {"gray": gray}}
    exec(answer, names)
    assert reply in said(capsys, check_cell(f"{lesson}.ipynb", number), names)


GRID = [(64 + 128 * row, 25 + 51 * column) for row in range(2) for column in range(5)]


@pytest.mark.parametrize(
    ("answer", "reply"),
    [
        (lambda L, n: GRID, "Correct"),
        (lambda L, n: [(5, k) for k in range(10)], "as good"),
        (lambda L, n: [(300, k) for k in range(10)], "from 0 to 255"),
        (lambda L, n: GRID[:9], "ten pairs"),
        (lambda L, n: GRID if L[0, 0, 0, 0] < 1 else [(5, k) for k in range(10)], "mirrored"),
    ],
)
def test_a_rule_for_hints_must_beat_the_best_random_set_twice(capsys, answer, reply):
    from colorlab.classical.hints import random_hints

    grid = np.argwhere(np.ones((32, 32))) * 8

    def far(places):
        """Mean distance of the image's positions to the nearest hint, in place of an error."""
        return np.linalg.norm(grid[:, None] - np.array(places), axis=2).min(axis=1).mean()

    names = {"choose_hints": answer, "random_hints": random_hints, "error_of": far}
    names |= {"coffee": torch.rand(1, 3, 256, 256), "L": torch.arange(256.0).expand(1, 1, 256, 256)}
    assert reply in said(capsys, check_cell("02_classical.ipynb", 6), names)
