"""Keep the exercises of the lessons in step with their solutions.

The solutions are the source: ``notebooks/solutions/NN_name.ipynb`` holds every exercise solved.
In a solution, a line that ends in ``# solution`` is not in the exercise, and a comment
``# exercise: TEXT`` stands in the exercise as ``TEXT``. The check cell below a solution is the
check cell of the exercise.

    python .ci/exercises.py          say which cells of the lessons differ; exit status 1 if any
    python .ci/exercises.py --write  put them into the lessons; execute those lessons again after it
"""

from __future__ import annotations

import json
import re
import sys

import lessons
from lessons import source

from colorlab.grading.worker import pairs

ADDED = "# solution"
BETWEEN = re.compile(rf"({ADDED}\n)\n+(?=.*{ADDED}$)", re.M)  # blank lines of the solution
KEPT = re.compile(r"^( *)# exercise: ")


def exercise(solution: str) -> str:
    """The exercise that a solution solves: its source without what the solution adds."""
    solution = BETWEEN.sub(r"\1", solution)
    lines = [line for line in solution.split("\n") if not line.endswith(ADDED)]
    return "\n".join(KEPT.sub(r"\1", line) for line in lines)


def differences(lesson: dict, solutions: dict) -> list[tuple[dict, str]]:
    """Cells of the lesson that are not as the solutions say, each with what it should hold.

    Raises:
        ValueError: the two do not hold the same number of exercises.
    """
    have, want = pairs(lesson), pairs(solutions)
    if len(have) != len(want):
        raise ValueError(f"the lesson has {len(have)} exercises, its solutions have {len(want)}")
    found = []
    for (task, check), (solved, solved_check) in zip(have, want, strict=True):
        for cell, right in ((task, exercise(source(solved))), (check, source(solved_check))):
            if source(cell) != right:
                found.append((cell, right))
    return found


def put(lesson: dict, stem: str) -> None:
    """Give a lesson the exercises that its solutions solve, in place."""
    solutions = lessons.NOTEBOOKS / "solutions" / f"{stem}.ipynb"
    if not solutions.exists():
        return
    try:
        found = differences(lesson, json.loads(solutions.read_text("utf-8")))
    except ValueError as error:
        sys.exit(f"{stem}: {error}")
    for cell, right in found:
        print(f"{stem}: {source(cell).strip().splitlines()[0]}")
        cell.update(source=right.splitlines(keepends=True), outputs=[], execution_count=None)


def main() -> int:
    """Do what the module says."""
    options = lessons.arguments(__doc__, "change the lessons").parse_args()
    return lessons.rewrite(lessons.chosen(options.names), put, options.write, "exercises")


if __name__ == "__main__":
    sys.exit(main())
