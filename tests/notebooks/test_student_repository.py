"""What students get: no solution, no outputs of exercises, and other numbers for another class."""

import json
import os
import re
import subprocess
import sys

import pytest
from course import FOLDER, NOTEBOOKS, SOLUTIONS, cells, read, source, tool

REPOSITORY = tool("student_repository")
EXERCISES = tool("exercises")
ERROR_OF_ONE_PAIR = """
import sys
def error():
    from colorlab.color import join
    from colorlab.data.loaders import make_batch
    from colorlab.data.scenes import scene_set
    from colorlab.metrics import delta_e76
    batch = make_batch(scene_set(4, size=32, split="test").pictures.rgb)
    flat = batch.ab.mean(dim=(0, 2, 3)).view(1, 2, 1, 1).expand_as(batch.ab)
    return delta_e76(join(batch.L, flat), batch.rgb).mean().item()
for folder in sys.argv[1:]:
    sys.path.insert(0, folder)
    print(error())
    for name in [name for name in sys.modules if name.split(".")[0] == "colorlab"]:
        del sys.modules[name]  # torch stays: it takes seconds
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    if subprocess.run(["git", "ls-files"], cwd=FOLDER, capture_output=True, check=False).returncode:
        pytest.skip("not a git checkout")
    folders = {variant: tmp_path_factory.mktemp("students") for variant in (0, 2)}
    for variant, folder in folders.items():
        REPOSITORY.build(folder, variant)
    return folders


def lines(text: str) -> set[str]:
    """Lines that say something: of code, without white space around them, longer than `else:`."""
    return {line.strip() for line in text.splitlines() if len(line.strip()) > 8}


def test_no_line_of_a_solution_is_in_it(built):
    released = set().union(*(lines(source(c)) for f in NOTEBOOKS for c in cells(f, "code")))
    added = {
        line.strip().removesuffix(EXERCISES.ADDED).strip()
        for file in SOLUTIONS
        for solved, _ in EXERCISES.pairs(read(file))
        for line in source(solved).splitlines()
        if line.endswith(EXERCISES.ADDED)
    }
    secret = {line for line in added if len(line) > 8} - released
    assert len(secret) > 100
    for folder in built.values():
        for file in folder.rglob("*"):
            if file.suffix == ".ipynb":
                code = set().union(
                    *(lines(source(c)) for c in json.loads(file.read_text())["cells"])
                )
                assert not secret & code, file
            elif file.suffix == ".md":
                assert not secret & lines(file.read_text("utf-8")), file
        start = (folder / "README.md").read_text("utf-8")
        assert "jupyter lab notebooks" in start and "--nbval" not in start
        names = {str(file.relative_to(folder)) for file in folder.rglob("*")}
        assert not [n for n in names if re.search(r"solutions|lecturers|(^|/)tests?/|^\.ci", n)]
        assert len([n for n in names if re.fullmatch(r"notebooks/\d\d_\w+\.ipynb", n)]) == 12


def test_exercises_have_no_outputs_and_nothing_leads_to_what_is_missing(built):
    for variant, folder in built.items():
        for file in sorted((folder / "notebooks").glob("*.ipynb")):
            notebook, lesson = json.loads(file.read_text("utf-8")), read(FOLDER / file.name)
            outputs = [bool(c["outputs"]) for c in notebook["cells"] if c["cell_type"] == "code"]
            assert any(outputs) != bool(variant), "a variant has other numbers than those kept"
            for task, check in EXERCISES.pairs(notebook):
                assert not task["outputs"] + check["outputs"]
            assert len(EXERCISES.pairs(notebook)) == len(EXERCISES.pairs(lesson))
            text = "".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
            for target in re.findall(r"\]\((?!\w+:|#)([^)#\s]+)", text):
                assert (file.parent / target).exists(), f"{file.name}: {target}"


def test_a_variant_changes_the_numbers(built, tmp_path):
    env = {**os.environ, "COLORLAB_CACHE": str(tmp_path)}
    words = [sys.executable, "-P", "-c", ERROR_OF_ONE_PAIR, *map(str, built.values())]
    done = subprocess.run(words, env=env, capture_output=True, text=True, check=True)
    one, other = map(float, done.stdout.split())
    assert one != other


def test_a_full_folder_and_a_negative_variant_are_refused(tmp_path):
    with pytest.raises(ValueError, match="--variant must be 0 or greater, got -1"):
        REPOSITORY.build(tmp_path, -1)
    (tmp_path / "mine.txt").write_text("x")
    with pytest.raises(FileExistsError, match="is not empty"):
        REPOSITORY.build(tmp_path)
