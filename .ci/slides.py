"""Slide decks from the lessons, which run without a network; see slide_plan.py for the rules.

    python .ci/slides.py              say which lessons' slide metadata differ; exit status 1 if any
    python .ci/slides.py --write      set the metadata, after a lesson was executed anew
    python .ci/slides.py --deck DIR   make DIR/NN_name.slides.html

Links to what does not lie beside the decks are left out, and so are outputs that need a kernel.

Decks need reveal.js, MathJax, RequireJS and jQuery. `npm`, where DIR/library lacks them, gets them.
"""

from __future__ import annotations

import re
import subprocess
import sys
from html import escape
from pathlib import Path

import lessons
from lessons import source
from slide_plan import LIMIT, OUTPUT_ONLY, WIDGET, has_figure, height, mark, slides

HEIGHT, SMALL_HEIGHT = 440, 280  # of a figure alone or beside print, in pixels, as in STYLE
LINE = 28  # pixels that a free line adds to the only figure of a slide
PRINTED = 112  # printed characters a line, before their type gets smaller
# The end of a text that announces code.
ANNOUNCED = re.compile(r"\s*\bIn (code|\w+ lines):\s*$")
# A link to a file of the course, not a picture.
LINK = re.compile(r"(?<!!)\[([^]\n]+)\]\((?!\w+:|#)([^)\s]+)\)")
MOVING = ("FigureSlider", "BeforeAfter")  # widgets whose still is one of many
MOVES = '<p class="moves">(In the notebook this picture moves.)</p>'
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
.reveal table:has(th:nth-child(9)) { font-size: 17px; }
.reveal table.colorlab-table { font-size: 15px; }
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
.reveal .moves { font-size: 17px; margin: 0; }
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


def moves(data: dict) -> bool:
    """Whether the data of an output are a widget that shows another picture when it is moved."""
    return WIDGET in data and "".join(data.get("text/plain", "")).startswith(MOVING)


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
                html = f'<img alt="{alt}" src="data:{kind};base64,{bytes_}">'
                output["data"] = {"text/html": html + MOVES if moves(data) else html}
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
            spare = max(0, LIMIT - sum(height(cell) for cell in slide)) - moves(pictures[0]["data"])
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
    parser = lessons.arguments(__doc__, "set the metadata")
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
