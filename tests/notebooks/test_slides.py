"""Every lesson is a slide deck too: titles, figures, and not too much on one slide."""

import copy
import re

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
def test_a_deck_has_at_most_25_slides_a_picture_first_and_a_title_on_each(file):
    deck = PLAN.slides(read(file))
    starts = [cells[0] for cells in deck]
    titled = [PLAN.titled(cell).startswith("#") for cell in starts]
    pictured = any(map(PLAN.has_figure, deck[0]))
    untitled = [source(cell)[:60] for cell, has in zip(starts, titled, strict=True) if not has]
    assert pictured, "no picture on the first slide"
    assert not untitled, "neither heading nor claim begins the slide"
    assert len(deck) <= PLAN.MOST


@every_notebook
def test_a_claim_is_one_short_sentence_without_measured_numbers_and_begins_a_slide(file):
    notebook = read(file)
    starts = [cells[0]["id"] for cells in PLAN.slides(notebook)]
    for cell in notebook["cells"]:
        if claim := cell["metadata"].get(PLAN.CLAIM):
            assert cell["id"] in starts, f"on no slide: {claim}"
            assert len(claim) <= PLAN.TITLE_WIDTH and claim[-1] not in ".:", claim
            assert not re.search(r"\b\d", claim), claim  # L1 and CIE76 are names


@every_notebook
def test_slides_hold_not_too_much_and_no_answer_beside_its_question(file):
    deck = PLAN.slides(read(file))
    assert source(deck[0][0]).startswith("# ")
    for cells in deck[1:]:
        lines = sum(map(PLAN.height, cells))
        assert lines <= PLAN.LIMIT, f"{lines} lines from {source(cells[0])[:60]!r}"
        asked = [i for i, cell in enumerate(cells) if PLAN.GUESS.search(source(cell))]
        if asked and cells[asked[-1]]["cell_type"] == "markdown":
            below = cells[asked[-1] + 1 :]
            answers = [c for c in below if c["cell_type"] == "markdown" or c.get("outputs")]
            assert not answers, source(cells[asked[-1]])


def cell(kind: str, text: str, claim: str = "", **more) -> dict:
    metadata = {PLAN.CLAIM: claim} if claim else {}
    code = {} if kind == "markdown" else {"outputs": []}
    return {"cell_type": kind, "source": [text], "metadata": metadata, **code, **more}


FIGURE = {"output_type": "display_data", "data": {"image/png": ""}, "metadata": {}}
PRINTED = {"output_type": "stream", "name": "stdout", "text": ["1\n"]}
LONG = "x = 1\n" * (PLAN.LONGEST_CODE + 1)
ASIDE = {"metadata": {"tags": [PLAN.NO_SLIDE]}}
DECKS = {
    "a text after a question, what is tagged": (
        *(cell("markdown", text) for text in ("# Title", "About", "## One")),
        *(cell("markdown", text) for text in ("> **Before you go on:** which?", "A.")),
        cell("markdown", "# Aside", **ASIDE),
    ),
    "a figure may follow the title": (
        cell("markdown", "# Title"),
        *(cell("code", "import os\n"), cell("code", "draw()\n", outputs=[FIGURE])),
    ),
    "a claim begins a slide and shows long code": (
        cell("markdown", "# Title\n\n**One sentence.** Another."),
        cell("markdown", "## 1. The idea\n\n### Part\n\nText.", "It works"),
        *(cell("code", LONG), cell("code", LONG, "It is short")),
    ),
    "results without their code": (
        *(cell("markdown", "## One"), cell("code", "print(1)", outputs=[PRINTED])),
    ),
}
KINDS = ("slide skip slide - subslide skip", "slide skip -", "slide slide skip subslide", "slide -")


@pytest.mark.parametrize(("name", "kinds"), list(zip(DECKS, KINDS, strict=True)))
def test_cells_are_marked_by_the_rules_and_not_changed(name, kinds):
    cells = copy.deepcopy(DECKS[name])
    PLAN.mark({"cells": cells})
    assert [c["metadata"]["slideshow"]["slide_type"] for c in cells] == kinds.split()
    for before, after in zip(DECKS[name], cells, strict=True):
        assert {k: after[k] for k in before if k != "metadata"} == {
            k: v for k, v in before.items() if k != "metadata"
        }
        assert set(before["metadata"].get("tags", ())) <= set(after["metadata"].get("tags", ()))
    if name.startswith("results"):
        assert cells[1]["metadata"]["tags"] == [PLAN.OUTPUT_ONLY] and PLAN.height(cells[1]) == 1
    if name.startswith("a claim"):
        notebook = {"cells": list(cells)}
        SLIDES.with_titles(notebook)
        texts = [c["source"] for c in notebook["cells"] if c["cell_type"] == "markdown"]
        section = '<div class="section">\n\n1\\. The idea\n\n</div>\n\n'
        assert texts[0] == "# Title\n\n**One sentence.**"
        assert texts[1:] == [f"{section}## It works\n\nText.", f"{section}## It is short"]
        assert [len(slide) for slide in PLAN.slides(notebook)] == [1, 1, 2]


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


@pytest.mark.parametrize(("widget", "told"), [("FigureSlider(a)", 1), ("Studio(a)", 0)])
def test_a_still_tells_that_it_moves(widget, told):
    data = {PLAN.WIDGET: {}, "image/png": "iVBO", "text/plain": [widget]}
    output = {"output_type": "execute_result", "metadata": {}, "data": data}
    cell = {"cell_type": "code", "source": [], "outputs": [output]}
    SLIDES.without_kernel({"cells": [cell]})
    assert cell["outputs"][0]["data"]["text/html"].count(SLIDES.MOVES) == told


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
