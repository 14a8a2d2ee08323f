"""Build the web site from the lessons: ``python .ci/site.py build/site``; see site/README.md."""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path

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


def main() -> int:
    """Do what the module says."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("folder", type=Path, help="where to build; html/ in it is the site")
    folder = parser.parse_args().folder.resolve()
    shutil.rmtree(folder / "source", ignore_errors=True)
    copy(folder / "source")
    npm = folder / "npm"
    if not (npm / "node_modules").exists():
        npm.mkdir(parents=True, exist_ok=True)
        command = ("npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", MATHJAX)
        subprocess.run(command, cwd=npm, check=True)
    scripts = npm / "node_modules" / "mathjax" / "es5"
    shutil.copytree(scripts, folder / "source" / "_static" / "mathjax", dirs_exist_ok=True)
    book = (Path(sys.executable).with_name("jupyter-book"), "build", folder / "source")
    status = subprocess.run((*book, "--path-output", folder)).returncode
    html = folder / "html"
    shutil.rmtree(html, ignore_errors=True)
    if status == 0:
        shutil.move(folder / "_build" / "html", html)
    return status


if __name__ == "__main__":
    sys.exit(main())
