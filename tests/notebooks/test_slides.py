"""Every lesson is a slide deck too: titles, figures, and not too much on one slide."""

from __future__ import annotations

import copy

import pytest
from course import every_notebook, read, source, tool

PLAN, SLIDES = tool("slide_plan"), tool("slides")


@every_notebook
def test_slide_metadata_follow_the_rules(file):
    notebook = read(file)
    marked = copy.deepcopy(notebook)
    PLAN.mark(marked)
    assert marked == notebook, "python .ci/slides.py --write sets them"


@every_notebook
def test_slides_hold_every_figure_not_too_much_and_no_answer_beside_its_question(file):
    notebook = read(file)
    deck = PLAN.slides(notebook)
    assert source(deck[0][0]).startswith("# ")
    shown = [cell["id"] for cells in deck for cell in cells]
    for cell in notebook["cells"]:
        assert cell["id"] in shown or not PLAN.has_figure(cell), source(cell)[:200]
    for cells in deck:
        lines = sum(map(PLAN.height, cells))
        assert lines <= PLAN.LIMIT, f"{lines} lines from {source(cells[0])[:60]!r}"
        asked = [i for i, cell in enumerate(cells) if PLAN.GUESS.search(source(cell))]
        if asked and cells[asked[-1]]["cell_type"] == "markdown":
            below = cells[asked[-1] + 1 :]
            answers = [c for c in below if c["cell_type"] == "markdown" or c.get("outputs")]
            assert not answers, source(cells[asked[-1]])


def test_a_text_after_a_question_begins_a_slide_and_what_is_tagged_is_left_out():
    texts = ("# Title", "# About", "> **Before you go on:** which?", "The mean.", "# Aside")
    cells = [{"cell_type": "markdown", "source": [text], "metadata": {}} for text in texts]
    cells[-1]["metadata"] = {"tags": [PLAN.NO_SLIDE]}
    PLAN.mark({"cells": cells})
    kinds = [cell["metadata"]["slideshow"]["slide_type"] for cell in cells]
    assert kinds[2:] == ["-", "subslide", "skip"]
    assert cells[-1]["metadata"]["tags"] == [PLAN.NO_SLIDE]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("The mean of all. In six lines:", "The mean of all."),
        ("The mean. Here they are:", "The mean. Here they are:"),
        ("[glossary](glossary.md)", "glossary"),
        ("[03](03_measuring_color.ipynb)", "[03](03_measuring_color.slides.html)"),
        ("[paper](https://doi.org/1) ![a](a.png)", "[paper](https://doi.org/1) ![a](a.png)"),
    ],
)
def test_a_deck_announces_and_links_only_what_is_there(text, shown):
    hidden = {"cell_type": "code", "metadata": {"slideshow": {"slide_type": "skip"}}}
    cell = {"cell_type": "markdown", "metadata": {}, "source": [text]}
    SLIDES.only_what_is_there({"cells": [cell, hidden]})
    assert cell["source"] == shown


def test_a_figure_may_follow_the_title():
    figure = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
    cells = [
        {"cell_type": "markdown", "source": ["# Title"], "metadata": {}},
        {"cell_type": "code", "source": ["import os\n"], "metadata": {}, "outputs": []},
        {"cell_type": "code", "source": ["draw()\n"], "metadata": {}, "outputs": [figure]},
    ]
    PLAN.mark({"cells": cells})
    kinds = [cell["metadata"]["slideshow"]["slide_type"] for cell in cells]
    assert kinds == ["slide", "skip", "-"]


@pytest.mark.parametrize(("widget", "told"), [("FigureSlider(a)", 1), ("Studio(a)", 0)])
def test_a_still_tells_that_it_moves(widget, told):
    data = {PLAN.WIDGET: {}, "image/png": "iVBO", "text/plain": [widget]}
    output = {"output_type": "execute_result", "metadata": {}, "data": data}
    cell = {"cell_type": "code", "source": [], "outputs": [output]}
    SLIDES.without_kernel({"cells": [cell]})
    assert cell["outputs"][0]["data"]["text/html"].count(SLIDES.MOVES) == told


def test_marking_changes_neither_source_nor_outputs():
    cell = {"cell_type": "code", "source": ["f()\n"], "outputs": [{"text": ["1\n"]}]}
    notebook = {"cells": [{**cell, "metadata": {"tags": ["nbval-ignore-output"]}}, {**cell}]}
    notebook["cells"][1]["metadata"] = {}
    PLAN.mark(notebook)
    assert all({key: c[key] for key in cell} == cell for c in notebook["cells"])
    assert notebook["cells"][0]["metadata"] == {
        "slideshow": {"slide_type": "skip"},
        "tags": ["nbval-ignore-output"],
    }


@pytest.mark.parametrize(
    ("markdown", "lines"),
    [
        ("# A title", 2),
        ("x" * 200, 3),
        ("a paragraph\nin two lines", 1),
        ("* an item\n* another", 2),
        ("| a | b |\n|---|---|\n| 1 | 2 |", 4),
    ],
)
def test_lines_of_a_text(markdown, lines):
    assert PLAN.text_lines(markdown) == lines
