"""Names of colours against those that people chose."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import XKCD_COLORS
from skimage.color import rgb2lab

from colorlab.widgets.canvas import SWATCHES
from colorlab.widgets.color_names import NAMES, hex_to_lab, name_color


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


def test_what_has_no_chroma_is_called_gray():
    neutral = {name_color((L, 0, 0)) for L in np.linspace(0, 100, 201)}
    assert neutral == {"black", "dark gray", "gray", "light gray", "white"}


def test_a_table_entry_has_its_own_name_and_swatches_have_different_ones():
    assert all(name_color(hex_to_lab(code)) == name for name, code in NAMES)
    swatches = [name_color(hex_to_lab(code)) for code in SWATCHES]
    assert len(set(swatches)) == len(swatches)


def test_hex_to_lab_is_that_of_scikit_image():
    wanted = rgb2lab(np.array([0x3F, 0x68, 0xB5]) / 255)
    assert np.abs(np.array(hex_to_lab("#3f68b5")) - wanted).max() < 1e-2
