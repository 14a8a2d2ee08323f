"""The web site: it is built from the lessons as they are, and no link within it leads nowhere."""

import base64
import io
import json
import re
from html import escape, unescape

import numpy as np
import pytest
from course import FOLDER, NOTEBOOKS, ROOT, TEXTS, cells, tool
from PIL import Image, ImageSequence

from colorlab import widgets

LINKS = tool("links")
SITE_WIDGETS = tool("site_widgets")
STATES = sorted((ROOT / "site" / "widgets").glob("*.json"))


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


def test_every_page_leads_to_the_one_that_colours_a_photograph(site):
    for file in (*NOTEBOOKS, *FOLDER.glob("solutions/*.ipynb")):
        page = (site / file.relative_to(FOLDER)).with_suffix(".html").read_text("utf-8")
        target = "try/index.html" if file.parent == FOLDER else "../try/index.html"
        assert f'href="{target}"' in page, file.stem
    page = site / "try"
    assert {"index.html", "worker.js", "files.json"} <= {file.name for file in page.iterdir()}
    for one in json.loads((page / "files.json").read_text("utf-8")).values():
        assert (page / one["url"]).stat().st_size == one["bytes"]


def test_pages_need_no_network_and_load_one_mathjax(site):
    for file in (*site.glob("*.html"), site / "try" / "index.html"):
        page = file.read_text("utf-8")
        asked = re.findall(r'<(?:script|link|img)[^>]+(?:src|href)="(https?:[^"]+)"', page)
        assert not asked, f"{file.name} asks for {asked}"
        if file.stem in {lesson.stem for lesson in NOTEBOOKS}:
            assert len(re.findall(r"<script[^>]+mathjax", page)) == 1, file.stem


# ---- the lessons' widgets, see .ci/widget_states.py


def test_every_widget_moves_or_says_that_it_does_not(site):
    moved = set()
    for file in NOTEBOOKS:
        page = (site / f"{file.stem}.html").read_text("utf-8")
        stills = 0
        for cell in cells(file, "code"):
            for output in cell["outputs"]:
                data = output.get("data", {})
                if SITE_WIDGETS.still(output) and SITE_WIDGETS.WIDGET in data:
                    stills += 1
                    moved.add(cell["id"])
        mounted = page.count('<div class="moved-widget"')
        told = page.count(SITE_WIDGETS.STAYS)
        assert mounted + told == stills, f"{file.stem}: {stills} widgets"
    assert {file.stem for file in STATES} <= moved, "a state of a widget that is in no lesson"
    assert {json.loads(file.read_text("utf-8"))["kind"] for file in STATES} == set(
        SITE_WIDGETS.KINDS
    ), "each kind of widget moves somewhere"


def at_start(state: dict, frames: list[np.ndarray]) -> np.ndarray:
    """What the state shows first, as the still of the lesson shows it."""
    kept = state["values"]
    names = {"FigureSlider": ["figure"], "BeforeAfter": ["before", "after"]}
    names |= {"TuringTest": ["first", "second"], "Canvas": ["result"]}
    return np.concatenate([frames[kept[n]["image"]] for n in names[state["kind"]]], axis=1)


@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_a_state_is_small_and_starts_as_the_lesson_shows_it(file):
    state = json.loads(file.read_text("utf-8"))
    traits = set(getattr(widgets, state["kind"]).class_trait_names(sync=True))
    assert set(state["values"]) - {"figures", "trials"} <= traits
    (output,) = (
        output
        for notebook in NOTEBOOKS
        for cell in cells(notebook, "code")
        if cell["id"] == file.stem
        for output in cell["outputs"]
        if SITE_WIDGETS.WIDGET in output.get("data", {})
    )
    html = SITE_WIDGETS.still(output)
    assert escape(state["values"].get("alt", ""), quote=True) in html.split('" src="')[0]
    pictures = file.with_suffix(".avif")
    if state["kind"] == "Triangle":
        assert not pictures.exists()
        return
    assert pictures.stat().st_size < 300_000
    with Image.open(pictures) as sequence:
        frames = [np.asarray(f.convert("RGB"), float) for f in ImageSequence.Iterator(sequence)]
    shown = at_start(state, frames)
    text = html.split("base64,")[1].removesuffix('">')
    still = np.asarray(Image.open(io.BytesIO(base64.b64decode(text))).convert("RGB"), float)
    if state["kind"] == "Canvas":
        still = still[:, -shown.shape[1] :]  # left are the strokes, which the page draws itself
    assert shown.shape == still.shape
    assert np.abs(shown - still).mean() < 4, "the lesson changed: keep its states again"


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
