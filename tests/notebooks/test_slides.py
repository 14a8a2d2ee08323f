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
            assert not any(
                cell["cell_type"] == "markdown" or cell.get("outputs") for cell in below
            ), SLIDES.source(cells[asked[-1]])


def test_a_text_after_a_question_begins_a_slide():
    texts = ("# Title", "# About", "> **Before you go on:** which?", "The mean.")
    cells = [{"cell_type": "markdown", "source": [text], "metadata": {}} for text in texts]
    SLIDES.mark({"cells": cells})
    kinds = [cell["metadata"]["slideshow"]["slide_type"] for cell in cells]
    assert kinds[2:] == ["-", "subslide"]


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
