"""What the checks of the lessons say to right answers and to plausible wrong ones."""

import functools
from pathlib import Path

import pytest
import yaml
from course import FOLDER, read, source, tool

EXERCISES = tool("exercises")
ANSWERS = [
    pytest.param(group, values, says, id=f"{group['exercise']} {says}")
    for group in yaml.safe_load(Path(__file__).with_name("answers.yaml").read_text("utf-8"))
    for *values, says in group["says"]
]


@functools.cache
def prepared(lesson: str) -> tuple[dict, list[tuple[str, str]]]:
    """The names that a lesson's solutions start from, and its exercises: answer and check."""
    (file,) = (FOLDER / "solutions").glob(f"{lesson}_*.ipynb")
    notebook = read(file)
    pairs = EXERCISES.pairs(notebook)
    solved = [cell for pair in pairs for cell in pair]
    names: dict = {}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code" and cell not in solved:
            exec(source(cell), names)
    return names, [(source(answer), source(check)) for answer, check in pairs]


@pytest.mark.parametrize(("group", "values", "says"), ANSWERS)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_right_answer_is_accepted_and_a_wrong_one_told_what_is_wrong(group, values, says, capsys):
    lesson, _, number = group["exercise"].partition(".")
    names, pairs = prepared(lesson)
    names = dict(names)
    exec(group.get("given", ""), names)
    answer = group["answer"]
    for i, value in enumerate(values):
        answer = answer.replace(f"{{{i}}}", str(value))
    exec(answer, names)
    capsys.readouterr()
    exec(pairs[int(number) - 1][1], names)
    told = capsys.readouterr().out
    if says == "Correct.":
        assert told == "Correct.\n"
    else:
        assert told.startswith("Not yet: ") and says in told
