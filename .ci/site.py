"""Build the web site from the lessons: ``python .ci/site.py build/site``; see site/README.md.

A link within the site that leads nowhere is an error, too.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

from links import broken
from slides import without_kernel

ROOT = Path(__file__).resolve().parents[1]
MATHJAX = "mathjax@3.2.2"
# Figures are drawn on white; wide tables and formulas scroll by themselves on a telephone.
STYLE = """
html[data-theme="dark"] .cell_output img { background: white; border-radius: 4px; }
.cell_output img { max-width: 100%; height: auto; }
.cell_output table { display: block; overflow-x: auto; }
div.math { overflow-x: auto; overflow-y: hidden; }
main table { display: block; overflow-x: auto; }
main p, main li { overflow-wrap: break-word; }
main :not(pre) > code, main code .pre { white-space: normal; overflow-wrap: anywhere; }
"""


def copy(folder: Path) -> None:
    """Copy lessons, solutions and texts into ``folder``, without what needs a kernel."""
    (folder / "solutions").mkdir(parents=True)
    (folder / "_static").mkdir()
    lessons = ROOT / "notebooks"
    for file in (*lessons.glob("*.ipynb"), *lessons.glob("solutions/*.ipynb")):
        notebook = json.loads(file.read_text("utf-8"))
        without_kernel(notebook)
        (folder / file.relative_to(lessons)).write_text(json.dumps(notebook), "utf-8")
    for file in (*lessons.glob("*.md"), *(ROOT / "site").glob("_*.yml")):
        shutil.copyfile(file, folder / file.name)
    (folder / "_static" / "site.css").write_text(STYLE, "utf-8")


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
    nowhere = broken(html)
    print("\n".join([*nowhere, f"{len(nowhere)} broken links"]))
    return int(bool(nowhere))


if __name__ == "__main__":
    sys.exit(main())
