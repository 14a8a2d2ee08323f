"""The best single prediction of an ambiguous colour, while the reader moves the probabilities.

The page computes the mean, the medians and the mode itself, so it answers at once and needs no
kernel. Taught in lesson 01.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import anywidget
import numpy as np
import traitlets
from matplotlib.figure import Figure
from PIL import Image

from colorlab.plots import compressed, png
from colorlab.widgets.shared import static_text


class Triangle(anywidget.AnyWidget):
    """Colours in the *ab* plane with a slider each, and four predictions of their mixture.

    Args:
        names: of the K colours.
        ab: the colours (K, 2), CIE units.
        prob: their probabilities (K,) at the start.
        still: figure of these, for pages without a kernel.
        alt: what it shows, for screen readers.

    Attributes:
        weights: of the colours, each in [0, 1], as the reader sets them; their shares of the sum
            are the probabilities.
    """

    _esm = static_text("parts.js", "lab.js", "triangle.js")
    _css = static_text("theme.css", "panels.css")

    names = traitlets.List(traitlets.Unicode()).tag(sync=True)
    ab = traitlets.List(help="[a, b] of each colour, CIE units").tag(sync=True)
    weights = traitlets.List(traitlets.Float(min=0, max=1)).tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(
        self, names: Sequence[str], ab: np.ndarray, prob: np.ndarray, *, still: Figure, alt: str
    ) -> None:
        if np.shape(ab) != (len(names), 2) or np.shape(prob) != (len(names),):
            raise ValueError(
                f"want ab ({len(names)}, 2) and prob ({len(names)},) for {len(names)} names, got "
                f"{np.shape(ab)} and {np.shape(prob)}"
            )
        if not alt.strip():
            raise ValueError("a figure needs alt text: say what a reader sees in it")
        self._still = still
        ab, prob = np.asarray(ab, dtype=float), np.asarray(prob, dtype=float)
        super().__init__(names=list(names), ab=ab.tolist(), weights=prob.tolist(), alt=alt)

    def __repr__(self) -> str:
        return f"Triangle({', '.join(self.names)})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live widget, and the figure for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        still, kind = compressed(Image.open(io.BytesIO(png(self._still))))
        return {**data, f"image/{kind}": still}, {**metadata, f"image/{kind}": {"alt": self.alt}}
