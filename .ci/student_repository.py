"""Build the folder that students get: the course without what solves or grades it.

    python .ci/student_repository.py OUT              the lessons as they are
    python .ci/student_repository.py OUT --variant 2  other scenes, for another class
    python .ci/student_repository.py OUT --otter DIR  also an autograder of otter-grader a lesson

Left out: solutions, the lecturer's guide (it answers exam questions), tests (they hold right
answers), the scripts of .ci, and the outputs of the exercises. A variant's sets of scenes are drawn
from other seeds, so numbers measured on them differ; since the outputs kept in the lessons would
not match, all are left out. Single scenes and photographs stay the same.

With --otter, DIR/04_resnet/tests holds a test for each exercise, which runs its check cell and is
worth a point; `otter generate` in DIR/04_resnet makes the autograder.zip of Gradescope. The check
cells of OUT then name their tests, so that otter-grader runs each at its place in the notebook, and
a cell at the top links the course's data where a notebook runs outside its folder.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from badges import FOLDED
from lessons import source

from colorlab.files import write_text
from colorlab.grading.worker import code_cells, pairs

ROOT = Path(__file__).resolve().parents[1]
WITHHELD = (".ci/", ".github/", "notebooks/solutions/", "site/", "tests/", "conftest.py")
WITHHELD += ("CONTRIBUTING.md", "CHANGELOG.md", "paper/", ".zenodo.json")  # not for students
WITHHELD += ("Dockerfile", ".dockerignore")  # they build the web site
GUIDE = "lecturers_guide.md"
SOLVED = re.compile(r"^Solved: .*\n?", re.M)
LINK = re.compile(
    r"\[([^]\n]+)\]\((?:notebooks/)?(?:solutions/|lecturers_guide|site/|Dockerfile)[^)]*\)"
)
TESTING = re.compile(r"^and one passes the tests.*?^```sh.*?^```\n\n|^[^\n]*--nbval\n", re.M | re.S)
SEED = "\nVARIANT = 0\n"
OTTER_TEST = """\
from colorlab.exercises import first_wrong
from otter.test_files import test_case

OK_FORMAT = False
name = "exercise_{number}"
points = 1
CODE = {code!r}


@test_case()
def passes(env):
    verdicts = []

    def check(*claims):
        verdicts.append(first_wrong(*claims))
        return verdicts[-1] is None

    exec(CODE, env | {{"check": check}})
    for wrong in verdicts or ["the check cell checks nothing"]:
        assert wrong is None, wrong
"""
OTTER_LINKS = """\
from pathlib import Path

from colorlab.data.cache import checkout_data

for _name in ("data", "README.md"):  # where otter-grader runs a notebook, they are missing
    if not (Path("..") / _name).exists():
        (Path("..") / _name).symlink_to(checkout_data().parent / _name)"""


def tracked() -> list[str]:
    """The files of the course, as git knows them."""
    names = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    return [name for name in names if name and (ROOT / name).is_file()]


def for_students(notebook: dict, variant: int) -> dict:
    """A lesson without outputs of exercises, or of all cells, and without links to solutions."""
    graded = [cell["id"] for pair in pairs(notebook) for cell in pair]
    for cell in code_cells(notebook):
        if variant or cell["id"] in graded:
            cell.update(outputs=[], execution_count=None)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            cell["source"] = without_links(source(cell)).splitlines(keepends=True)
    return notebook


def for_otter(notebook: dict, folder: Path) -> None:
    """Write the tests of otter-grader for a lesson, and name them in its check cells, in place."""
    for number, (_, check) in enumerate(pairs(notebook), 1):
        check["metadata"]["otter"] = {"tests": [f"exercise_{number}"]}
        test = OTTER_TEST.format(number=number, code=source(check))
        write_text(folder / "tests" / f"exercise_{number}.py", test)
    cells = notebook["cells"]
    after = cells.index(code_cells(notebook)[0]) + 1  # the set-up cell installs colorlab
    cell = {"cell_type": "code", "execution_count": None, "id": "otter-links", "outputs": []}
    cells.insert(after, {**cell, "metadata": FOLDED, "source": OTTER_LINKS.splitlines(True)})


def without_links(text: str) -> str:
    """Markdown that does not lead to what is left out."""
    return LINK.sub(r"\1", SOLVED.sub("", text))


def build(out: Path, variant: int = 0, otter: Path | None = None) -> None:
    """Write the folder, and the tests of otter-grader if a folder for them is given.

    Raises:
        ValueError: the variant is negative.
        FileExistsError: there is something in a folder.
    """
    if variant < 0:
        raise ValueError(f"--variant must be 0 or greater, got {variant}")
    for folder in filter(None, (out, otter)):
        if folder.exists() and any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty; name a new folder")
    for name in tracked():
        if name.startswith(WITHHELD) or name.endswith(GUIDE):
            continue
        old, new = ROOT / name, out / name
        new.parent.mkdir(parents=True, exist_ok=True)
        if new.suffix == ".ipynb":
            notebook = for_students(json.loads(old.read_text("utf-8")), variant)
            if otter:
                for_otter(notebook, otter / new.stem)
            new.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
        elif name == "README.md":
            text = TESTING.sub("", old.read_text("utf-8"))  # there are no tests to pass
            new.write_text(without_links(text), "utf-8")
        else:
            shutil.copy(old, new)
    seeds = out / "colorlab" / "data" / "scenes" / "sets.py"
    text = seeds.read_text("utf-8")
    if text.count(SEED) != 1:
        raise ValueError(f"{seeds} has no line {SEED.strip()!r}")
    seeds.write_text(text.replace(SEED, f"\nVARIANT = {variant}\n"), "utf-8")


def main() -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("out", type=Path, metavar="OUT", help="a new folder")
    parser.add_argument("--variant", type=int, default=0, metavar="N", help="other scenes")
    parser.add_argument("--otter", type=Path, metavar="DIR", help="a new folder for its tests")
    options = parser.parse_args()
    try:
        build(options.out, options.variant, options.otter)
    except (ValueError, OSError) as error:
        print(f"student_repository: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
