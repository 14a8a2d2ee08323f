"""Every lesson is a slide deck too: titles, figures, and not too much on one slide."""

from __future__ import annotations

import copy

import pytest
from course import every_notebook, read, tool

SLIDES = tool("slides")


@every_notebook
def test_slide_metadata_follow_the_rules(file):
    notebook = read(file)
    marked = copy.deepcopy(notebook)
    SLIDES.mark(marked)
    assert marked == notebook, "python .ci/slides.py --write sets them"


@every_notebook
def test_the_title_comes_first_and_no_slide_holds_too_much(file):
    deck = SLIDES.slides(read(file))
    assert SLIDES.source(deck[0][0]).startswith("# ")
    for cells in deck:
        lines = sum(map(SLIDES.height, cells))
        assert lines <= SLIDES.LIMIT, f"{lines} lines from {SLIDES.source(cells[0])[:60]!r}"


@every_notebook
def test_every_figure_is_on_a_slide(file):
    notebook = read(file)
    shown = [cell["id"] for cells in SLIDES.slides(notebook) for cell in cells]
    for cell in notebook["cells"]:
        assert cell["id"] in shown or not SLIDES.has_figure(cell), SLIDES.source(cell)[:200]


@every_notebook
def test_no_slide_shows_the_answer_beside_the_question(file):
    for cells in SLIDES.slides(read(file)):
        asked = [i for i, cell in enumerate(cells) if SLIDES.GUESS.search(SLIDES.source(cell))]
        if asked and cells[asked[-1]]["cell_type"] == "markdown":
            below = cells[asked[-1] + 1 :]
            assert not any(cell.get("outputs") for cell in below), SLIDES.source(cells[asked[-1]])


def test_marking_changes_neither_source_nor_outputs():
    cell = {"cell_type": "code", "source": ["f()\n"], "outputs": [{"text": ["1\n"]}]}
    notebook = {"cells": [{**cell, "metadata": {"tags": ["nbval-ignore-output"]}}, {**cell}]}
    notebook["cells"][1]["metadata"] = {}
    SLIDES.mark(notebook)
    assert all({key: c[key] for key in cell} == cell for c in notebook["cells"])
    assert notebook["cells"][0]["metadata"] == {
        "slideshow": {"slide_type": "skip"},
        "tags": ["nbval-ignore-output"],
    }


@pytest.mark.parametrize(
    ("markdown", "lines"),
    [
        ("one line", 1),
        ("# A title", 2),
        ("x" * 200, 3),
        ("a paragraph\nin two lines", 1),
        ("* an item\n* another", 2),
        ("| a | b |\n|---|---|\n| 1 | 2 |", 4),
    ],
)
def test_lines_of_a_text(markdown, lines):
    assert SLIDES.text_lines(markdown) == lines
