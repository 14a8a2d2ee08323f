"""Make the README's picture from the released weights: ``python .ci/readme_picture.py``."""

import io
from pathlib import Path

from PIL import Image

import colorlab
from colorlab import data
from colorlab.color import to_uint8
from colorlab.data.loaders import make_batch
from colorlab.plots import new_figure, png

batch = make_batch(data.load("skimage", "test").rgb)
gray = (batch.L / 100).expand(-1, 3, -1, -1)
rows = {
    "gray": gray,
    "ResNet": colorlab.load("resnet").colorize(batch.L),
    "UNet": colorlab.load("unet").colorize(batch.L),
    "truth": batch.rgb,
}
figure, axes = new_figure(2.0 * len(gray), 2.05 * len(rows), nrows=len(rows), ncols=len(gray))
for (title, pictures), line in zip(rows.items(), axes, strict=True):
    for ax, picture in zip(line, pictures, strict=True):
        ax.imshow(to_uint8(picture))
        ax.set(xticks=[], yticks=[])
    line[0].set_ylabel(title, fontsize=13)
place = Path(__file__).resolve().parents[1] / "data" / "results" / "readme.jpg"
Image.open(io.BytesIO(png(figure, dpi=90))).convert("RGB").save(place, quality=88)
print(f"{place.name}: {place.stat().st_size / 1e6:.2f} MB")
