"""Slide decks from the lessons: which cells are on a slide, and the decks themselves.

    python .ci/slides.py              say which lessons' slide metadata differ; exit status 1 if any
    python .ci/slides.py --write      set the metadata, after a lesson was executed anew
    python .ci/slides.py --deck DIR   make DIR/NN_name.slides.html, which run without a network

The rules: the title with what will be learned; a new slide at each heading; Markdown, short code
and printed results share a slide while they fit; a figure stands alone or under a short lead-in,
without the code that drew it. A question that asks for a guess does not share a slide with its
answer. A slider is the figure that it stands at. Set-up, long code and tables, exercises,
references: left out. So are links to what does not lie beside the decks.

Decks need reveal.js, MathJax, RequireJS and jQuery. `npm`, where DIR/library lacks them, gets them.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
from collections.abc import Iterator
from html import escape
from pathlib import Path

import lessons

LIMIT = 18  # lines of text on a slide
LEAD_IN = 5  # lines that leave room for a figure
FIGURE = LIMIT - LEAD_IN
SMALL_FIGURE = 7  # beside printed lines
HEIGHT, SMALL_HEIGHT = 440, 280  # of both in pixels, as in STYLE
LINE = 28  # pixels that a free line adds to the only figure of a slide
LONGEST_CODE = 13
WIDTH = 95  # characters a line
PRINTED = 112  # printed characters a line, before their type gets smaller
OUTPUT_ONLY = "slide-output-only"
GUESS = re.compile(r"\*before you (run|go on|move|look)", re.I)
# The end of a text that announces code.
ANNOUNCED = re.compile(r"\s*\bIn (code|\w+ lines):\s*$")
# A link to a file of the course, not a picture.
LINK = re.compile(r"(?<!!)\[([^]\n]+)\]\((?!\w+:|#)([^)\s]+)\)")
WIDGET = "application/vnd.jupyter.widget-view+json"
LIBRARY = ("reveal.js@4.6.1", "mathjax@2.7.9", "requirejs@2.3.7", "jquery@3.7.1")
STYLE = """<style>
.reveal .slides { text-align: left; }
.reveal .slides section { padding: 0 40px; box-sizing: border-box; }
:root { --jp-content-font-size1: 21px; --jp-code-font-size: 16px; --jp-cell-prompt-width: 0px; }
.reveal .jp-InputPrompt, .reveal .jp-OutputPrompt { display: none; }
.reveal h1 { font-size: 44px; margin: 0.3em 0; text-transform: none; }
.reveal h2 { font-size: 32px; margin: 0.2em 0; text-transform: none; }
.reveal h3 { font-size: 25px; margin: 0.2em 0; text-transform: none; }
.reveal p, .reveal li { line-height: 1.35; margin: 0.45em 0; }
.reveal table { font-size: 19px; margin-left: 0; }
.reveal table:has(th:nth-child(9)) { font-size: 13px; }
.reveal thead:not(:has(th:not(:empty))) { display: none; }  /* a head without a word */
.reveal thead:not(:has(th:not(:empty))) + tbody td:first-child { white-space: nowrap; }
.reveal blockquote {
  width: auto; margin: 0.5em 0; padding: 0 0.8em; box-shadow: none; border-left: 4px solid silver;
}
.reveal .jp-OutputArea-output img {
  width: 92%; height: auto; max-height: 440px; object-fit: contain; object-position: left;
  margin: 4px 0;
}
.reveal .jp-OutputArea-child:has(~ .jp-OutputArea-child) img,
.reveal .jp-OutputArea-child ~ .jp-OutputArea-child img { max-height: 280px; }
.reveal div.jp-OutputArea-output { padding-left: 0; }
.reveal div.jp-OutputArea-output > pre {
  font-size: 17px; line-height: 1.25; white-space: pre-wrap; width: 100%; box-sizing: border-box;
}
.reveal .celltag_wide div.jp-OutputArea-output > pre { font-size: 15px; }
.reveal .jp-RenderedMarkdown pre {
  font-size: 17px; line-height: 1.35; box-shadow: none; white-space: pre-wrap; width: 100%;
}
.reveal .MathJax_Display { margin: 0.4em 0; }
.reveal .controls { font-size: 6px; }
.reveal .slide-number { left: 8px; right: auto; }
</style>
"""


def source(cell: dict) -> str:
    """The text of a cell, which nbformat keeps as a list of lines."""
    return "".join(cell["source"])


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
            silent = long or kinds(cell) or re.search(r"^assert ", text, re.M)
            if not begun or exercises or (not shown and silent):
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


def without_kernel(notebook: dict) -> None:
    """Leave out outputs that need a kernel, give pictures their alt text, join prints; in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        outputs = cell["outputs"]
        cell["outputs"] = []
        for output in outputs:
            data = output.get("data", {})
            pictures = {"image/png", "image/jpeg"} & set(data)
            # What was printed in one go may be kept in pieces.
            before = cell["outputs"][-1] if cell["outputs"] else {}
            if "text" in output and output.get("name") == before.get("name"):
                before["text"] = "".join(before["text"]) + "".join(output["text"])
                continue
            # A progress bar is nothing without a kernel; a slider and a canvas keep a picture.
            if WIDGET in data and not pictures:
                continue
            for kind in pictures:
                # Converters know no alt text of a picture output, but leave HTML alone.
                alt = escape(output["metadata"].get(kind, {}).get("alt", ""), quote=True)
                bytes_ = "".join(data[kind]).strip()
                output["data"] = {
                    "text/html": f'<img alt="{alt}" src="data:{kind};base64,{bytes_}">'
                }
            cell["outputs"].append(output)


def only_what_is_there(notebook: dict) -> None:
    """Leave out words that announce code the deck hides, and links to other files; in place."""
    cells = notebook["cells"]
    for i, cell in enumerate(cells):
        if cell["cell_type"] != "markdown":
            continue
        text = source(cell)
        after = cells[i + 1]["metadata"] if i + 1 < len(cells) else {}
        hidden = after.get("slideshow", {}).get("slide_type") == "skip"
        if hidden or OUTPUT_ONLY in after.get("tags", []):
            text = ANNOUNCED.sub("", text)
        cell["source"] = LINK.sub(beside, text)


def beside(link: re.Match[str]) -> str:
    """A lesson's link leads to its deck; of other links to files only the words stay."""
    words, place = link.groups()
    lesson = re.fullmatch(r"(\d\d_\w+)\.ipynb", place)
    return f"[{words}]({lesson[1]}.slides.html)" if lesson else words


def enlarged(notebook: dict) -> list[tuple[dict, int]]:
    """The pictures that stand alone on a slide, each with the height in pixels that is free."""
    found = []
    for slide in slides(notebook):
        cells = [cell for cell in slide if has_figure(cell)]
        pictures = [o for cell in cells for o in cell["outputs"] if has_figure({"outputs": [o]})]
        if len(pictures) == 1:
            height_now = SMALL_HEIGHT if len(cells[0]["outputs"]) > 1 else HEIGHT
            spare = max(0, LIMIT - sum(height(cell) for cell in slide))
            found.append((pictures[0], height_now + LINE * spare))
    return found


def library(folder: Path) -> None:
    """Get what a deck loads into ``folder``, once."""
    missing = [
        name for name in LIBRARY if not (folder / "node_modules" / name.split("@")[0]).exists()
    ]
    if missing:
        folder.mkdir(parents=True, exist_ok=True)
        command = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *LIBRARY)
        subprocess.run(command, cwd=folder, check=True)


def deck(file: Path, folder: Path) -> Path:
    """Write the deck of one lesson into ``folder``."""
    import nbformat
    from nbconvert import SlidesExporter
    from traitlets.config import Config

    parts = "library/node_modules"
    config = Config()
    config.TagRemovePreprocessor.enabled = True
    config.TagRemovePreprocessor.remove_input_tags = {OUTPUT_ONLY}
    exporter = SlidesExporter(
        config=config,
        reveal_url_prefix=f"{parts}/reveal.js",
        reveal_width="1280",
        reveal_height="720",
        reveal_theme="white",
        reveal_transition="none",
        reveal_number="c/t",
        jquery_url=f"{parts}/jquery/dist/jquery.min.js",
        require_js_url=f"{parts}/requirejs/require.js",
        mathjax_url=f"{parts}/mathjax/MathJax.js?config=TeX-AMS_CHTML-full,Safe",
        mermaid_js_url="data:text/javascript,export default {initialize() {}}",  # no diagrams
    )
    notebook = nbformat.read(file, 4)
    for cell in notebook.cells:
        printed = "".join("".join(o.get("text", "")) for o in cell.get("outputs", []))
        if any(len(line) > PRINTED for line in printed.split("\n")):
            cell.metadata.setdefault("tags", []).append("wide")
    pictures = enlarged(notebook)
    only_what_is_there(notebook)
    without_kernel(notebook)
    for output, pixels in pictures:
        image = output["data"]["text/html"]
        output["data"]["text/html"] = image.replace(
            "<img", f'<img style="max-height: {pixels}px"', 1
        )
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": file.stem}})
    place = folder / f"{file.stem}.slides.html"
    # A formula that may break takes the whole width of its table.
    html = html.replace("automatic: true", "automatic: false")
    place.write_text(html.replace("</head>", STYLE + "</head>", 1), "utf-8")
    return place


def main() -> int:
    """Do what the module says."""
    parser = lessons.arguments(__doc__.split("\n", 1)[0], "set the metadata")
    parser.add_argument("--deck", type=Path, metavar="DIR", help="make the decks in this folder")
    options = parser.parse_args()
    files = lessons.chosen(options.names)
    status = lessons.rewrite(
        files, lambda notebook, _: mark(notebook), options.write, "slide metadata"
    )
    if options.deck:
        library(options.deck / "library")
        for file in files:
            print(deck(file, options.deck))
    return status


if __name__ == "__main__":
    sys.exit(main())
