"""The interactive parts of the lessons. They run offline and need Jupyter; no other module does."""

from colorlab.widgets.canvas import Canvas
from colorlab.widgets.compare import BeforeAfter
from colorlab.widgets.slider import FigureSlider, figure_slider
from colorlab.widgets.studio import Studio
from colorlab.widgets.triangle import Triangle
from colorlab.widgets.turing import PreferenceTest, TuringTest

__all__ = [
    "BeforeAfter",
    "Canvas",
    "FigureSlider",
    "PreferenceTest",
    "Studio",
    "Triangle",
    "TuringTest",
    "figure_slider",
]
