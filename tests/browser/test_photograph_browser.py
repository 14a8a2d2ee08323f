"""The page "Colour your photograph" in a real browser, with no network but a plain file server."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
from PIL import Image

from colorlab.checkpoints import SAFEST
from colorlab.color import from_uint8, lightness, rgb_to_lab
from colorlab.commands.colorize import VIVID, colorize_file, load_model
from colorlab.data.writing import srgb_profile

AXE = "axe-core@4.10.3"
MOST_BYTES = 12_000_000
MINUTE = 60_000
DONE = "() => /coloured in/.test(document.getElementById('status').textContent)"


@dataclass
class Site:
    """A server of the page, and what it was asked for."""

    origin: str
    asked: list[str] = field(default_factory=list)
    sent: int = 0  # bytes of files
    fails: str = "nothing"  # a part of the path of requests that fail


@pytest.fixture
def site(page_folder: Path) -> Iterator[Site]:
    class Handler(SimpleHTTPRequestHandler):
        def log_message(self, *_: Any) -> None: ...

        def do_GET(self) -> None:
            here.asked.append(self.path)
            if here.fails in self.path:
                self.send_error(503)
            else:
                super().do_GET()

        def copyfile(self, source: Any, output: Any) -> None:
            here.sent += os.fstat(source.fileno()).st_size
            super().copyfile(source, output)

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=page_folder))
    here = Site(f"http://127.0.0.1:{server.server_port}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield here
    server.shutdown()


@pytest.fixture
def page(browser: Any, site: Site) -> Iterator[Any]:
    """The page, opened; afterwards it must not have failed or asked anyone else."""
    context = browser.new_context(accept_downloads=True, viewport={"width": 1280, "height": 900})
    asked, errors = [], []
    context.on("request", lambda request: asked.append(request.url))
    page = context.new_page()
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(MINUTE)
    page.goto(f"{site.origin}/index.html")
    yield page
    context.close()
    assert not errors
    strangers = [url for url in asked if not url.startswith((site.origin, "blob:", "data:"))]
    assert not strangers, "the page asked others"


def choose(page: Any, file: Path) -> None:
    page.evaluate("document.getElementById('status').textContent = ''")
    page.set_input_files("#file", file)
    page.wait_for_function(DONE)


def downloaded(page: Any, folder: Path) -> Path:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download").click()
    file = folder / download.value.suggested_filename
    download.value.save_as(file)
    return file


def pixels(file: Path) -> np.ndarray:
    return np.asarray(Image.open(file).convert("RGB")).astype(int)


def by_program(file: Path, folder: Path, model: str = VIVID) -> np.ndarray:
    """What `colorlab colorize` answers."""
    answer = folder / f"{model}-{file.stem}.png"
    colorize_file(load_model(model, None, "cpu"), file, answer)
    return pixels(answer)


def photograph(name: str, file: Path, size: tuple[int, int] = (640, 480), **options: Any) -> Path:
    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    image.resize(size, Image.Resampling.LANCZOS).save(file, **options)
    return file


def kind(page: Any, name: str) -> None:
    """Choose the colours by keys."""
    page.get_by_role("radio", name="Vivid").focus()
    for _ in range(["Vivid", "Safest", "Several"].index(name)):
        page.keyboard.press("ArrowRight")


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("astronaut", (640, 480)),
        ("coffee", (480, 640)),
        ("chelsea", (97, 61)),
        ("rocket", (900, 80)),
    ],
)
def test_its_pixels_are_those_of_the_program(page, tmp_path, name, size):
    file = photograph(name, tmp_path / f"{name}.png", size)
    choose(page, file)
    got = downloaded(page, tmp_path)
    assert got.name == f"{name}-colored.png"
    ours = pixels(got)
    assert (np.abs(ours - by_program(file, tmp_path)) <= 1).mean() >= 0.999
    before, after = (lightness(from_uint8(x.astype(np.uint8)[None])) for x in (pixels(file), ours))
    assert (before - after).abs().mean() < 1, "its lightness is kept"

    kind(page, "Safest")
    page.wait_for_function("() => document.getElementById('told').textContent === '× 1.00'")
    ours = pixels(downloaded(page, tmp_path))
    assert (np.abs(ours - by_program(file, tmp_path, SAFEST)) <= 1).mean() >= 0.999


@pytest.mark.skipif("COLORLAB_LARGE" not in os.environ, reason="slow; COLORLAB_LARGE=1 runs it")
def test_24_megapixels(browser, page, tmp_path, capsys):
    file = photograph("coffee", tmp_path / "large.png", (6000, 4000), compress_level=1)
    small = photograph("coffee", tmp_path / "small.png")
    choose(page, small)  # the networks are loaded now
    started = time.perf_counter()
    choose(page, small)
    first = time.perf_counter() - started
    started = time.perf_counter()
    choose(page, file)
    shown = time.perf_counter()
    got = downloaded(page, tmp_path)
    saved = time.perf_counter()
    processes = browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]
    peak = {
        f"{one['type']} {one['id']}": int(
            re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{one['id']}/status").read_text())[1]
        )
        / 1024
        for one in processes
    }
    ours, theirs = pixels(got), by_program(file, tmp_path)
    with capsys.disabled():
        print(f"\n640 x 480 shown in {first:.2f} s")
        print(f"24 megapixels: {shown - started:.1f} s, saved {saved - shown:.1f} s; MiB: {peak}")
        print(f"equal to 1 of 255: {(np.abs(ours - theirs) <= 1).mean():.6f}")
    assert (np.abs(ours - theirs) <= 1).mean() >= 0.999
    assert sum(mib for kind, mib in peak.items() if "renderer" in kind) < 1024


def test_it_reads_orientation_profile_and_transparency_as_the_program_does(page, tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6
    file = photograph("coffee", tmp_path / "turned.jpg", (320, 240), exif=turned, quality=95)
    choose(page, file)
    ours = pixels(downloaded(page, tmp_path))
    assert ours.shape == (320, 240, 3)
    # Two decoders of JPEG may differ by a count or two.
    assert (np.abs(ours - by_program(file, tmp_path)) <= 3).mean() >= 0.99

    # Red and green of this profile are exchanged, so that to ignore it gives another lightness.
    profile = srgb_profile().replace(b"rXYZ", b"none").replace(b"gXYZ", b"rXYZ")
    profile = profile.replace(b"none", b"gXYZ")
    file = photograph("astronaut", tmp_path / "wide.png", (320, 240), icc_profile=profile)
    choose(page, file)
    ours, theirs = pixels(downloaded(page, tmp_path)), by_program(file, tmp_path)
    assert (np.abs(ours - theirs) <= 2).mean() >= 0.99
    plain = by_program(photograph("astronaut", tmp_path / "plain.png", (320, 240)), tmp_path)
    assert np.abs(plain - theirs).mean() > 10

    clear = np.zeros((64, 96, 4), np.uint8)
    clear[:, 48:] = (90, 90, 90, 255)
    file = tmp_path / "clear.png"
    Image.fromarray(clear).save(file)
    choose(page, file)
    ours = pixels(downloaded(page, tmp_path))
    assert ours[:, :40].min() > 200, "what is transparent lies on white"


def test_four_answers_differ_and_keep_lightness(page, tmp_path):
    file = photograph("astronaut", tmp_path / "astronaut.png", (320, 240))
    choose(page, file)
    kind(page, "Several")
    answers = page.locator("#answers button")
    page.get_by_text("Four answers. Choose one").wait_for()
    assert answers.count() == 4
    first = pixels(downloaded(page, tmp_path))
    answers.nth(2).click()
    assert answers.nth(2).get_attribute("aria-pressed") == "true"
    third = pixels(downloaded(page, tmp_path))
    assert np.abs(first - third).mean() > 1
    L = lightness(from_uint8(np.stack([first, third]).astype(np.uint8)))
    assert (L[0] - L[1]).abs().median() < 0.5
    page.get_by_role("button", name="Four others").click()
    page.get_by_text("Four answers. Choose one").wait_for()
    assert np.abs(pixels(downloaded(page, tmp_path)) - first).mean() > 1

    answers.nth(2).click()
    third = pixels(downloaded(page, tmp_path))
    kind(page, "Safest")
    kind(page, "Several")
    page.get_by_text("Four answers. Choose one").wait_for()
    assert (pixels(downloaded(page, tmp_path)) == third).all(), "they are kept, and the choice"
    assert answers.count() == 4


def test_the_sliders_act(page, tmp_path):
    choose(page, photograph("astronaut", tmp_path / "astronaut.png", (320, 240)))
    page.locator("#strength").fill("0")
    page.wait_for_function("() => document.getElementById('told').textContent === '× 0.00'")
    ours = pixels(downloaded(page, tmp_path))
    assert (ours.max(-1) - ours.min(-1)).max() <= 1, "gray"
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#frame").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 20)
    page.mouse.up()
    place = page.get_by_label("How much of the photograph is shown in gray")
    assert int(place.input_value()) == pytest.approx(25, abs=1)
    place.focus()
    page.keyboard.press("ArrowRight")
    assert place.get_attribute("aria-valuetext") == "26 % gray, 74 % colour"


def test_colours_are_set_by_a_click_and_by_keys(page, tmp_path):
    file = photograph("astronaut", tmp_path / "astronaut.png", (320, 240))
    choose(page, file)

    def ab() -> np.ndarray:
        rgb = from_uint8(pixels(downloaded(page, tmp_path)).astype(np.uint8)[None])
        return rgb_to_lab(rgb)[0, 1:].numpy()

    plain = ab()
    page.get_by_text("Correct a colour").click()
    page.get_by_role("button", name="blue").click()
    page.evaluate("scrollTo(0, 0)")
    box = page.locator("#frame").bounding_box()
    page.mouse.click(box["x"] + 0.6 * box["width"], box["y"] + 0.1 * box["height"])
    changed = ab()
    there = np.s_[:, 20:28, 188:196]
    assert plain[there].mean((1, 2))[1] > 0 > -25 > changed[there].mean((1, 2))[1], "blue now"
    moved = np.hypot(*(changed - plain))
    assert moved[there[1:]].mean() > 3 * moved[200:, :60].mean(), "less where it is far"

    page.get_by_role("button", name="green").click()
    page.get_by_role("application").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.keyboard.press("Enter")
    assert page.locator("#frame b:not(.aim)").count() == 2
    page.get_by_role("button", name="Undo").click()
    assert np.abs(ab() - changed).max() < 1e-3
    page.get_by_role("button", name="Remove all").click()
    assert np.abs(ab() - plain).max() < 1e-3


def test_what_is_no_image_is_told_and_the_next_one_works(page, tmp_path):
    page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["no image"], "notes.txt", {type: "text/plain"}));
            document.dispatchEvent(new DragEvent("drop", {dataTransfer: data, cancelable: true}));
        }"""
    )
    status = page.locator("#status[role=status]")
    status.get_by_text("notes.txt is not an image that this browser can read").wait_for()
    assert "failed" in status.get_attribute("class")
    cut = photograph("astronaut", tmp_path / "cut.png")
    cut.write_bytes(cut.read_bytes()[:2000])
    page.set_input_files("#file", cut)
    status.get_by_text("cut.png is not an image").wait_for()
    choose(page, photograph("astronaut", tmp_path / "astronaut.png"))
    assert "failed" not in (status.get_attribute("class") or "")

    # While another photograph is read and coloured: that one is finished, and can be worked with.
    small = photograph("coffee", tmp_path / "coffee.png", (160, 120))
    page.set_input_files("#file", small)
    page.set_input_files("#file", cut)
    status.get_by_text("cut.png is not an image").wait_for()
    page.locator("#work:not([inert])").wait_for()
    assert pixels(downloaded(page, tmp_path)).shape == (120, 160, 3)


def test_a_network_that_fails_is_told_and_tried_again(browser, site, tmp_path):
    site.fails = "/unet.onnx."
    page = browser.new_page()
    page.goto(f"{site.origin}/index.html")
    file = photograph("astronaut", tmp_path / "astronaut.png")
    page.set_input_files("#file", file)
    page.get_by_text("The networks could not be loaded").wait_for(timeout=MINUTE)
    page.get_by_text("Choose a photograph").wait_for()
    site.fails = "nothing"
    choose(page, file)
    page.close()


def test_few_bytes_and_the_next_visit_needs_no_network(browser, site, tmp_path):
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(MINUTE)
    page.goto(f"{site.origin}/index.html")
    file = photograph("astronaut", tmp_path / "astronaut.png")
    choose(page, file)
    assert site.sent < MOST_BYTES, site.asked
    page.evaluate("() => navigator.serviceWorker.ready")
    context.set_offline(True)
    asked = len(site.asked)
    page.reload()
    page.get_by_role("button", name="View from the Piza lighthouse").click()
    page.wait_for_function(DONE)
    choose(page, file)
    # Whether there is a new version, the browser asks by itself.
    assert not set(site.asked[asked:]) - {"/sw.js"}
    context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_no_serious_fault_of_access_nor_a_page_that_scrolls_aside(
    browser, site, page_folder, tmp_path, width, scheme
):
    page = browser.new_page(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page.goto(f"{site.origin}/index.html")
    page.locator("#samples img").first.wait_for()
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (np.mean([int(x) for x in dark[4:-1].split(",")]) < 100) == (scheme == "dark")
    script = axe(page_folder)
    steps = (
        lambda: None,
        lambda: choose(page, photograph("astronaut", tmp_path / "a.png")),
        lambda: page.get_by_text("Correct a colour").click(),
    )
    for step in steps:
        step()
        assert page.evaluate("document.documentElement.scrollWidth") == width
        page.evaluate(script)
        found = page.evaluate("async () => (await axe.run()).violations")
        grave = [one for one in found if one["impact"] in ("serious", "critical")]
        assert not grave, json.dumps(grave, indent=1)[:2000]
    page.close()


def axe(page_folder: Path) -> str:
    """The script of axe-core, from npm."""
    folder = page_folder.parent / "axe"
    file = folder / "node_modules" / "axe-core" / "axe.min.js"
    if not file.exists():
        folder.mkdir(exist_ok=True)
        command = (shutil.which("npm"), "install", "--ignore-scripts", "--no-audit", AXE)
        if subprocess.run(command, cwd=folder, capture_output=True, check=False).returncode:
            pytest.skip("npm cannot get axe-core, which looks for faults of access")
    return file.read_text("utf-8")
