"""The web site: it is built from the lessons as they are, and no link within it leads nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest
from course import FOLDER, NOTEBOOKS, ROOT, TEXTS, cells, tool

LINKS = tool("links")


def with_jupyter_book() -> Path | None:
    """A Python beside which lies jupyter-book: this one, or that of site/README.md."""
    here = Path(sys.executable).parent
    places = (here, *(ROOT / "build" / "site-env" / name for name in ("bin", "Scripts")))
    for place in places:
        if shutil.which("jupyter-book", path=place):
            return place / Path(sys.executable).name
    return None


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The whole site, built anew."""
    python = with_jupyter_book()
    if python is None:
        pytest.skip("no jupyter-book at hand: see site/README.md")
    if shutil.which("npm") is None:
        pytest.skip("no npm at hand, which gets MathJax for the web site")
    folder = tmp_path_factory.mktemp("site")
    command = (str(python), str(ROOT / ".ci" / "site.py"), str(folder))
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = done.stdout + done.stderr
    if "npm error" in said:
        pytest.skip("npm cannot get MathJax for the web site")
    assert done.returncode == 0, said[-4000:]
    assert "WARNING" not in said, said[-4000:]
    return folder / "html"


def test_every_lesson_and_text_is_a_page_with_its_figures(site):
    for file in (*NOTEBOOKS, *(text for text in TEXTS if text.parent == FOLDER)):
        page = (site / f"{file.stem}.html").read_text("utf-8")
        title = re.search(r"<h1>(.+?)<a", page, re.S)
        assert title, f"{file.stem} has no title"
        if file.suffix == ".ipynb":
            assert unescape(title[1]).startswith(file.stem[:2])
            outputs = [output for cell in cells(file, "code") for output in cell["outputs"]]
            pictures = [o for o in outputs if {"image/png", "image/jpeg"} & set(o.get("data", {}))]
            found = re.findall(r'<img alt="([^"]+)" src="data:image/', page)
            assert len(found) == len(pictures), f"{file.stem} has lost figures or their alt text"


def test_pages_need_no_network_and_load_one_mathjax(site):
    for file in site.glob("*.html"):
        page = file.read_text("utf-8")
        asked = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page)
        assert not asked, f"{file.name} asks for {asked}"
        if file.stem in {lesson.stem for lesson in NOTEBOOKS}:
            assert len(re.findall(r"<script[^>]+mathjax", page)) == 1, file.stem


def test_broken_links_are_found(tmp_path):
    (tmp_path / "_static").mkdir()
    (tmp_path / "_static" / "template.html").write_text('<a href="{{ no page }}">')
    (tmp_path / "a b.html").write_text('<h1 id="top">x</h1><a name="old"><a href="#nothing">')
    (tmp_path / "index.html").write_text(
        '<a href="a%20b.html#top"><a href="a%20b.html#old"><a href="https://example.org/x">'
        '<a href="#"><img src="data:,x"><a href="a%20b.html#end"><img src="gone.png">'
        '<a href="../out.html">'
    )
    assert LINKS.broken(tmp_path) == [
        "a b.html: #nothing names a place that is not in a b.html",
        "index.html: ../out.html leads out of the site",
        "index.html: a%20b.html#end names a place that is not in a b.html",
        "index.html: gone.png is not there",
    ]
