"""An image to paint on: a solver spreads the reader's strokes over the image while they paint.

The reader draws on the gray image; Python rasterises the strokes, solves, and sends the coloured
image back. The widget's script is part of the package and needs no network. A page without a
kernel shows a still image of the same strokes. Taught in lesson 02.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import anywidget
import torch
import traitlets
from torch import Tensor

from colorlab.checks import check_lightness
from colorlab.color import join, lightness
from colorlab.widgets.color_names import hex_to_lab, name_color, named_labs
from colorlab.widgets.shared import Picture, as_picture, picture_png, static_text, with_still
from colorlab.widgets.strokes import (
    SHOWN_LIGHTNESS,
    Stroke,
    check_strokes,
    paint,
    read_strokes,
    sketch,
    write_strokes,
)

MOST_SUGGESTIONS = 5  # the keys 1 to 5 choose them

# Colours offered beside the colour picker; they cover most of what photographs contain.
SWATCHES = (
    *("#c8453b", "#d98b3a", "#d9c04a", "#6f9a47", "#3f6b46", "#3f8f8c", "#8db8de", "#3f68b5"),
    *("#7a55a3", "#de94ac", "#8a5e3c", "#d9a58a", "#808080"),
)

Suggest = Callable[[Tensor, int, int], Sequence[tuple[float, float, float]]]


class Canvas(anywidget.AnyWidget):
    """A gray image to paint on, and beside it the image coloured from the strokes.

    Args:
        picture: lightness (1, 1, H, W) in [0, 100]; or sRGB (1, 3, H, W) or (3, H, W) in [0, 1],
            8-bit sRGB (H, W, 3) as an array, an image of PIL or the path of an image file, of
            which only the lightness is used.
        size: longer side of each of the two images on the page, in CSS pixels.
        solver: spreads the painted colours. Its ``solve(ab, mask)`` returns *ab* of every pixel
            (1, 2, H, W) from ab (1, 2, H, W) where mask (1, 1, H, W) is true; by default Levin's
            scribble colorization.
        suggest: ``suggest(L, y, x)`` returns (a, b, probability) of likely colours of a pixel;
            called when the pointer rests.
        strokes: painted at the start, see :mod:`colorlab.widgets.strokes`.

    Attributes:
        strokes: list of dicts; the front end and you replace it as a whole. A malformed stroke
            raises ``TraitError`` with the name of its field.
        ab: the solution for the last strokes (1, 2, H, W), CIE units.
        seconds: duration of the last solve.
        status, failed: the message to the reader, and whether it is an error.
        suggestions: the last ones, the most likely first.
    """

    _esm = static_text(
        "parts.js", "lab.js", "sketch.js", "strokebook.js", "controls.js", "canvas.js"
    )
    _css = static_text("theme.css", "canvas.css")

    gray = traitlets.Bytes(help="the picture to paint on, PNG").tag(sync=True)
    result = traitlets.Bytes(help="the coloured picture, PNG").tag(sync=True)
    picture_size = traitlets.List(help="[H, W]").tag(sync=True)
    size = traitlets.Int(400, min=64, help="longer side on the page, CSS pixels").tag(sync=True)
    swatches = traitlets.List(help="[L, a, b] of the colours at hand").tag(sync=True)
    color_names = traitlets.List(help="[name, [L, a, b]]").tag(sync=True)
    strokes = traitlets.List(help="see colorlab.widgets.strokes").tag(sync=True)
    suggests = traitlets.Bool(help="whether resting the pointer asks for colours").tag(sync=True)
    pointer = traitlets.List(help="[x, y] where colours are asked for, or []").tag(sync=True)
    suggestions = traitlets.Dict(help="place: [x, y]; colors: [[a, b, probability]]").tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool().tag(sync=True)
    solves = traitlets.Int(help="answers sent so far").tag(sync=True)

    def __init__(
        self,
        picture: Picture,
        *,
        size: int = 400,
        solver: Any = None,
        suggest: Suggest | None = None,
        strokes: Sequence[Stroke] = (),
    ):
        check_strokes(strokes)
        if solver is not None and not callable(getattr(solver, "solve", None)):
            raise TypeError(f"a solver needs solve(ab, mask), got {type(solver).__name__}")
        self.L = _lightness_of(picture)
        self.ab = torch.zeros_like(self.L).expand(-1, 2, -1, -1)
        self.seconds = 0.0
        self._solver = solver
        self._suggest = suggest
        super().__init__(
            size=size,
            gray=picture_png(join(self.L, self.ab)),
            picture_size=list(self.L.shape[-2:]),
            swatches=[list(hex_to_lab(code)) for code in SWATCHES],
            color_names=[[name, list(lab)] for name, lab in named_labs()],
            suggests=suggest is not None,
            strokes=list(strokes),
        )
        self._answer()
        self.observe(lambda change: self._answer(), names="strokes")
        self.observe(lambda change: self._ask(), names="pointer")

    @traitlets.validate("strokes")
    def _valid_strokes(self, proposal: dict[str, Any]) -> list[Stroke]:
        try:
            check_strokes(proposal["value"])
        except ValueError as error:
            raise traitlets.TraitError(str(error)) from error
        return proposal["value"]

    def _answer(self) -> None:
        """Solve for the current strokes and send the image, or report the error.

        This runs before the front end's message is acknowledged. Until then the front end keeps
        only its latest state, so strokes that come faster than the solver do not queue up.
        """
        start = time.perf_counter()
        failed = False
        try:
            self.ab = self._solve()
            count = len(self.strokes)
            self.seconds = time.perf_counter() - start
            status = f"{count} stroke{'s' * (count != 1)}, solved in {self.seconds:.2f} s."
            status = status if count else "Nothing painted yet."
        except Exception as error:  # the solver may be the reader's code; the canvas must survive
            failed, status = True, f"Not solved: {type(error).__name__}: {error}"
        with self.hold_sync():
            if not failed:
                self.result = picture_png(self.rgb)
            self.status, self.failed = status, failed
            self.solves += 1

    def _solve(self) -> Tensor:
        ab, mask = paint(self.strokes, self.shape)
        if not mask.any():
            return torch.zeros_like(ab)
        if self._solver is None:
            from colorlab.classical.scribbles import Scribbles

            self._solver = Scribbles(self.L)
        answer = self._solver.solve(ab, mask)
        if tuple(answer.shape) != tuple(ab.shape):
            raise ValueError(f"the solver gave {tuple(answer.shape)}, not {tuple(ab.shape)}")
        if not torch.isfinite(answer).all():
            raise ValueError("the solver gave a value that is not a number")
        return answer

    def _ask(self) -> None:
        """Set ``suggestions`` for the pixel under ``pointer``."""
        if self._suggest is None or len(self.pointer) != 2:
            self.suggestions = {}
            return
        height, width = self.shape
        x, y = map(math.floor, self.pointer)
        x, y = min(max(x, 0), width - 1), min(max(y, 0), height - 1)
        try:
            likely = sorted(self._suggest(self.L, y, x), key=lambda triple: -triple[2])
            colors = [[float(v) for v in triple] for triple in likely[:MOST_SUGGESTIONS]]
            self.suggestions = {"place": [x, y], "colors": colors}
        except Exception as error:  # as in _answer
            self.suggestions = {}
            self.status, self.failed = f"No suggestions: {type(error).__name__}: {error}", True
            self.solves += 1

    @property
    def shape(self) -> tuple[int, int]:
        """(H, W) of the image."""
        return self.L.shape[-2], self.L.shape[-1]

    @property
    def rgb(self) -> Tensor:
        """The coloured image, sRGB (1, 3, H, W) in [0, 1]."""
        return join(self.L, self.ab)

    def replay(self, strokes: Sequence[Stroke]) -> Tensor:
        """Replace the strokes and return the coloured image; RuntimeError if the solver fails."""
        check_strokes(strokes)
        self.strokes = list(strokes)
        if self.failed:
            raise RuntimeError(self.status)
        return self.rgb

    def save(self, path: str | Path) -> None:
        """Write the strokes to ``path``, a .json file, and the coloured image beside it as PNG."""
        write_strokes(path, self.strokes, self.shape)
        Path(path).with_suffix(".png").write_bytes(picture_png(self.rgb))

    def load(self, path: str | Path) -> Tensor:
        """Replay the strokes of a file that :meth:`save` wrote; returns the coloured image."""
        return self.replay(read_strokes(path, self.shape))

    def __repr__(self) -> str:
        height, width = self.shape
        return f"Canvas({height}x{width}, {len(self.strokes)} strokes)"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live widget, and its two images for pages without a kernel."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        painted = [stroke["ab"] for stroke in self.strokes if stroke["ab"] is not None]
        names = sorted({name_color((SHOWN_LIGHTNESS, *ab)) for ab in painted})
        alt = (
            f"Left, the gray picture with strokes: {', '.join(names) or 'none'}. Right, the result."
        )
        still = torch.cat((sketch(self.L, self.strokes), self.rgb), dim=-1)
        return with_still(data, metadata, still, alt)


def _lightness_of(picture: Picture) -> Tensor:
    """L (1, 1, H, W) of the image given to :class:`Canvas`."""
    if not isinstance(picture, Tensor) or picture.ndim != 4 or picture.shape[1] != 1:
        return lightness(as_picture(picture))
    if len(picture) != 1:
        raise ValueError(f"a canvas takes one L (1, 1, H, W), got {tuple(picture.shape)}")
    check_lightness(picture)
    return picture.float()
