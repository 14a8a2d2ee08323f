"""What is held back in student code, and that honest code is not."""

from pathlib import Path

import pytest
import yaml
from notebooks.course import FOLDER, SOLUTIONS, read

from colorlab.grading import worker as grading
from colorlab.grading.screening import review

CODE = yaml.safe_load(Path(__file__).with_name("student_code.yaml").read_text("utf-8"))
PROTECTED = {"check", "math", "scenes", "all"}
LESSON = {"math=math", "np=numpy", "torch=torch", "nn=torch.nn", "display=IPython.display.display"}


def found(*cells: str) -> list[str]:
    return review(cells, PROTECTED, LESSON)


@pytest.mark.parametrize("code", CODE["honest"])
def test_honest_code_is_not_held_back(code):
    assert found(code) == []


@pytest.mark.parametrize(
    ("code", "why"), [*CODE["tampering"], ("x = " + "-" * 100_000 + "1", "nested too deeply")]
)
def test_code_that_tampers_is_held_back(code, why):
    assert any(why in reason for reason in found(code)), found(code)


def test_solutions_and_lessons_are_read_as_honest_code():
    """Every solved exercise, as a student would hand it in; nothing in them is held back."""
    for file in SOLUTIONS:
        lesson, solutions = read(FOLDER / file.name), read(file)
        rules = grading.what_checks_use(lesson, solutions)
        solved = [grading.source(task) for task, _ in grading.pairs(solutions)]
        assert review(solved, *rules) == [], file.name
