"""States of the lessons' widgets, from which the web site moves them without a kernel.

``execute.py`` lets this run in a lesson's kernel. A state is two files in site/widgets, named after
the lesson's cell: CELL.json, the traits of the widget, and CELL.avif, its images as a sequence of
frames, which takes a quarter of the bytes of single images. In the JSON ``{"image": 3}`` stands for
the fourth frame.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

WIDGETS = Path(__file__).resolve().parents[1] / "site" / "widgets"
KINDS = ("BeforeAfter", "Canvas", "FigureSlider", "Triangle", "TuringTest")
QUALITY = {"FigureSlider": 40}  # of 100; photographs that are judged get 85
OF_JUPYTER = ("layout", "tabbable", "tooltip")  # traits that every widget has


def state(widget: Any) -> tuple[dict[str, Any], list[bytes]]:
    """What a page needs to show and to move ``widget``: values by name, and images as PNG."""
    from colorlab.widgets.shared import picture_png
    from colorlab.widgets.turing import PHOTOGRAPH

    images: list[bytes] = []

    def kept(image: bytes) -> dict[str, int]:
        if image not in images:
            images.append(image)
        return {"image": images.index(image)}

    names = (name for name in widget.keys if name[0] != "_" and name not in OF_JUPYTER)
    traits = {name: getattr(widget, name) for name in names}
    kind = type(widget).__name__
    values = {k: kept(v) if isinstance(v, bytes) else v for k, v in traits.items()}
    if kind == "FigureSlider":
        values["figures"] = [kept(widget.drawn(i)) for i in range(len(widget.labels))]
    if kind == "TuringTest":
        pairs = [[kept(picture_png(p)) for p in widget.pair(i)] for i in range(widget.total)]
        values["trials"] = [
            {
                "model": trial.second if trial.first == PHOTOGRAPH else trial.first,
                "truth_first": trial.first == PHOTOGRAPH,
                "pair": pair,
            }
            for trial, pair in zip(widget.trials, pairs, strict=True)
        ]
    return {"kind": kind, "values": values}, images


def keep(widget: Any, cell: str, folder: Path = WIDGETS) -> None:
    """Write the state of ``widget``, which the cell of this id shows, into ``folder``.

    Raises:
        ValueError: its images are not all of one size.
    """
    from PIL import Image

    record, images = state(widget)
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    (folder / f"{cell}.json").write_text(text + "\n", "utf-8")
    frames = [Image.open(io.BytesIO(image)).convert("RGB") for image in images]
    if len({frame.size for frame in frames}) > 1:
        raise ValueError(f"{cell}: a sequence needs images of one size")
    if frames:
        # No chroma subsampling: the colours are what matters here.
        how = {"quality": QUALITY.get(record["kind"], 85), "subsampling": "4:4:4", "speed": 4}
        frames[0].save(folder / f"{cell}.avif", save_all=True, append_images=frames[1:], **how)


def watch(lesson: str) -> None:
    """From now on keep the state of each widget that a cell of the file ``lesson`` shows.

    In the lesson's kernel; random numbers of later cells do not change.
    """
    import numpy as np
    import torch
    from IPython import get_ipython

    cells = json.loads(Path(lesson).read_text("utf-8"))["cells"]
    names = {"".join(cell["source"]): cell["id"] for cell in cells}

    def after(run: Any) -> None:
        if type(run.result).__name__ in KINDS:
            numbers = np.random.get_state()
            with torch.random.fork_rng():
                keep(run.result, names[run.info.raw_cell])
            np.random.set_state(numbers)

    get_ipython().events.register("post_run_cell", after)
