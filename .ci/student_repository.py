"""Build the folder that students get: the course without what solves or grades it.

    python .ci/student_repository.py OUT              the lessons as they are
    python .ci/student_repository.py OUT --variant 2  other scenes, for another class

Left out: solutions, the lecturer's guide (it answers exam questions), tests (they hold right
answers), the scripts of .ci, and the outputs of the exercises. A variant's sets of scenes are drawn
from other seeds, so numbers measured on them differ; since the outputs kept in the lessons would
not match, all are left out. Single scenes and photographs stay the same.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

from lessons import source

from colorlab.grading.worker import code_cells, pairs

ROOT = Path(__file__).resolve().parents[1]
WITHHELD = (".ci/", "notebooks/solutions/", "site/", "tests/", "conftest.py")
WITHHELD += ("CONTRIBUTING.md", "CHANGELOG.md")  # they explain what is left out
GUIDE = "lecturers_guide.md"
SOLVED = re.compile(r"^Solved: .*\n?", re.M)
LINK = re.compile(r"\[([^]\n]+)\]\((?:notebooks/)?(?:solutions/|lecturers_guide|site/)[^)]*\)")
SEED = "\nVARIANT = 0\n"


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


def without_links(text: str) -> str:
    """Markdown that does not lead to what is left out."""
    return LINK.sub(r"\1", SOLVED.sub("", text))


def build(out: Path, variant: int = 0) -> None:
    """Write the folder.

    Raises:
        ValueError: the variant is negative.
        FileExistsError: there is something in the folder.
    """
    if variant < 0:
        raise ValueError(f"--variant must be 0 or greater, got {variant}")
    if out.exists() and any(out.iterdir()):
        raise FileExistsError(f"{out} is not empty; name a new folder")
    for name in tracked():
        if name.startswith(WITHHELD) or name.endswith(GUIDE):
            continue
        old, new = ROOT / name, out / name
        new.parent.mkdir(parents=True, exist_ok=True)
        if new.suffix == ".ipynb":
            notebook = for_students(json.loads(old.read_text("utf-8")), variant)
            new.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", "utf-8")
        elif name == "README.md":
            new.write_text(without_links(old.read_text("utf-8")), "utf-8")
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
    options = parser.parse_args()
    try:
        build(options.out, options.variant)
    except (ValueError, OSError) as error:
        print(f"student_repository: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
