"""Live parts of the lessons that work without a network: the widgets, and sliders for figures.

A slider is a ``VBox`` of a slider and an image, joined by ``observe``: it shows its first figure
where no kernel runs too, and a notebook that holds it can be run and compared by nbval.
"""

from __future__ import annotations

import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image as PilImage

from colorlab.before_after import BeforeAfter
from colorlab.canvas import Canvas
from colorlab.plots import compressed, png
from colorlab.studio import Studio
from colorlab.turing_widget import TuringTest

__all__ = ["BeforeAfter", "Canvas", "FigureSlider", "Studio", "TuringTest", "figure_slider"]


class FigureSlider(ipywidgets.VBox):
    """Slider, image and text one below the other: what :func:`figure_slider` makes."""

    def __init__(self, children: Sequence[ipywidgets.Widget], alt: str) -> None:
        super().__init__(children)
        self._alt = alt

    def __repr__(self) -> str:
        slider = self.children[0]
        return f"FigureSlider({slider.description}: {len(slider.options)} figures)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live slider, and the figure it stands at for pages without a kernel."""
        slider, image, _ = self.children
        still, kind = compressed(PilImage.open(io.BytesIO(image.value)))
        alt = f"{slider.description} {slider.label}: {self._alt}"
        data = super()._repr_mimebundle_(**kwargs)
        return {**data, f"image/{kind}": still}, {f"image/{kind}": {"alt": alt}}


def figure_slider(
    draw: Callable[[Any], Figure],
    options: Sequence[Any] | Mapping[str, Any],
    label: str,
    alt: str,
    start: Any = None,
) -> FigureSlider:
    """A slider over ``options`` that shows ``draw(option)``.

    Args:
        draw: makes the figure for an option; each figure is drawn once and kept.
        options: the values, or label to value.
        label: what the slider sets; also read by screen readers.
        alt: what the picture shows, read by screen readers.
        start: the option shown first, the first one unless told.

    Returns:
        The widget; display it as the last line of a cell. The slider is moved by mouse, touch
        or arrow keys.

    Raises:
        ValueError: no options.
    """
    pairs = (
        list(options.items()) if isinstance(options, Mapping) else [(str(o), o) for o in options]
    )
    if not pairs:
        raise ValueError(f"the slider {label!r} needs at least one option")
    drawn: dict[int, bytes] = {}

    def picture(index: int) -> bytes:
        if index not in drawn:
            drawn[index] = png(draw(pairs[index][1]))
        return drawn[index]

    first = next((i for i, (_, value) in enumerate(pairs) if value == start), 0)
    slider = ipywidgets.SelectionSlider(
        options=[(text, i) for i, (text, _) in enumerate(pairs)],
        index=first,
        description=label,
        style={"description_width": "initial"},
        layout={"width": "95%"},
        continuous_update=False,
    )
    image = ipywidgets.Image(value=picture(first), format="png", layout={"max_width": "100%"})
    note = ipywidgets.HTML(value=f"<small>{html.escape(alt)}</small>")
    slider.observe(lambda change: setattr(image, "value", picture(change["new"])), names="value")
    return FigureSlider([slider, image, note], alt)
