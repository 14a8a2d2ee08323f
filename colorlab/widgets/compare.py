"""The before/after slider: two images, one over the other, with a handle between them.

The reader moves the handle by mouse, touch or arrow keys. Taught in lesson 11.
"""

from __future__ import annotations

from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from torch import Tensor

from colorlab.widgets.shared import as_picture, picture_png, static_text, with_still


class BeforeAfter(anywidget.AnyWidget):
    """Two images of the same size, one over the other.

    Args:
        before: the image left of the handle: sRGB (1, 3, H, W) or (3, H, W) in [0, 1], or
            8-bit sRGB (H, W, 3) as an array.
        after: the image right of the handle, in one of these forms.
        names: labels of the two.
        alt: what the images show, for screen readers.
        size: width on the page, in CSS pixels.

    Attributes:
        position: of the handle, in percent of the width; left of it ``before`` is visible.
    """

    _esm = static_text("parts.js", "compare.js", "before_after.js")
    _css = static_text("theme.css", "panels.css")

    before = traitlets.Bytes(help="PNG").tag(sync=True)
    after = traitlets.Bytes(help="PNG").tag(sync=True)
    names = traitlets.List(help="[left, right]").tag(sync=True)
    alt = traitlets.Unicode().tag(sync=True)
    size = traitlets.Int(480, min=64, help="width on the page, CSS pixels").tag(sync=True)
    position = traitlets.Float(50, min=0, max=100, help="percent of the width").tag(sync=True)

    def __init__(
        self,
        before: Tensor | np.ndarray,
        after: Tensor | np.ndarray,
        *,
        names: tuple[str, str] = ("before", "after"),
        alt: str,
        size: int = 480,
    ):
        left, right = as_picture(before), as_picture(after)
        if left.shape != right.shape:
            raise ValueError(
                f"want two pictures of one size, got {tuple(left.shape[-2:])} and "
                f"{tuple(right.shape[-2:])}"
            )
        if not alt.strip():
            raise ValueError("pictures need alt text: say what a reader sees in them")
        if len(names) != 2:
            raise ValueError(f"want two names, got {len(names)}")
        self._pair = torch.cat((left, right), dim=-1)
        images = {"before": picture_png(left), "after": picture_png(right)}
        super().__init__(**images, names=list(names), alt=alt, size=size)

    def __repr__(self) -> str:
        return f"BeforeAfter({self.names[0]}, {self.names[1]})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live widget, and the two images side by side for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        alt = f"Left, {self.names[0]}; right, {self.names[1]}. {self.alt}"
        return with_still(data, metadata, self._pair, alt)
