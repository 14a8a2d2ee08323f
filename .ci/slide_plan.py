"""Plan the slides of a lesson: which cells are on a slide, and which begin one.

The rules: the title, one sentence and the first figure; a new slide at each heading and at each
cell that has a claim, the metadata ``claim`` of the cell, which becomes the title of its slide.
Markdown and results share a slide while they fit; a figure stands alone or beside a few lines. Of
a code cell with results only these are shown. A question that asks for a guess does not share a
slide with its answer. A slider is the figure that it stands at. Front matter, set-up, long code
without a claim, exercises, references: left out, and so is what has the tag ``no-slide``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lessons import source

MOST = 25  # slides of a lesson, for a lecture of 90 minutes with time to run cells
LIMIT = 18  # lines of text on a slide
LEAD_IN = 6  # lines that leave room for a figure
FIGURE = LIMIT - LEAD_IN
SMALL_FIGURE = 7  # beside printed lines
LONGEST_CODE = 13
WIDTH, TITLE_WIDTH = 95, 75  # characters a line
CODE = 0.7  # of a line of text: its type is smaller
OUTPUT_ONLY = "slide-output-only"
NO_SLIDE = "no-slide"
CLAIM = "claim"
HEADINGS = re.compile(r"\A(#+ .*\n*)+")
TITLE = re.compile(r"\A# .*\n+\*\*.+?\*\*", re.S)  # of a lesson, with the bold sentence below it
GUESS = re.compile(r"\*before you (run|go on|move|look)", re.I)
WIDGET = "application/vnd.jupyter.widget-view+json"


def kinds(cell: dict) -> set[str]:
    """The MIME types of a code cell's outputs; printed text is ``stream``."""
    outputs = cell.get("outputs", [])
    return {kind for o in outputs for kind in o.get("data", {"stream": None})}


def output_lines(cell: dict) -> int:
    """About how many lines the outputs of a code cell take on a slide."""
    outputs = cell.get("outputs", [])
    printed = sum("".join(o["text"]).strip("\n").count("\n") + 1 for o in outputs if "text" in o)
    data = [o.get("data", {}) for o in outputs]
    markup = "".join("".join(d.get("text/html", d.get("text/markdown", ""))) for d in data)
    rows = 1.4 * (markup.count("<tr") or sum(table_rows(markup, 185)))
    small = math.ceil(0.8 * (printed + rows))  # their type is smaller
    return small + (0 if not has_figure(cell) else SMALL_FIGURE if small else FIGURE)


def table_rows(markdown: str, width: int) -> list[int]:
    """For each row of Markdown's tables, over how many lines of this width its cells break."""
    return [math.ceil(len(row) / width) for row in re.findall(r"^\|.*", markdown, re.M)]


def text_lines(markdown: str) -> int:
    """About how many lines Markdown takes on a slide."""
    total, in_math = 0.0, False
    plain = re.sub(r"\]\([^)]*\)", "]", markdown)
    plain = re.sub(r"(?<!\$)\$([^$\n]+)\$(?!\$)", lambda m: m[1][: len(m[1]) // 2], plain)
    plain = re.sub(r"(?<=[^\n|$])\n(?=[^\n\s*|#>$`\d-])", " ", plain)  # one line a paragraph
    for line in plain.split("\n"):
        if "$$" in line and line.count("$$") == 1:
            in_math = not in_math
            total += 0.8
        elif in_math or "$$" in line:
            total += 1.8 + 1.2 * (r"\underbrace" in line)
        elif line.startswith("#"):
            total += 1.7 * math.ceil(len(line) / TITLE_WIDTH)
        elif line.startswith("|"):
            total += 1.2 * sum(table_rows(line, 125))
        elif line.strip():
            total += math.ceil(len(line) / WIDTH)
        else:
            total += 0.4
    return math.ceil(total)


def has_figure(cell: dict) -> bool:
    """Whether a picture is among a cell's outputs."""
    return bool({"image/png", "image/jpeg"} & kinds(cell))


def titled(cell: dict) -> str:
    """The Markdown of a cell on its slide: its claim in place of its headings, or its own text."""
    text = source(cell) if cell["cell_type"] == "markdown" else ""
    if claim := cell["metadata"].get(CLAIM):
        return f"## {claim}\n\n{HEADINGS.sub('', text)}".strip()
    title = TITLE.match(text)
    return title[0] if title else text


def height(cell: dict) -> int:
    """About how many lines a cell takes on a slide, by its metadata."""
    lines = text_lines(titled(cell)) if titled(cell) else 0
    if cell["cell_type"] == "markdown":
        return lines
    hidden = OUTPUT_ONLY in cell["metadata"].get("tags", [])
    code = 0 if hidden else math.ceil(CODE * (source(cell).count("\n") + 1))
    return lines + code + output_lines(cell)


def planned(notebook: dict) -> Iterator[tuple[str, bool]]:
    """For each cell the slide type, and whether only its output is shown."""
    used, exercises, begun, asked, section = 0, False, False, False, True
    for i, cell in enumerate(notebook["cells"]):
        text, tags = source(cell), cell["metadata"].get("tags", [])
        claim, markdown = cell["metadata"].get(CLAIM), cell["cell_type"] == "markdown"
        heading = re.match(r"(#+) (?:\d+\. )?(\w+)", text) if markdown else None
        if heading and heading[1] == "##":
            exercises, begun, section = heading[2] in ("Exercises", "Further"), True, True
        front = not (begun or has_figure(cell) or (markdown and i == 0))
        if NO_SLIDE in tags or front or exercises or text.startswith("<details"):
            yield "skip", False
            continue
        shown = set() if markdown else kinds(cell) - {WIDGET, "text/plain"}
        others = [tag for tag in tags if tag != OUTPUT_ONLY] + [OUTPUT_ONLY] * bool(shown)
        lines = height({**cell, "metadata": {**cell["metadata"], "tags": others}})
        if not markdown and not claim:
            silent = kinds(cell) or re.search(r"^\s*assert ", text, re.M)
            long = text.count("\n") + 1 > LONGEST_CODE
            too_much = lines > LIMIT and not has_figure(cell)
            if too_much or (not shown and (silent or long)):
                yield "skip", False
                continue
        answers = asked and (markdown or shown)
        fits = not (heading or claim or answers) and used + lines <= LIMIT
        fits = fits or (not begun and not markdown)  # the title's figure gets what room is left
        asked = bool(GUESS.search(text)) if markdown else asked and not shown
        used = used + lines if fits else lines
        yield ("-" if fits else "slide" if section else "subslide"), bool(shown)
        section = section and fits


def mark(notebook: dict) -> None:
    """Set ``slideshow.slide_type`` of every cell, and the tag of cells shown without code."""
    for cell, (slide_type, output_only) in zip(
        notebook["cells"], list(planned(notebook)), strict=True
    ):
        metadata = cell["metadata"]
        metadata["slideshow"] = {"slide_type": slide_type}
        tags = [tag for tag in metadata.pop("tags", []) if tag != OUTPUT_ONLY]
        if tags := tags + [OUTPUT_ONLY] * output_only:
            metadata["tags"] = tags


def slides(notebook: dict) -> list[list[dict]]:
    """The cells of each slide, by their metadata."""
    deck: list[list[dict]] = []
    for cell in notebook["cells"]:
        kind = cell["metadata"].get("slideshow", {}).get("slide_type", "-")
        if kind in ("slide", "subslide"):
            deck.append([])
        if kind != "skip" and deck:
            deck[-1].append(cell)
    return deck
