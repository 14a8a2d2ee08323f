"""Slide decks from the lessons, which run without a network; see slide_plan.py for the rules.

    python .ci/slides.py              say which lessons' slide metadata differ; exit status 1 if any
    python .ci/slides.py --write      set the metadata, after a lesson was executed anew
    python .ci/slides.py --deck DIR   make DIR/NN_name.slides.html

Links to what does not lie beside the decks are left out, and so are outputs that need a kernel.
On a slide the type grows until the slide is full; a figure takes the room that the text leaves.

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
from slide_plan import CLAIM, OUTPUT_ONLY, WIDGET, mark, titled

# The end of a text that announces code.
ANNOUNCED = re.compile(r"\s*\bIn (code|\w+ lines):\s*$")
# A link to a file of the course, not a picture.
LINK = re.compile(r"(?<!!)\[([^]\n]+)\]\((?!\w+:|#)([^)\s]+)\)")
MOVING = ("FigureSlider", "BeforeAfter")  # widgets whose still is one of many
MOVES = '<p class="moves">(In the notebook this picture moves.)</p>'
LIBRARY = ("reveal.js@4.6.1", "mathjax@2.7.9", "requirejs@2.3.7", "jquery@3.7.1")
STYLE = """<style>
.reveal .slides { text-align: left; }
.reveal .slides section {
  padding: 16px 40px 0; box-sizing: border-box; font-size: calc(22px * var(--type, 1));
  --jp-content-font-size1: calc(22px * var(--type, 1));
  --jp-code-font-size: calc(17px * var(--type, 1));
}
:root { --jp-cell-prompt-width: 0px; }
.reveal .jp-InputPrompt, .reveal .jp-OutputPrompt { display: none; }
.reveal h1 { font-size: 46px; margin: 0.2em 0; text-transform: none; }
.reveal h2 { font-size: 36px; margin: 0.1em 0 0.3em; text-transform: none; }
.reveal h3 { font-size: 1.25em; margin: 0.15em 0; text-transform: none; }
.reveal p, .reveal li { line-height: 1.35; margin: 0.45em 0; }
.reveal .section { font-size: 17px; color: dimgray; }
.reveal .section p { margin: 0; }
.reveal table { font-size: 0.9em; margin-left: 0; }
.reveal table:has(th:nth-child(9)) { font-size: 0.8em; }
.reveal table.colorlab-table { font-size: 0.72em; }
.reveal thead:not(:has(th:not(:empty))) { display: none; }  /* a head without a word */
.reveal thead:not(:has(th:not(:empty))) + tbody td:first-child { white-space: nowrap; }
.reveal blockquote {
  width: auto; margin: 0.5em 0; padding: 0 0.8em; box-shadow: none; border-left: 4px solid silver;
}
.reveal .jp-OutputArea-output img {
  width: 100%; height: auto; max-height: none; object-fit: contain; margin: 4px 0;
}
.reveal .jp-OutputArea-output p:has(> em:only-child) { font-size: 0.8em; margin: 0; }
.reveal .moves { font-size: 17px; margin: 0; }
.reveal div.jp-OutputArea-output { padding-left: 0; }
.reveal div.jp-OutputArea-output > pre {
  font-size: calc(18px * var(--type, 1)); line-height: 1.25; width: 100%; box-sizing: border-box;
}
.reveal div.jp-OutputArea-output > pre, .reveal .highlight pre { white-space: pre; }
.reveal .jp-OutputArea-output td { white-space: nowrap; }
.reveal .jp-RenderedMarkdown pre {
  font-size: 0.8em; line-height: 1.35; box-shadow: none; white-space: pre-wrap; width: 100%;
}
.reveal .MathJax_Display { margin: 0.4em 0; }
.reveal .controls { font-size: 6px; }
.reveal .slide-number { left: 8px; right: auto; }
</style>
"""
# Only a browser knows how high a text is, and only of the slide that it shows.
FIT = """<script>
require(["REVEAL/dist/reveal.js"], function (Reveal) {
  const ROOM = 700, LARGE = 1.6, WITH_FIGURE = 1.5;
  const FIGURES = [[520, 0.95], [430, 0.9], [330, 0.9], [230, 0.6]];  // height, smallest type
  function fit(slide) {
    if (!slide || slide.querySelector("section")) return;
    const figures = [...slide.querySelectorAll(".jp-OutputArea-output img")];
    const whole = figures.map((f) => (f.clientWidth * f.naturalHeight) / (f.naturalWidth || 1));
    const sum = whole.reduce((a, b) => a + b, 0);
    figures.forEach((f) => { f.style.height = "0px"; f.style.marginTop = "4px"; });
    const right = (e) => e.getBoundingClientRect().right;
    function fits(type, room) {
      slide.style.setProperty("--type", type);
      slide.querySelectorAll("pre").forEach((pre) => {
        pre.style.fontSize = "";
        const size = parseFloat(getComputedStyle(pre).fontSize);
        const part = pre.clientWidth / pre.scrollWidth;
        if (part < 1) pre.style.fontSize = 0.98 * part * size + "px";
      });
      const edge = right(slide.firstElementChild) + 1;
      return slide.scrollHeight <= room
        && [...slide.querySelectorAll(".mjx-math, table")].every((e) => right(e) <= edge);
    }
    // The largest type beside figures of a good size, or else smaller figures.
    for (const [figure, smallest] of sum ? FIGURES : [[0, 0.6]]) {
      const room = ROOM - Math.min(sum, figure);
      let type = sum ? WITH_FIGURE : LARGE;
      while (!fits(type, room) && type >= smallest) type -= 0.05;
      if (type >= smallest) break;
    }
    const left = ROOM - slide.scrollHeight;
    figures.forEach((f, i) => (f.style.height = Math.min(1, left / sum) * whole[i] + "px"));
    if (figures[0]) figures[0].style.marginTop = Math.max(0, left - sum) / 3 + "px";
  }
  const typeset = (element, then) => MathJax.Hub.Queue(["Rerender", MathJax.Hub, element], then);
  const now = () => typeset(Reveal.getCurrentSlide(), () => fit(Reveal.getCurrentSlide()));
  Reveal.on("slidechanged", now);
  Reveal.on("pdf-ready", () =>
    typeset(document.body, () => document.querySelectorAll(".pdf-page").forEach((page) => {
      page.style.height = Math.floor((page.offsetWidth * 9) / 16) - 1 + "px"; // one sheet
      page.querySelectorAll("section").forEach(fit);
    })));
  if (document.readyState == "complete") now(); else window.addEventListener("load", now);
});
</script>
"""


def moves(data: dict) -> bool:
    """Whether the data of an output are a widget that shows another picture when it is moved."""
    return WIDGET in data and "".join(data.get("text/plain", "")).startswith(MOVING)


def still(output: dict) -> str | None:
    """The picture of an output as HTML with its alt text, or None.

    Converters know no alt text of a picture output, but leave HTML alone.
    """
    data = output.get("data", {})
    for kind in ("image/png", "image/jpeg"):
        if kind in data:
            alt = escape(output["metadata"].get(kind, {}).get("alt", ""), quote=True)
            bytes_ = "".join(data[kind]).strip()
            return f'<img alt="{alt}" src="data:{kind};base64,{bytes_}">'
    return None


def without_kernel(notebook: dict) -> None:
    """Leave out outputs that need a kernel, give pictures their alt text, join prints; in place."""
    for cell in notebook["cells"]:
        if cell["cell_type"] != "code":
            continue
        outputs = cell["outputs"]
        cell["outputs"] = []
        for output in outputs:
            data = output.get("data", {})
            # What was printed in one go may be kept in pieces.
            before = cell["outputs"][-1] if cell["outputs"] else {}
            if "text" in output and output.get("name") == before.get("name"):
                before["text"] = "".join(before["text"]) + "".join(output["text"])
                continue
            # A progress bar is nothing without a kernel; a slider and a canvas keep a picture.
            html = still(output)
            if WIDGET in data and not html:
                continue
            if html:
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


def with_titles(notebook: dict) -> None:
    """Put each claim above its cell, under the name of its section; in place."""
    from nbformat.v4 import new_markdown_cell

    cells, section = [], ""
    for cell in notebook["cells"]:
        markdown, title = cell["cell_type"] == "markdown", titled(cell)
        if markdown and (heading := re.match(r"## (.*)", source(cell))):
            section = re.sub(r"^(\d+)\.", r"\1\\.", heading[1])  # no list
        if cell["metadata"].get(CLAIM):
            title = f'<div class="section">\n\n{section}\n\n</div>\n\n{title}'
        if markdown:
            cell["source"] = title
        elif title:
            kind = cell["metadata"]["slideshow"]["slide_type"]
            cells.append(new_markdown_cell(title, metadata={"slideshow": {"slide_type": kind}}))
            if kind != "skip":
                cell["metadata"]["slideshow"] = {"slide_type": "-"}
        cells.append(cell)
    notebook["cells"] = cells


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
    only_what_is_there(notebook)
    with_titles(notebook)
    without_kernel(notebook)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": file.stem}})
    place = folder / f"{file.stem}.slides.html"
    # A formula that may break takes the whole width of its table.
    html = html.replace("automatic: true", "automatic: false")
    html = html.replace("controls: true,", "controls: true, center: false,", 1)
    # FIT does this, in turn with what it measures.
    html = html.replace("MathJax.Hub.Rerender(Reveal.getCurrentSlide());", "", 1)
    html = html.replace("</head>", STYLE + "</head>", 1)
    fit = FIT.replace("REVEAL", f"{parts}/reveal.js")
    place.write_text(html.replace("</html>", fit + "</html>", 1), "utf-8")
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
