"""Make the README's pictures from the released weights: ``python .ci/readme_picture.py``.

``readme.jpg``: the five photographs of scikit-image in gray, safest, vivid and true;
``readme-old.jpg``: the gray ones of ``data/old-photos``, whose colours nobody knows.
"""

import io
from pathlib import Path

import torch
from PIL import Image

from colorlab import data
from colorlab.checkpoints import SAFEST
from colorlab.color import from_uint8, lightness, to_uint8
from colorlab.commands.colorize import VIVID, load_model
from colorlab.data.reading import read_rgb, square
from colorlab.plots import new_figure, png

SIDE = 256
DATA = Path(__file__).resolve().parents[1] / "data"
known = from_uint8(data.load("skimage", "test").rgb)
files = sorted((DATA / "old-photos").glob("ph_*.jpg"))
old = torch.stack([from_uint8(square(read_rgb(f), SIDE, f.name)) for f in files])

for name, rgb, truth in (("readme", known, True), ("readme-old", old, False)):
    L = lightness(rgb)
    rows = {
        "gray": (L / 100).expand(-1, 3, -1, -1),
        "safest": load_model(SAFEST, None, "cpu").colorize(L),
        "vivid": load_model(VIVID, None, "cpu").colorize(L),
    }
    if truth:
        rows["truth"] = rgb
    figure, axes = new_figure(2.6 * len(L), 2.65 * len(rows), nrows=len(rows), ncols=len(L))
    for (title, pictures), line in zip(rows.items(), axes, strict=True):
        for ax, picture in zip(line, pictures, strict=True):
            ax.imshow(to_uint8(picture))
            ax.set(xticks=[], yticks=[])
        line[0].set_ylabel(title, fontsize=15)
    place = DATA / "results" / f"{name}.jpg"
    whole = Image.open(io.BytesIO(png(figure, dpi=86))).convert("RGB")
    whole.save(place, quality=84, optimize=True, progressive=True, subsampling=0)
    print(f"{place.name}: {whole.width}x{whole.height}, {place.stat().st_size / 1e6:.2f} MB")
