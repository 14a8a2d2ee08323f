"""The lessons' widgets on the built web site: each kind is moved, from a static server."""

from __future__ import annotations

import functools
import json
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image, ImageSequence

from colorlab.data.scenes.palettes import geometric_median, weighted_median
from colorlab.widgets.turing import wilson

ROOT = Path(__file__).resolve().parents[2]
STATES = sorted((ROOT / "site" / "widgets").glob("*.json"))
FASTER = "const timer = setTimeout; window.setTimeout = (act, ms) => timer(act, ms / 20);"
STEP = 8  # of the pixels that are compared
# The pixels of an image, as rows of [red, green, blue].
PIXELS = """async (node, step) => {
    await node.decode();
    const [width, height] = [node.naturalWidth, node.naturalHeight];
    const context = new OffscreenCanvas(width, height).getContext("2d");
    context.drawImage(node, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    const pick = (n) => Array.from({ length: Math.ceil(n / step) }, (_, i) => i * step);
    return pick(height).map((y) => pick(width).map((x) =>
        Array.from(data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3))));
}"""


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nothing: the test tells what failed."""


@pytest.fixture(scope="module")
def origin(site: Path) -> Iterator[str]:
    """The address of a static server of the built site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture(params=[{}, {"viewport": {"width": 390, "height": 844}}], ids=["wide", "phone"])
def opened(request, browser: Any, origin: str) -> Iterator[Any]:
    """``opened(kind)``: the page with the first widget of a kind, the widget, and its state."""
    context = browser.new_context(**request.param)
    context.add_init_script(FASTER)
    errors, asked = [], []

    def open_page(kind: str) -> tuple[Any, Any, dict[str, Any], Path]:
        states = ((file, json.loads(file.read_text("utf-8"))) for file in STATES)
        file, state = next((f, s) for f, s in states if s["kind"] == kind)
        lesson = next((ROOT / "notebooks").glob(f"{file.stem[:2]}_*.ipynb")).stem
        page = context.new_page()
        page.set_default_timeout(120_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{origin}/{lesson}.html", wait_until="domcontentloaded")
        place = page.locator(f'.moved-widget[data-kind="{kind}"]').first
        place.scroll_into_view_if_needed()
        widget = place.locator(".colorlab-widget")
        widget.wait_for()
        return page, widget, state, file

    yield open_page
    context.close()
    assert not errors, "a script failed"
    here = urlsplit(origin).netloc
    inner = ("data", "blob", "about")
    away = [u for u in asked if (s := urlsplit(u)).scheme not in inner and s.netloc != here]
    assert asked and not away, "a page asks for something outside"


def frames(file: Path) -> list[np.ndarray]:
    with Image.open(file.with_suffix(".avif")) as sequence:
        return [
            np.asarray(frame.convert("RGB"), float)[::STEP, ::STEP]
            for frame in ImageSequence.Iterator(sequence)
        ]


def nearest(shown: Any, kept: list[np.ndarray]) -> int:
    """Which frame an <img> of the page shows; it must be close to it."""
    pixels = np.array(shown.evaluate(PIXELS, STEP), float)
    far = [np.abs(pixels - frame).mean() for frame in kept]
    assert min(far) < 4, "none of the frames"
    return int(np.argmin(far))


def test_the_slider_of_figures_shows_the_frame_of_each_option(opened):
    page, slider, state, file = opened("FigureSlider")
    labels, kept = state["values"]["labels"], frames(file)
    handle = slider.get_by_role("slider", name=state["values"]["label"])
    handle.focus()
    for key, index in (("Home", 0), ("End", len(labels) - 1), ("ArrowLeft", len(labels) - 2)):
        page.keyboard.press(key)
        assert handle.get_attribute("aria-valuetext") == labels[index]
        page.locator(f'.colorlab-slider[data-shown="{labels[index]}"]').wait_for()
        wanted = state["values"]["figures"][index]["image"]
        assert nearest(slider.locator("img"), kept) == wanted
    assert slider.bounding_box()["width"] <= page.viewport_size["width"]


def test_before_and_after_are_wiped_over_each_other(opened):
    page, compare, state, file = opened("BeforeAfter")
    page.locator(".cl-compare[data-shown]").wait_for()
    values, kept = state["values"], frames(file)
    for side in ("before", "after"):
        assert nearest(compare.locator(f".cl-{side}"), kept) == values[side]["image"]
    boxes = [compare.locator(f".cl-{side}").bounding_box() for side in ("before", "after")]
    assert boxes[0] == boxes[1], "one lies over the other"
    handle = compare.get_by_role("slider")
    box = compare.locator(".cl-compare").bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert abs(int(handle.input_value()) - 25) <= 1
    page.keyboard.press("End")
    first, second = values["names"]
    assert handle.get_attribute("aria-valuetext") == f"100 % {first}, 0 % {second}"


def test_the_turing_test_counts_as_python_does(opened):
    page, test, state, file = opened("TuringTest")
    trials, kept = state["values"]["trials"], frames(file)
    assert "stay on this page" in test.locator(".cl-note").inner_text()
    fooled = {trial["model"]: [] for trial in trials}
    for number, trial in enumerate(trials):
        page.locator('.colorlab-turing[data-stage="ready"]').wait_for()
        assert f"{number + 1} of {len(trials)}" in test.locator(".cl-frame").inner_text()
        page.evaluate(SEEN)
        test.get_by_role("button", name="Show the two pictures").click()
        page.locator('.colorlab-turing[data-stage="ask"]').wait_for()
        shown = [np.array(pixels, float) for pixels in page.evaluate("window.seen")]
        wanted = [kept[image["image"]] for image in trial["pair"]]
        assert len(shown) == 2
        for pixels, frame in zip(shown, wanted, strict=True):
            assert np.abs(pixels - frame).mean() < 4, "a pair in the planned order"
        took_first = number != 1
        test.get_by_role("button", name="The first" if took_first else "The second").click()
        fooled[trial["model"]].append(took_first != trial["truth_first"])
    page.locator('.colorlab-turing[data-stage="done"]').wait_for()
    rows = [row.split("\t") for row in test.locator("tr").all_inner_texts()[1:]]
    assert len(rows) == len(fooled)
    for row, (model, votes) in zip(rows, fooled.items(), strict=True):
        share, low, high = wilson(sum(votes), len(votes))
        told = [f"{share:.0%}", f"{low:.0%} to {high:.0%}"]
        assert row == [model, str(sum(votes)), str(len(votes)), *told]


# Keeps the pixels of each picture that the test shows, for it is gone before a test can look.
SEEN = f"""() => {{
    window.seen = [];
    const pixels = {PIXELS};
    const frame = document.querySelector(".colorlab-turing .cl-frame");
    new MutationObserver(async (changes, observer) => {{
        const img = frame.querySelector("img");
        if (!img) return;
        if (window.seen.push(null) === 2) observer.disconnect();
        const place = window.seen.length - 1;
        window.seen[place] = await pixels(img, {STEP});
    }}).observe(frame, {{ childList: true }});
}}"""


def test_the_triangle_computes_as_the_lesson_does(opened):
    page, triangle, state, _ = opened("Triangle")
    ab = np.array(state["values"]["ab"])
    for name in ("red", "green"):
        triangle.get_by_role("slider", name=f"Weight of {name}").focus()
        page.keyboard.press("End")
        page.keyboard.press("ArrowLeft")
    for weights in ([0.95, 0.5, 0.95], [0.95, 0, 0.95], [0, 0, 0], [0.5, 0.5, 0.25]):
        for name, weight in zip(state["values"]["names"], weights, strict=True):
            handle = triangle.get_by_role("slider", name=f"Weight of {name}")
            handle.fill(str(weight))
        prob = np.array(weights) + 1e-9
        prob /= prob.sum()
        best = [
            prob @ ab,
            [weighted_median(axis, prob) for axis in ab.T],
            geometric_median(ab, prob),
            ab[prob.argmax()],
        ]
        found = json.loads(triangle.evaluate("node => node.dataset.found"))
        np.testing.assert_allclose(found, best, atol=1e-3)
        lines = triangle.locator("li").all_inner_texts()
        for line, point in zip(lines, best, strict=True):
            assert f"chroma {np.hypot(*point):.0f}" in line
    assert triangle.bounding_box()["width"] <= page.viewport_size["width"]


def test_the_canvas_takes_strokes_and_says_what_it_cannot_do(opened):
    page, canvas, *_ = opened("Canvas")
    surface = canvas.locator(".cl-surface")
    page.locator(".cl-result[data-solve]").wait_for()
    clear = canvas.get_by_role("button", name="Clear")
    clear.click()
    assert clear.get_attribute("aria-disabled") == "true"
    canvas.get_by_role("radio", name="blue", exact=True).check(force=True)
    surface.scroll_into_view_if_needed()
    box = surface.bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 60, box["y"] + 40, steps=5)
    page.mouse.up()
    assert clear.get_attribute("aria-disabled") == "false"
    assert "Jupyter computes the colours" in canvas.locator(".cl-status").inner_text()
    painted = surface.evaluate(
        "node => Array.from(node.getContext('2d').getImageData("
        "30 * node.width / node.clientWidth, 25 * node.height / node.clientHeight, 1, 1).data)"
    )
    assert painted[2] > painted[0] + 30, "blue where drawn"
    assert not canvas.get_by_text("Suggested colours").count(), "nobody suggests colours here"
