"""Quizzes and an exam with a key, from a seed that the lecturer keeps.

    python .ci/exam.py -o exam                      a seed is drawn and written into the key
    python .ci/exam.py -o exam --seed "pale mauve"  the same seed gives the same questions

Writes ``exam/questions.md``: a quiz of ten questions for the first lecture, the same ten with
other numbers for the last, and an exam. ``exam/answers.md`` is the key: for each question the right
letter and the misconception behind every other one. Each number is computed here. Whoever knows the
seed can make the key, so choose one that nobody guesses.
"""

from __future__ import annotations

import argparse
import math
import random
import secrets
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from colorlab import flow
from colorlab.color import lightness, linear_to_srgb, srgb_to_linear
from colorlab.data.scenes.palettes import weighted_median
from colorlab.files import write_text
from colorlab.latents import CategoricalField, DiagonalGaussian
from colorlab.layers import count_parameters
from colorlab.metrics.pairs import cie76, psnr

LETTERS = "ABCD"
MEAN = "the mean, which is best under L2"
MEDIAN = "the median of each channel, which is best under L1"
Asked = tuple[str, str, dict[str, str]]  # question, right answer, misconception to its answer
TEMPLATES: dict[str, tuple[str, Callable[[random.Random], Asked]]] = {}
QUIZ = [
    "half_of_the_light",
    "best_under_l2",
    "levin_weight",
    "delta_e",
    "parameters",
    "best_under_l1",
    "divergence",
    "discriminator",
    "sample_beside_mean",
    "ddim_step",
]


@dataclass(frozen=True)
class Question:
    """A question with its four answers, and what each wrong one comes from ("" for the right)."""

    lesson: str
    text: str
    answers: Sequence[str]
    why: Sequence[str]


def template(lesson: str) -> Callable:
    """Register a function that makes a question of a lesson."""

    def add(function: Callable[[random.Random], Asked]) -> Callable[[random.Random], Asked]:
        TEMPLATES[function.__name__] = lesson, function
        return function

    return add


def palette(rng: random.Random) -> tuple[np.ndarray, np.ndarray, str]:
    """Three colours ab (3, 2), their probabilities (3,), and both in words."""
    ab = np.array([[rng.randrange(-50, 51, 2) for _ in "ab"] for _ in "123"], float)
    # None with 50 %, where the median is not unique.
    first, second = rng.choice([(30, 25), (35, 25), (40, 25), (40, 35), (45, 20), (45, 30)])
    prob = np.array([first, second, 100 - first - second]) / 100
    told = ", ".join(f"({a:.0f}, {b:.0f}) with {p:.0%}" for (a, b), p in zip(ab, prob, strict=True))
    return ab, prob, f"At one lightness a balloon has *ab* {told}."


def point(ab: np.ndarray) -> str:
    """A colour in words."""
    return f"({ab[0]:.1f}, {ab[1]:.1f})"


def best_under(error: str, right: str, rng: random.Random) -> Asked:
    """Which prediction for a palette is best; ``right`` is one of the four below."""
    ab, prob, told = palette(rng)
    predictions = {
        MEAN: prob @ ab,
        MEDIAN: np.array([weighted_median(values, prob) for values in ab.T]),
        "the most frequent colour is predicted": ab[prob.argmax()],
        "the mean does not weight by probability": ab.mean(0),
    }
    wrong = {why: point(prediction) for why, prediction in predictions.items()}
    question = f"{told} Which single prediction has the smallest expected {error}?"
    return question, wrong.pop(right), wrong


@template("01")
def half_of_the_light(rng: random.Random) -> Asked:
    """Transfer curve of sRGB."""
    share = rng.randrange(15, 75, 5) / 100
    light = torch.tensor(share)
    stored = linear_to_srgb(light)
    return (
        f"A gray pixel sends {share:.0%} of the light of white. Which byte stores it in sRGB?",
        f"{255 * stored:.0f}",
        {
            "bytes are taken as proportional to light": f"{255 * share:.0f}",
            "the transfer curve is inverted": f"{255 * srgb_to_linear(light):.0f}",
            "the byte is taken as lightness L, stretched to 255": (
                f"{2.55 * lightness(stored.expand(3, 1, 1)).item():.0f}"
            ),
        },
    )


@template("01")
def numbers_kept(rng: random.Random) -> Asked:
    """Coarse chroma."""
    stride, height, width = rng.choice((2, 4, 8)), 32 * rng.randint(4, 20), 32 * rng.randint(4, 20)
    full = 3 * height * width
    small = (height // stride) * (width // stride)
    return (
        f"An image of {height}x{width} is stored as L at full size, and *ab* at 1/{stride} of the "
        "height and of the width. How many of the numbers of the RGB image are stored?",
        f"{(height * width + 2 * small) / full:.1%}",
        {
            "ab shrinks along one side only": (
                f"{(height * width + 2 * height * (width // stride)) / full:.1%}"
            ),
            "a and b are counted as one channel": f"{(height * width + small) / full:.1%}",
            "L is forgotten": f"{2 * small / full:.1%}",
        },
    )


@template("01")
def best_under_l2(rng: random.Random) -> Asked:
    """The mean."""
    return best_under("squared error", MEAN, rng)


@template("02")
def levin_weight(rng: random.Random) -> Asked:
    """Affinities of scribbles."""
    pixel = rng.randrange(30, 70)
    steps = [rng.randrange(2, 8), -rng.randrange(8, 14), rng.randrange(14, 24)]
    spread = rng.randrange(60, 160, 10)
    d = torch.tensor(steps, dtype=torch.float64)
    weight = (-(d**2) / spread).softmax(0)[0]
    return (
        f"A pixel with L = {pixel} has three neighbours with L = "
        f"{', '.join(str(pixel + step) for step in steps)}. The weights are exp(-d²/{spread}) with "
        "the difference d in L, and sum to 1. What is the weight of the first neighbour?",
        f"{weight:.3f}",
        {
            "the weights are not divided by their sum": f"{(-(d[0] ** 2) / spread).exp():.3f}",
            "the difference is not squared": f"{(-d.abs() / spread).softmax(0)[0]:.3f}",
            "the neighbours count alike": f"{1 / len(steps):.3f}",
        },
    )


@template("03")
def delta_e(rng: random.Random) -> Asked:
    """CIE76."""
    one = [rng.randint(30, 70), rng.randint(-40, 40), rng.randint(-40, 40)]
    two = [x + rng.choice((-1, 1)) * rng.randint(4, 20) for x in one]
    lab1, lab2 = (torch.tensor(lab, dtype=torch.float64).view(3, 1, 1) for lab in (one, two))
    right = cie76(lab1, lab2).item()
    return (
        f"What is ΔE₇₆ between the Lab colours {tuple(one)} and {tuple(two)}?",
        f"{right:.1f}",
        {
            "absolute differences are summed": f"{(lab1 - lab2).abs().sum():.1f}",
            "lightness is left out": f"{torch.dist(lab1[1:], lab2[1:]):.1f}",
            "the squares are averaged instead of summed": f"{right / math.sqrt(3):.1f}",
        },
    )


@template("03")
def signal_to_noise(rng: random.Random) -> Asked:
    """PSNR."""
    off = rng.randrange(2, 25) / 100
    gray = torch.full((1, 3, 4, 4), 0.5, dtype=torch.float64)
    right = psnr(gray, gray + off).item()
    return (
        f"All values of an image in [0, 1] are too large by {off}. What is its PSNR in dB?",
        f"{right:.1f}",
        {
            "the root of the error is taken, then 10 log10": f"{right / 2:.1f}",
            "the natural logarithm": f"{right * math.log(10):.1f}",
            "a peak of 255 for values in [0, 1]": f"{right + 20 * math.log10(255):.1f}",
        },
    )


@template("03")
def paired_error(rng: random.Random) -> Asked:
    """Standard error of a paired difference."""
    one, two = rng.randrange(30, 60) / 10, rng.randrange(30, 60) / 10
    r, n = rng.choice((0.7, 0.8, 0.9)), rng.choice((36, 64, 100))
    apart = one**2 + two**2
    paired = apart - 2 * r * one * two
    return (
        f"On the same {n} images two models have ΔE with standard deviations {one} and {two} and "
        f"correlation {r}. What is the standard error of their mean difference?",
        f"{math.sqrt(paired / n):.3f}",
        {
            "the images are treated as two independent sets": f"{math.sqrt(apart / n):.3f}",
            "the deviation of one image instead of the mean of all": f"{math.sqrt(paired):.3f}",
            "divided by n instead of its root": f"{math.sqrt(paired) / n:.3f}",
        },
    )


@template("04")
def parameters(rng: random.Random) -> Asked:
    """Parameters of a convolution."""
    inputs, outputs, k = (
        rng.choice((16, 24, 32, 48)),
        rng.choice((20, 40, 64, 96)),
        rng.choice((3, 5)),
    )
    return (
        f"How many parameters has a {k}x{k} convolution with bias, {inputs} to {outputs} channels?",
        f"{count_parameters(nn.Conv2d(inputs, outputs, k)):,}",
        {
            "the bias is forgotten": f"{inputs * outputs * k * k:,}",
            "one kernel serves all input channels": f"{outputs * k * k + outputs:,}",
            "a kernel has k weights instead of k²": f"{inputs * outputs * k + outputs:,}",
        },
    )


@template("04")
def receptive_field(rng: random.Random) -> Asked:
    """Receptive field, measured by the gradient of one output."""
    layers = [(rng.choice((3, 5)), stride) for stride in (1, 2, 1, 2, 1)]
    net = nn.Sequential(*(nn.Conv1d(1, 1, k, s, bias=False) for k, s in layers))
    for weight in net.parameters():
        nn.init.ones_(weight)
    x = torch.zeros(1, 1, 200, requires_grad=True)
    net(x)[0, 0, 3].backward()
    told = ", ".join(f"{k} (stride {s})" for k, s in layers)
    return (
        f"How many pixels wide is the receptive field of convolutions with these kernels: {told}?",
        f"{int((x.grad != 0).sum())}",
        {
            "strides are ignored": f"{1 + sum(k - 1 for k, _ in layers)}",
            "kernel widths are added": f"{sum(k for k, _ in layers)}",
            "kernels and strides are multiplied and added": f"{sum(k * s for k, s in layers)}",
        },
    )


@template("05")
def best_under_l1(rng: random.Random) -> Asked:
    """The median of each channel."""
    return best_under("|Δa| + |Δb|", MEDIAN, rng)


@template("06")
def divergence(rng: random.Random) -> Asked:
    """KL of Gaussians."""
    mean, std, n = rng.randrange(4, 20) / 10, rng.randrange(2, 8) / 10, rng.choice((4, 8, 16))
    here = DiagonalGaussian(
        torch.full((1, n, 1, 1), mean).double(), torch.full((1, n, 1, 1), math.log(std)).double()
    )
    right = here.kl(DiagonalGaussian.standard_like(here)).sum().item()
    return (
        f"Each of {n} independent latents has the posterior N(μ = {mean}, σ = {std}) and the prior "
        "N(0, 1). What is the KL divergence in nats, summed over the latents?",
        f"{right:.2f}",
        {
            "σ is taken for σ²": f"{n * (std + mean**2 - 1 - math.log(std)) / 2:.2f}",
            "the factor 1/2 is forgotten": f"{2 * right:.2f}",
            "the mean is not squared": f"{n * (std**2 + mean - 1 - 2 * math.log(std)) / 2:.2f}",
        },
    )


@template("06")
def implied_sigma(rng: random.Random) -> Asked:
    """What a weight of the KL assumes."""
    side, w = rng.choice((16, 32, 64)), rng.choice((0.001, 0.002, 0.005, 0.01))
    values = 2 * side * side
    return (
        f"A VAE minimizes the squared error, averaged over {values:,} values, plus {w} times the "
        "summed KL. Of which Gaussian decoder is this the ELBO, up to a factor? Give its σ.",
        f"{math.sqrt(w * values / 2):.3f}",
        {
            "the number of values does not matter": f"{math.sqrt(w / 2):.3f}",
            "σ² instead of σ": f"{w * values / 2:.3f}",
            "the 2 of 2σ² is forgotten": f"{math.sqrt(w * values):.3f}",
        },
    )


@template("07")
def most_nats(rng: random.Random) -> Asked:
    """What categorical latents can carry."""
    variables, k = rng.choice((2, 3, 6, 8)), rng.choice((5, 8, 12, 16))
    sure = torch.zeros(1, variables, k, 1, 1, dtype=torch.float64)
    sure[:, :, 0] = 200
    uniform = CategoricalField(torch.zeros(1, variables * k, 1, 1), k)
    nats = CategoricalField(sure.flatten(1, 2), k).kl(uniform).sum().item()
    return (
        f"A position has {variables} categorical latents of {k} categories with a uniform prior. "
        "How many nats can they carry at most?",
        f"{nats:.2f}",
        {
            "bits instead of nats": f"{nats / math.log(2):.2f}",
            "all categories are one variable": f"{math.log(variables * k):.2f}",
            "the exponents are exchanged": f"{k * math.log(variables):.2f}",
        },
    )


@template("08")
def discriminator(rng: random.Random) -> Asked:
    """The best discriminator."""
    p, q = rng.randrange(10, 60) / 100, rng.randrange(10, 60) / 100
    return (
        f"A colour has probability {p:.2f} in the data and {q:.2f} from the generator; both are "
        "shown equally often. What does the best discriminator answer for it?",
        f"{p / (p + q):.3f}",
        {
            "the probability of being generated": f"{q / (p + q):.3f}",
            "the probability in the data alone": f"{p:.3f}",
            "the ratio of both, cut at 1": f"{min(1, p / q):.3f}",
        },
    )


@template("09")
def sample_beside_mean(rng: random.Random) -> Asked:
    """What realism costs."""
    ab, prob, told = palette(rng)
    apart = np.square(ab[:, None] - ab).sum(-1)
    variance = prob @ np.square(ab - prob @ ab).sum(-1)
    return (
        f"{told} A model predicts a sample from this distribution, independent of the truth. "
        "What is its expected squared error?",
        f"{prob @ apart @ prob:.0f}",
        {
            "that of the best mean prediction": f"{variance:.0f}",
            "errors are added before squaring": f"{4 * variance:.0f}",
            "a colour of the right distribution has no error": "0",
        },
    )


@template("10")
def ddim_step(rng: random.Random) -> Asked:
    """One step without new noise."""
    now, then = rng.randrange(20, 45) / 100, rng.randrange(55, 90) / 100
    state, eps = rng.choice((-1, 1)) * rng.randrange(5, 20) / 10, rng.randrange(2, 15) / 10
    (s0, n0), (s1, n1) = ((bar**0.5, (1 - bar) ** 0.5) for bar in (now, then))
    clean = (state - n0 * eps) / s0
    return (
        f"A state is {state} at ᾱ = {now}, and the network predicts the noise {eps}. What is the "
        f"state after a DDIM step to ᾱ = {then}?",
        f"{s1 * clean + n1 * eps:.3f}",
        {
            "ᾱ is used without its root": (
                f"{then * (state - (1 - now) * eps) / now + (1 - then) * eps:.3f}"
            ),
            "the noise is not mixed in again": f"{s1 * clean:.3f}",
            "the clean estimate is taken as the next state": f"{clean:.3f}",
        },
    )


@template("10")
def guidance(rng: random.Random) -> Asked:
    """Classifier-free guidance."""
    without, given = rng.randrange(-20, 5) / 10, rng.randrange(6, 25) / 10
    g = rng.choice((1.5, 2.0, 3.0, 4.0))
    predict = flow.guided(lambda x, t: x * 0 + given, lambda x, t: x * 0 + without, g)
    return (
        f"A network predicts {given} with the gray image and {without} without it. What does "
        f"classifier-free guidance give at g = {g:g}, where g = 1 is the conditional prediction?",
        f"{predict(torch.zeros(1), torch.zeros(())).item():.2f}",
        {
            "g is taken for the paper's w = g - 1": f"{given + g * (given - without):.2f}",
            "the conditional prediction is multiplied": f"{g * given:.2f}",
            "a weighted mean of both": f"{(without + g * given) / (1 + g):.2f}",
        },
    )


@template("11")
def false_alarms(rng: random.Random) -> Asked:
    """Many comparisons."""
    models, level = rng.randint(4, 8), rng.choice((0.01, 0.02, 0.05))
    pairs = math.comb(models, 2)
    return (
        f"{models} equal models are compared, each with each, by independent tests at the level "
        f"{level}. What is the probability of at least one significant difference?",
        f"{1 - (1 - level) ** pairs:.1%}",
        {
            "the level of one test is that of all": f"{level:.1%}",
            "one comparison for each model": f"{1 - (1 - level) ** models:.1%}",
            "each pair is counted twice": f"{1 - (1 - level) ** (2 * pairs):.1%}",
        },
    )


def ask(name: str, key: str) -> Question:
    """A question of a template; drawn again until its four answers differ."""
    lesson, make = TEMPLATES[name]
    rng = random.Random(f"{key}/{name}")
    for _ in range(1000):
        text, right, wrong = make(rng)
        answers = [right, *wrong.values()]
        if len(set(answers)) == len(LETTERS):
            order = rng.sample(range(len(LETTERS)), len(LETTERS))
            why = ["", *wrong]
            return Question(lesson, text, [answers[i] for i in order], [why[i] for i in order])
    raise AssertionError(f"{name}: two answers are always the same")


def papers(seed: str) -> dict[str, list[Question]]:
    """The two quizzes and the exam of a seed."""
    parts = {"Quiz before the course": QUIZ, "Quiz after the course": QUIZ, "Exam": list(TEMPLATES)}
    return {
        title: [ask(name, f"{seed}/{title}") for name in names] for title, names in parts.items()
    }


def written(seed: str) -> tuple[str, str]:
    """Questions and key as Markdown."""
    questions = ["# Questions", "One answer is right. A calculator is allowed."]
    key = ["# Answers", f"Seed: `{seed}`. Keep this file and the seed to yourself."]
    for title, part in papers(seed).items():
        for told in (questions, key):
            told.append(f"## {title}")
        for number, one in enumerate(part, 1):
            lines = [f"- {x}: {answer}" for x, answer in zip(LETTERS, one.answers, strict=True)]
            questions += [f"**{number}.** {one.text}", "\n".join(lines)]
            wrong = "; ".join(f"{x}: {why}" for x, why in zip(LETTERS, one.why, strict=True) if why)
            right = one.why.index("")
            told = f"{LETTERS[right]}, {one.answers[right]}"
            key.append(f"**{number}.** (lesson {one.lesson}) **{told}**. {wrong}.")
    return "\n\n".join(questions) + "\n", "\n\n".join(key) + "\n"


def main() -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="FOLDER", help="where to")
    parser.add_argument("--seed", help="any text; drawn and written into the key unless given")
    options = parser.parse_args()
    seed = options.seed or secrets.token_hex(8)
    try:
        for name, text in zip(("questions.md", "answers.md"), written(seed), strict=True):
            write_text(options.out / name, text)
    except OSError as error:
        print(f"exam: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
