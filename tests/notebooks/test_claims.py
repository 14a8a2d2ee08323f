"""The list of sentences with a number or a comparison, each with the cell that it stands on."""

from course import tool

CLAIMS = tool("claims")


def code(name: str, *outputs: dict) -> dict:
    return {"cell_type": "code", "id": name, "source": [], "outputs": list(outputs)}


def prose(name: str, *lines: str) -> dict:
    return {"cell_type": "markdown", "id": name, "source": [line + "\n" for line in lines]}


def test_each_sentence_has_the_cell_above_it_in_its_section_or_the_next_below():
    shown = {"output_type": "stream", "text": ["1\n"]}
    figure = {"output_type": "display_data", "data": {"text/markdown": ["*B is better than A.*"]}}
    cells = [
        prose("start", "## 1. One", "A is smaller than B."),
        code("silent"),
        code("first", shown),
        code("drawn", figure),
        prose("after", "B beats A. This says nothing."),
        prose("alone", "## 2. Two", "It is never more than 3."),
        prose("last", "## References", "Smith beats Miller 1999."),
    ]
    assert list(CLAIMS.claims({"cells": cells})) == [
        ("start", "A is smaller than B.", "first"),
        ("drawn", "*B is better than A.*", "drawn"),
        ("after", "B beats A.", "drawn"),
        ("alone", "It is never more than 3.", ""),
    ]


def test_tables_formulas_code_and_numbers_of_lessons_are_no_claims():
    text = "| a | 3 |\n$$x < 3$$\n```\nbetter\n```\nSee lesson 05, section 4, and [it](b3.md)."
    assert CLAIMS.sentences(text) == []
