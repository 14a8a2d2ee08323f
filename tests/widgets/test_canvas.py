"""The canvas without a browser: strokes as data, and the widget driven through its traits."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from skimage.color import rgb2lab
from skimage.draw import disk
from tiny import decode
from traitlets import TraitError

from colorlab.color import join, to_uint8
from colorlab.widgets import Canvas
from colorlab.widgets.strokes import check_strokes, paint, read_strokes, sketch, write_strokes

SHAPE = (40, 60)


def stroke(*points, radius=3.0, ab=(20.0, 50.0)):
    return {"points": [list(p) for p in points], "radius": radius, "ab": ab and list(ab)}


class Flood:
    """The mean painted chroma everywhere; counts its calls."""

    def __init__(self):
        self.calls = 0

    def solve(self, ab, mask):
        self.calls += 1
        mean = ab.sum((2, 3), keepdim=True) / mask.sum()
        return mean.expand_as(ab).clone()


@pytest.fixture(name="L")
def lightness():
    return torch.linspace(20, 90, 60).expand(1, 1, *SHAPE).contiguous()


# ---- strokes


def test_a_dab_is_the_disk_that_scikit_image_draws():
    _, mask = paint([stroke((30.5, 20.5), radius=7.3)], SHAPE)
    wanted = np.zeros(SHAPE, dtype=bool)
    wanted[disk((20, 30), 7.3)] = True  # its pixels have their centre at whole numbers
    assert (mask[0, 0].numpy() == wanted).all()


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.floats(-50, 110), st.floats(-50, 90)), min_size=1, max_size=6),
    st.floats(0.8, 90),
)
def test_a_brush_covers_what_is_near_its_line(points, radius):
    points = np.array(points)
    _, mask = paint([stroke(*points.tolist(), radius=radius)], SHAPE)
    centres = np.stack(np.meshgrid(np.arange(60) + 0.5, np.arange(40) + 0.5), axis=-1)
    # Against samples of the line, so close that they cannot miss by more than `slack`.
    fine = np.linspace(0, 1, 200)[:, None]
    line = [a + fine * (b - a) for a, b in zip(points[:-1], points[1:], strict=True)]
    samples = np.concatenate([points, *line])
    distance = np.sqrt(((centres[:, :, None] - samples) ** 2).sum(-1).min(-1))
    slack = 0.25
    assert mask[0, 0][torch.from_numpy(distance <= radius)].all()
    assert not mask[0, 0][torch.from_numpy(distance > radius + slack)].any()


def test_the_thinnest_brush_paints_a_pixel_wherever_it_falls():
    for x, y in np.random.default_rng(0).uniform((0, 0), (60, 40), (50, 2)).tolist():
        _, mask = paint([stroke((x, y), radius=0.1)], SHAPE)
        assert mask[0, 0, int(y), int(x)]
        assert mask.sum() <= 4


def test_later_strokes_cover_earlier_ones_and_the_eraser_takes_them_away():
    first, second = stroke((10, 20), (50, 20), ab=(30, 0)), stroke((30, 5), (30, 35), ab=(0, -40))
    ab, mask = paint([first, second], SHAPE)
    assert ab[0, :, 20, 30].tolist() == [0, -40]
    assert ab[0, :, 20, 12].tolist() == [30, 0]
    assert (ab[0, :, ~mask[0, 0]] == 0).all()
    ab, mask = paint([first, second, stroke((30, 20), radius=6, ab=None)], SHAPE)
    assert not mask[0, 0, 20, 30] and ab[0, :, 20, 30].tolist() == [0, 0]
    assert mask[0, 0, 20, 12] and mask[0, 0, 5, 30]


def test_what_lies_outside_is_clipped_however_far():
    _, inside = paint([stroke((-10, 20), (70, 20))], SHAPE)
    _, far = paint([stroke((-1e9, 20), (1e9, 20))], SHAPE)
    assert inside.any() and torch.equal(inside, far)
    assert not paint([stroke((-1e9, -5e8), (-1e8, -1e9))], SHAPE)[1].any()
    assert paint([stroke((30, 20), radius=1e9)], SHAPE)[1].all()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"points": []}, '"points"'),
        ({"points": [[1, 2], [3]]}, r'"points".*\[3\]'),
        ({"points": [[1, float("nan")]]}, '"points".*nan'),
        ({"points": [[1, 10**400]]}, '"points".*1000'),
        ({"radius": 0}, '"radius".*0'),
        ({"radius": True}, '"radius"'),
        ({"ab": [0, 200]}, '"ab".*CIE units.*200'),
        ({"ab": "red"}, '"ab"'),
        ({"colour": "red"}, 'unknown field "colour"'),
    ],
)
def test_a_malformed_stroke_is_refused_by_the_name_of_its_field(change, named, L):
    bad = [stroke((1, 2)), {**stroke((1, 2)), **change}]
    with pytest.raises(ValueError, match=f"stroke 1.*{named}"):
        paint(bad, SHAPE)
    canvas = Canvas(L, solver=Flood(), strokes=[stroke((5, 5))])
    with pytest.raises(TraitError, match=named):
        canvas.strokes = bad
    assert len(canvas.strokes) == 1, "the strokes before stay"


def test_strokes_that_are_no_list_of_dicts_are_refused():
    lacking = {"points": [[1, 2]], "ab": None}
    for bad, words in (({}, "list of dicts"), ([3], "dict, got int"), ([lacking], '"radius"')):
        with pytest.raises(ValueError, match=words):
            check_strokes(bad)


def test_a_sketch_shows_strokes_on_the_gray_picture(L):
    strokes = [stroke((30, 20), ab=(50, 40)), stroke((10, 10), ab=(0, 0))]
    shown, gray = sketch(L, strokes), join(L, torch.zeros(1, 2, *SHAPE))
    changed = (shown - gray).abs().amax(1)[0] > 0.02
    _, mask = paint(strokes, SHAPE)
    assert changed[mask[0, 0]].all()
    assert (to_uint8(shown)[0][20, 30].astype(int) @ [1, -1, 0]) > 80, "reddish"
    assert not changed[:, 45:].any()


def test_strokes_are_written_and_read(tmp_path, L):
    strokes = [stroke((1, 2), (30.5, 20)), stroke((5, 5), ab=None)]
    canvas = Canvas(L, solver=Flood(), strokes=strokes)
    canvas.save(tmp_path / "mine.json")
    assert (decode((tmp_path / "mine.png").read_bytes()) == decode(canvas.result)).all()
    other = Canvas(L, solver=Flood())
    rgb = other.load(tmp_path / "mine.json")
    assert other.strokes == strokes
    assert torch.equal(rgb, canvas.rgb)
    with pytest.raises(ValueError, match=r"end in \.json"):
        write_strokes(tmp_path / "mine.npy", [], SHAPE)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", "does not hold strokes"),
        ('{"picture_size": [40, 60], "strokes": [{}]}', '"points"'),
        ('{"picture_size": [8, 8], "strokes": []}', r"\(8, 8\).*\(40, 60\)"),
    ],
)
def test_a_file_that_holds_no_strokes_is_refused_by_name(tmp_path, text, words):
    path = tmp_path / "mine.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=f"mine.json.*{words}"):
        read_strokes(path, SHAPE)


# ---- the widget


def test_setting_strokes_solves_and_sends_the_picture(L):
    solver = Flood()
    canvas = Canvas(L, solver=solver)
    gray = decode(canvas.result)
    assert (np.ptp(gray.astype(int), axis=-1) <= 1).all(), "gray until painted"
    assert (gray == decode(canvas.gray)).all()
    assert solver.calls == 0 and canvas.status == "Nothing painted yet."
    canvas.strokes = [stroke((30, 20), ab=(20, 50))]
    assert solver.calls == 1 and canvas.solves == 2
    wanted = join(L, torch.tensor([20.0, 50.0])[None, :, None, None].expand(1, 2, *SHAPE))
    assert np.abs(decode(canvas.result).astype(int) - to_uint8(wanted)[0]).max() <= 1
    assert re.fullmatch(r"1 stroke, solved in \d+\.\d\d s\.", canvas.status)
    canvas.strokes = []
    assert (decode(canvas.result) == gray).all()


def test_a_picture_is_taken_as_tensor_or_array_and_only_its_lightness_kept(L):
    rgb = torch.rand(1, 3, 8, 12, generator=torch.Generator().manual_seed(0))
    wanted = rgb2lab(rgb[0].permute(1, 2, 0).numpy())[..., 0]
    assert np.abs(Canvas(rgb).L[0, 0].numpy() - wanted).max() < 0.01
    assert np.abs(Canvas(to_uint8(rgb)[0]).L[0, 0].numpy() - wanted).max() < 0.5
    assert torch.equal(Canvas(L).L, L)
    assert Canvas(rgb).shape == (8, 12)
    for bad, words in (
        (torch.rand(2, 1, 8, 8), r"\(2, 1, 8, 8\)"),
        (torch.rand(1, 3, 8, 8) * 255, r"picture must lie in \[0, 1\]"),
        (torch.full((1, 1, 8, 8), 255.0), r"L must lie in \[0, 100\].*255"),
    ):
        with pytest.raises(ValueError, match=words):
            Canvas(bad)


def test_levin_solves_unless_told_otherwise(L):
    canvas = Canvas(L, strokes=[stroke((5, 20), (55, 20), ab=(30, 30))])
    assert not canvas.failed, canvas.status
    painted = canvas.ab[0, :, 20, 10:50]
    assert (painted - 30).abs().max() < 3
    assert (canvas.ab[0, :, 0].abs() > 1).any(), "colour spreads beyond the stroke"


def test_a_solver_that_fails_is_reported_and_the_canvas_lives_on(L):
    class Wrong:
        def solve(self, ab, mask):
            if ab.max() > 60:
                raise ZeroDivisionError("no colour so strong")
            return ab[..., :-1] if ab.max() > 40 else ab / ab if ab.max() > 20 else ab

    canvas = Canvas(L, solver=Wrong())
    before = canvas.result
    for strength, words in ((70, "ZeroDivisionError: no colour"), (50, "gave"), (30, "not a num")):
        with pytest.raises(RuntimeError, match=words):
            canvas.replay([stroke((30, 20), ab=(strength, 0))])
        assert canvas.failed and words in canvas.status and canvas.result == before
    canvas.strokes = [stroke((30, 20), ab=(10, 0))]
    assert not canvas.failed and canvas.result != before
    with pytest.raises(TypeError, match="solve"):
        Canvas(L, solver=lambda ab, mask: ab)


def test_colours_are_suggested_for_the_pixel_under_the_pointer(L):
    asked = []

    def suggest(L, y, x):
        asked.append((y, x))
        return [(0, 0, 0.1), (10, 20, 0.6), *[(5, 5, 0.05)] * 6]

    canvas = Canvas(L, suggest=suggest)
    assert canvas.suggests and not Canvas(L).suggests
    canvas.pointer = [59.9, 7]
    assert canvas.suggestions["place"] == [59, 7]
    assert canvas.suggestions["colors"][:2] == [[10, 20, 0.6], [0, 0, 0.1]]
    assert len(canvas.suggestions["colors"]) == 5
    canvas.pointer = [-4, 400]
    assert asked == [(7, 59), (39, 0)], "clipped to the picture"
    canvas.pointer = []
    assert canvas.suggestions == {}
    failing = Canvas(L, suggest=lambda L, y, x: 1 / 0)
    failing.pointer = [3, 3]
    assert failing.failed and failing.status.startswith("No suggestions: ZeroDivisionError")


def test_a_page_without_a_kernel_shows_a_still_picture(L):
    canvas = Canvas(L, solver=Flood(), strokes=[stroke((45, 20), ab=(40, -50))])
    data, metadata = canvas._repr_mimebundle_()
    assert data["text/plain"] == "Canvas(40x60, 1 strokes)"
    assert "application/vnd.jupyter.widget-view+json" in data
    still = decode(data["image/jpeg"])
    assert still.shape == (40, 120, 3)
    assert np.abs(still[:, 60:].astype(int) - decode(canvas.result)).mean() < 3
    assert "purple" in metadata["image/jpeg"]["alt"] or "lavender" in metadata["image/jpeg"]["alt"]


def test_an_image_of_pil_and_a_path_are_pictures_too(tmp_path):
    values = np.random.default_rng(0).integers(0, 256, (24, 32, 3), dtype=np.uint8)
    want = Canvas(values).L
    image = Image.fromarray(values)
    image.save(tmp_path / "a.png")
    for same in (image, tmp_path / "a.png", str(tmp_path / "a.png"), image.convert("RGBA")):
        torch.testing.assert_close(Canvas(same).L, want)
    turned = image.copy()
    turned.getexif()[0x0112] = 6  # as a telephone held upright says
    assert Canvas(turned).shape == (32, 24)
    exif = Image.Exif()
    exif[0x8769] = {0xA001: 2}  # Adobe RGB
    image.save(tmp_path / "camera.png", exif=exif)
    camera = Image.open(tmp_path / "camera.png")
    torch.testing.assert_close(Canvas(camera).L, Canvas(tmp_path / "camera.png").L)
    assert (Canvas(camera).L - want).abs().max() > 0.1
    torch.testing.assert_close(Canvas(image.convert("CMYK")).L, want)
    with pytest.raises(TypeError, match="got list"):
        Canvas([[0.5]])
