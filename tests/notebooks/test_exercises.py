"""Every exercise has a grade, a hint, a check that fails, and a solution whose check passes."""

import copy
import re

import pytest
from course import FOLDER, NOTEBOOKS, every_notebook, every_solution, printed, prose, read, tool

EXERCISES = tool("exercises")
HEADING = re.compile(r"^(?:### |\*\*)Exercise (\d+) \((\w+)\)", re.M)
GRADES = {"easy", "medium", "harder"}


@every_notebook
def test_each_exercise_has_a_number_a_grade_a_hint_and_a_check_that_fails(file):
    text = prose(file)
    found = HEADING.findall(text)
    assert [number for number, _ in found] == [str(k + 1) for k in range(len(found))]
    assert len(found) >= 4 and {grade for _, grade in found} == GRADES
    checks = [check for _, check in EXERCISES.pairs(read(file))]
    assert len(checks) == len(found)
    assert all(printed(check).startswith("Not yet: ") for check in checks)
    assert text.count("<summary>Hint</summary>") == len(found)
    solved = text.count(f"(solutions/{file.name})") + text.count("<summary>Solution</summary>")
    assert solved == len(found), "each exercise leads to its solution"


@pytest.mark.parametrize("file", NOTEBOOKS[4:10], ids=lambda file: file.stem)
def test_a_lesson_with_a_network_asks_for_a_diagnosis_and_for_a_design(file):
    titles = re.findall(r"^### Exercise \d \(\w+\): (\w+)", prose(file), re.M)
    assert {"diagnose", "design"} <= set(titles) and len(titles) <= 6


@every_solution
def test_a_solution_passes_its_check_and_the_lesson_lacks_only_what_it_adds(file):
    assert EXERCISES.differences(read(FOLDER / file.name), read(file)) == []
    for solved, check in EXERCISES.pairs(read(file)):
        assert EXERCISES.ADDED in EXERCISES.source(solved), "a solution marks what it adds"
        assert printed(check) == "Correct.\n"


def test_every_lesson_but_those_with_folded_solutions_has_a_notebook_of_them():
    for file in NOTEBOOKS:
        folded = "<summary>Solution</summary>" in prose(file)
        assert folded != (FOLDER / "solutions" / file.name).exists(), file.name


@pytest.mark.parametrize(
    ("solution", "exercise"),
    [
        ("x = 1", "x = 1"),
        ("# exercise: x = None  # your turn\nx = 1  # solution", "x = None  # your turn"),
        (
            "def f():\n    # exercise: return 0\n    y = 2  # solution\n\n    return y  # solution",
            "def f():\n    return 0",
        ),
        ("a = 1  # solution\n\n\ndef f():\n    pass", "\n\ndef f():\n    pass"),
    ],
)
def test_an_exercise_is_its_solution_without_the_marked_lines(solution, exercise):
    assert EXERCISES.exercise(solution) == exercise


def test_a_changed_exercise_and_a_changed_check_are_found():
    solutions = read(FOLDER / "solutions" / "00_start_here.ipynb")
    changed = copy.deepcopy(read(FOLDER / "00_start_here.ipynb"))
    (task, check), *_ = EXERCISES.pairs(changed)
    task["source"] = ["same_colour = 0\n"]
    check["source"] = [*check["source"], "\n# more"]
    assert [cell for cell, _ in EXERCISES.differences(changed, solutions)] == [task, check]
    check["source"] = ["pass"]
    with pytest.raises(ValueError, match="3 exercises, its solutions have 4"):
        EXERCISES.differences(changed, solutions)
