"""Lessons open elsewhere too: links to Colab and Binder, and a cell that fetches colorlab."""

import copy
import re

import pytest
from course import NOTEBOOKS, cells, every_notebook, read, source, tool

BADGES = tool("badges")
ADDRESS = "https://github.com/someone/colours"


@every_notebook
def test_a_lesson_has_its_set_up_and_its_links(file):
    lesson = copy.deepcopy(read(file))
    BADGES.put(lesson, file.stem, BADGES.repository())
    assert lesson == read(file), "python .ci/badges.py --write puts them in"
    set_up = cells(file, "code")[0]
    assert set_up["outputs"] == [], "nothing is said where colorlab is installed"
    assert source(set_up) == source(cells(NOTEBOOKS[0], "code")[0])
    colab, binder = re.findall(r"\]\((\S+)\)", BADGES.row(ADDRESS, file.stem))
    name = f"notebooks/{file.stem}.ipynb"
    assert colab.endswith(f"/github/someone/colours/blob/main/{name}")
    assert binder.endswith(f"/gh/someone/colours/main?labpath={name.replace('/', '%2F')}")


def test_with_an_address_lessons_get_links_and_a_clone():
    file = NOTEBOOKS[5]
    lesson = copy.deepcopy(read(file))
    BADGES.put(lesson, file.stem, f"{ADDRESS}.git")
    once = copy.deepcopy(lesson)
    front = [s for c in lesson["cells"] if BADGES.ROW in (s := source(c))]
    assert len(front) == 1 and front[0].count(BADGES.ROW) == 1
    assert "**What you will learn**" in front[0]
    set_up = next(source(c) for c in lesson["cells"] if c["cell_type"] == "code")
    assert f"!git clone --quiet --depth 1 {ADDRESS}.git\n" in set_up
    assert "%cd -q colours/notebooks\n" in set_up
    BADGES.put(lesson, file.stem, f"{ADDRESS}.git")
    assert lesson == once, "a second time changes nothing"
    BADGES.put(lesson, file.stem, BADGES.repository())
    assert lesson == read(file), "what was put in can be taken out"
    with pytest.raises(ValueError, match=r"https://example\.org/a/b.*is not of the form"):
        BADGES.row("https://example.org/a/b", "05_unet")


def test_a_new_cell_keeps_the_order_of_execution():
    lesson = copy.deepcopy(read(NOTEBOOKS[5]))
    lesson["cells"].remove(next(c for c in lesson["cells"] if c["cell_type"] == "code"))
    BADGES.put(lesson, NOTEBOOKS[5].stem, BADGES.repository())
    code = [cell for cell in lesson["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        counts = {o["execution_count"] for o in cell["outputs"] if "execution_count" in o}
        assert counts <= {cell["execution_count"]}
