"""Your own photograph: coloured by the models you choose, compared, and saved.

The reader uploads an image in the browser or opens it by its path; it stays on this computer. The
true colours of an old photograph are unknown, so there is no score. For a model that samples, the
widget shows the spread of its samples instead. Taught in lesson 11.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import torch
import traitlets
from matplotlib import colormaps
from PIL import Image
from torch import Tensor

from colorlab.color import from_uint8, join, lightness, rgb_to_lab
from colorlab.data.reading import read_upload
from colorlab.models import Colorizer
from colorlab.widgets.shared import as_picture, picture_png, static_text, with_still

LONGEST = 768  # longer side in pixels; `colorlab colorize` keeps the full resolution
DRAWS = 4  # samples of a model; enough to see where they differ
MOST_SPREAD = 30.0  # CIE units at the bright end of a spread map


class Studio(anywidget.AnyWidget):
    """An image of your own, and the predictions of several models for it.

    Args:
        models: name -> a loaded model, or a function that loads it, called when first chosen.
        picture: shown at the start: sRGB (1, 3, H, W) or (3, H, W) in [0, 1], or 8-bit sRGB
            (H, W, 3) as an array.
        chosen: names of the models that run at the start; by default the first one.
        name: label of the image at the start.

    Attributes:
        chosen: names of the models that run.
        saturation: factor on *ab*, 0 to 2.
        seed: of the samples, 0 or more.
        path: of an image on this computer; set it and increase ``request`` to open it.
        answers: one dict a model: ``name``, ``png``, ``file`` (name for saving), ``spread`` (PNG,
            or None) and ``told``, a line about the prediction.
        status, failed: the message to the reader, and whether it is an error.
    """

    _esm = static_text("parts.js", "compare.js", "studio.js")
    _css = static_text("theme.css", "panels.css")

    offered = traitlets.List(help="names of the models").tag(sync=True)
    chosen = traitlets.List(help="names of those that answer").tag(sync=True)
    saturation = traitlets.Float(1.0, min=0, max=2).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    path = traitlets.Unicode(help="of a picture on this computer").tag(sync=True)
    name = traitlets.Unicode(help="of the picture; a label only").tag(sync=True)
    # A front end sends bytes as a buffer.
    upload = traitlets.Bytes(help="a picture file, as it was chosen").tag(
        sync=True, from_json=lambda value, widget: bytes(value)
    )
    upload_name = traitlets.Unicode(help="of that file; a label only").tag(sync=True)
    request = traitlets.Int(help="counts what the reader asked for").tag(sync=True)
    gray = traitlets.Bytes(help="PNG").tag(sync=True)
    answers = traitlets.List().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)
    failed = traitlets.Bool().tag(sync=True)
    done = traitlets.Int(help="counts what Python answered").tag(sync=True)

    def __init__(
        self,
        models: Mapping[str, Colorizer | Callable[[], Colorizer]],
        picture: Tensor | np.ndarray | None = None,
        *,
        chosen: Sequence[str] | None = None,
        name: str = "picture",
    ):
        names = list(models)
        chosen = names[:1] if chosen is None else list(chosen)
        if not names or not set(chosen) <= set(names):
            raise ValueError(f"chosen {chosen} must be among the models {names}")
        self._models = dict(models)
        self._draws: dict[str, tuple[int, Tensor]] = {}  # of each model the last seed and its ab
        self._L: Tensor | None = None
        super().__init__(offered=names, chosen=chosen, name=name)
        if picture is not None:
            self._set_picture(as_picture(picture))
        self._answer()
        self.observe(lambda change: self._serve(), names="request")

    def _serve(self) -> None:
        """Handle a request of the page: open a new image, if there is one, and colour it."""
        try:
            if self.path:
                file = Path(self.path).expanduser()
                label, self.path = file.name, ""
                self._open(file.read_bytes(), label)
            elif self.upload:
                data, self.upload = self.upload, b""  # read once; never sent back to the page
                self._open(data, self.upload_name)
        except (ValueError, OSError) as error:
            self._tell(str(error), failed=True)
            return
        self._answer()

    def _open(self, data: bytes, label: str) -> None:
        self._set_picture(from_uint8(read_upload(data, label))[None])
        self.name = label

    def _set_picture(self, rgb: Tensor) -> None:
        longer = max(rgb.shape[-2:])
        if longer > LONGEST:
            size = [max(1, round(side * LONGEST / longer)) for side in rgb.shape[-2:]]
            rgb = torch.nn.functional.interpolate(
                rgb, size, mode="bilinear", antialias=True, align_corners=False
            )
        self._L = lightness(rgb)
        self._draws = {}
        self.gray = picture_png((self._L / 100).expand(-1, 3, -1, -1))

    def _answer(self) -> None:
        """Colour the image with every chosen model, and send the results."""
        if self._L is None:
            self._tell("Choose a photograph, or give its path.")
            return
        try:
            answers = [self._of(name) for name in self.offered if name in self.chosen]
        except (ValueError, OSError, RuntimeError) as error:  # while loading or running a model
            self._tell(f"Not coloured: {error}", failed=True)
            return
        height, width = self._L.shape[-2:]
        self._tell(f"{self.name}: {width} x {height} pixels.", answers=answers)

    def _of(self, name: str) -> dict[str, Any]:
        """One model's entry of ``answers``."""
        draws = self._drawn(name)  # (n, 2, H, W)
        rgb = join(self._L, self.saturation * draws[:1])
        answer = {
            "name": name,
            "png": picture_png(rgb),
            "file": f"{Path(self.name).stem or 'picture'}-{name}.png",
            "spread": None,
            "told": "One answer, always the same.",
        }
        if len(draws) > 1:
            # Root mean square over the samples of the distance to their mean.
            spread = (draws - draws.mean(dim=0)).square().sum(dim=1).mean(dim=0).sqrt()
            told = (
                f"Draw of seed {self.seed}. {len(draws)} draws spread by {spread.mean():.1f} in "
                "ab; the map is bright where they differ most."
            )
            # cividis is safe for colour-blind readers.
            levels = colormaps["cividis"]((spread / MOST_SPREAD).clamp(0, 1).numpy())[..., :3]
            bright = torch.from_numpy(levels).movedim(-1, 0)[None].float()
            answer |= {"spread": picture_png(bright), "told": told}
        return answer

    def _drawn(self, name: str) -> Tensor:
        """*ab* (n, 2, H, W) of a model's samples, or (1, 2, H, W) of its single prediction."""
        model = self._models[name]
        if not hasattr(model, "colorize"):
            model = self._models[name] = model()
        samples = not getattr(model, "deterministic", True)
        seed = self.seed if samples else 0
        if name not in self._draws or self._draws[name][0] != seed:
            if samples:
                generator = torch.Generator().manual_seed(seed)
                rgb = model.sample(self._L, DRAWS, generator)[:, 0]
            else:
                rgb = model.colorize(self._L)
            self._draws[name] = (seed, rgb_to_lab(rgb)[:, 1:])
        return self._draws[name][1]

    def _tell(self, text: str, failed: bool = False, answers: list | None = None) -> None:
        with self.hold_sync():
            if answers is not None:
                self.answers = answers
            self.status, self.failed = text, failed
            self.done += 1

    def __repr__(self) -> str:
        return f"Studio({self.name}, {', '.join(self.chosen) or 'no model'})"

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict, dict]:
        """The live widget; for pages without a kernel the gray image and the first result."""
        data, metadata = super()._repr_mimebundle_(**kwargs)
        if self._L is None or not self.answers:
            return data, metadata
        first = self.answers[0]
        pictures = [
            from_uint8(np.asarray(Image.open(io.BytesIO(png)))) for png in (self.gray, first["png"])
        ]
        alt = f"Left, {self.name} in gray; right, coloured by {first['name']}."
        return with_still(data, metadata, torch.cat(pictures, dim=-1)[None], alt)
