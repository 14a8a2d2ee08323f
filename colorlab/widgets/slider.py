"""A slider that steps through figures."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import anywidget
import traitlets
from matplotlib.figure import Figure
from PIL import Image

from colorlab.plots import compressed, png
from colorlab.widgets.shared import static_text


class FigureSlider(anywidget.AnyWidget):
    """A slider over ``options`` that shows ``draw(option)``.

    The reader moves it by mouse, touch or arrow keys. Display it as the last line of a cell.

    Args:
        draw: makes the figure of an option; each figure is drawn when first shown, and kept.
        options: the values, or a mapping from label to value.
        label: name of the quantity that the slider sets; also read by screen readers.
        alt: what the figure shows, for screen readers.
        start: the option shown first; by default the first one.

    Attributes:
        labels: of the options.
        index: of the option that is shown, from 0.
        figure: its figure, PNG.
    """

    _esm = static_text("parts.js", "slider.js")
    _css = static_text("theme.css", "panels.css")

    label = traitlets.Unicode().tag(sync=True)
    labels = traitlets.List(traitlets.Unicode()).tag(sync=True)
    index = traitlets.Int().tag(sync=True)
    figure = traitlets.Bytes(help="PNG").tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        draw: Callable[[Any], Figure],
        options: Sequence[Any] | Mapping[str, Any],
        label: str,
        alt: str,
        start: Any = None,
    ) -> None:
        named = options if isinstance(options, Mapping) else {str(o): o for o in options}
        if not named:
            raise ValueError(f"the slider {label!r} needs at least one option")
        values = list(named.values())
        self.drawn = functools.cache(lambda index: png(draw(values[index])))
        first = values.index(start) if start in values else 0
        super().__init__(
            label=label, labels=list(named), index=first, figure=self.drawn(first), alt=alt
        )
        self.observe(lambda change: self._show(), names="index")

    @traitlets.validate("index")
    def _valid_index(self, proposal: dict[str, Any]) -> int:
        if not 0 <= proposal["value"] < len(self.labels):
            raise traitlets.TraitError(
                f"want an index from 0 to {len(self.labels) - 1}, got {proposal['value']}"
            )
        return proposal["value"]

    def _show(self) -> None:
        self.figure = self.drawn(self.index)

    def __repr__(self) -> str:
        return f"FigureSlider({self.label}: {len(self.labels)} figures)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live slider, and its current figure for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        still, kind = compressed(Image.open(io.BytesIO(self.figure)))
        alt = f"{self.label} {self.labels[self.index]}: {self.alt}"
        return {**data, f"image/{kind}": still}, {**metadata, f"image/{kind}": {"alt": alt}}


figure_slider = FigureSlider
