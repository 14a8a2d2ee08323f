"""The Turing test, your own photograph and the two sliders, as a reader uses them."""

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab.plots import new_figure
from colorlab.widgets import BeforeAfter, PreferenceTest, TuringTest, figure_slider
from colorlab.widgets.turing import PHOTOGRAPH, plan

FLASH = 0.05  # seconds a picture: the tests wait for what follows, not for the clock
HANDS = [("0", "1"), ("1", "0"), ("0", "1")]  # for the first and the second, in each trial

CELLS = (
    "import torch\n"
    "from colorlab.widgets import Studio, TuringTest\n"
    "truth = torch.linspace(0.2, 0.8, 3)[:, None, None, None].expand(-1, 3, 48, 64).contiguous()\n"
    "made = {'unet': truth * 0.5, 'gan': 1 - truth * 0.5}\n"
    f"test = TuringTest(truth, made, 'abc', 'votes.csv', seconds={FLASH}, seed=2)\n"
    "test",
    "class Draws:\n"
    "    deterministic = False\n"
    "    def colorize(self, L): return self.sample(L, 1, torch.Generator())[0]\n"
    "    def sample(self, L, n, generator):\n"
    "        from colorlab.color import join\n"
    "        ab = 8 * torch.randn(n, 1, 2, 1, 1, generator=generator)\n"
    "        return torch.stack([join(L, one.expand(-1, -1, *L.shape[-2:])) for one in ab])\n"
    "class Plain(Draws):\n"
    "    deterministic = True\n"
    "studio = Studio({'plain': Plain(), 'draws': Draws()})\n"
    "studio",
    "print(len(test.votes), [v.asked for v in test.votes], len(studio.answers),"
    " studio.saturation, studio.seed, studio.name)",
)


@pytest.fixture(scope="module")
def notebook(lab):
    """A page of JupyterLab with the widgets that two cells made."""
    page = lab.make("comparison", *CELLS)
    yield page
    page.close()


def stage(page, name: str) -> None:
    page.locator(f'.colorlab-turing[data-stage="{name}"]').wait_for()


# ---- the Turing test in JupyterLab


def test_trials_are_answered_by_mouse_and_by_keys(notebook, lab):
    page = notebook
    test = page.locator(".colorlab-turing")
    cells = "() => window.jupyterapp.shell.currentWidget.content.model.cells.length"
    before = page.evaluate(cells)
    stage(page, "ready")
    assert "Trial 1 of 3" in test.get_by_role("status").inner_text()
    show = test.get_by_role("button", name="Show the two pictures")
    second = test.get_by_role("button", name="The second")
    assert show.is_visible() and not second.is_visible(), "no answer before the pictures"
    show.click()
    stage(page, "ask")
    assert second.is_visible() and not show.is_visible()
    test.get_by_role("button", name="Show them again").click()
    stage(page, "ask")
    second.click()
    page.wait_for_function(
        "() => document.querySelector('.colorlab-turing [role=status]').innerText.includes('2 of')"
    )
    for number in (2, 3):
        stage(page, "ready")
        page.keyboard.press("Enter")  # the button has the focus
        stage(page, "ask")
        page.keyboard.press("1" if number == 2 else "2")
    stage(page, "done")
    assert page.evaluate(cells) == before, "no key became a command of the notebook"
    rows = test.locator("tr").all_inner_texts()
    assert len(rows) == 3 and "95 % interval" in rows[0]
    trials = plan([(PHOTOGRAPH, "unet"), (PHOTOGRAPH, "gan")], 3, seed=2)
    wanted = [
        [t.first, t.second, "abc"[t.picture], *hands]
        for t, hands in zip(trials, HANDS, strict=True)
    ]
    lines = (lab.root / "votes.csv").read_text("utf-8").splitlines()[1:]
    assert [line.split(",")[2:] for line in lines] == wanted
    assert lab.run_last(page).startswith("3 [1, 1, 1]")


# ---- your own photograph in JupyterLab


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "grandmother.png"
    ramp = np.linspace(40, 200, 60).astype(np.uint8)[None, :, None]
    Image.fromarray(np.broadcast_to(ramp, (40, 60, 3)).copy()).save(path)
    return path


def answered(page, action):
    """Do something that asks Python, and wait for the answer."""
    count = "() => Number(document.querySelector('.colorlab-studio').dataset.answers)"
    before = page.evaluate(count)
    action()
    page.wait_for_function(f"before => ({count})() > before", arg=before)


MEAN_SPREAD = """async (node) => {
    await node.decode();
    const canvas = new OffscreenCanvas(node.naturalWidth, node.naturalHeight);
    const context = canvas.getContext("2d");
    context.drawImage(node, 0, 0);
    const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
    let sum = 0;
    for (let i = 0; i < data.length; i += 4)
        sum += Math.max(data[i], data[i + 1], data[i + 2])
            - Math.min(data[i], data[i + 1], data[i + 2]);
    return [canvas.width, canvas.height, (4 * sum) / data.length];
}"""


def test_a_photograph_is_uploaded_coloured_compared_and_saved(notebook, lab, photo, tmp_path):
    page = notebook
    studio = page.locator(".colorlab-studio")
    studio.scroll_into_view_if_needed()
    upload = studio.locator('input[type="file"]')
    answered(page, lambda: upload.set_input_files(photo))
    assert "grandmother.png: 60 x 40" in studio.get_by_role("status").inner_text()
    assert studio.locator("figure").count() == 1
    answered(page, lambda: studio.get_by_role("checkbox", name="draws").check())
    assert studio.locator("figure").count() == 2
    assert "4 draws spread by" in studio.locator("figure").nth(1).inner_text()
    studio.get_by_role("radio", name="draws").check()
    with page.expect_download() as download:
        studio.get_by_role("link", name="Download the picture of draws").click()
    assert download.value.suggested_filename == "grandmother-draws.png"
    saved = np.asarray(Image.open(download.value.path()))
    assert saved.shape == (40, 60, 3)

    shown = studio.locator("figure").nth(1).locator("img").first
    width, height, colored = shown.evaluate(MEAN_SPREAD)
    assert (width, height) == (60, 40) and colored > 5
    slider = studio.get_by_role("slider", name="Saturation")
    slider.focus()
    answered(page, lambda: page.keyboard.press("Home"))
    assert shown.evaluate(MEAN_SPREAD)[2] < 1, "no saturation is gray"
    answered(page, lambda: page.keyboard.press("End"))
    assert shown.evaluate(MEAN_SPREAD)[2] > colored + 2
    seed = studio.get_by_role("spinbutton", name="Seed of the draw")
    before = shown.get_attribute("src")
    seed.fill("7")
    answered(page, lambda: seed.press("Tab"))
    assert shown.get_attribute("src") != before
    assert lab.run_last(page).endswith("2 2.0 7 grandmother.png")
    assert len(lab.requests) > 20, "the log works"
    assert not lab.strangers(), "the picture goes nowhere"


def test_a_bad_file_is_told_as_text(notebook, tmp_path, photo):
    page = notebook
    studio = page.locator(".colorlab-studio")
    bad = tmp_path / "<img src=x onerror=alert(1)>.png"
    bad.write_bytes(b"not a picture")
    upload = studio.locator('input[type="file"]')
    answered(page, lambda: upload.set_input_files(bad))
    status = studio.get_by_role("status")
    assert "cl-failed" in status.get_attribute("class")
    assert "onerror" in status.inner_text()
    assert status.locator("img").count() == 0
    path = studio.get_by_role("textbox", name="Path of a picture")
    path.fill(str(photo))
    answered(page, lambda: path.press("Enter"))
    assert "grandmother.png" in status.inner_text()
    assert "cl-failed" not in status.get_attribute("class")


# ---- on a bare page


@pytest.fixture
def hall(tmp_path):
    truth = torch.full((2, 3, 32, 32), 0.5)
    answers = {"unet": truth * 0.5}
    return TuringTest(truth, answers, "ab", tmp_path / "hall.csv", seconds=FLASH, hall=True)


def test_a_lecturer_enters_hands_and_a_log_that_fails_can_be_mended(bare, hall, tmp_path):
    (tmp_path / "hall.csv").write_text("something else")
    page = bare(hall)
    enter, status = page.get_by_role("button", name="Enter the hands"), page.get_by_role("status")
    page.get_by_role("button", name="Show the two pictures").click()
    stage(page, "ask")
    enter.click()
    assert "at least one" in status.inner_text()
    for which, hands in (("first", "31"), ("second", "12")):
        page.get_by_role("spinbutton", name=f"Hands for the {which}").fill(hands)
    enter.click()
    page.locator(".cl-failed").wait_for()
    assert "no log of these tests" in status.inner_text()
    (tmp_path / "hall.csv").unlink()
    enter.click()
    stage(page, "ready")
    (vote,) = hall.votes
    assert (vote.for_first, vote.for_second) == (31, 12)
    page.get_by_role("button", name="Show the two pictures").click()
    stage(page, "ask")
    page.get_by_role("spinbutton", name="Hands for the first").fill("43")
    enter.click()
    stage(page, "done")
    fooled = sum(v.chosen("unet") for v in hall.votes)
    assert f"{fooled}\t86" in page.locator("tr").nth(1).inner_text()
    assert len((tmp_path / "hall.csv").read_text().splitlines()) == 3


def test_two_colourings_stand_side_by_side_until_one_is_preferred(bare, tmp_path):
    half = torch.full((2, 3, 32, 48), 0.5)
    answers = {"unet": half * 0.5, "gan": half}
    test = PreferenceTest(answers, "ab", tmp_path / "me.csv", size=400)
    page = bare(test)
    status = page.get_by_role("status")
    page.get_by_role("button", name="Show the two pictures").click()
    stage(page, "ask")
    assert "more believable" in status.inner_text()
    boxes = [node.bounding_box() for node in page.locator(".cl-frame img").all()]
    assert len(boxes) == 2 and boxes[0]["y"] == boxes[1]["y"]
    assert boxes[0]["x"] + boxes[0]["width"] <= boxes[1]["x"], "beside each other"
    assert boxes[0]["width"] == pytest.approx(1.5 * boxes[0]["height"], rel=0.02)
    assert not page.get_by_role("button", name="Show them again").is_visible()
    page.keyboard.press("2")
    page.wait_for_function("() => document.querySelectorAll('.colorlab-turing img').length === 2")
    page.locator('.colorlab-turing[data-stage="ask"]').wait_for()
    page.get_by_role("button", name="The first").click()
    stage(page, "done")
    assert "preferred" in page.locator("tr").first.inner_text()
    assert [v.for_first for v in test.votes] == [0, 1]
    assert len((tmp_path / "me.csv").read_text().splitlines()) == 3


def test_the_slider_moves_by_mouse_keys_and_python(bare):
    before, after = torch.zeros(3, 40, 80), torch.ones(3, 40, 80)
    slider = BeforeAfter(before, after, names=("gray", "truth"), alt="two squares", size=400)
    page = bare(slider)
    page.locator(".cl-compare[data-shown]").wait_for()
    handle = page.get_by_role("slider", name="How much of the picture shows gray")
    assert handle.get_attribute("aria-valuetext") == "50 % gray, 50 % truth"
    box = page.locator(".cl-compare").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 9, steps=4)
    page.mouse.up()
    assert slider.position == pytest.approx(25, abs=1)
    page.keyboard.press("ArrowRight")  # a press on the picture gives the handle the focus
    assert slider.position == pytest.approx(26, abs=1)
    page.keyboard.press("End")
    assert slider.position == 100
    assert handle.get_attribute("aria-valuetext") == "100 % gray, 0 % truth"
    width = "node => Math.round(node.getBoundingClientRect().width)"
    assert page.locator(".cl-before").evaluate(width) == page.locator(".cl-after").evaluate(width)


def test_the_slider_of_figures_gets_each_figure_from_python(bare):
    def draw(width):
        figure, _ = new_figure(width, 1, nrows=1, ncols=1)
        return figure

    slider = figure_slider(draw, {"one": 2, "two": 3, "three": 4}, "width", alt="axes", start=3)
    page = bare(slider)
    handle = page.get_by_role("slider", name="width")
    image = page.get_by_role("img", name="width two")
    image.wait_for()
    handle.focus()
    for key, name, index in (("End", "three", 2), ("Home", "one", 0)):
        page.keyboard.press(key)
        page.get_by_role("img", name=f"width {name}").wait_for()
        assert handle.get_attribute("aria-valuetext") == name
        assert slider.index == index
        shown = page.locator("img").evaluate("async (n) => (await n.decode(), n.naturalWidth)")
        assert shown == 85 * (2, 3, 4)[index]
