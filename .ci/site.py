"""Build the web site from the lessons: ``python .ci/site.py build/site``; see site/README.md.

A link within the site that leads nowhere is an error, too.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import site_try
from links import broken
from site_widgets import mount, script, style
from slides import without_kernel

ROOT = Path(__file__).resolve().parents[1]
MATHJAX = "mathjax@3.2.2"
# Figures are drawn on white, and a dark page must not change their colours; wide tables and
# formulas scroll by themselves on a telephone.
STYLE = """
html[data-theme="dark"] main .cell_output img:not(.only-dark, .dark-light) {
  background: white; border-radius: 4px; filter: none; padding: 6px;
}
html[data-theme="dark"] .bd-content div.cell_output .text_html:not(:has(table.dataframe)) {
  background: none; color: inherit; padding: 0;
}
.cell_output img { max-width: 100%; height: auto; }
main div.math { overflow-x: auto; overflow-y: hidden; }
main :is(table, .table) {
  display: block; overflow-x: auto; width: fit-content; max-width: 100%; margin-left: 0;
}
main .cell_output table { font-size: 0.8em; }
main .cell_output :is(th, td) { padding: 0.2rem 0.5rem; }
main .cell_output :is(tbody th, tbody th ~ td) { white-space: nowrap; }
main table.table > thead:not(:has(th > p:not(:empty))) { display: none; }  /* without a word */
main p, main li { overflow-wrap: break-word; }
main :not(pre) > code, main code .pre { white-space: normal; overflow-wrap: anywhere; }
main td code, main td code .pre { overflow-wrap: break-word; }
main .cell pre { font-size: 13px; }
main .cell_output pre { font-size: 12px; padding: 0.6rem; }
main .tag_message .cell_output pre { white-space: pre-wrap; }
main div:is(.highlight-default, .highlight-sh) pre { white-space: pre-wrap; }
main h3 { font-size: 1.4rem; }
html { --pst-sidebar-secondary: 14rem; }
@media (max-width: 719px) {  /* the box of a formula that fits ends where its line ends */
  main span.math {
    display: inline-block; max-width: 100%; overflow-x: auto; overflow-y: hidden;
    vertical-align: bottom;
  }
}
@media (min-width: 720px) {
  main thead:not(:has(th > p:not(:empty))) + tbody td:first-child { white-space: nowrap; }
}
"""


def mark_messages(notebook: dict) -> None:
    """Tag cells that print sentences: a sentence may wrap, a table must not; in place.

    A table holds two spaces in a row, or an indented line; what exercises miss is a sentence.
    """
    for cell in notebook["cells"]:
        printed = "".join("".join(o.get("text", "")) for o in cell.get("outputs", []))
        if printed.startswith("Not yet: ") or (
            printed and not re.search(r"  |^ |\t", printed, re.M)
        ):
            cell["metadata"].setdefault("tags", []).append("message")


def copy(folder: Path) -> None:
    """Copy lessons, solutions and texts into ``folder``, without what needs a kernel."""
    (folder / "solutions").mkdir(parents=True)
    (folder / "_static").mkdir()
    lessons = ROOT / "notebooks"
    for file in (*lessons.glob("*.ipynb"), *lessons.glob("solutions/*.ipynb")):
        notebook = json.loads(file.read_text("utf-8"))
        mount(notebook)
        without_kernel(notebook)
        mark_messages(notebook)
        if file == lessons / "00_start_here.ipynb":
            site_try.invite(notebook)
        (folder / file.relative_to(lessons)).write_text(json.dumps(notebook), "utf-8")
    for file in (*lessons.glob("*.md"), *(ROOT / "site").glob("_*.yml")):
        shutil.copyfile(file, folder / file.name)
    shutil.copytree(ROOT / "site" / "_templates", folder / "_templates")
    for name, text in (("site.css", STYLE), ("widgets.js", script()), ("widgets.css", style())):
        (folder / "_static" / name).write_text(text, "utf-8")


def once(html: Path) -> None:
    """Leave a script that pages hold twice, and that declares constants, in each of them once."""
    script = re.compile(r" *<script>const THEBE_JS_URL.*?</script>\n", re.S)
    for file in html.rglob("*.html"):
        page = file.read_text("utf-8")
        for again in script.findall(page)[1:]:
            page = page.replace(again, "", 1)
        file.write_text(page, "utf-8")


def mathjax(folder: Path) -> Path:
    """The folder of MathJax's scripts, which ``npm`` puts below ``folder`` once.

    Raises:
        subprocess.CalledProcessError: npm cannot reach its registry.
    """
    if not (folder / "node_modules").exists():
        folder.mkdir(parents=True, exist_ok=True)
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--fetch-retries=1")
        subprocess.run(("npm", "install", *options, MATHJAX), cwd=folder, check=True)
    return folder / "node_modules" / "mathjax" / "es5"


def main() -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="where to build; html/ in it is the site")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder / "source", ignore_errors=True)
    copy(folder / "source")
    scripts = mathjax(folder / "npm")
    # Not in _static: Jupyter Book loads every script that it finds there into every page.
    shutil.copytree(scripts, folder / "source" / "scripts" / "mathjax")
    book = (Path(sys.executable).with_name("jupyter-book"), "build", folder / "source")
    html = folder / "html"
    shutil.rmtree(html, ignore_errors=True)
    if status := subprocess.run((*book, "--path-output", folder)).returncode:
        return status
    shutil.move(folder / "_build" / "html", html)
    once(html)
    site_try.make(html / "try", folder / "npm-try")
    nowhere = broken(html)
    print("\n".join([*nowhere, f"{len(nowhere)} broken links"]))
    return int(bool(nowhere))


if __name__ == "__main__":
    sys.exit(main())
