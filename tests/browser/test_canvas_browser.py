"""The canvas as a reader uses it: in JupyterLab by mouse and keys, on a bare page by touch."""

import numpy as np
import pytest
import torch

from colorlab.color import lab_to_rgb, rgb_to_lab
from colorlab.widgets import Canvas
from colorlab.widgets.color_names import name_color

HEIGHT, WIDTH = 64, 96
CELLS = (
    "import torch\n"
    "from colorlab.widgets import Canvas\n"
    f"L = torch.linspace(30, 80, {WIDTH}).expand(1, 1, {HEIGHT}, {WIDTH}).contiguous()\n"
    "canvas = Canvas(L, size=300)\n"
    "canvas",
    "print(len(canvas.strokes), canvas.strokes[-1]['ab'] if canvas.strokes else None,"
    " bool(canvas.ab.abs().max() > 5))",
)


class Gray:
    """Keeps the painted chroma where it is painted, nothing elsewhere."""

    def solve(self, ab, mask):
        return ab


@pytest.fixture
def canvas():
    L = torch.linspace(30, 80, WIDTH).expand(1, 1, HEIGHT, WIDTH).contiguous()
    return Canvas(L, size=300, solver=Gray())


def place(page, x, y):
    """Where the picture's (x, y) lies on the page."""
    box = page.locator(".cl-surface").bounding_box()
    return box["x"] + x * box["width"] / WIDTH, box["y"] + y * box["height"] / HEIGHT


def draw(page, *points):
    page.mouse.move(*place(page, *points[0]))
    page.mouse.down()
    for point in points[1:]:
        page.mouse.move(*place(page, *point), steps=5)
    page.mouse.up()


READ = "node => Array.from(node.getContext('2d').getImageData(0, 0, node.width, node.height).data)"


def pixels(page, canvas=".cl-result") -> np.ndarray:
    """What a canvas of the page shows, (H, W, 3)."""
    handle = page.locator(canvas)
    size = handle.evaluate("node => [node.height, node.width]")
    return np.array(handle.evaluate(READ)).reshape(*size, 4)[..., :3]


def chroma(rgb) -> np.ndarray:
    return np.ptp(np.asarray(rgb).astype(int), axis=-1)


def settle(page, colored: bool) -> np.ndarray:
    """Wait until the result is coloured somewhere, or nowhere."""
    page.wait_for_function(
        """colored => {
            const node = document.querySelector(".cl-result");
            if (!node.dataset.solve) return false;
            const data = node.getContext("2d").getImageData(0, 0, node.width, node.height).data;
            let most = 0;
            for (let i = 0; i < data.length; i += 4) {
                const [red, green, blue] = data.subarray(i, i + 3);
                most = Math.max(most, Math.abs(red - blue), Math.abs(red - green));
            }
            return colored ? most > 30 : most < 4;
        }""",
        arg=colored,
    )
    return pixels(page)


# ---- in JupyterLab


@pytest.fixture(scope="module")
def notebook(lab):
    """A page of JupyterLab with a canvas that a cell made."""
    page = lab.make("canvas", *CELLS)
    page.locator(".cl-surface").wait_for()
    settle(page, colored=False)
    yield page
    page.close()


@pytest.fixture
def cleared(notebook):
    notebook.locator(".colorlab-canvas").get_by_role("button", name="Clear").click(
        force=True  # also when there is nothing to clear
    )
    settle(notebook, colored=False)
    return notebook


def test_a_stroke_by_mouse_colors_the_picture_and_reaches_python(cleared, lab):
    page = cleared
    page.get_by_role("radio", name="blue", exact=True).check(force=True)
    draw(page, (20, 30), (50, 34), (70, 30))
    shown = settle(page, colored=True)
    red, _, blue = shown[31:35, 45:50].mean((0, 1))
    assert blue > red + 30, "blue where drawn"
    assert "solved in" in page.locator(".cl-status").inner_text()
    count, *ab, colored = lab.run_last(page).split()
    assert (count, colored) == ("1", "True")
    assert float(ab[1].strip("[],")) < -20, "b is blue"


def test_keys_paint_and_undo_returns_to_gray(cleared, lab):
    page = cleared
    surface = page.locator(".cl-surface")
    cells = "() => window.jupyterapp.shell.currentWidget.content.model.cells.length"
    before = page.evaluate(cells)
    surface.focus()
    for key in ("ArrowRight", "Shift+ArrowUp", "Space"):
        page.keyboard.press(key)
    settle(page, colored=True)
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    page.keyboard.press("b")  # to the notebook, this would mean a new cell
    assert page.evaluate(cells) == before
    assert lab.run_last(page).split()[0] == "2"
    surface.focus()
    page.keyboard.press("Control+z")
    settle(page, colored=True)
    page.keyboard.press("Control+z")
    settle(page, colored=False)
    assert lab.run_last(page) == "0 None False"
    surface.focus()
    page.keyboard.press("Control+y")
    settle(page, colored=True)


# ---- on a bare page


def test_a_finger_paints_and_does_not_scroll(bare, canvas):
    page = bare(canvas, has_touch=True)
    send = page.context.new_cdp_session(page).send
    for kind, points in (
        ("touchStart", [(20, 20)]),
        ("touchMove", [(30, 40)]),
        ("touchMove", [(40, 60)]),
        ("touchEnd", []),
    ):
        spots = [dict(zip("xy", place(page, *point), strict=True)) for point in points]
        send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": spots})
    settle(page, colored=True)
    (stroke,) = canvas.strokes
    assert np.abs(np.array(stroke["points"][0]) - (20, 20)).max() < 1
    assert np.abs(np.array(stroke["points"][-1]) - (40, 60)).max() < 1
    assert page.evaluate("window.scrollY") == 0


def test_drawing_sends_no_flood(bare, canvas):
    page = bare(canvas)
    draw(page, *[(10 + i % 80, 10 + i // 2) for i in range(60)])
    settle(page, colored=True)
    times = np.array([message["time"] for message in page.evaluate("window.sent")])
    assert len(times) >= 2, "sent while drawing too"
    assert (np.diff(times[:-1]) > 190).all(), "at most five a second, and once at the end"
    assert len(canvas.strokes) == 1 and len(canvas.strokes[0]["points"]) > 20


def test_eraser_undo_redo_and_python_share_the_strokes(bare, canvas):
    page = bare(canvas)
    draw(page, (20, 30), (60, 30))
    settle(page, colored=True)
    page.get_by_role("radio", name="Eraser").check(force=True)
    page.get_by_label("Brush radius").fill("8")
    draw(page, (15, 30), (65, 30))
    settle(page, colored=False)
    assert canvas.strokes[1]["ab"] is None and canvas.strokes[1]["radius"] == 8
    page.get_by_role("button", name="Undo").click()
    settle(page, colored=True)
    page.get_by_role("button", name="Redo").click()
    settle(page, colored=False)
    page.evaluate("window.model.set('strokes', [])")  # as when Python sets them
    assert page.get_by_role("button", name="Clear").get_attribute("aria-disabled") == "true"
    page.get_by_role("button", name="Undo").click()
    assert len(canvas.strokes) == 2


def test_every_color_has_a_name_in_words(bare, canvas):
    page = bare(canvas)
    labels = page.get_by_role("radiogroup", name="Colour").locator("label").all_inner_texts()
    assert len(set(labels)) == len(labels) == len(canvas.swatches) + 1
    page.locator("input[type=color]").fill("#00c000")
    assert page.locator("figcaption strong").inner_text() == "green"
    assert page.locator(".cl-chosen strong").inner_text() == "green"
    shades = page.locator(".cl-chosen li").all_inner_texts()
    assert len(shades) == 5 and all("green" in shade for shade in shades)
    draw(page, (50, 30), (52, 30))
    settle(page, colored=True)
    page.mouse.move(*place(page, 51, 30))
    assert "green" in page.locator(".cl-where").inner_text().split("painted")[1]


def test_the_script_knows_the_same_colors_as_python(bare, canvas):
    page = bare(canvas)
    random = np.random.default_rng(0)
    labs = random.uniform((0, -90, -90), (100, 90, 90), (200, 3))
    # The functions of lab.js, taken out of the module.
    functions = str(canvas._esm).split("export default")[0]
    got = page.evaluate(
        f"""([labs, names]) => {{ {functions}
            return labs.map((lab) => {{
                const rgb = labToRgb(lab).rgb;
                return [rgb, rgbToLab(rgb), nearestName(names, lab)];
            }});
        }}""",
        [labs.tolist(), canvas.color_names],
    )
    rgb = lab_to_rgb(torch.from_numpy(labs.T[:, :, None]))[..., 0].T * 255
    assert np.abs(np.array([row[0] for row in got]) - rgb.numpy()).max() <= 0.51
    eight = torch.tensor([row[0] for row in got]).double().T[:, :, None] / 255
    back = rgb_to_lab(eight)[..., 0].T.numpy()
    assert np.abs(np.array([row[1] for row in got]) - back).max() < 0.01
    assert [row[2] for row in got] == [name_color(lab) for lab in labs]


def test_suggestions_are_asked_where_the_pointer_rests_and_taken_by_key(bare, canvas):
    asking = Canvas(
        canvas.L, size=300, solver=Gray(), suggest=lambda L, y, x: [(0, -40, 0.25), (40, 40, 0.7)]
    )
    page = bare(asking)
    page.mouse.move(*place(page, 60, 20))
    page.get_by_role("group", name="Suggested colours").get_by_role("button").first.wait_for()
    assert asking.pointer == [60, 20]
    texts = page.get_by_role("group", name="Suggested colours").locator("button").all_inner_texts()
    assert "70 %" in texts[0] and "25 %" in texts[1] and "blue" in texts[1]
    page.locator(".cl-surface").focus()
    page.keyboard.press("2")
    page.keyboard.press("Space")
    settle(page, colored=True)
    assert asking.strokes[-1]["ab"] == [0, -40]


def test_every_control_is_reached_by_tab_and_shows_it(bare, canvas):
    page = bare(canvas)
    seen = []
    for _ in range(20):
        page.keyboard.press("Tab")
        seen.append(
            page.evaluate(
                """() => {
                    const node = document.activeElement;
                    const shown = node.type === "radio" ? node.nextElementSibling : node;
                    const name = node.getAttribute("aria-label")
                        || node.closest("label")?.innerText || node.innerText;
                    return [node.tagName, name, parseFloat(getComputedStyle(shown).outlineWidth)];
                }"""
            )
        )
        if seen[-1][0] == "SUMMARY":
            break
    tags = [tag for tag, _, _ in seen]
    assert tags.count("BUTTON") == 3 and "CANVAS" in tags and "SUMMARY" in tags
    assert tags.count("INPUT") == 4, "tool, size, swatches, colour well"
    assert all(name and name.strip() for _, name, _ in seen)
    assert all(width >= 2 for _, _, width in seen), seen


def test_a_failing_solver_is_told_to_the_reader(bare, canvas):
    canvas._solver = object()
    page = bare(canvas)
    draw(page, (20, 30), (50, 34))
    page.locator(".cl-failed").wait_for()
    assert "Not solved: AttributeError" in page.get_by_role("status").inner_text()
