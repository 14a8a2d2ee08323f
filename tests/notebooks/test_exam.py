"""Questions from a seed: the key is right, every other answer is wrong, and a seed repeats."""

from __future__ import annotations

import math
import re

import pytest
from course import NOTEBOOKS, tool

EXAM = tool("exam")


@pytest.mark.parametrize("name", EXAM.TEMPLATES)
def test_every_wrong_answer_differs_and_numbers_depend_on_the_seed(name):
    asked = [EXAM.ask(name, str(seed)) for seed in range(40)]
    for one in asked:
        assert len(set(one.answers)) == len(one.answers) == len(one.why) == 4
        assert one.why.count("") == 1 and len(set(one.why)) == 4
        assert "nan" not in str(one.answers)
    right = {one.answers[one.why.index("")] for one in asked}
    assert len({one.text for one in asked}) > 20 or len(right) > 5
    assert len({one.why.index("") for one in asked}) == 4, "the letter gives it away"


def test_a_seed_repeats_and_another_gives_other_papers():
    assert EXAM.written("one") == EXAM.written("one")
    questions, key = EXAM.written("one")
    assert "one`" in key and "Seed" not in questions
    other = EXAM.papers("other")
    for part, mine in EXAM.papers("one").items():
        assert sum(a.answers != b.answers for a, b in zip(mine, other[part], strict=True)) > 8


def test_the_quizzes_have_ten_questions_with_other_numbers_and_the_exam_covers_every_lesson():
    before, after, exam = EXAM.papers("one").values()
    assert len(before) == len(after) == 10
    assert not {one.text for one in before} & {one.text for one in [*after, *exam]}
    assert {one.lesson for one in exam} == {file.stem[:2] for file in NOTEBOOKS} - {"00"}


def numbers(text: str) -> list[float]:
    return [float(number) for number in re.findall(r"-?\d+(?:\.\d+)?", text)]


def formula(name: str, told: list[float]) -> float:
    """The answer again, from the numbers in the question and the textbook's formula."""
    if name == "delta_e":
        return math.dist(told[-6:-3], told[-3:])
    if name == "signal_to_noise":
        return -20 * math.log10(told[-1])
    if name == "divergence":
        n, mean, std = told[:3]
        return n / 2 * (std**2 + mean**2 - 1 - 2 * math.log(std))
    if name == "discriminator":
        return told[0] / (told[0] + told[1])
    if name == "parameters":
        k, _, inputs, outputs = told
        return outputs * (inputs * k * k + 1)
    if name == "most_nats":
        return told[0] * math.log(told[1])
    if name == "ddim_step":
        state, now, eps, then = told
        clean = (state - math.sqrt(1 - now) * eps) / math.sqrt(now)
        return math.sqrt(then) * clean + math.sqrt(1 - then) * eps
    kernels, strides = told[::2], told[1::2]  # receptive_field
    return 1 + sum((k - 1) * math.prod(strides[:i]) for i, k in enumerate(kernels))


TEXTBOOK = ["delta_e", "signal_to_noise", "divergence", "discriminator", "parameters"]
TEXTBOOK += ["most_nats", "ddim_step", "receptive_field"]


@pytest.mark.parametrize("name", TEXTBOOK)
def test_the_key_agrees_with_the_textbooks_formula(name):
    for seed in range(5):
        one = EXAM.ask(name, f"textbook {seed}")
        text = re.sub(r"₇₆|N\(0, 1\)|in \[0, 1\]", "", one.text)
        right = numbers(one.answers[one.why.index("")].replace(",", ""))[0]
        assert right == pytest.approx(formula(name, numbers(text)), rel=2e-3, abs=0.05)


@pytest.mark.parametrize("name", ["best_under_l1", "best_under_l2"])
def test_no_other_choice_has_a_smaller_expected_error(name):
    """By trying: the key's prediction has the least expected error of the four, and alone."""
    power = 1 if name.endswith("l1") else 2
    for seed in range(20):
        one = EXAM.ask(name, f"trying {seed}")
        told = numbers(one.text.split("*ab*")[1].split(". Which")[0])
        colours = [(told[i], told[i + 1], told[i + 2] / 100) for i in (0, 3, 6)]
        expected = []
        for answer in one.answers:
            a, b = numbers(answer)
            expected.append(
                sum(p * (abs(x - a) ** power + abs(y - b) ** power) for x, y, p in colours)
            )
        least = expected.pop(one.why.index(""))
        assert least < min(expected)
