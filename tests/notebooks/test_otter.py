"""The export for otter-grader: a made lesson gets the points that `colorlab grade` gives."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from course import NOTEBOOKS, read, tool
from nbformat.v4 import new_code_cell, new_notebook

from colorlab.__main__ import main
from colorlab.grading import confinement

REPOSITORY = tool("student_repository")
SET_UP = "import json\nfrom pathlib import Path\nfrom colorlab.exercises import check"
TASKS = ("rows = None", "def largest(values):\n    return None")
SOLVED = (  # the first reads what lies beside a lesson's folder
    'rows = len(json.loads(Path("../data/results/photos-test.json").read_text())["rows"])',
    "def largest(values):\n    return max(values)",
)
CHECKS = (
    '_ = check((rows is not None, "rows is still None"), (lambda: rows > 3, "too few"))',
    'given = [1, 3, 2]\n_ = check((lambda: largest(given) == 3, "the largest is 3"))',
)
# Name: answers, and whether the check cells are there.
SUBMITTED = {
    "right": (SOLVED, True),
    "half": ((SOLVED[0], "raise ValueError"), True),
    "checks_deleted": (("rows = 2", SOLVED[1]), False),
}


def lesson(answers: tuple[str, str], checks: bool = True) -> dict:
    sources = [SET_UP, answers[0], CHECKS[0], answers[1], CHECKS[1]]
    ids = ["set-up", "rows", "rows-check", "largest", "largest-check"]
    cells = [new_code_cell(s, id=i) for s, i in zip(sources, ids, strict=True)]
    kept = [cell for cell in cells if checks or not cell["id"].endswith("check")]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    return new_notebook(cells=kept, metadata=kernel)


@pytest.fixture(scope="module")
def otter(tmp_path_factory):
    """The program `otter`, from the package registry, in an environment above the tests' own."""
    folder = tmp_path_factory.mktemp("otter")
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    place = "import sysconfig; print(sysconfig.get_path('purelib'))"
    here = subprocess.run([python, "-c", place], capture_output=True, text=True, check=True)
    above = Path(here.stdout.strip()) / "above.pth"
    above.write_text(f"{sysconfig.get_path('purelib')}\n{REPOSITORY.ROOT}\n")
    words = [python, "-m", "pip", "install", "-q", "otter-grader>=6"]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no otter-grader from the package registry")
    return folder / "bin" / "otter"


@pytest.mark.skipif(not confinement.landlock(), reason="colorlab grade needs Landlock")
def test_a_made_lesson_gets_the_same_points_from_both_graders(otter, tmp_path):
    lessons = tmp_path / "lessons"
    (lessons / "solutions").mkdir(parents=True)
    (lessons / "00_made.ipynb").write_text(json.dumps(lesson(TASKS)))
    (lessons / "solutions" / "00_made.ipynb").write_text(json.dumps(lesson(SOLVED)))
    exported = tmp_path / "exported"
    REPOSITORY.for_otter(lesson(TASKS), exported)
    env = {**os.environ, "COLORLAB_CACHE": str(tmp_path / "cache")}
    subprocess.run([otter, "generate"], cwd=exported, env=env, check=True, capture_output=True)
    points = {}
    for student, (answers, checks) in SUBMITTED.items():
        notebook = lesson(answers)
        REPOSITORY.for_otter(notebook, exported)  # students get a notebook that names its tests
        gone = [] if checks else [c for c in notebook["cells"] if c["id"].endswith("-check")]
        notebook["cells"] = [cell for cell in notebook["cells"] if cell not in gone]
        file = tmp_path / "in" / student / "00_made.ipynb"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps(notebook))
        words = [otter, "run", file, "-a", exported / "autograder.zip", "-o", file.parent]
        subprocess.run(words, cwd=exported, env=env, check=True, capture_output=True)
        told = json.loads((file.parent / "results.json").read_text())["tests"]
        points[student] = [int(t["score"]) for t in told if t["name"].startswith("exercise")]
    words = ["grade", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--lessons", str(lessons)]
    assert main(words) == 0
    with open(tmp_path / "out" / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = {s: [int(r["points"]) for r in rows if r["student"] == s] for s in SUBMITTED}
    assert points == ours
    assert ours == {"right": [1, 1], "half": [1, 0], "checks_deleted": [0, 1]}


def test_every_exercise_of_the_course_gets_a_test_that_its_check_cell_names(tmp_path):
    REPOSITORY.build(tmp_path / "course", otter=tmp_path / "otter")
    for file in NOTEBOOKS:
        tests = sorted((tmp_path / "otter" / file.stem / "tests").glob("*.py"))
        assert len(tests) == len(REPOSITORY.pairs(read(file))) > 0
        for test in tests:
            compile(test.read_text("utf-8"), str(test), "exec")
        notebook = json.loads((tmp_path / "course" / "notebooks" / file.name).read_text("utf-8"))
        named = [c["metadata"].get("otter", {}).get("tests", []) for c in notebook["cells"]]
        assert [f"{name}.py" for names in named for name in names] == [t.name for t in tests]
