"""The slider of figures: what is drawn when, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import decode
from traitlets import TraitError

from colorlab import plots
from colorlab.widgets import figure_slider


def test_a_slider_redraws_and_draws_each_option_once():
    drawn = []

    def draw(value):
        drawn.append(value)
        return plots.pictures({"flat": torch.full((1, 3, 8, 8), value)})

    slider = figure_slider(draw, {"dark": 0.1, "light": 0.9}, "level", alt="a square", start=0.9)
    assert slider.labels[slider.index] == "light"
    first = slider.figure
    slider.index = 0
    assert decode(slider.figure).mean() < decode(first).mean()
    slider.index = 1
    assert slider.figure == first
    assert drawn == [0.9, 0.1]
    assert repr(slider) == "FigureSlider(level: 2 figures)"
    data, metadata = slider._repr_mimebundle_()
    (kind,) = metadata  # what a page without a kernel shows: the figure it stands at
    assert "application/vnd.jupyter.widget-view+json" in data
    still = decode(data[kind]).astype(float)
    assert np.abs(still - decode(slider.figure)).mean() < 2
    assert metadata[kind]["alt"] == "level light: a square"
    assert figure_slider(draw, [0.2, 0.7], "level", alt="as above").labels == ["0.2", "0.7"]
    for wrong in (-1, 2):
        with pytest.raises(TraitError, match="from 0 to 1"):
            slider.index = wrong
    with pytest.raises(ValueError, match="at least one"):
        figure_slider(draw, [], "level", alt="nothing")
