"""A slider that steps through figures. It needs no running kernel to show its first figure."""

from __future__ import annotations

import functools
import html
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import ipywidgets
from matplotlib.figure import Figure
from PIL import Image as PilImage

from colorlab.plots import compressed, png


class FigureSlider(ipywidgets.VBox):
    """Slider, image and text, one below the other; made by :func:`figure_slider`.

    Standard ipywidgets only, so nbval can run and compare a notebook that holds one.
    """

    def __init__(self, children: Sequence[ipywidgets.Widget], alt: str) -> None:
        super().__init__(children)
        self._alt = alt

    def __repr__(self) -> str:
        slider = self.children[0]
        return f"FigureSlider({slider.description}: {len(slider.options)} figures)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live slider, and its current figure for pages without a kernel."""
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
        draw: makes the figure of an option; each figure is drawn once and kept.
        options: the values, or a mapping from label to value.
        label: name of the quantity that the slider sets; also read by screen readers.
        alt: what the figure shows, for screen readers.
        start: the option shown first; by default the first one.

    Returns:
        The widget; display it as the last line of a cell. The reader moves the slider by mouse,
        touch or arrow keys.
    """
    pairs = (
        list(options.items()) if isinstance(options, Mapping) else [(str(o), o) for o in options]
    )
    if not pairs:
        raise ValueError(f"the slider {label!r} needs at least one option")

    @functools.cache
    def drawn(index: int) -> bytes:
        return png(draw(pairs[index][1]))

    first = next((i for i, (_, value) in enumerate(pairs) if value == start), 0)
    slider = ipywidgets.SelectionSlider(
        options=[(text, i) for i, (text, _) in enumerate(pairs)],
        index=first,
        description=label,
        style={"description_width": "initial"},
        layout={"width": "95%"},
        continuous_update=False,
    )
    image = ipywidgets.Image(value=drawn(first), format="png", layout={"max_width": "100%"})
    note = ipywidgets.HTML(value=f"<small>{html.escape(alt)}</small>")
    slider.observe(lambda change: setattr(image, "value", drawn(change["new"])), names="value")
    return FigureSlider([slider, image, note], alt)
