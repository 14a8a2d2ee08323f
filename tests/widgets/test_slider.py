"""The slider over figures, driven through its traits."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from colorlab import plots
from colorlab.widgets import figure_slider


def decode(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_a_slider_redraws_and_draws_each_option_once():
    drawn = []

    def draw(value):
        drawn.append(value)
        return plots.pictures({"flat": torch.full((1, 3, 8, 8), value)})

    box = figure_slider(draw, {"dark": 0.1, "light": 0.9}, "level", alt="a flat square", start=0.9)
    slider, image, note = box.children
    assert slider.label == "light"
    first = image.value
    slider.index = 0
    assert image.value != first
    assert decode(image.value).mean() < decode(first).mean()
    slider.index = 1
    assert image.value == first
    assert drawn == [0.9, 0.1]
    assert "a flat square" in note.value
    assert repr(box) == "FigureSlider(level: 2 figures)"
    data, metadata = box._repr_mimebundle_()
    (kind,) = metadata  # what a page without a kernel shows: the figure it stands at
    assert "application/vnd.jupyter.widget-view+json" in data
    still = decode(data[kind]).astype(float)
    assert np.abs(still - decode(image.value)).mean() < 2
    assert metadata[kind]["alt"] == "level light: a flat square"
    with pytest.raises(ValueError, match="at least one"):
        figure_slider(draw, [], "level", alt="nothing")
