"""The interactive parts of the lessons. They run offline and need Jupyter; no other module does."""

from colorlab.widgets.canvas import Canvas
from colorlab.widgets.compare import BeforeAfter
from colorlab.widgets.slider import figure_slider
from colorlab.widgets.studio import Studio
from colorlab.widgets.turing import TuringTest

__all__ = ["BeforeAfter", "Canvas", "Studio", "TuringTest", "figure_slider"]
