"""Plan the slides of a lesson: which cells are on a slide, and which begin one.

The rules: the title with its figure or with what will be learned; a new slide at each heading;
Markdown, short code and printed results share a slide while they fit; a figure stands alone or
under a short lead-in, without the code that drew it. A question that asks for a guess does not
share a slide with its answer. A slider is the figure that it stands at. Set-up, long code and
tables, exercises, references: left out, and so is what has the tag ``no-slide``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from lessons import source

LIMIT = 18  # lines of text on a slide
LEAD_IN = 5  # lines that leave room for a figure
FIGURE = LIMIT - LEAD_IN
SMALL_FIGURE = 7  # beside printed lines
LONGEST_CODE = 13
WIDTH = 95  # characters a line
OUTPUT_ONLY = "slide-output-only"
NO_SLIDE = "no-slide"
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
            total += 1.7
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


def height(cell: dict) -> int:
    """About how many lines a cell takes on a slide, by its metadata."""
    if cell["cell_type"] == "markdown":
        return text_lines(source(cell))
    code = 0 if OUTPUT_ONLY in cell["metadata"].get("tags", []) else source(cell).count("\n") + 1
    return code + output_lines(cell)


def planned(notebook: dict) -> Iterator[tuple[str, bool]]:
    """For each cell the slide type, and whether only its output is shown."""
    used, exercises, begun, asked = 0, False, False, False
    for i, cell in enumerate(notebook["cells"]):
        text, output_only = source(cell), False
        heading = re.match(r"(#+) (?:\d+\. )?(\w+)", text)
        if heading and heading[1] == "##":
            exercises, begun = heading[2] in ("Exercises", "Further"), True
        if NO_SLIDE in cell["metadata"].get("tags", []):
            yield "skip", False
            continue
        if cell["cell_type"] == "markdown":
            if exercises or text.startswith("<details"):
                yield "skip", False
                continue
            lines = text_lines(text)
            start = "slide" if heading and len(heading[1]) < 3 else "subslide"
            fits = i == 1 or (not heading and not asked and used + lines <= LIMIT)
            asked = bool(GUESS.search(text))
        else:
            long = text.count("\n") + 1 > LONGEST_CODE
            shown = kinds(cell) - {WIDGET, "text/plain"}
            silent = long or kinds(cell) or re.search(r"^\s*assert ", text, re.M)
            if not (begun or has_figure(cell)) or exercises or (not shown and silent):
                yield "skip", False
                continue
            lines, code = output_lines(cell), text.count("\n") + 1
            output_only = bool(shown - {"stream"}) or long or bool(shown and lines + code > LIMIT)
            lines += 0 if output_only else code
            if lines > LIMIT and not has_figure(cell):
                yield "skip", False
                continue
            start, fits = "subslide", used + lines <= LIMIT and not (asked and shown)
            asked = asked and not shown
        used = used + lines if fits else lines
        yield ("-" if fits else start), output_only


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
