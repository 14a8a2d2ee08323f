"""The before/after slider, the names of colours, and the scripts and styles of all widgets."""

import re
import tomllib

import numpy as np
import pytest
import torch
from matplotlib.colors import XKCD_COLORS
from skimage.color import rgb2lab
from tiny import decode

from colorlab.color import to_uint8
from colorlab.widgets import BeforeAfter, Canvas, FigureSlider, Studio, Triangle, TuringTest
from colorlab.widgets.canvas import SWATCHES
from colorlab.widgets.color_names import SHADES, hex_to_lab, name_color
from colorlab.widgets.shared import STATIC

WIDGETS = (BeforeAfter, Canvas, FigureSlider, Studio, Triangle, TuringTest)
GRAY = torch.linspace(0.3, 0.7, 48).expand(1, 3, 32, 48).contiguous()


def test_before_and_after_are_sent_as_they_are():
    after = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    slider = BeforeAfter(GRAY[0], after, names=("gray", "truth"), alt="a ramp")
    assert (decode(slider.after) == after).all()
    assert (decode(slider.before) == to_uint8(GRAY)[0]).all()
    data, metadata = slider._repr_mimebundle_()
    assert decode(data["image/jpeg"]).shape == (32, 96, 3)
    assert metadata["image/jpeg"]["alt"] == "Left, gray; right, truth. a ramp"


@pytest.mark.parametrize(
    ("after", "options", "error", "message"),
    [
        (torch.zeros(3, 32, 47), {}, ValueError, "of one size"),
        (torch.zeros(1, 32, 48), {}, ValueError, "one picture"),
        (torch.full((3, 32, 48), 2.0), {}, ValueError, r"got values in \[2, 2\]"),
        (torch.full((3, 32, 48), float("nan")), {}, ValueError, "in \\[0, 1\\]"),
        (np.zeros((32, 48, 3)), {}, TypeError, "uint8"),
        (torch.zeros(3, 32, 48), {"alt": " "}, ValueError, "alt text"),
        (torch.zeros(3, 32, 48), {"names": ("one",)}, ValueError, "two names"),
    ],
)
def test_pictures_that_do_not_fit_are_refused(after, options, error, message):
    with pytest.raises(error, match=message):
        BeforeAfter(GRAY, after, **{"alt": "x", **options})


# ---- names of colours


def test_names_agree_with_the_words_that_people_chose():
    # The XKCD colour survey of 2010: names by 200,000 readers. Those that end in a basic term.
    families = {
        **{term: (term,) for term in ("red", "green", "blue", "brown", "orange", "yellow")},
        "pink": ("pink", "salmon", "magenta"),
        "purple": ("purple", "violet", "lavender", "magenta"),
        "grey": ("gray", "black", "white"),
        "black": ("black",),
        "white": ("white",),
    }
    hits = []
    for name, code in XKCD_COLORS.items():
        term = name.removeprefix("xkcd:").split()[-1]
        if term in families and "gray" not in name:
            hits.append(any(word in name_color(hex_to_lab(code)) for word in families[term]))
    assert len(hits) > 500
    assert np.mean(hits) > 0.8
    neutral = {name_color((L, 0, 0)) for L in np.linspace(0, 100, 201)}
    assert neutral == {"black", "dark gray", "gray", "light gray", "white"}


def test_a_shade_has_its_own_name_and_swatches_have_different_ones():
    for name, codes in SHADES.items():
        assert {name_color(hex_to_lab(code)) for code in codes.split()} == {name}
    swatches = [name_color(hex_to_lab(code)) for code in SWATCHES]
    assert len(set(swatches)) == len(swatches)
    wanted = rgb2lab(np.array([0x3F, 0x68, 0xB5]) / 255)
    assert np.abs(np.array(hex_to_lab("#3f68b5")) - wanted).max() < 1e-2


# ---- scripts and styles


@pytest.mark.parametrize("widget", WIDGETS)
def test_a_script_is_in_the_package_and_asks_no_network(widget):
    script = str(widget._esm) + str(widget._css)
    script = script.replace('"http://www.w3.org/2000/svg"', "")  # a name, which nobody asks for
    assert not re.search(r"https?:|//cdn|@import|\bimport\b\s*[({'\"]|fetch\(|XMLHttp", script)
    assert "export default { render };" in script
    # What a reader or a file says is text, never markup.
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", script)


def test_every_script_is_used_and_shipped():
    joined = "".join(str(part) for w in WIDGETS for part in (w._esm, w._css))
    assert all(path.read_text("utf-8") in joined for path in STATIC.iterdir())
    project = tomllib.loads((STATIC.parents[2] / "pyproject.toml").read_text("utf-8"))
    patterns = project["tool"]["setuptools"]["package-data"]["colorlab.widgets"]
    shipped = {path for pattern in patterns for path in STATIC.parent.glob(pattern)}
    assert shipped == set(STATIC.iterdir())
