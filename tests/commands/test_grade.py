"""`colorlab grade`: right, wrong and hostile submissions of a small made lesson."""

from __future__ import annotations

import csv
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest
import yaml
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, writes

from colorlab.__main__ import main
from colorlab.grading import confinement

# Without it a hostile submission would do to this machine what it tries.
pytestmark = pytest.mark.skipif(not confinement.landlock(), reason="needs Landlock (Linux 5.13)")

SET_UP = (
    "import math\nfrom pathlib import Path\nfrom colorlab.exercises import check\nlargest = 0.5"
)
TASKS = ("share = None  # your turn", "def middle(values):\n    return None  # your turn")
SOLVED = (
    "share = 0.38  # solution",
    "def middle(values):\n    return sorted(values)[len(values) // 2]",
)
CHECKS = (
    '_ = check((share is not None, "share is still None"), '
    '(lambda: math.isclose(share, 0.38), "add the squares"))',
    'given = [3, 1, 2]\n_ = check((middle(given) is not None, "middle still returns None"), '
    '(lambda: middle(given) == 2, "sort first"))',
)
# A hidden check sees values only; the second call shows that lists and floats arrive whole.
HIDDEN = """
# %% exercise 2: other values
import statistics
check((lambda: answer("middle", [9, 7, 8]) == 8, "secret 978"))
check((lambda: answer("middle", [0.5, -1.5, 4.0]) == statistics.median([0.5, -1.5, 4.0]), "floats"))
"""
RIGHT = ("share = 0.3**2 + 0.5**2 + 0.2**2", SOLVED[1])
IDS = ("set-up", "share", "share-check", "middle", "middle-check")


def notebook(*cells: str | None, ids=IDS, text: str = "# 00 Made") -> str:
    """A notebook of these code cells; None leaves one out."""
    made = [new_code_cell(c, id=i) for c, i in zip(cells, ids, strict=False) if c is not None]
    made += [new_code_cell(c, id=f"more-{i}") for i, c in enumerate(cells[len(ids) :])]
    return writes(new_notebook(cells=[new_markdown_cell(text), *made]))


def answers(share: str, middle: str) -> str:
    return notebook(SET_UP, share, CHECKS[0], middle, CHECKS[1])


CHEAT = RIGHT[0].replace("0.3", "0.4")  # a wrong answer
WRONG = "def middle(values):\n    return values[0] + 0"
HELD = "held back, read the notebook first: it "
OUTSIDE = (
    "from pathlib import Path\nfor place in (Path('../../../..'), Path('/'), Path('PLACE')):\n"
)
OUTSIDE += (
    "    try:\n        (place / 'left-behind').write_text('x')\n    except OSError:\n        pass\n"
)
WORDS = {"CHEAT": CHEAT, "WRONG": WRONG, "OUTSIDE": OUTSIDE, "SHARE": RIGHT[0], "MIDDLE": RIGHT[1]}


def submissions() -> dict[str, tuple[str, str, str]]:
    """Name: the notebook; the points; a part of the message of the first row without a point."""
    table = {
        "right": (answers(*RIGHT), "111", ""),
        "untouched": (answers(*TASKS), "000", "share is still None"),
        "no_outputs_no_ids": (
            notebook(SET_UP, RIGHT[0], CHECKS[0], RIGHT[1], CHECKS[1], ids="abcde"),
            "111",
            "",
        ),
        "check_deleted": (notebook(SET_UP, CHEAT, None, RIGHT[1], None), "011", "add the squares"),
        "check_changed": (
            notebook(SET_UP, CHEAT, "check((True, ''))", RIGHT[1], "pass"),
            "011",
            "add",
        ),
        "all_deleted": (notebook(), "000", "NameError"),
        "empty_file": ("", "000", "not a notebook"),
        "no_notebook": ('{"cells": 7}', "000", "not a notebook"),
        "deep": ("[" * 100000, "000", "not a notebook"),
    }
    text = Path(__file__).with_name("submissions.yaml").read_text("utf-8")
    for name, (share, middle, points, says) in yaml.safe_load(text).items():
        for word, code in WORDS.items():
            share, middle = share.replace(word, code), middle.replace(word, code)
        table[name] = (answers(share, middle), points, says.replace("HELD ", HELD))
    return table


TABLE = submissions()


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The table graded once: by student the rows, then the folder around it all."""
    root = tmp_path_factory.mktemp("class")
    lessons = root / "lessons"
    (lessons / "solutions").mkdir(parents=True)
    (lessons / "00_made.ipynb").write_text(answers(*TASKS))
    (lessons / "solutions" / "00_made.ipynb").write_text(answers(*SOLVED))
    (root / "hidden").mkdir()
    (root / "hidden" / "00_made.py").write_text(HIDDEN)
    places = {"reads_hidden_checks": root / "hidden" / "00_made.py", "reads_solutions": lessons}
    for student, (text, *_) in TABLE.items():
        folder = root / "in" / student
        folder.mkdir(parents=True)
        (folder / "00_made.ipynb").write_text(text.replace("PLACE", str(places.get(student, root))))
    before = tree(root)
    run = ["grade", str(root / "in"), "-o", str(root / "out"), "--lessons", str(lessons)]
    run += ["--hidden", str(root / "hidden"), "--minutes", "0.15", "--memory", "1", "--jobs", "2"]
    status = main(run)
    assert status == 1, "some files are no notebooks"
    assert {k: v for k, v in tree(root).items() if k.split("/")[0] != "out"} == before
    with open(root / "out" / "grades.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    return {s: [row for row in rows if row["student"] == s] for s in TABLE}, root


def tree(root: Path) -> dict[str, bytes]:
    files = (file for file in root.rglob("*") if file.is_file())
    return {str(file.relative_to(root)): file.read_bytes() for file in files}


@pytest.mark.parametrize("student", TABLE)
def test_a_submission_gets_its_points_and_a_reason(graded, student):
    rows = graded[0][student]
    _, points, message = TABLE[student]
    print([(r["exercise"], r["points"], r["message"]) for r in rows])
    assert [row["exercise"] for row in rows] == ["00_made 1", "00_made 2", "00_made 2 hidden"]
    assert "".join(row["points"] for row in rows).startswith(points)
    reason = next((row["message"] for row in rows if row["points"] == "0"), "")
    assert re.search(message, reason) and bool(message) == bool(reason)


def test_nothing_is_left_behind(graded):
    assert not Path("/left-behind").exists()
    running = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            running.append(file.read_bytes())
    assert b"sleep\x00987\x00" not in running


def test_gradescope_gets_a_file_for_each_student_that_keeps_hidden_checks_hidden(graded):
    rows, root = graded
    for student in rows:
        told = json.loads((root / "out" / "students" / student / "results.json").read_text())
        points = [str(test["score"]) for test in told["tests"]]
        assert points == [row["points"] for row in rows[student]]
        assert "secret" not in json.dumps(told)
    assert told["tests"][0]["max_score"] == 1


def test_only_the_exercise_cells_are_run_if_asked(graded, tmp_path, capsys):
    """What else a notebook holds does not matter, and two files of one lesson are named."""
    _, root = graded
    (tmp_path / "in").mkdir()
    text = notebook(
        "raise ValueError", RIGHT[0], CHECKS[0], RIGHT[1], CHECKS[1], "while True: pass"
    )
    for name in ("ann_00_made", "ann_00_made-2", "..00_made", "=bob_essay"):
        (tmp_path / "in" / f"{name}.ipynb").write_text(text)
    words = ["grade", str(tmp_path / "in"), "-o", str(tmp_path / "out"), "--quick"]
    assert main([*words, "--lessons", str(root / "lessons")]) == 1
    with open(tmp_path / "out" / "grades.csv", newline="") as file:
        rows = [tuple(row.values())[:3] for row in csv.DictReader(file)]
    assert rows == [
        ("'=bob_essay", "file", "0"),  # no formula for a spreadsheet
        ("ann", "00_made 1", "1"),
        ("ann", "00_made 2", "1"),
        ("ann", "00_made file", "0"),
    ]
    assert {file.name for file in tmp_path.iterdir()} == {"in", "out"}


def _is_kernel(pid: int) -> bool:
    try:
        return b"ipykernel" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_ctrl_c_ends_the_running_notebook_at_once(graded, tmp_path):
    _, root = graded
    words = [sys.executable, "-m", "colorlab", "grade", str(root / "in" / "endless_loop")]
    words += ["-o", str(tmp_path / "out"), "--lessons", str(root / "lessons")]
    # What is started in the background of a script ignores Ctrl-C, and its children do, too.
    heeds = partial(signal.signal, signal.SIGINT, signal.default_int_handler)
    run = subprocess.Popen(words, stderr=subprocess.PIPE, text=True, preexec_fn=heeds)
    end = time.monotonic() + 120
    kernels = []  # importing packages starts processes too
    while not kernels and time.monotonic() < end:
        time.sleep(0.1)
        kernels = [pid for pid in confinement._below(run.pid) if _is_kernel(pid)]
    run.send_signal(signal.SIGINT)
    assert "stopped" in run.communicate(timeout=60)[1] and run.returncode == 130
    assert kernels and not [pid for pid in kernels if Path(f"/proc/{pid}/exe").exists()]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere", "-o", "out"], "is no folder"),
        (["in", "-o", "in/out"], "results are no submissions"),
        (["in", "-o", "out"], "holds no notebook"),
        (["in", "-o", "out", "--hidden", "nowhere"], "--hidden nowhere is no folder"),
        (["in", "-o", "out", "--minutes", "0"], "--minutes must be positive"),
    ],
)
def test_what_cannot_be_graded_is_said_at_once(tmp_path, monkeypatch, capsys, words, message):
    monkeypatch.chdir(tmp_path)
    Path("in").mkdir()
    assert main(["grade", *words]) == 2
    assert message in capsys.readouterr().err
