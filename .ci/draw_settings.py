"""Measure how settings of the photographs' diffusion draws trade colour for error, on validation.

    python .ci/draw_settings.py 60,120,1.5,0.9,10 60,120,1.5,1,10

A row for each reach,tones,guidance,temperature,steps: of the first two of eight draws the mean
LPIPS and colourfulness; Delta-E 76 of the mean of eight as a multiple of the UNet's; that of the
best of eight less the UNet's. Made the table of data/README.md, from which the released settings
were chosen. A row takes one to three minutes on a core.
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import torch

import colorlab
from colorlab import data
from colorlab.data.loaders import make_batch
from colorlab.metrics import delta_e76
from colorlab.metrics.pairs import colorfulness
from colorlab.metrics.perceptual import lpips
from colorlab.metrics.rows import round_to_8_bit

COUNT, CHUNK, DRAWS = 40, 8, 8  # photographs, evenly spaced; how many at a time; draws of each
NAMES = ("reach", "tones", "guidance", "temperature", "steps")


@torch.inference_mode()
def measured(model, batch) -> dict[str, float]:
    """LPIPS and colourfulness of single draws; Delta-E 76 of the mean and of the best of eight."""
    parts: dict[str, list[torch.Tensor]] = {}
    for start in range(0, COUNT, CHUNK):
        L, truth = (x[start : start + CHUNK] for x in (batch.L, batch.rgb))
        answers = model.answers(L, DRAWS, torch.Generator().manual_seed(start))
        draws = [round_to_8_bit(model.finish(L, answer)) for answer in answers]
        part = {
            "LPIPS": torch.cat([lpips(rgb, truth) for rgb in draws[:2]]),
            "colourfulness": torch.cat([colorfulness(rgb) for rgb in draws[:2]]),
            "mean of 8": delta_e76(model.finish(L, answers.mean(dim=0)), truth),
            "best of 8": torch.stack([delta_e76(rgb, truth) for rgb in draws]).amin(dim=0),
        }
        for name, values in part.items():
            parts.setdefault(name, []).append(values)
    return {name: torch.cat(values).mean().item() for name, values in parts.items()}


def main() -> int:
    """Print a row for each argument."""
    photos = data.load("photos", "val")
    chosen = np.linspace(0, len(photos) - 1, COUNT).astype(int)
    batch, model = make_batch(photos.rgb[chosen]), colorlab.load("diffusion")
    with torch.inference_mode():
        unet = delta_e76(colorlab.load("unet").colorize(batch.L), batch.rgb).mean().item()
    print(*NAMES, "LPIPS", "colourfulness", "mean of 8", "best of 8", sep=" | ")
    for argument in (a for a in sys.argv[1:] if "," in a):
        *values, steps = map(float, argument.split(","))
        settings = dict(zip(NAMES, (*values, int(steps)), strict=True))
        model.config = dataclasses.replace(model.config, **settings)
        row = measured(model, batch)
        print(
            *(f"{value:g}" for value in settings.values()),
            f"{row['LPIPS']:.3f}",
            f"{row['colourfulness']:.1f}",
            f"{row['mean of 8'] / unet:.3f}",
            f"{row['best of 8'] - unet:+.2f}",
            sep=" | ",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
