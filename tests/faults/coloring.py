"""Runs of `colorlab colorize` in this process, with small weights and small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tiny
from PIL import Image

from colorlab import checkpoints
from colorlab.__main__ import main

RGB = np.random.default_rng(2).integers(0, 256, (3, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)


def small_weights(folder: Path) -> str:
    return str(checkpoints.save(tiny.small_unet(), "photos", {}, folder))


def save(path: Path, rgb: np.ndarray = RGB) -> None:
    Image.fromarray(rgb).save(path)


def colour(weights: str, folder: Path, *more: str) -> int:
    return main(
        ["colorize", str(folder), "-o", str(folder.parent / "out"), "--model", weights, *more]
    )


def check_whole(folder: Path) -> None:
    """Only whole pictures lie there."""
    for file in folder.iterdir():
        assert file.suffix == ".png", file
        with Image.open(file) as image:
            image.load()
